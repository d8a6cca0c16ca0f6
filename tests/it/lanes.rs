//! Slots and lanes of a worker that runs, and what it takes over without a restart.

use std::path::Path;

use mediamill::roles::worker::slots;
use rustix::process::Signal;

use crate::support::cmd::repo_file;
use crate::support::processes::{signal, wait_until};
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, fixture};

#[test]
fn a_voice_note_does_not_wait_behind_videos() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let slots = slots(&rig.config().worker);
    assert_eq!((slots.count(), slots.count_of(2)), (2, 1));
    let worker = rig.worker();
    rig.ask("video-1", &fixture("phone-portrait.mp4"));
    let child = worker.job_child();
    signal(child, Signal::STOP);
    rig.ask("video-2", &fixture("phone-portrait.mp4"));
    rig.vouch(&rig.outcome("voice", &fixture("voice-note.ogg")));
    assert!(rig.bus.ledger().of("video-2").is_empty(), "it has no slot yet");
    assert_eq!(worker.job_children(), [child]);
    signal(child, Signal::CONT);
    rig.vouch(&rig.bus.ledger().wait("video-2", SOON));
    worker.stops();
}

/// The built-in profile with another picture quality.
fn profile(crf: &str) -> String {
    let built_in = std::fs::read_to_string(repo_file("src/config/profiles/crm.toml")).expect("a profile");
    assert!(built_in.contains("crf = 25.0"));
    built_in.replace("crf = 25.0", &format!("crf = {crf}"))
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a file");
}

#[test]
fn a_hangup_reads_the_profiles_again_and_a_broken_one_changes_nothing() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    let (file, settings) = (rig.dir.path().join("profiles/crm.toml"), rig.dir.path().join("mediamill.toml"));
    std::fs::create_dir(rig.dir.path().join("profiles")).expect("a directory");
    write(&file, &profile("25.0"));
    write(&settings, "[worker]\ngrace_s = 60\n");
    rig.set("WORKER_PROFILES_DIR", rig.dir.path().join("profiles").display());
    rig.set("CONFIG", settings.display());
    let worker = rig.worker();
    let hangup = || signal(worker.pid(), Signal::HUP);
    let version = |media_id: &str| {
        let outcome = rig.bus.ledger().wait(media_id, SOON);
        outcome.data()["decision"]["profile_version"].as_str().expect("a version").to_owned()
    };
    rig.ask("running", &fixture("phone-portrait.mp4"));
    let child = worker.job_child();
    signal(child, Signal::STOP);

    write(&file, &profile("30.0"));
    write(&settings, "[worker]\ngrace_s = 61\n");
    hangup();
    wait_until("profiles read again", || worker.logged("profiles read again") == 1);
    let changed = worker.log().lines().filter(|line| line.contains("takes effect with a restart")).count();
    assert!(changed == 1 && worker.log().contains("\"key\":\"worker.grace_s\""), "{}", worker.log());
    rig.ask("after", &fixture("voice-note.ogg"));
    let new = version("after");
    signal(child, Signal::CONT);
    let old = version("running");
    assert_ne!(old, new, "a job ends with the profile that it began with");

    for broken in
        [profile("\"low\""), profile("99.0"), profile("25.0").replace("name = \"crm\"", "name = \"Not a name\"")]
    {
        let errors = worker.logged("the profiles stay as they were");
        write(&file, &broken);
        hangup();
        wait_until("an error", || worker.logged("the profiles stay as they were") == errors + 1);
    }
    assert!(worker.log().contains("crm.toml:"), "file and line are named: {}", worker.log());
    rig.ask("still", &fixture("voice-note.ogg"));
    assert_eq!(version("still"), new);
    worker.stops();
}
