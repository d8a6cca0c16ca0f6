//! One CRM with a deliverer, which is killed and started again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::Connection;
use uuid::Uuid;

use super::vendors::{Counts, Vendor, has};
use crate::deliver::{deliverer, destination, normalized, rig, sent};
use crate::support::bus::block_on;
use crate::support::crm::Crm;
use crate::support::processes::wait_until;
use crate::support::rig::{Rig, sha256};
use crate::support::say::say;
use crate::support::worker::Worker;

/// The bytes of every file here.
pub(super) const SOUND: &[u8] = b"ID3 not much of a sound";

/// A CRM, a rig, and what was sent.
pub(crate) struct Trial {
    /// First: it goes before its folder.
    pub(crate) deliverer: Option<Worker>,
    pub(crate) vendor: Vendor,
    pub(crate) crm: Crm,
    pub(crate) rig: Rig,
    pub(crate) context: Value,
    pub(crate) events: Vec<Value>,
}

impl Trial {
    pub(crate) fn start(vendor: Vendor) -> Option<Self> {
        let crm = Crm::start(vendor.name);
        Self::with(vendor, crm)
    }

    /// With a fake that is prepared, for keys that need it.
    pub(crate) fn with(vendor: Vendor, crm: Crm) -> Option<Self> {
        Some(Self::in_rig(vendor, crm, rig()?))
    }

    /// In a rig that is prepared.
    pub(crate) fn in_rig(vendor: Vendor, crm: Crm, mut rig: Rig) -> Self {
        let mut keys = vec![
            ("kind", vendor.name.to_owned()),
            ("url", crm.url().to_owned()),
            ("allow_private", "true".to_owned()),
            ("read_back_lag_s", "0".to_owned()),
            ("region", "BR".to_owned()),
        ];
        keys.extend(vendor.keys.clone());
        let keys: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (*key, value.as_str())).collect();
        destination(&mut rig, "crm", &keys);
        let context = (vendor.set_up)(&crm);
        let mut trial = Self { vendor, crm, rig, context, events: Vec::new(), deliverer: None };
        trial.deliverer = Some(deliverer(&trial.rig));
        trial
    }

    /// Publishes a normalized event of a new media, whose file is in the store.
    pub(crate) fn publish(&mut self) {
        self.publish_with("media.normalized.audio", |_| ());
    }

    /// The same after a change.
    pub(crate) fn publish_with(&mut self, key: &str, change: impl FnOnce(&mut Value)) {
        let mut event = stored(&self.rig, &format!("m{}", self.events.len()), &self.context);
        change(&mut event);
        self.rig.bus.publish(&sent(key, &event));
        self.events.push(event);
    }

    pub(crate) fn marker(&self, n: usize) -> String {
        marker(&self.events[n])
    }

    pub(crate) fn counts(&self, marker: &str) -> Counts {
        (self.vendor.counts)(&self.crm.state(), marker)
    }

    /// Waits until nothing is asked any more, and everything that was sent is there once.
    #[track_caller]
    pub(crate) fn settled(&self) {
        let deadline = Instant::now() + Duration::from_secs(40);
        loop {
            let before = self.crm.calls().len();
            std::thread::sleep(Duration::from_millis(250));
            let marker = self.marker(self.events.len() - 1);
            let counts = self.counts(&marker);
            let is_quiet = self.crm.calls().len() == before && self.rig.bus.depth("deliver.crm").ready == 0;
            if is_quiet && counts.notes >= 1 && counts.links >= self.events.len() {
                return;
            }
            let log = self.deliverer.as_ref().map(Worker::log).unwrap_or_default();
            assert!(Instant::now() < deadline, "{counts:?}\n{:#?}\n{log}", self.crm.calls());
        }
    }

    /// The process is killed while its call of this number is held by the fault, and the event comes three times more.
    pub(crate) fn killed(&mut self, fault: &str, skip: usize) {
        self.crm.faults(json!([{"fault": fault, "skip": skip}]));
        self.publish();
        self.crm.wait_held();
        self.deliverer.take().expect("one that runs").kill();
        self.crm.faults(json!([]));
        self.crm.release();
        self.again(3);
        self.deliverer = Some(deliverer(&self.rig));
        self.settled();
    }

    /// The process is killed once the delivery stands in the ledger: the broker may not have been told yet. Then the event comes
    /// three times more.
    pub(crate) fn killed_at_the_end(&mut self) {
        self.publish();
        self.wait_noted();
        self.deliverer.take().expect("one that runs").kill();
        self.again(3);
        self.deliverer = Some(deliverer(&self.rig));
        self.settled();
    }

    /// Waits until the ledger, a file of SQLite, has the delivery of the last event.
    #[track_caller]
    fn wait_noted(&self) {
        let last = self.events.last().and_then(|event| event["id"].as_str()).expect("an event");
        let path = self.rig.dir.path().join("ledger.db");
        block_on(async {
            let mut connection = sqlx::SqliteConnection::connect_with(
                &sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true),
            )
            .await
            .expect("the ledger");
            let deadline = Instant::now() + Duration::from_secs(40);
            let query = "SELECT COUNT(*) FROM deliver_event WHERE event_id = $1";
            while sqlx::query_scalar::<_, i64>(query).bind(last).fetch_one(&mut connection).await.expect("a number")
                == 0
            {
                assert!(Instant::now() < deadline, "the delivery is not noted");
            }
            connection.close().await.expect("closed");
        });
    }

    /// The last event comes so many times more.
    pub(crate) fn again(&self, times: usize) {
        let last = self.events.last().expect("an event");
        let letters: Vec<_> = (0..times).map(|_| sent("media.normalized.audio", last)).collect();
        self.rig.bus.publish_all(&letters);
    }

    /// Everything once: no duplicates, nothing missing, no mail to a customer.
    #[track_caller]
    pub(crate) fn balances(&self, what: &str) {
        self.balances_from(0, what);
    }

    /// The same with a look at the sums and at the last event alone.
    #[track_caller]
    pub(crate) fn last_balances(&self, what: &str) {
        self.balances_from(self.events.len().saturating_sub(1), what);
    }

    #[track_caller]
    fn balances_from(&self, first: usize, what: &str) {
        let (all, state) = (self.events.len(), self.crm.state());
        for n in first..all {
            let counts = (self.vendor.counts)(&state, &self.marker(n));
            let expected = Counts { notes: 1, all_notes: all, files: all, links: all, mails: 0 };
            assert_eq!(counts, expected, "{what}, event {n}:\n{:#?}", self.crm.calls());
        }
    }

    /// The row of a table of kills, as it is in docs/benchmarks.md: printed, and put into the folder `CRM_KILLS_TABLE` where it is
    /// set.
    pub(crate) fn tells(&self, name: &str, kills: usize) {
        let (all, state) = (self.events.len(), self.crm.state());
        let counts: Vec<Counts> = (0..all).map(|n| (self.vendor.counts)(&state, &self.marker(n))).collect();
        let Counts { files, links, mails, .. } = counts[0];
        let notes: usize = counts.iter().map(|one| one.notes).sum();
        let duplicates =
            counts.iter().map(|one| one.notes.saturating_sub(1)).sum::<usize>() + files.saturating_sub(all);
        let missing = counts.iter().filter(|one| one.notes == 0).count() + all.saturating_sub(links);
        let row = format!("| {name} | {kills} | {all} | {notes} | {files} | {duplicates} | {missing} | {mails} |\n");
        say(format!("kills, media, notes, files, duplicates, missing, mails: {}", row.trim()));
        if let Some(folder) = std::env::var_os("CRM_KILLS_TABLE") {
            let file = name.replace([' ', ','], "-");
            std::fs::write(std::path::Path::new(&folder).join(file), row).expect("a row");
        }
    }

    /// All events come three times more: nothing is asked.
    pub(crate) fn redelivered(&self) {
        self.crm.forget_calls();
        for event in &self.events {
            let again = [(); 3].map(|()| sent("media.normalized.audio", event));
            self.rig.bus.publish_all(&again);
        }
        wait_until("an empty queue", || self.rig.bus.depth("deliver.crm").ready == 0);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(self.crm.calls(), []);
    }

    /// The media is erased: nothing of it is left where people see it.
    pub(crate) fn erased(&mut self) {
        let event = erasure(&self.events[0]);
        let marker = self.marker(0);
        let before = self.counts(&marker);
        assert_eq!(before.notes, 1);
        self.rig.bus.publish(&sent("media.erased", &event));
        wait_until("the note is gone", || self.counts(&marker).notes == 0);
        wait_until("the file is gone", || {
            let state = self.crm.state();
            let redacted = has(&state, "redacted.txt");
            redacted || self.counts(&marker).files < before.files
        });
        // Afterwards nothing brings it back.
        self.rig.bus.publish(&sent("media.normalized.audio", &self.events[0].clone()));
        wait_until("an empty queue", || self.rig.bus.depth("deliver.crm").ready == 0);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(self.counts(&marker).notes, 0);
    }
}

