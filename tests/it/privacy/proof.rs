//! Canaries in everything that a person can put into a media or a message, and where they are after an erasure.
//!
//! `MEDIAMILL_CANARIES=1000` (`make erase-proof`) does it with so many.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::world::{ask, erase, files, known, objects, state};
use crate::catalog::Empty;
use crate::catalog::role::{transcribed_as, until};
use crate::support::bus::block_on;
use crate::support::postgres;
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, event, letter};
use crate::support::say::say;

const CANARIES: usize = 20;

/// One in so many is erased.
const ERASED: usize = 10;

fn canary(n: usize) -> String {
    // What is not ASCII looks different in a URL.
    format!("canário-{n:05}-zq")
}

/// The canary as it may stand anywhere: as it is, percent-encoded, in base64 at each of three offsets, and as JSON escapes it.
fn forms(canary: &str) -> Vec<Vec<u8>> {
    let percent = utf8_percent_encode(canary, NON_ALPHANUMERIC).to_string();
    let escaped = canary.replace('á', "\\u00e1");
    let base64 = (0..3).map(|offset| {
        let text = [&b"..."[..offset], canary.as_bytes()].concat();
        let whole = text.len() / 3 * 3;
        // The first and the last characters depend on what stands around it.
        let encoded = STANDARD_NO_PAD.encode(&text[..whole]);
        encoded[offset.div_ceil(3) * 4..].to_owned()
    });
    [canary.to_owned(), percent, escaped].into_iter().chain(base64).map(String::into_bytes).collect()
}

fn holds(bytes: &[u8], forms: &[Vec<u8>]) -> bool {
    forms.iter().any(|form| bytes.windows(form.len()).any(|part| part == form))
}

fn sent(rig: &Rig, n: usize) -> Value {
    let canary = canary(n);
    let card = format!("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{canary}\r\nEND:VCARD\r\n");
    let mut event = event(&format!("m{n}"), &rig.file(&format!("{n}.vcf"), card.as_bytes()));
    event["data"]["declared"] = json!({ "file_name": format!("{canary}.vcf") });
    event["data"]["message"] = json!({
        "channel": "whatsapp", "phone": format!("+1555{n:07}"), "user_id": canary, "contact_id": canary,
        "conversation_id": canary, "message_id": format!("wamid.{}", STANDARD_NO_PAD.encode(&canary)),
        "contact_name": canary, "caption": format!("a caption of {canary}"), "own": { canary.clone(): canary },
        "sent_at": jiff::Timestamp::now().to_string(),
    });
    event["data"]["context"] = json!({ "note": canary });
    event["data"]["tags"] = json!([canary]);
    event
}

/// Files below a folder in which one of these stands.
fn found(folder: &Path, forms: &[Vec<u8>]) -> Vec<String> {
    let all = files(folder).into_iter().filter(|path| holds(&std::fs::read(path).unwrap_or_default(), forms));
    all.map(|path| path.display().to_string()).collect()
}

/// What the index of the catalogue has, by state.
fn rows(url: &str) -> Vec<(String, u64)> {
    block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        let database = Empty::at("opened", url.to_owned(), dir).await;
        database.index.counts().await.expect("an answer")
    })
}

#[test]
fn what_was_erased_is_found_nowhere_and_the_rest_is_intact() {
    let Some(rabbit) = calm() else { return };
    let rig = Rig::new(rabbit);
    let dir = rig.dir.path().to_owned();
    // The database, its write-ahead log and its indexes.
    let index = || {
        let names = ["catalog.db", "catalog.db-wal", "catalog.db-shm"];
        names.iter().flat_map(|name| std::fs::read(dir.join(name)).unwrap_or_default()).collect()
    };
    prove(rig, &format!("sqlite://{}/catalog.db", dir.display()), index);
}

