//! What processes have used, from `/proc`.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time of this process. Other programs on the machine add less to it than to the time that passes.
pub(crate) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.expect("not negative"), nanoseconds.expect("below a second"))
}

/// CPU time of a process with one thread, as the scheduler counts it.
pub(crate) fn cpu_time_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).expect("a process");
    let nanoseconds = stat.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// CPU time that was used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cpu {
    /// By the process and its threads.
    pub(crate) own: Duration,
    /// What of it was not spent in the kernel.
    pub(crate) own_user: Duration,
    /// By children that it has waited for.
    pub(crate) children: Duration,
}

impl Cpu {
    /// Both.
    pub(crate) fn with_children(self) -> Duration {
        self.own + self.children
    }
}

/// CPU time of a process, in steps of the kernel's clock (10 ms).
pub(crate) fn cpu(pid: i32) -> Cpu {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    // The name in parentheses may hold anything, spaces and parentheses too.
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name") + 1..].split_whitespace().collect();
    let time = |first: usize, end: usize| {
        let ticks: u64 = fields[first..end].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
    };
    // proc_pid_stat(5): utime, stime, cutime and cstime are fields 14 to 17; the third is the first behind the name.
    Cpu { own: time(11, 13), own_user: time(11, 12), children: time(13, 15) }
}

/// The memory that would be free if the process ended, in bytes: its unique set size.
pub(crate) fn unique_memory_bytes(pid: i32) -> u64 {
    let sums = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("a process");
    let private = sums.lines().filter(|line| line.starts_with("Private_"));
    let kib = private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.sum::<u64>() << 10
}
