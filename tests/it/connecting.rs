//! Connecting to a broker whose name has dead addresses, or whose port speaks something else than the URL says.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, bind, listen, socket};

use crate::https::Tls;
use crate::support::cmd::Run;
use crate::support::keeper;
use crate::support::rabbit::calm;
use crate::support::rig::Rig;
use crate::support::say;

/// Runs the rest of the command line with the file `hosts` as the system's table of names.
const WITH_HOSTS: &str = r#"mount --bind hosts /etc/hosts && exec "$@""#;

/// An address at which connections are neither taken nor refused, as at that of a machine that is switched off: its queue
/// of connections is full.
struct BlackHole {
    _listener: OwnedFd,
    _first: Vec<TcpStream>,
}

impl BlackHole {
    fn at(address: SocketAddr) -> Self {
        let listener = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        bind(listener.as_fd(), &address).expect("a free address");
        listen(listener.as_fd(), 0).expect("a listener");
        let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(1));
        let first = std::iter::from_fn(|| connect().ok()).take(64).collect::<Vec<_>>();
        assert!(first.len() < 64, "the queue does not fill");
        Self { _listener: listener, _first: first }
    }
}

#[test]
fn dead_addresses_of_a_name_do_not_keep_a_worker_from_the_living_one() {
    let Some(rabbit) = calm() else { return };
    if Run::of(Command::new("unshare").args(["-rm", "true"])).code != Some(0) {
        say::skipped("no mount namespace can be had here");
        return;
    }
    let mut rig = Rig::new(rabbit);
    let port = rabbit.port();
    let _hole = BlackHole::at((Ipv4Addr::new(127, 0, 0, 3), port).into());
    // Takes connections, since the kernel does, and never says a word: a node that is frozen.
    let _silent = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), port)).expect("a free address");
    let hosts = "127.0.0.3 broker.test\n127.0.0.2 broker.test\n127.0.0.1 broker.test\n";
    std::fs::write(rig.dir.path().join("hosts"), hosts).expect("a file");
    rig.set("BROKER_URL", format!("amqp://guest:guest@broker.test:{port}/%2f"));
    rig.set("BROKER_CONNECT_TIMEOUT_S", 3);
    // Any of the three is first.
    for _ in 0..8 {
        let inner = rig.command(&["topology", "--declare"]);
        let mut command = Command::new("unshare");
        command.args(["-rm", "/bin/sh", "-c", WITH_HOSTS, "sh"]).arg(inner.get_program()).args(inner.get_args());
        command.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?)))).current_dir(rig.dir.path());
        Run::of(&mut command).exits(0);
    }
}

#[test]
fn tls_to_a_plain_port_says_that_it_has_none() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    rig.set("BROKER_URL", format!("amqps://guest:guest@127.0.0.1:{}/%2f", rabbit.port()));
    let run = Run::of(&mut rig.command(&["topology", "--declare"])).exits(1);
    assert!(run.stderr.contains("this port has no TLS: broker.url needs"), "{}", run.stderr);
    assert!(!run.stderr.contains("guest"), "{}", run.stderr);
}

#[test]
fn a_plain_connection_to_a_port_with_tls_says_that_it_has_it() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    let dir = keeper::new_dir();
    let Some(tls) = Tls::start(dir.path()) else { return };
    rig.set("BROKER_URL", format!("amqp://guest:guest@127.0.0.1:{}/%2f", tls.port));
    rig.set("BROKER_CONNECT_TIMEOUT_S", 5);
    let run = Run::of(&mut rig.command(&["topology", "--declare"])).exits(1);
    assert!(run.stderr.contains("this port speaks TLS: broker.url needs amqps://"), "{}", run.stderr);
}