#[test]
fn what_was_erased_is_in_no_row_of_postgresql() {
    let (Some(rabbit), Some(server)) = (calm(), postgres::server()) else { return };
    let url = server.database();
    prove(Rig::new(rabbit), &url, || server.dump(&url));
}

/// `index` is everything that the catalogue's database has.
fn prove(mut rig: Rig, database: &str, index: impl Fn() -> Vec<u8>) {
    let count = std::env::var("MEDIAMILL_CANARIES").ok().map_or(CANARIES, |text| text.parse().expect("a number"));
    known(&mut rig);
    rig.set("CATALOG_URL", database);
    let worker = rig.worker();
    let catalog = rig.worker_of(rig.command(&["catalog"]));
    until("a consumer", || rig.bus.depth("catalog").consumers > 0);
    let store = rig.dir.path().join("store");
    let events: Vec<Value> = (0..count).map(|n| sent(&rig, n)).collect();
    for chunk in events.chunks(100) {
        let before = rig.bus.ledger().all().len();
        chunk.iter().for_each(|event| ask(&rig, event));
        rig.bus.ledger().wait_for_files(before + chunk.len(), SOON);
    }
    let gone: Vec<usize> = (0..count).step_by(ERASED).collect();
    for n in 0..count {
        rig.bus.publish(&transcribed_as(&format!("m{n}"), &format!("what {} said", canary(n))));
    }
    let in_index = |n: usize| holds(&index(), &forms(&canary(n)));
    until("a row for each", || rig.bus.depth("catalog").ready == 0 && in_index(count - 1) && in_index(gone[0]));
    for n in &gone {
        assert!(!found(&store, &forms(&canary(*n))).is_empty(), "is the search blind?");
        rig.bus.put("dead", &letter(&events[*n]));
    }
    for n in &gone {
        let certificate = erase(&rig, &format!("phone=+1 555 {n:07}\n"));
        assert_eq!((&certificate["media"], &certificate["dead_letters"]), (&json!(1), &json!(1)));
        assert!(!holds(certificate.to_string().as_bytes(), &forms(&canary(*n))));
    }
    let log = worker.stops();
    // While it runs: what is only in its write-ahead log counts.
    until("the index has forgotten", || gone.iter().all(|n| !in_index(*n)));
    let log = log + &catalog.stops();
    // What the senders keep is theirs.
    std::fs::remove_dir_all(rig.dir.path().join("files")).expect("removed");
    let (mut hits, kept) = (Vec::new(), index());
    for n in &gone {
        let forms = forms(&canary(*n));
        hits.extend(found(rig.dir.path(), &forms));
        let phone = format!("1555{n:07}").into_bytes();
        hits.extend(found(rig.dir.path(), &[phone]));
        hits.extend(holds(log.as_bytes(), &forms).then(|| "the log".to_owned()));
        hits.extend(holds(&kept, &forms).then(|| "the index".to_owned()));
        assert_eq!((state(&store, &format!("m{n}")), objects(&store, &format!("m{n}")).len()), (json!("erased"), 1));
    }
    for found in rig.bus.take_all("dead") {
        hits.extend(gone.iter().any(|n| holds(&found.body, &forms(&canary(*n)))).then(|| "a dead letter".to_owned()));
    }
    assert_eq!(hits, [""; 0], "canaries after the erasure");
    let intact = (0..count).filter(|n| !gone.contains(n)).filter(|n| {
        let media = format!("m{n}");
        state(&store, &media) == "normalized" && found(&store.join("acme").join(media), &forms(&canary(*n))).len() == 2
    });
    let intact = intact.count();
    assert_eq!(intact, count - gone.len(), "the others are whole: manifest and original");
    assert_eq!(
        rows(database),
        [
            ("erased".to_owned(), u64::try_from(gone.len()).expect("small")),
            ("normalized".to_owned(), u64::try_from(intact).expect("small"))
        ]
    );
    say(format_args!("erase proof: {count} canaries, {} erased, 0 hits, {intact} intact", gone.len()));
}
