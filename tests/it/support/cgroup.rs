//! Limits that only the kernel's control groups can set. They want root, or a group that was handed over.

use std::path::{Path, PathBuf};

use super::processes::wait_until;

/// A group of its own, removed when dropped; whatever is in it must have ended by then.
pub struct Cgroup {
    dir: PathBuf,
    limit: &'static str,
}

impl Cgroup {
    /// A group whose number of processes can be limited.
    pub fn of_pids() -> Option<Self> {
        Self::make(&[("pids", "pids.max"), ("", "pids.max")])
    }

    /// A group whose memory can be limited.
    pub fn of_memory() -> Option<Self> {
        Self::make(&[("memory", "memory.limit_in_bytes"), ("", "memory.max")])
    }

    /// Version 1 has a tree for each controller, version 2 one for all.
    fn make(trees: &[(&str, &'static str)]) -> Option<Self> {
        trees.iter().find_map(|(tree, limit)| {
            let name = format!("mediamill-tests-{}-{limit}", std::process::id());
            let dir = Path::new("/sys/fs/cgroup").join(tree).join(name);
            std::fs::create_dir(&dir).ok()?;
            let group = Self { dir, limit };
            group.dir.join(limit).exists().then_some(group)
        })
    }

    /// Moves a process into it; its children to come will be in it, too.
    pub fn take(&self, pid: i32) {
        std::fs::write(self.dir.join("cgroup.procs"), pid.to_string()).expect("moved");
    }

    /// Sets the limit.
    pub fn limit(&self, value: &str) {
        std::fs::write(self.dir.join(self.limit), value).expect("limited");
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            wait_until("an empty control group", || std::fs::remove_dir(&self.dir).is_ok());
        }
    }
}
