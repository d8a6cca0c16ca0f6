//! What the kernel knows of processes, from `/proc`.

use std::path::Path;
use std::time::{Duration, Instant};

/// One line of the process table.
#[derive(Debug, Clone)]
pub struct Process {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub parent: i32,
    /// `R`, `S`, `T` (stopped), `Z` (zombie)…
    pub state: char,
}

/// All processes.
pub fn all() -> Vec<Process> {
    let entries = std::fs::read_dir("/proc").expect("/proc");
    entries.flatten().filter_map(|entry| read(&entry.path())).collect()
}

/// Children of a process, zombies included.
pub fn children(of: i32) -> Vec<Process> {
    all().into_iter().filter(|process| process.parent == of).collect()
}

/// Whether it exists and is no zombie.
pub fn lives(pid: i32) -> bool {
    read(Path::new(&format!("/proc/{pid}"))).is_some_and(|process| process.state != 'Z')
}

/// Stops a process (SIGSTOP). False where it has ended before.
pub fn stop(pid: i32) -> bool {
    let Some(id) = rustix::process::Pid::from_raw(pid) else { return false };
    if rustix::process::kill_process(id, rustix::process::Signal::STOP).is_err() {
        return false;
    }
    loop {
        match read(Path::new(&format!("/proc/{pid}"))).map(|process| process.state) {
            Some('T' | 't') => return true,
            Some('Z' | 'X') | None => return false,
            Some(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// Open descriptors of a process.
pub fn descriptors(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("descriptors").count()
}

/// Resident memory of a process in bytes; none where it is gone.
pub fn memory_bytes(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

/// Sends a signal.
pub fn signal(pid: i32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    rustix::process::kill_process(pid, signal).expect("signalled");
}

/// Lets a stopped process go on, if it is still there.
pub fn resume(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).ok();
}

/// Polls until it holds.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read(path: &Path) -> Option<Process> {
    let pid = path.file_name()?.to_str()?.parse().ok()?;
    let stat = std::fs::read_to_string(path.join("stat")).ok()?;
    // The name in parentheses may hold anything, spaces and parentheses too.
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    let state = fields.next()?.chars().next()?;
    let parent = fields.next()?.parse().ok()?;
    Some(Process { pid, parent, state })
}
