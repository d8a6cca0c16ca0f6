//! Every way in which a child can end without an answer, made to happen, and the outcome that it becomes.

use std::time::{Duration, Instant};

use mediamill::error::{Code, Fault};
use mediamill::sandbox::{Ending, Sandbox, SandboxError, SandboxOptions};
use mediamill::task::{JobSpec, Task};

use rustix::process::Signal;

use crate::support::jail;
use crate::support::processes::{self, wait_until};

fn sandbox() -> Sandbox {
    jail::start(SandboxOptions { escape_probes: true, ..jail::options() })
}

fn spec() -> JobSpec {
    jail::spec(Task::Escape)
}

async fn end(sandbox: &Sandbox, how: &str, spec: &JobSpec) -> SandboxError {
    let scratch = jail::scratch(format!("end {how}"));
    sandbox.run(spec, scratch.path(), |_| ()).await.expect_err(how)
}

#[track_caller]
fn assert_ending(error: &SandboxError, expected: Ending) {
    assert!(matches!(error, SandboxError::Ended(ending) if *ending == expected), "{error:?}");
}

#[tokio::test]
async fn crashes_are_suspect() {
    let sandbox = sandbox();
    for (how, signal) in [("segv", libc::SIGSEGV), ("abort", libc::SIGABRT), ("panic", libc::SIGABRT)] {
        let error = end(&sandbox, how, &spec()).await;
        assert_ending(&error, Ending::Crashed { signal });
        let fault = Fault::from(error);
        assert!(matches!(fault, Fault::Suspect { .. }), "{fault:?}");
        assert_eq!(fault.code().map(|code| code.as_str()), Some("media.crashed-decoder"));
        assert!(!fault.to_string().contains("secret"), "{fault}");
    }
    assert_ending(&end(&sandbox, "exit", &spec()).await, Ending::Silent { code: 3 });
}

#[tokio::test]
async fn a_memory_bomb_is_told_from_a_crash() {
    let mut spec = spec();
    spec.limits.memory_bytes = 1 << 30;
    assert_ending(&end(&sandbox(), "memory", &spec).await, Ending::MemoryLimit);
}

#[tokio::test]
async fn a_cpu_bomb_meets_its_limit() {
    let mut spec = spec();
    spec.limits.cpu_s = 1;
    assert_ending(&end(&sandbox(), "cpu", &spec).await, Ending::CpuLimit);
}

/// What the kernel does to the child when something else eats the machine's memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_killed_from_outside_is_tried_again_later() {
    let sandbox = sandbox();
    let server = i32::try_from(sandbox.server_pid().expect("a fork server")).expect("a process id");
    let job = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { end(&sandbox, "sleep", &spec()).await }
    });
    wait_until("a child", || !processes::children(server).is_empty());
    processes::signal(processes::children(server)[0].pid, Signal::KILL);
    let error = job.await.expect("no panic");
    assert!(matches!(error, SandboxError::Ended(Ending::KilledFromOutside { .. })), "{error:?}");
    let fault = Fault::from(error);
    assert!(matches!(&fault, Fault::Transient { code: Code::WorkerKilled, .. }), "{fault:?}");
    assert!(fault.message().contains("MiB"), "{fault}");
}

#[tokio::test]
async fn an_endless_output_meets_its_limit() {
    let mut spec = spec();
    spec.limits.output_bytes = 1 << 20;
    let error = end(&sandbox(), "output", &spec).await;
    assert_ending(&error, Ending::OutputLimit);
    assert!(matches!(Fault::from(error), Fault::Rejected { .. }));
}

#[tokio::test]
async fn a_sleeper_is_ended_by_its_own_clock() {
    let mut spec = spec();
    spec.limits.wall_s = 1;
    let begun = Instant::now();
    assert_ending(&end(&sandbox(), "sleep", &spec).await, Ending::TimeLimit);
    assert!(begun.elapsed() < Duration::from_millis(2900), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn words_that_are_no_answer_are_not_believed() {
    let error = end(&sandbox(), "babble", &spec()).await;
    assert!(matches!(error, SandboxError::Protocol(_)), "{error:?}");
    assert!(matches!(Fault::from(error), Fault::Suspect { .. }));
}

#[tokio::test]
async fn a_child_that_hangs_up_and_goes_on_is_ended() {
    let begun = Instant::now();
    let error = end(&sandbox(), "hang-up", &spec()).await;
    assert!(matches!(error, SandboxError::Protocol(_)), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn a_flood_on_standard_error_neither_blocks_nor_piles_up() {
    let mut spec = spec();
    spec.limits.wall_s = 1;
    assert_ending(&end(&sandbox(), "stderr", &spec).await, Ending::TimeLimit);
}

#[tokio::test]
async fn a_missing_scratch_directory_is_nobodys_file() {
    let error = sandbox().run(&spec(), std::path::Path::new("/nonexistent"), |_| ()).await.expect_err("no directory");
    assert!(matches!(Fault::from(error), Fault::Transient { .. }));
}
