//! What the objects of a voice note cost the worker's own process: three (original, playback, manifest) beside five, where the profile
//! asks for peaks and a drawing of the waveform as objects of their own. The children's work is the same but for the drawing, and does
//! not count, so that a short note is enough.

use std::time::Duration;

use super::support::rabbit::Rabbit;
use super::support::rig::{Rig, fixture};
use super::support::s3::S3;
use super::usage::cpu;
use super::{PATIENCE, Sender};

const ROUNDS: usize = 5;
const NOTES: u32 = 100;

/// Medians of the user time of a note, with three objects and with five. Both take turns.
pub(super) fn medians(rabbit: &Rabbit, s3: &S3) -> (Duration, Duration) {
    let as_objects = "\n[waveform]\npeaks = \"object\"\npicture = true\n";
    let rigs = [("", 3), (as_objects, 5)].map(|(more, objects)| (rig(rabbit, s3, more), objects));
    let workers = rigs.each_ref().map(|(rig, _)| rig.worker());
    let senders = rigs.each_ref().map(|(rig, _)| Sender::open(rabbit, rig));
    let mut times = [const { Vec::new() }; 2];
    // The first round is for what is done once, and caches.
    for round in 0..=ROUNDS {
        for at in 0..2 {
            let before = cpu(workers[at].pid()).own_user;
            for n in 0..NOTES {
                senders[at].send(&format!("r{round}n{n}"), &fixture("voice-amr.amr"));
            }
            rigs[at].0.bus.ledger().wait_for_files((round + 1) * NOTES as usize, PATIENCE);
            let spent = cpu(workers[at].pid()).own_user - before;
            if round > 0 {
                times[at].push(spent / NOTES);
            }
        }
    }
    for (rig, objects) in &rigs {
        for (media_id, outcomes) in rig.bus.ledger().all() {
            // The manifest is none of the assets.
            let assets = outcomes[0].event["data"]["assets"].as_array().map(Vec::len);
            assert_eq!(assets, Some(objects - 1), "{media_id}: {:#}", outcomes[0].event);
        }
    }
    workers.into_iter().for_each(|worker| drop(worker.stops()));
    let [three, five] = times.map(|mut times| {
        times.sort();
        times[ROUNDS / 2]
    });
    (three, five)
}

/// With this added to the profile.
fn rig(rabbit: &Rabbit, s3: &S3, more: &str) -> Rig {
    let mut rig = super::rig(rabbit, s3, 1);
    let folder = rig.dir.path().join("profiles");
    std::fs::create_dir(&folder).expect("a folder");
    let built_in = include_str!("../../src/config/profiles/crm.toml");
    std::fs::write(folder.join("crm.toml"), format!("{built_in}{more}")).expect("a profile");
    rig.set("WORKER_PROFILES_DIR", folder.display());
    rig
}
