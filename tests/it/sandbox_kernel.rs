//! The jail as the kernel sees it, and what happens on a kernel that cannot build it.

use std::collections::BTreeMap;

use mediamill::config::SandboxMode;
use mediamill::events::SandboxStatus;
use mediamill::sandbox::{Sandbox, SandboxError, SandboxOptions};
use mediamill::task::Task;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::support::jail;
use crate::support::processes::{self, wait_until};

/// A field of `/proc/PID/status`.
fn status(pid: i32) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a living child");
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_has_no_rights_no_priority_and_is_the_first_to_go() {
    let sandbox = jail::start(SandboxOptions { escape_probes: true, ..jail::options() });
    let server = i32::try_from(sandbox.server_pid().expect("a fork server")).expect("a process id");
    let job = tokio::spawn({
        let (sandbox, mut spec) = (sandbox.clone(), jail::spec(Task::Escape));
        spec.nice = 7;
        async move { sandbox.run(&spec, jail::scratch("end sleep").path(), |_| ()).await.map(drop) }
    });
    wait_until("a sealed child", || {
        processes::children(server).iter().any(|child| status(child.pid)["Seccomp"] == "2")
    });
    let child = processes::children(server)[0].pid;
    let status = status(child);
    for (field, value) in [("NoNewPrivs", "1"), ("Seccomp", "2"), ("Threads", "1")] {
        assert_eq!(status[field], value, "{field}");
    }
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(status[set], "0000000000000000", "{set}");
    }
    let of = |file: &str| std::fs::read_to_string(format!("/proc/{child}/{file}")).expect("readable");
    assert_eq!(of("oom_score_adj").trim(), "1000");
    let stat = of("stat");
    let nice = stat[stat.rfind(')').expect("a name")..].split_whitespace().nth(17);
    assert_eq!(nice, Some("7"));
    job.abort();
}

/// Starts a sandbox as on a kernel where these calls do not exist.
fn start_without(calls: &[i64], mode: SandboxMode) -> Result<SandboxStatus, SandboxError> {
    let rules = calls.iter().map(|call| (*call, Vec::new())).collect();
    let arch = std::env::consts::ARCH.try_into().expect("a known architecture");
    let absent = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, absent, arch).expect("a filter");
    let filter: BpfProgram = filter.try_into().expect("compiles");
    // The filter goes with this thread into the fork server that it starts, and nowhere else.
    let thread = std::thread::spawn(move || {
        seccompiler::apply_filter(&filter).expect("applied");
        Sandbox::start(SandboxOptions { mode, ..jail::options() }).map(|sandbox| sandbox.status())
    });
    thread.join().expect("no panic")
}

#[test]
fn a_kernel_without_landlock_is_refused_and_best_effort_says_so() {
    let calls = [libc::SYS_landlock_create_ruleset, libc::SYS_landlock_restrict_self];
    let error = start_without(&calls, SandboxMode::Required).expect_err("refused");
    assert!(matches!(&error, SandboxError::Unsupported { missing } if missing.contains("Landlock")), "{error:?}");
    let status = start_without(&calls, SandboxMode::BestEffort).expect("as much as there is");
    let expected =
        SandboxStatus { mode: "best-effort".to_owned(), landlock: "none".to_owned(), landlock_abi: 0, seccomp: true };
    assert_eq!(status, expected);
}

#[test]
fn a_kernel_without_seccomp_is_refused_and_best_effort_says_so() {
    let error = start_without(&[libc::SYS_seccomp], SandboxMode::Required).expect_err("refused");
    assert!(matches!(&error, SandboxError::Unsupported { missing } if missing.contains("seccomp")), "{error:?}");
    let status = start_without(&[libc::SYS_seccomp], SandboxMode::BestEffort).expect("as much as there is");
    assert!(!status.seccomp && status.landlock != "none", "{status:?}");
}

#[test]
fn off_is_said_to_be_off() {
    let sandbox = jail::start(SandboxOptions { mode: SandboxMode::Off, ..jail::options() });
    let status = sandbox.status();
    assert_eq!((status.mode.as_str(), status.landlock.as_str(), status.seccomp), ("off", "none", false));
}
