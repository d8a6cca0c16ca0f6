//! The system calls that a child may make, as data. The kernel ends a child with SIGSYS when it makes another one.
//!
//! Collected from libav, x264, LAME, glibc and Rust's standard library while they processed the corpus. Left out on
//! purpose, so that each of them ends the child: sockets of any kind, `execve`, `fork` and `vfork`, `kill`, `ptrace`,
//! `process_vm_*`, `pidfd_*`, `unshare` and `setns`, `mount` and related calls, `keyctl`, `io_uring_*`, `bpf`,
//! `userfaultfd`, `perf_event_open`, `memfd_create`, `chmod` and `chown`, `setuid` and related calls, and `fallocate`,
//! which can reserve gigabytes of disk at once.

use libc as l;

/// The condition under which a listed call is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum When {
    /// Always.
    Always,
    /// Only if memory does not become executable: `prot` (argument 2) without PROT_EXEC.
    NotExecutable,
    /// Only to start a thread of this process: the flags (argument 0) are those that the C library uses.
    Thread,
    /// Only if argument 0 is this process.
    Self_,
    /// Only to read a limit: argument 0 is 0 (this process), and argument 2, the new limit, is null.
    AskOwnLimit,
    /// Only for reading, writing or both, according to the flags in this argument. The fourth access mode (3) is
    /// neither for Landlock, which then requires no right; with O_TRUNC it would empty the file where Landlock does not
    /// know truncation (ABI below 3). Not with O_PATH, which Landlock does not check at all, and not with O_TMPFILE,
    /// whose files cannot be counted in the scratch directory.
    Access(u8),
    /// Only if argument 1 is one of these commands.
    Command(&'static [u64]),
}

/// One line of the list: number, name, condition.
pub(in crate::sandbox) type Line = (l::c_long, &'static str, When);

use When::{Access, Always, AskOwnLimit, Command, NotExecutable, Self_, Thread};

macro_rules! lines {
    ($( $call:ident $when:expr, )*) => { &[ $( (l::$call, stringify!($call), $when), )* ] };
}

/// F_DUPFD would be harmless. F_SETOWN and F_SETSIG would not: they send signals.
const FCNTL: &[u64] =
    &[l::F_GETFD as u64, l::F_SETFD as u64, l::F_GETFL as u64, l::F_SETFL as u64, l::F_DUPFD_CLOEXEC as u64];

/// Calls that exist on every architecture.
#[rustfmt::skip]
pub(in crate::sandbox) const ALLOWED: &[Line] = lines! {
    // Memory.
    SYS_brk Always,
    SYS_mmap NotExecutable,
    SYS_mprotect NotExecutable,
    SYS_mremap Always,
    SYS_munmap Always,
    SYS_madvise Always,
    // Threads: x264's and libav's frame threads. Every mutex uses the futex calls.
    SYS_clone Thread,
    SYS_futex Always,
    SYS_set_robust_list Always,
    SYS_rseq Always,
    SYS_sched_yield Always,
    SYS_sched_getaffinity Always,
    SYS_sched_getparam Always,
    SYS_sched_getscheduler Always,
    SYS_membarrier Always,
    SYS_gettid Always,
    SYS_getpid Always,
    SYS_exit Always,
    SYS_exit_group Always,
    // Signals, only to itself. abort() calls rt_sigprocmask, gettid, getpid and tgkill.
    SYS_rt_sigaction Always,
    SYS_rt_sigprocmask Always,
    SYS_rt_sigreturn Always,
    SYS_sigaltstack Always,
    SYS_restart_syscall Always,
    SYS_tgkill Self_,
    // Time.
    SYS_clock_gettime Always,
    SYS_clock_getres Always,
    SYS_clock_nanosleep Always,
    SYS_nanosleep Always,
    SYS_gettimeofday Always,
    // Open files, and opening more of them: Landlock decides which.
    SYS_openat Access(2),
    SYS_close Always,
    SYS_read Always,
    SYS_readv Always,
    SYS_pread64 Always,
    SYS_write Always,
    SYS_writev Always,
    SYS_pwrite64 Always,
    SYS_lseek Always,
    SYS_fstat Always,
    SYS_newfstatat Always,
    SYS_statx Always,
    SYS_faccessat Always,
    SYS_faccessat2 Always,
    SYS_readlinkat Always,
    SYS_getcwd Always,
    SYS_ftruncate Always,
    SYS_fadvise64 Always,
    SYS_fsync Always,
    SYS_fdatasync Always,
    SYS_fcntl Command(FCNTL),
    SYS_unlinkat Always,
    SYS_renameat2 Always,
    // Information about the process and the machine.
    SYS_getrandom Always,
    SYS_getrusage Always,
    SYS_prlimit64 AskOwnLimit,
    SYS_sysinfo Always,
    SYS_uname Always,
    SYS_getuid Always,
    SYS_geteuid Always,
    SYS_getgid Always,
    SYS_getegid Always,
    SYS_prctl Always,
};

/// Older calls that exist only on x86_64 and that the C library still uses there.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
pub(in crate::sandbox) const ALLOWED_HERE: &[Line] = lines! {
    SYS_open Access(1),
    SYS_stat Always,
    SYS_lstat Always,
    SYS_access Always,
    SYS_readlink Always,
    SYS_unlink Always,
    SYS_rename Always,
    SYS_renameat Always,
    SYS_time Always,
};

/// aarch64 still has `renameat`.
#[cfg(target_arch = "aarch64")]
#[rustfmt::skip]
pub(in crate::sandbox) const ALLOWED_HERE: &[Line] = lines! {
    SYS_renameat Always,
};

/// Harmless probes that libraries can do without: answered with ENOSYS, as by a kernel that lacks the call. `clone3`
/// has its flags behind a pointer, where no filter can see them; the C library falls back to `clone`. stdio uses
/// `ioctl` to find out whether it writes to a terminal.
#[rustfmt::skip]
pub(in crate::sandbox) const ABSENT: &[(l::c_long, &str)] = &[
    (l::SYS_clone3, "SYS_clone3"),
    (l::SYS_ioctl, "SYS_ioctl"),
    (l::SYS_sched_setscheduler, "SYS_sched_setscheduler"),
    (l::SYS_sched_setaffinity, "SYS_sched_setaffinity"),
    (l::SYS_get_mempolicy, "SYS_get_mempolicy"),
    (l::SYS_set_mempolicy, "SYS_set_mempolicy"),
    (l::SYS_mbind, "SYS_mbind"),
];

/// `prctl` options that work; all others are answered with ENOSYS. The last one can only be set and is set already;
/// seccompiler sets it again before the second filter.
pub(in crate::sandbox) const PRCTL: &[u64] =
    &[l::PR_SET_NAME as u64, l::PR_GET_NAME as u64, l::PR_SET_NO_NEW_PRIVS as u64];
