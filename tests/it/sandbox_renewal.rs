//! Fork servers make way for others, so that what one file finds out about addresses is of no use to the next; and no
//! job is lost or waits over it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mediamill::error::Fault;
use mediamill::sandbox::{Sandbox, SandboxError, SandboxOptions};
use mediamill::task::Task;

use crate::support::jail;
use crate::support::processes::{self, wait_until};

fn sandbox(renew_after_jobs: u64) -> Sandbox {
    jail::start(SandboxOptions { escape_probes: true, renew_after_jobs, ..jail::options() })
}

fn server_of(sandbox: &Sandbox) -> i32 {
    i32::try_from(sandbox.server_pid().expect("a fork server")).expect("a process id")
}

async fn attempt(sandbox: &Sandbox, line: &str) -> SandboxError {
    sandbox.run(&jail::spec(Task::Escape), jail::scratch(line).path(), |_| ()).await.expect_err("no report")
}

/// Where a child's code and stack are, and what its stack canary is made of.
async fn addresses(sandbox: &Sandbox) -> String {
    match attempt(sandbox, "addresses").await {
        SandboxError::Answered(Fault::Broken { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspicious_end_changes_the_addresses_of_later_children() {
    let sandbox = sandbox(u64::MAX);
    let killed = format!("call {} 1 9", libc::SYS_kill);
    for end in ["end segv", "end abort", "end exit", "end babble", &killed] {
        let (before, server) = (addresses(&sandbox).await, server_of(&sandbox));
        assert_eq!(addresses(&sandbox).await, before, "children of one fork server are alike");
        attempt(&sandbox, end).await;
        wait_until("another fork server", || server_of(&sandbox) != server);
        let after = addresses(&sandbox).await;
        let parts = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (before, after) = (parts(&before), parts(&after));
        assert_eq!(before.len(), after.len());
        // Of "code A stack B canary C" every second word is a value.
        let same: Vec<_> = before.iter().zip(&after).skip(2).step_by(2).filter(|(old, new)| old == new).collect();
        assert!(same.is_empty(), "{end}: {same:?}");
        wait_until("the old one's end", || !processes::lives(server));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_by_a_limit_is_no_reason_for_a_renewal() {
    let sandbox = sandbox(u64::MAX);
    let server = server_of(&sandbox);
    let mut spec = jail::spec(Task::Escape);
    (spec.limits.wall_s, spec.limits.output_bytes) = (1, 1 << 20);
    for end in ["end sleep", "end output"] {
        let ended = sandbox.run(&spec, jail::scratch(end).path(), |_| ()).await;
        assert!(matches!(ended, Err(SandboxError::Ended(_))), "{ended:?}");
    }
    // Where a renewal had been asked for, it would be begun by now and take the next jobs.
    let until = Instant::now() + Duration::from_secs(2);
    while Instant::now() < until {
        sandbox.run(&jail::spec(Task::Empty), jail::scratch("x").path(), |_| ()).await.expect("a report");
        assert_eq!(server_of(&sandbox), server);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_jobs_are_finished_by_the_fork_server_that_began_them() {
    let sandbox = sandbox(u64::MAX);
    let server = server_of(&sandbox);
    let job = tokio::spawn({
        let sandbox = sandbox.clone();
        async move { attempt(&sandbox, "end sleep").await }
    });
    wait_until("a child", || !processes::children(server).is_empty());
    let child = processes::children(server)[0].pid;
    attempt(&sandbox, "end segv").await;
    wait_until("another fork server", || server_of(&sandbox) != server);
    for _ in 0..10 {
        sandbox.run(&jail::spec(Task::Empty), jail::scratch("x").path(), |_| ()).await.expect("a report");
    }
    assert!(processes::lives(server) && processes::lives(child), "the old one has a job still");
    // Closing ends them all, those that were left behind too.
    sandbox.close();
    assert_eq!(Fault::from(job.await.expect("no panic")), Fault::Shutdown);
    wait_until("the end of the old one", || !processes::lives(server) && !processes::lives(child));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_job_is_lost_or_waits_while_fork_servers_are_renewed() {
    let sandbox = sandbox(20);
    let lane = async |sandbox: Sandbox| {
        let (mut servers, mut longest) = (BTreeSet::new(), Duration::ZERO);
        let scratch = jail::scratch("x");
        let give_up = Instant::now() + Duration::from_secs(60);
        while servers.len() < 4 {
            assert!(Instant::now() < give_up, "{servers:?}");
            let begun = Instant::now();
            sandbox.run(&jail::spec(Task::Empty), scratch.path(), |_| ()).await.expect("a report");
            longest = longest.max(begun.elapsed());
            servers.insert(server_of(&sandbox));
        }
        (servers, longest)
    };
    let lanes: Vec<_> = (0..2).map(|_| tokio::spawn(lane(sandbox.clone()))).collect();
    let mut seen = BTreeSet::new();
    for lane in lanes {
        let (servers, longest) = lane.await.expect("every job came back");
        eprintln!("{} fork servers, longest job {longest:?}", servers.len());
        seen.extend(servers);
    }
    let current = server_of(&sandbox);
    wait_until("the end of the others", || !seen.iter().any(|pid| *pid != current && processes::lives(*pid)));
}

/// What a renewal costs: CPU of a fork server's start, and the time until it takes jobs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_takes_less_than_a_few_seconds() {
    let sandbox = sandbox(u64::MAX);
    let server = server_of(&sandbox);
    // The pause between two starts is over by then.
    attempt(&sandbox, "end segv").await;
    wait_until("another fork server", || server_of(&sandbox) != server);
    let (begun, server) = (Instant::now(), server_of(&sandbox));
    attempt(&sandbox, "end segv").await;
    wait_until("another fork server", || server_of(&sandbox) != server);
    let took = begun.elapsed();
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server_of(&sandbox))).expect("a living process");
    let fields: Vec<&str> = stat[stat.rfind(')').expect("a name")..].split_whitespace().collect();
    let ticks: u64 = fields[12..14].iter().map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    eprintln!("a renewal took {took:?} and {} ms of CPU", ticks * 10);
    assert!(took < Duration::from_secs(20));
}