/// The normalized event of a new media, whose file is in the store.
pub(super) fn stored(rig: &Rig, media_id: &str, context: &Value) -> Value {
    let object = format!("acme/{media_id}/{:.32}/audio.mp3", sha256(SOUND));
    let path = rig.dir.path().join("store").join(&object);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    std::fs::write(&path, SOUND).expect("a file");
    let mut event = normalized("m");
    event["data"]["media_id"] = json!(media_id);
    event["id"] = json!(Uuid::new_v4().to_string());
    event["data"]["context"] = context.clone();
    if let Some(phone) = context.get("phone") {
        event["data"]["message"]["phone"] = phone.clone();
    }
    event["data"]["assets"] = json!([{
        "role": "playback", "key": object, "mime_type": "audio/mpeg", "size_bytes": SOUND.len(), "sha256": sha256(SOUND),
    }]);
    event
}

/// What the note of this event ends with.
pub(super) fn marker(event: &Value) -> String {
    let id = event["id"].as_str().expect("text").replace('-', "");
    format!("mediamill {}", &id[..12])
}

/// The event by which the media of another one is erased.
pub(super) fn erasure(of: &Value) -> Value {
    let mut event = of.clone();
    event["id"] = json!(Uuid::new_v4().to_string());
    event["type"] = json!("mediamill.media.erased.v1");
    event["data"] = json!({ "tenant": "acme", "media_id": of["data"]["media_id"] });
    event
}
