//! RabbitMQ nodes of the tests' own: own ports, own names, own data, gone when the test process is.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::processes::signal;
use super::{keeper, say};

/// Where Debian's package has the programs themselves: those in the path change the user.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";
/// Takes 8 s on an idle machine.
const START: Duration = Duration::from_secs(180);

static CALM: LazyLock<Option<Rabbit>> = LazyLock::new(|| Rabbit::start("calm"));
static FRAGILE: LazyLock<Option<Mutex<Rabbit>>> = LazyLock::new(|| Rabbit::start("fragile").map(Mutex::new));

/// A node.
pub struct Rabbit {
    dir: PathBuf,
    name: String,
    port: u16,
    dist_port: u16,
    erlang: Arc<Erlang>,
    server: Option<Child>,
    /// Whether a test has changed settings.
    altered: AtomicBool,
}

/// What nodes have in common that find and trust each other.
pub struct Erlang {
    /// Has the cookie.
    home: PathBuf,
    /// Where the daemon listens that knows the nodes' own ports.
    epmd_port: u16,
    _epmd: Child,
}

/// The node that every test shares and none disturbs. `None`, loudly, where there is no RabbitMQ here.
pub fn calm() -> Option<&'static Rabbit> {
    CALM.as_ref()
}

/// The node that may be restarted, killed and starved, by one test at a time.
pub fn fragile() -> Option<MutexGuard<'static, Rabbit>> {
    let mut rabbit = FRAGILE.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
    rabbit.heal();
    Some(rabbit)
}

impl Erlang {
    /// Below a directory of this name. `None`, loudly, where there is no RabbitMQ here.
    pub fn start(name: &str) -> Option<Arc<Self>> {
        if !Path::new(PROGRAMS).join("rabbitmq-server").exists() {
            say::no_service("rabbitmq-server is not installed");
            return None;
        }
        let home = keeper::dir().join(name);
        std::fs::create_dir(&home).expect("a directory");
        let [epmd_port] = free_ports();
        let mut epmd = Command::new("epmd");
        epmd.args(["-port", &epmd_port.to_string()]).env("ERL_EPMD_ADDRESS", "127.0.0.1");
        epmd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _epmd = keeper::spawn(&mut epmd);
        Some(Arc::new(Self { home, epmd_port, _epmd }))
    }
}

impl Rabbit {
    fn start(name: &str) -> Option<Self> {
        Some(Self::beside(&Erlang::start(name)?, name))
    }

    /// A node that others of the same Erlang can be joined with.
    pub fn beside(erlang: &Arc<Erlang>, name: &str) -> Self {
        let dir = erlang.home.join(name);
        std::fs::create_dir(&dir).expect("a directory");
        std::fs::write(dir.join("plugins"), "[].").expect("a file");
        std::fs::write(dir.join("rabbit.conf"), "log.console.level = warning\n").expect("a file");
        let [port, dist_port] = free_ports();
        let (name, erlang) = (format!("mediamill-{name}@localhost"), Arc::clone(erlang));
        let mut rabbit = Self { dir, name, port, dist_port, erlang, server: None, altered: AtomicBool::new(false) };
        rabbit.boot();
        rabbit
    }

    /// Becomes a member of another node's cluster; what it has of its own is forgotten.
    pub fn join(&self, other: &Self) {
        self.ctl(&["stop_app"]);
        self.ctl(&["join_cluster", &other.name]);
        self.ctl(&["start_app"]);
    }

    /// Its name among its cluster's members.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address, with the default virtual host.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// Starts the node and waits until it answers.
    pub fn boot(&mut self) {
        assert!(self.server.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(self.dir.join("console")).expect("a log");
        let mut command = self.program("rabbitmq-server");
        command.arg("-noinput").stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a descriptor")).stderr(log);
        self.server = Some(keeper::spawn(&mut command));
        self.wait_until_it_answers();
    }

    /// SIGKILL to the whole node.
    pub fn kill(&mut self) {
        // Quorum queues declared in the last few seconds are not found again after a SIGKILL: RabbitMQ keeps their
        // names in a file that it writes now and then.
        self.ctl(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]);
        keeper::end(&mut self.server.take().expect("it runs"));
    }

