//! The servers that are compared, each in processes of its own at a port of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::floor;
use crate::load::{KEY, Target, is_taken};
use crate::support::cmd::repo_file;
use crate::support::keeper;
use crate::support::rabbit::free_ports;
use crate::support::rig::Rig;

const START: Duration = Duration::from_secs(30);

/// All of them; killed when dropped.
pub(crate) struct Servers {
    pub(crate) gateway: Target,
    pub(crate) floor: Target,
    pub(crate) python: Target,
    /// A server that only answers.
    pub(crate) nothing: Target,
    children: Vec<Child>,
}

impl Servers {
    /// Starts them, and waits until each takes a webhook.
    pub(crate) fn start(rig: &Rig) -> Result<Self, String> {
        let python = repo_file("target/venv-bench/bin/python");
        if !python.exists() {
            return Err("the gateway in Python is not installed; scripts/venv.sh bench does that".to_owned());
        }
        let ports: [u16; 4] = free_ports();
        let [gateway, floor, other, nothing] = ports;
        let target = |name, port| Target { name, address: ([127, 0, 0, 1], port).into() };
        let commands = [
            of_gateway(rig, gateway),
            of_floor(rig, floor, "floor"),
            of_python(rig, &python, other),
            of_floor(rig, nothing, "nothing"),
        ];
        let children = commands.into_iter().map(|mut command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            keeper::spawn(&mut command)
        });
        let servers = Self {
            children: children.collect(),
            gateway: target("the gateway", gateway),
            floor: target("the floor", floor),
            python: target("the gateway in Python", other),
            nothing: target("nothing", nothing),
        };
        for target in [&servers.gateway, &servers.floor, &servers.python, &servers.nothing] {
            let deadline = Instant::now() + START;
            while !is_taken(target) {
                if Instant::now() > deadline {
                    return Err(format!("{} takes no webhook", target.name));
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        Ok(servers)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        self.children.iter_mut().for_each(keeper::end);
    }
}

fn of_gateway(rig: &Rig, port: u16) -> Command {
    let account = format!(
        "[channels.support]\nprovider = \"whatsapp-cloud\"\ntenant = \"acme\"\napp_secret = \"{KEY}\"\ntoken = \"t\"\n"
    );
    std::fs::write(rig.dir.path().join("gateway.toml"), account).expect("a file");
    let mut command = rig.command(&["gateway", "--config", "gateway.toml"]);
    command.env("MEDIAMILL_GATEWAY_LISTEN", format!("127.0.0.1:{port}")).env("MEDIAMILL_HTTP_LISTEN", "");
    command
}

fn of_floor(rig: &Rig, port: u16, mode: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    where_to(&mut command, rig, port);
    command.env(floor::MODE, mode);
    command
}

fn of_python(rig: &Rig, python: &Path, port: u16) -> Command {
    let mut command = Command::new(python);
    command.args(["-m", "uvicorn", "--app-dir"]).arg(repo_file("benches/webhooks")).arg("gateway:app");
    command.args([
        "--workers",
        "2",
        "--loop",
        "uvloop",
        "--http",
        "httptools",
        "--no-access-log",
        "--log-level",
        "warning",
    ]);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]).env("BENCH_KEY", KEY);
    where_to(&mut command, rig, port);
    command
}

fn where_to(command: &mut Command, rig: &Rig, port: u16) {
    let broker = rig.config().broker;
    command.env(floor::LISTEN, format!("127.0.0.1:{port}"));
    command.env(floor::URL, &*broker.url.expose()).env(floor::EXCHANGE, broker.exchange);
}
