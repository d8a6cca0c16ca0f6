//! The servers that are compared, each in processes of its own at a port of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::floor::{self, Mode};
use crate::load::{KEY, Target, is_taken};
use crate::support::cmd::repo_file;
use crate::support::keeper;
use crate::support::rabbit::free_ports;
use crate::support::rig::Rig;
use crate::usage::cpu;

const START: Duration = Duration::from_secs(30);

/// All of them; killed when dropped.
pub(crate) struct Servers {
    pub(crate) gateway: Target,
    pub(crate) floor: Target,
    /// One that publishes all on one channel.
    pub(crate) one_channel: Target,
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
        let [gateway, floor, one_channel, other, nothing] = free_ports();
        let commands = [
            of_gateway(rig, gateway),
            of_floor(rig, floor, Mode::Floor),
            of_floor(rig, one_channel, Mode::OneChannel),
            of_python(rig, &python, other),
            of_floor(rig, nothing, Mode::Nothing),
        ];
        let children = commands.into_iter().map(|mut command| {
            command.stdout(Stdio::null()).stderr(Stdio::null());
            keeper::spawn(&mut command)
        });
        let children: Vec<Child> = children.collect();
        let target =
            |name, port, n: usize| Target { name, address: ([127, 0, 0, 1], port).into(), pid: children[n].id() };
        let servers = Self {
            gateway: target("the gateway", gateway, 0),
            floor: target("the floor", floor, 1),
            one_channel: target("one channel", one_channel, 2),
            python: target("the gateway in Python", other, 3),
            nothing: target("nothing", nothing, 4),
            children,
        };
        for target in [&servers.gateway, &servers.floor, &servers.one_channel, &servers.python, &servers.nothing] {
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

fn of_floor(rig: &Rig, port: u16, mode: Mode) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let configured = rig.command(&[]);
    command.envs(configured.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env(floor::LISTEN, format!("127.0.0.1:{port}")).env(floor::MODE, mode.as_str());
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
    let broker = rig.config().broker;
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]).env("BENCH_KEY", KEY);
    command.env("BENCH_URL", &*broker.url.expose()).env("BENCH_EXCHANGE", broker.exchange);
    command
}

/// CPU that a server and its children have used so far.
pub(crate) fn cpu_time(target: &Target) -> Duration {
    let pid = i32::try_from(target.pid).expect("a process id");
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("a process");
    let children = children.split_whitespace().map(|child| child.parse().expect("a process id"));
    children.chain([pid]).map(|pid| cpu(pid).own).sum()
}
