//! Real `mediamill worker` processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::cmd::program;
use super::{keeper, processes};

/// Loading libav and warming it takes a while on a busy machine.
const START: Duration = Duration::from_secs(60);

/// A worker; killed when dropped.
pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    /// Starts one with these variables, its log in a file of its own below `dir`.
    pub fn spawn(env: &[(String, String)], dir: &Path) -> Self {
        let mut command = program();
        command.arg("worker").current_dir(dir).envs(env.iter().cloned());
        Self::of(command, dir)
    }

    /// Starts a command that becomes a worker.
    pub fn of(mut command: std::process::Command, dir: &Path) -> Self {
        let log = tempfile::Builder::new().prefix("worker-").suffix(".log").tempfile_in(dir).expect("a log");
        let log = log.into_temp_path().keep().expect("a log that stays");
        command.stderr(File::create(&log).expect("a log"));
        Self { child: keeper::spawn(&mut command), log }
    }

    /// Process id.
    pub fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("a log")
    }

    /// How often a line of the log has this message.
    pub fn logged(&self, message: &str) -> usize {
        self.log().matches(&format!("\"message\":\"{message}\"")).count()
    }

    /// Waits until it has begun to consume so many times.
    #[track_caller]
    pub fn consumes(&mut self, times: usize) {
        let deadline = Instant::now() + START;
        while self.logged("consuming") < times {
            let status = self.child.try_wait().expect("a status");
            assert!(status.is_none(), "the worker ended: {status:?}\n{}", self.log());
            assert!(Instant::now() < deadline, "the worker does not consume:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Its fork server's process id, once there is one.
    pub fn fork_server(&self) -> Option<i32> {
        let children = processes::children(self.pid());
        children.into_iter().find(|child| child.state != 'Z').map(|child| child.pid)
    }

    /// Children that work on files.
    pub fn job_children(&self) -> Vec<i32> {
        let children = self.fork_server().map(processes::children).unwrap_or_default();
        children.into_iter().filter(|child| child.state != 'Z').map(|child| child.pid).collect()
    }

    /// Waits until a child works on a file, and gives back its process id.
    #[track_caller]
    pub fn job_child(&self) -> i32 {
        processes::wait_until("a child at work", || !self.job_children().is_empty());
        self.job_children().first().copied().unwrap_or_else(|| self.job_child())
    }

    /// SIGSTOP: it does nothing more until it is resumed; its children and its connections stay as they are.
    pub fn pause(&self) {
        assert!(processes::stop(self.pid()), "the worker ended:\n{}", self.log());
    }

    /// SIGCONT.
    pub fn resume(&self) {
        processes::signal(self.pid(), Signal::CONT);
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        processes::signal(self.pid(), Signal::TERM);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("a status") {
                return status;
            }
            assert!(Instant::now() < deadline, "the worker does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        keeper::end(&mut self.child);
    }
    /// SIGTERM, and an end with exit code 0.
    #[track_caller]
    pub fn stops(mut self) -> String {
        self.terminate();
        let status = self.ends(Duration::from_secs(90));
        assert_eq!(status.code(), Some(0), "{}", self.log());
        self.log()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        keeper::end(&mut self.child);
        if std::thread::panicking() {
            eprintln!("--- log of worker {}:\n{}", self.child.id(), self.log());
        }
    }
}
