//! Ends what the tests started and removes their files, also where the test process itself is killed.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};

/// Reads which process groups to watch until its standard input ends, which comes with this process's end, however that
/// comes.
const SCRIPT: &str = r#"
groups=
while read -r verb group; do
  kept=
  for known in $groups; do [ "$known" = "$group" ] || kept="$kept $known"; done
  groups=$kept
  [ "$verb" = watch ] && groups="$groups $group"
done
for group in $groups; do kill -KILL "-$group" 2>/dev/null; done
rm -rf -- "$1" || { sleep 1; rm -rf -- "$1"; }
"#;

static KEEPER: LazyLock<Keeper> = LazyLock::new(Keeper::start);

struct Keeper {
    dir: PathBuf,
    script: Mutex<Child>,
}

impl Keeper {
    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("mediamill-tests-").tempdir().expect("a directory").keep();
        let script = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "keeper"])
            .arg(&dir)
            .stdin(Stdio::piped())
            // Whoever reads our output is not to wait for the keeper.
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Not with us, where Ctrl-C ends the whole group.
            .process_group(0)
            .spawn()
            .expect("a shell");
        Self { dir, script: Mutex::new(script) }
    }

    fn say(&self, verb: &str, group: u32) {
        let mut script = self.script.lock().expect("no panic while writing");
        writeln!(script.stdin.as_mut().expect("a pipe"), "{verb} {group}").expect("the keeper listens");
    }
}

/// A directory that is gone when the test process is.
pub fn dir() -> &'static Path {
    &KEEPER.dir
}

/// A new directory below [`dir`], removed when dropped.
pub fn new_dir() -> tempfile::TempDir {
    tempfile::tempdir_in(dir()).expect("a directory")
}

/// Starts a program in a process group of its own, which does not outlive the test process.
pub fn spawn(command: &mut Command) -> Child {
    let child = command.process_group(0).spawn().unwrap_or_else(|err| panic!("{command:?}: {err}"));
    KEEPER.say("watch", child.id());
    child
}

/// Kills what is left of the group, and watches it no more.
pub fn end(child: &mut Child) {
    let group = rustix::process::Pid::from_child(child);
    // Gone already is just as well.
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).ok();
    child.wait().expect("reaped");
    KEEPER.say("forget", child.id());
}
