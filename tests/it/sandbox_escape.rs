//! A child that was taken over by its input, and what it can do then: nothing. Each attempt is made inside the real
//! jail, and asserted by the error number or the signal that the kernel answered with.

use mediamill::error::Fault;
use mediamill::sandbox::{Ending, Sandbox, SandboxError, SandboxOptions};
use mediamill::task::{INPUT, Task};

use crate::support::jail;

/// What became of an attempt.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Answered with this error number.
    Denied(i32),
    /// Ended with SIGSYS.
    Killed,
    /// It worked.
    Gained(String),
}

async fn attempt(sandbox: &Sandbox, line: &str) -> Verdict {
    let scratch = jail::scratch(line);
    match sandbox.run(&jail::spec(Task::Escape), scratch.path(), |_| ()).await {
        Err(SandboxError::Answered(Fault::Rejected { message, .. })) => {
            Verdict::Denied(message.strip_prefix("errno ").and_then(|n| n.parse().ok()).expect(&message))
        }
        Err(SandboxError::Ended(Ending::Forbidden)) => Verdict::Killed,
        Err(SandboxError::Answered(Fault::Broken { message, .. })) if message.starts_with("escaped: ") => {
            Verdict::Gained(message["escaped: ".len()..].to_owned())
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn jailed() -> Sandbox {
    jail::start(SandboxOptions { escape_probes: true, ..jail::options() })
}

fn unjailed() -> Sandbox {
    let mode = mediamill::config::SandboxMode::Off;
    jail::start(SandboxOptions { escape_probes: true, mode, ..jail::options() })
}

#[tokio::test]
async fn files_outside_the_scratch_directory_are_out_of_reach() {
    let (jailed, unjailed) = (jailed(), unjailed());
    let other_job = jail::scratch("somebody else's");
    let other_input = other_job.path().join(INPUT).display().to_string();
    let target = other_job.path().join("planted").display().to_string();
    let attempts = [
        "read /etc/passwd".to_owned(),
        "read /proc/self/environ".to_owned(),
        "read /proc/1/environ".to_owned(),
        "read /proc/self/maps".to_owned(),
        "append /proc/self/mem".to_owned(),
        "read /dev/null".to_owned(),
        "list /".to_owned(),
        "list ..".to_owned(),
        "list .".to_owned(),
        format!("read {other_input}"),
        format!("append {other_input}"),
        format!("write {target}"),
        format!("remove {other_input}"),
        format!("rename {other_input}"),
    ];
    for line in attempts {
        assert_eq!(attempt(&jailed, &line).await, Verdict::Denied(libc::EACCES), "{line}");
    }
    assert_eq!(std::fs::read(&other_input).expect("still there"), b"somebody else's");
    // The attempts themselves work: it is the jail that denies them.
    for line in ["read /etc/passwd".to_owned(), format!("read {other_input}"), format!("write {target}")] {
        let verdict = attempt(&unjailed, &line).await;
        assert!(matches!(verdict, Verdict::Gained(_)), "{line}: {verdict:?}");
    }
}

#[tokio::test]
async fn the_original_cannot_be_changed() {
    let jailed = jailed();
    for line in ["append input", "write input", "remove input", "rename input"] {
        assert_eq!(attempt(&jailed, line).await, Verdict::Denied(libc::EACCES), "{line}");
    }
    let chmod = format!("call {} {} 0 511", libc::SYS_fchmodat, libc::AT_FDCWD);
    assert_eq!(attempt(&jailed, &chmod).await, Verdict::Killed);
}

#[tokio::test]
async fn what_a_codec_needs_still_works() {
    let jailed = jailed();
    for line in ["read input", "write audio.mp3", "thread"] {
        let verdict = attempt(&jailed, line).await;
        assert!(matches!(verdict, Verdict::Gained(_)), "{line}: {verdict:?}");
    }
}

#[tokio::test]
async fn forbidden_calls_end_the_child() {
    use libc as l;
    let jailed = jailed();
    let (ours, server) = (std::process::id(), l::SYS_getpid);
    let executable = l::PROT_READ | l::PROT_EXEC;
    let anonymous = l::MAP_PRIVATE | l::MAP_ANONYMOUS;
    let attempts = [
        ("socket, to connect", format!("{} {} {} 0", l::SYS_socket, l::AF_INET, l::SOCK_STREAM)),
        ("socket, to be found", format!("{} {} {} 0", l::SYS_socket, l::AF_UNIX, l::SOCK_STREAM)),
        ("socketpair", format!("{} 1 1 0 0", l::SYS_socketpair)),
        ("connect", format!("{} 3 0 0", l::SYS_connect)),
        ("bind", format!("{} 3 0 0", l::SYS_bind)),
        // To Landlock neither reading nor writing, and the file is emptied.
        ("open for nothing", format!("{} {} 0 {}", l::SYS_openat, l::AT_FDCWD, l::O_ACCMODE | l::O_TRUNC)),
        // Landlock does not ask about a path that is only looked at, and no count finds a file without a name.
        ("open a path only", format!("{} {} 0 {}", l::SYS_openat, l::AT_FDCWD, l::O_PATH)),
        ("a file without a name", format!("{} {} 0 {} 384", l::SYS_openat, l::AT_FDCWD, l::O_TMPFILE | l::O_RDWR)),
        ("gigabytes at once", format!("{} 3 0 0 1", l::SYS_fallocate)),
        ("listen", format!("{} 3 1", l::SYS_listen)),
        ("sendmsg", format!("{} 3 0 0", l::SYS_sendmsg)),
        ("exec", format!("{} 0 0 0", l::SYS_execve)),
        ("exec at", format!("{} 0 0 0 0 0", l::SYS_execveat)),
        ("fork", format!("{} {} 0 0 0 0", l::SYS_clone, l::SIGCHLD)),
        ("a process that shares memory", format!("{} {} 0 0 0 0", l::SYS_clone, l::CLONE_VM | l::SIGCHLD)),
        ("a namespace by clone", format!("{} {} 0 0 0 0", l::SYS_clone, l::CLONE_NEWUSER | l::SIGCHLD)),
        ("unshare", format!("{} {}", l::SYS_unshare, l::CLONE_NEWUSER)),
        ("setns", format!("{} 3 0", l::SYS_setns)),
        ("ptrace the worker", format!("{} {} {ours} 0 0", l::SYS_ptrace, l::PTRACE_ATTACH)),
        ("ptrace by the parent", format!("{} {} 0 0 0", l::SYS_ptrace, l::PTRACE_TRACEME)),
        ("read the worker's memory", format!("{} {ours} 0 0 0 0 0", l::SYS_process_vm_readv)),
        ("write the worker's memory", format!("{} {ours} 0 0 0 0 0", l::SYS_process_vm_writev)),
        ("kill the worker", format!("{} {ours} 9", l::SYS_kill)),
        ("kill everything", format!("{} -1 9", l::SYS_kill)),
        ("kill a thread of the worker", format!("{} {ours} {ours} 9", l::SYS_tgkill)),
        ("kill any thread", format!("{} {ours} 9", l::SYS_tkill)),
        ("queue a signal", format!("{} {ours} 9 0", l::SYS_rt_sigqueueinfo)),
        ("signals by descriptor", format!("{} 3 10 {ours}", l::SYS_fcntl)),
        ("pidfd_open", format!("{} {ours} 0", l::SYS_pidfd_open)),
        ("pidfd_getfd", format!("{} 3 0 0", l::SYS_pidfd_getfd)),
        ("raise a limit", format!("{} 0 {} 1 0", l::SYS_prlimit64, l::RLIMIT_AS)),
        ("read another's limits", format!("{} {ours} {} 0 0", l::SYS_prlimit64, l::RLIMIT_AS)),
        ("executable memory", format!("{} 0 4096 {executable} {anonymous} -1 0", l::SYS_mmap)),
        ("memory made executable", format!("{} 0 4096 {executable}", l::SYS_mprotect)),
        ("memfd_create", format!("{} 0 0", l::SYS_memfd_create)),
        ("mount", format!("{} 0 0 0 0 0", l::SYS_mount)),
        ("chroot", format!("{} 0", l::SYS_chroot)),
        ("chdir", format!("{} 0", l::SYS_fchdir)),
        ("link", format!("{} 0 0 0 0 0", l::SYS_linkat)),
        ("symlink", format!("{} 0 0 0", l::SYS_symlinkat)),
        ("mknod", format!("{} 0 0 0 0", l::SYS_mknodat)),
        ("chown", format!("{} 0 0 0 0 0", l::SYS_fchownat)),
        ("setuid", format!("{} 0", l::SYS_setuid)),
        ("capabilities", format!("{} 0 0", l::SYS_capset)),
        ("keyrings", format!("{} 0 0 0 0 0", l::SYS_keyctl)),
        ("add a key", format!("{} 0 0 0 0 0", l::SYS_add_key)),
        ("io_uring", format!("{} 8 0", l::SYS_io_uring_setup)),
        ("bpf", format!("{} 0 0 0", l::SYS_bpf)),
        ("seccomp", format!("{} 0 0 0", l::SYS_seccomp)),
        ("userfaultfd", format!("{} 0", l::SYS_userfaultfd)),
        ("perf_event_open", format!("{} 0 0 0 0 0", l::SYS_perf_event_open)),
        ("open by handle", format!("{} 3 0 0", l::SYS_open_by_handle_at)),
        ("leave the session", format!("{}", l::SYS_setsid)),
        ("priority", format!("{} 0 0 0", l::SYS_setpriority)),
        ("reboot", format!("{} 0 0 0 0", l::SYS_reboot)),
        ("the clock", format!("{} 0 0", l::SYS_clock_settime)),
    ];
    for (what, call) in attempts {
        assert_eq!(attempt(&jailed, &format!("call {call}")).await, Verdict::Killed, "{what}");
    }
    // The way of asking works: a harmless call gets its answer.
    assert!(matches!(attempt(&jailed, &format!("call {server}")).await, Verdict::Gained(_)));
}

#[tokio::test]
async fn harmless_probes_are_answered_as_by_an_older_kernel() {
    let jailed = jailed();
    let calls = [
        format!("{} 0 0", libc::SYS_clone3),
        format!("{} 0 {} 0", libc::SYS_ioctl, libc::TCGETS),
        // TIOCSTI would type into the operator's terminal.
        format!("{} 0 {} 0", libc::SYS_ioctl, libc::TIOCSTI),
        format!("{} {} 0 0 0 0", libc::SYS_prctl, libc::PR_SET_PDEATHSIG),
        format!("{} {} 1 0 0 0", libc::SYS_prctl, libc::PR_SET_DUMPABLE),
    ];
    for call in calls {
        assert_eq!(attempt(&jailed, &format!("call {call}")).await, Verdict::Denied(libc::ENOSYS), "{call}");
    }
}

#[tokio::test]
async fn nothing_of_the_worker_is_inherited() {
    let jailed = jailed();
    // 0 and 1 are /dev/null, 2 the bounded pipe, 3 the job's socket, 4 the scratch directory.
    assert_eq!(attempt(&jailed, "descriptors").await, Verdict::Gained("[0, 1, 2, 3, 4]".to_owned()));
    assert_eq!(attempt(&jailed, "environment").await, Verdict::Gained("[]".to_owned()));
}

#[tokio::test]
async fn a_worker_without_the_switch_refuses_the_attempts() {
    let sandbox = jail::start(jail::options());
    let scratch = jail::scratch("thread");
    let error = sandbox.run(&jail::spec(Task::Escape), scratch.path(), |_| ()).await.expect_err("refused");
    assert!(matches!(error, SandboxError::Answered(Fault::Broken { .. })), "{error:?}");
}
