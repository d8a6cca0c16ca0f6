//! A PostgreSQL server of the tests' own, on a socket in a directory of its own, gone when the test process is.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::{keeper, say};

/// Where Debian has the programs, one folder a major version.
const PROGRAMS: &str = "/usr/lib/postgresql";
/// Takes less than a second on an idle machine.
const START: Duration = Duration::from_secs(60);

static SERVER: LazyLock<Option<Postgres>> = LazyLock::new(Postgres::start);
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The server.
pub struct Postgres {
    dir: PathBuf,
    programs: PathBuf,
}

/// The server that all tests share. `None`, loudly, where PostgreSQL is not installed.
pub fn server() -> Option<&'static Postgres> {
    SERVER.as_ref()
}

/// Of the machine. PostgreSQL should have a quarter of it (its documentation of `shared_buffers`), and takes what it needs of that.
fn memory_mib() -> u64 {
    let facts = std::fs::read_to_string("/proc/meminfo").expect("proc");
    let total = facts.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    total.map_or(512, |kib: u64| kib / 1024)
}

impl Postgres {
    fn start() -> Option<Self> {
        let versions =
            std::fs::read_dir(PROGRAMS).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
        let number = |path: &PathBuf| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
        let Some(programs) = versions.filter(|path| path.join("postgres").exists()).max_by_key(number) else {
            say::no_service("postgresql is not installed");
            return None;
        };
        // A path of its own below /tmp: that of a socket has 107 bytes at most.
        let dir = keeper::dir().join("pg");
        std::fs::create_dir(&dir).expect("a directory");
        let server = Self { dir, programs };
        server.give_to_its_user();
        let data = server.dir.join("data");
        let made = server
            .program("initdb")
            .args(["-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8", "-D"])
            .arg(&data)
            .output()
            .expect("initdb");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let log = std::fs::File::create(server.dir.join("console")).expect("a log");
        let mut command = server.program("postgres");
        command.arg("-D").arg(&data).args(["-c", "listen_addresses=", "-c", "max_connections=200", "-c"]);
        command.arg(format!("unix_socket_directories={}", server.dir.display()));
        // What is tested here is no power cut.
        command.args(["-c", "fsync=off", "-c", "full_page_writes=off"]);
        command.args(["-c", &format!("shared_buffers={}MB", memory_mib() / 4)]);
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("a descriptor")).stderr(log);
        drop(keeper::spawn(&mut command));
        server.wait_until_it_answers();
        Some(server)
    }

    /// The address of a new, empty database.
    pub fn database(&self) -> String {
        let name = format!("t{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
        format!("postgres://postgres@localhost/{name}?host={}", self.dir.display())
    }

    /// Puts everything that one database has into another, empty one, by `pg_dump`. Both are addresses of [`Postgres::database`].
    #[track_caller]
    pub fn copy(&self, from: &str, to: &str) {
        let name =
            |url: &str| url.split_once("@localhost/").and_then(|(_, rest)| rest.split('?').next()).map(str::to_owned);
        let [from, to] = [from, to].map(|url| name(url).expect("a database"));
        let dump = self.file(&format!("{to}.dump"));
        let run = |program: &str, arguments: &[&str]| {
            let mut command = self.program(program);
            command.args(["-U", "postgres", "-h"]).arg(&self.dir).args(arguments);
            let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
            assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
        };
        run("pg_dump", &["-Fc", "-f", &dump, &from]);
        run("pg_restore", &["-d", &to, &dump]);
    }

    /// Everything that a database has, as SQL.
    #[track_caller]
    pub fn dump(&self, url: &str) -> Vec<u8> {
        let mut command = self.program("pg_dump");
        command.args(["-U", "postgres", "--inserts", "-h"]).arg(&self.dir).arg(name_of(url));
        let output = command.output().expect("pg_dump");
        assert!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Breaks off all connections to a database and takes no new ones, or takes them again.
    #[track_caller]
    pub fn refuses(&self, url: &str, refuses: bool) {
        let name = name_of(url);
        self.psql("postgres", &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", !refuses));
        if refuses {
            self.psql(
                "postgres",
                &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            );
        }
    }

    /// Takes a database away, under another name, or brings it back: whoever connects is told that there is none.
    pub fn hides(&self, url: &str, hides: bool) {
        let (name, other) = (name_of(url), format!("{}_hidden", name_of(url)));
        let (from, to) = if hides { (name, &*other) } else { (&*other, name) };
        if hides {
            self.refuses(url, true);
        }
        self.psql("postgres", &format!("ALTER DATABASE {from} RENAME TO {to}"));
        if !hides {
            self.refuses(url, false);
        }
    }

    /// A file that the server may write and read.
    pub fn file(&self, name: &str) -> String {
        self.dir.join("data").join(name).display().to_string()
    }

    /// Runs a statement, and gives back what it prints.
    #[track_caller]
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let output = self.client(database, sql).output().expect("psql");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn client(&self, database: &str, sql: &str) -> Command {
        let mut command = self.program("psql");
        command.args(["-X", "-q", "-A", "-t", "-U", "postgres", "-d", database, "-c", sql, "-h"]).arg(&self.dir);
        command
    }

    fn wait_until_it_answers(&self) {
        let deadline = Instant::now() + START;
        while !self.client("postgres", "SELECT 1").output().is_ok_and(|output| output.status.success()) {
            let log = || std::fs::read_to_string(self.dir.join("console")).unwrap_or_default();
            assert!(Instant::now() < deadline, "PostgreSQL does not start:\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The server refuses to run as root.
    fn program(&self, name: &str) -> Command {
        let path = self.programs.join(name);
        let mut command = if rustix::process::geteuid().is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir("/");
        command
    }

    fn give_to_its_user(&self) {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let id = |flag: &str| -> u32 {
            let output = Command::new("id").args([flag, "postgres"]).output().expect("id");
            String::from_utf8_lossy(&output.stdout).trim().parse().expect("the user postgres")
        };
        chown(&self.dir, Some(id("-u")), Some(id("-g"))).expect("given away");
        // The way to it must be open to its user.
        for folder in self.dir.ancestors().skip(1).take_while(|folder| *folder != Path::new("/tmp")) {
            if let Ok(metadata) = std::fs::metadata(folder) {
                let mode = metadata.permissions().mode() | 0o011;
                drop(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode)));
            }
        }
    }
}

fn name_of(url: &str) -> &str {
    url.split_once("@localhost/").and_then(|(_, rest)| rest.split('?').next()).expect("a database")
}