    /// Stops it in an orderly way.
    pub fn shut_down(&mut self) {
        self.ctl(&["stop"]);
        keeper::end(&mut self.server.take().expect("it runs"));
    }

    /// Goes on after [`Rabbit::freeze`].
    pub fn thaw(&self) {
        signal(self.pid(), Signal::CONT);
    }

    /// Runs rabbitmqctl and gives back what it prints.
    pub fn ctl(&self, args: &[&str]) -> String {
        self.tool("rabbitmqctl", args)
    }

    /// Runs one of the programs for operators and gives back what it prints.
    pub fn tool(&self, name: &str, args: &[&str]) -> String {
        let mut command = self.program(name);
        // In a process group of its own: an Erlang that ends in a bad way takes its whole group along.
        command.process_group(0).arg("--quiet").args(args);
        let output = command.output().unwrap_or_else(|err| panic!("{name}: {err}"));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{args:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    /// Its AMQP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Stops all of it from running, with every connection open.
    pub fn freeze(&self) {
        signal(self.pid(), Signal::STOP);
    }

    /// Every publisher is blocked from now on, or no longer.
    pub fn memory_alarm(&self, on: bool) {
        self.altered.store(true, Ordering::SeqCst);
        self.ctl(&["set_vm_memory_high_watermark", if on { "0.000001" } else { "0.6" }]);
    }

    /// Closes every connection from the broker's side.
    pub fn close_connections(&self) {
        self.ctl(&["close_all_connections", "--global", "a test"]);
    }

    /// How long a consumer may hold a message; channels opened from now on. `None`: as by default.
    pub fn ack_timeout(&self, timeout: Option<Duration>) {
        self.altered.store(true, Ordering::SeqCst);
        let set = |name: &str, time: u128| format!("application:set_env(rabbit, {name}, {time})");
        let time = timeout.map_or(1_800_000, |timeout| timeout.as_millis());
        let tick = if timeout.is_some() { 200 } else { 60_000 };
        self.ctl(&["eval", &format!("{}, {}.", set("consumer_timeout", time), set("channel_tick_interval", tick))]);
    }

    /// As a test may have left it: back to a node that works.
    fn heal(&mut self) {
        let alive = self.server.as_mut().is_some_and(|server| server.try_wait().expect("a status").is_none());
        if alive {
            self.thaw();
            self.wait_until_it_answers();
            if self.altered.swap(false, Ordering::SeqCst) {
                self.memory_alarm(false);
                self.ack_timeout(None);
            }
        } else {
            self.server = None;
            self.boot();
        }
    }

    fn pid(&self) -> i32 {
        self.server.as_ref().expect("it runs").id().cast_signed()
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + START;
        while !answers(self.port) {
            let log = || std::fs::read_to_string(self.dir.join("console")).unwrap_or_default();
            assert!(Instant::now() < deadline, "RabbitMQ does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(Path::new(PROGRAMS).join(name));
        let text = |port: u16| port.to_string();
        command
            .current_dir(&self.dir)
            .env("HOME", &self.erlang.home)
            .env("RABBITMQ_NODENAME", &self.name)
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", text(self.port))
            .env("RABBITMQ_DIST_PORT", text(self.dist_port))
            .env("ERL_EPMD_PORT", text(self.erlang.epmd_port))
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", self.dir.join("data"))
            .env("RABBITMQ_LOG_BASE", self.dir.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", self.dir.join("pid"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", self.dir.join("plugins"))
            .env("RABBITMQ_FEATURE_FLAGS_FILE", self.dir.join("flags"))
            .env("RABBITMQ_CONFIG_FILE", self.dir.join("rabbit"))
            .env("RABBITMQ_CONF_ENV_FILE", self.dir.join("none"))
            // Or else a shell stands between us and the node.
            .env("RABBITMQ_ALLOW_INPUT", "1");
        command
    }
}

/// Whether a broker speaks AMQP there: it says `Connection.Start` when it is greeted.
fn answers(port: u16) -> bool {
    use std::io::{Read, Write};
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return false };
    let patience = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut first = [0; 1];
    patience.is_ok() && stream.write_all(b"AMQP\0\0\x09\x01").is_ok() && stream.read_exact(&mut first).is_ok()
}

/// Ports that were free a moment ago.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}
