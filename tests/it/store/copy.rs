//! `mediamill store copy`: everything, whatever interrupts it.

use std::process::Stdio;
use std::time::{Duration, Instant};

use mediamill::store::{PutOptions, Store};
use sha2::{Digest, Sha256};

use super::contract::noise;
use crate::support::cmd::{Dir, program};
use crate::support::gcs::Gcs;
use crate::support::keeper;
use crate::support::s3::S3;

/// Objects of a media but for its manifest.
const OF_ONE: usize = 3;

/// How many objects are copied: `make store-copy` sets another number.
fn wanted() -> usize {
    std::env::var("OBJECTS").ok().and_then(|text| text.parse().ok()).unwrap_or(240)
}

async fn fill(store: &Store, dir: &Dir) {
    for media in 0..wanted() / (OF_ONE + 1) {
        let folder = store.folder("acme", &format!("m%2F{media}"));
        for (n, name) in ["audio.mp3", "original.ogg", "thumbnail.jpg"].into_iter().enumerate() {
            let mut bytes = noise(500 + media % 700);
            bytes.extend_from_slice(&(media * OF_ONE + n).to_le_bytes());
            let options = PutOptions::of(["audio/mpeg", "audio/ogg", "image/jpeg"][n]);
            store.put_addressed(&folder, name, &dir.write("f", bytes), options).await.expect("stored");
        }
        let manifest = format!("{{\"media\":{media}}}");
        store.put_bytes(&folder.manifest(), manifest.into(), PutOptions::of("application/json")).await.expect("stored");
    }
}

/// Every object by its key below the prefix, with its SHA-256.
async fn objects(store: &Store) -> Vec<(String, String)> {
    let (mut all, mut at) = (Vec::new(), None);
    loop {
        let page = store.list("", at.as_ref(), 1000).await.expect("a page");
        for object in page.objects {
            let bytes = store.get(&object.key).await.expect("an answer").expect("is there");
            let key = object.key.strip_prefix("assets/").unwrap_or(&object.key).to_owned();
            all.push((key, hex::encode(Sha256::digest(&bytes))));
        }
        match page.next {
            Some(next) => at = Some(next),
            None => return all,
        }
    }
}

/// Runs the command, kills it three times on its way, each time later, and lets it come to its end.
fn copy_with_kills(from: &str, to: &str) -> usize {
    let (mut kills, started) = (0, Instant::now());
    for life in [300, 700, 1200] {
        let mut command = program();
        command.args(["store", "copy", from, to]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = keeper::spawn(&mut command);
        std::thread::sleep(Duration::from_millis(life));
        kills += usize::from(child.try_wait().expect("a state").is_none());
        keeper::end(&mut child);
    }
    let output = program().args(["store", "copy", from, to]).output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    eprintln!("{kills} kills, then {said}; {} ms in all", started.elapsed().as_millis());
    let again = program().args(["store", "copy", "--verify", from, to]).output().expect("it runs");
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    assert!(said.starts_with("0 objects copied, 0 bytes;"), "{said}");
    kills
}

/// From S3 to Google Cloud Storage, and on to a directory.
#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_whatever_is_killed_on_the_way() {
    let s3 = S3::start();
    let Some(gcs) = Gcs::fake_gcs_server().await else { return };
    let dir = Dir::new();
    let [from, to, end] = ["from.toml", "to.toml", "end.toml"].map(|name| dir.path().join(name).display().to_string());
    let table = |env: Vec<(String, String)>| {
        let name = |key: &str| key.trim_start_matches("MEDIAMILL_STORE_").to_lowercase();
        let value = |text: &str| match text.parse::<u64>().is_ok() || text == "true" {
            true => text.to_owned(),
            false => format!("{text:?}"),
        };
        let lines: Vec<_> = env.iter().map(|(key, text)| format!("{} = {}", name(key), value(text))).collect();
        format!("[store]\n{}\n", lines.join("\n"))
    };
    dir.write("from.toml", table(s3.env()));
    dir.write("to.toml", table(gcs.env()));
    let local = dir.path().join("store");
    std::fs::create_dir(&local).expect("a directory");
    dir.write("end.toml", format!("[store]\nurl = \"file://{}\"\n", local.display()));
    let source = Store::connect(&s3.store_config()).await.expect("a store");
    fill(&source, &dir).await;
    let before = objects(&source).await;
    assert_eq!(before.len(), wanted() / (OF_ONE + 1) * (OF_ONE + 1));
    let kills = tokio::task::spawn_blocking(move || copy_with_kills(&from, &to) + copy_with_kills(&to, &end));
    let kills = kills.await.expect("no panic");
    let middle = Store::connect(&gcs.store_config()).await.expect("a store");
    assert!(objects(&middle).await == before, "other objects on the way");
    assert!(objects(&Store::local(&local)).await == before, "other objects at the end");
    let key = before.iter().find(|(key, _)| key.ends_with("thumbnail.jpg")).expect("a picture").0.clone();
    let head = middle.head(&format!("assets/{key}")).await.expect("an answer").expect("is there");
    assert_eq!(head.content_type.as_deref(), Some("image/jpeg"));
    assert!(kills > 0, "it was done before it was killed");
}
