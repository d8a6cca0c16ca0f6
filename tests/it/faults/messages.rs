//! What senders do: the same twice, the same to two workers, and ten thousand messages that are none.

use lapin::BasicProperties;

use super::trial::{Trial, jobs, part};
use crate::support::bus::Letter;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, event, fixture, letter};

/// Poison messages for each good one.
const POISON: usize = 50;

#[test]
fn messages_sent_twice_and_again_after_their_manifest_exists() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let mut trial = Trial::of("every message three times, once after its manifest", &rig);
    let worker = trial.worker();
    let letters: Vec<_> = (0..part(2)).map(|_| letter(&trial.next_event())).collect();
    rig.bus.publish_all(&letters);
    rig.bus.publish_all(&letters);
    trial.heard(letters.len());
    rig.bus.publish_all(&letters);
    trial.ends([worker]);
    let repeated: usize = rig.bus.ledger().all().values().map(|outcomes| outcomes.len() - 1).sum();
    assert_eq!(repeated, letters.len() * 2, "each message has an outcome of its own");
}

#[test]
fn poison_among_good_messages() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let mut trial = Trial::of("10,000 poison messages among good ones", &rig);
    let workers = [trial.worker(), trial.worker()];
    let poison = (jobs() * POISON).min(10_000);
    trial.beside(poison);
    let mut letters: Vec<_> = (0..jobs()).map(|_| letter(&trial.next_event())).collect();
    let every = letters.len();
    for n in 0..poison {
        let body = match n % 4 {
            0 => format!("poison {n}").into_bytes(),
            1 => b"\xff\xfe\x00".to_vec(),
            2 => b"{\"specversion\":\"1.0\"}".to_vec(),
            _ => vec![b'['; 1000],
        };
        let properties = BasicProperties::default();
        let routing_key = "media.received".to_owned();
        letters.insert(n * 7919 % (every + n), Letter { routing_key, properties, body });
    }
    rig.bus.publish_all(&letters);
    trial.ends(workers);
    assert_eq!(rig.bus.depth("dead").ready as usize, poison);
}

#[test]
fn two_workers_given_the_same_file_at_the_same_time() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let mut trial = Trial::of("two workers, the same media_id at the same time", &rig);
    let workers = [trial.worker(), trial.worker()];
    let mut letters = Vec::new();
    for n in 0..part(20) {
        let name = ["voice-note.ogg", "picture.png", "voice-amr.3gp", "flash-beep.mkv"][n % 4];
        let letter = trial.note(&event(&format!("twin-{n}"), &fixture(name)));
        letters.extend([letter.clone(), letter]);
    }
    rig.bus.publish_all(&letters);
    trial.ends(workers);
}
