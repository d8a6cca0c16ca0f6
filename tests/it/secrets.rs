//! Secrets that are read again while the program runs.

use mediamill::config::{load, reload};
use mediamill::store::{PutOptions, Store};
use rustix::process::Signal;

use crate::support::processes::{signal, wait_until};
use crate::support::rabbit::calm;
use crate::support::rig::{Rig, SOON, fixture};
use crate::support::s3::S3;

#[test]
fn a_worker_uses_a_new_broker_url_after_a_hangup_and_keeps_one_that_it_cannot_read() {
    let Some(rabbit) = calm() else { return };
    let mut rig = Rig::new(rabbit);
    let (url, right) = (rig.dir.path().join("broker-url"), rig.config().broker.url.expose());
    std::fs::write(&url, "amqp://guest:hunter2@127.0.0.1:1/%2f\n").expect("a file");
    rig.set("BROKER_URL", format!("file:{}", url.display()));
    let mut worker = rig.spawn();
    wait_until("a failed connection", || worker.logged("connecting to the broker again") > 0);

    std::fs::remove_file(&url).expect("it was there");
    signal(worker.pid(), Signal::HUP);
    wait_until("a warning", || worker.logged("secret not read again: it keeps its old value") == 1);
    assert!(worker.log().contains("\"key\":\"broker.url\""), "{}", worker.log());

    std::fs::write(&url, format!("{right}\n")).expect("a file");
    signal(worker.pid(), Signal::HUP);
    worker.consumes(1);
    rig.ask("after", &fixture("voice-note.ogg"));
    rig.bus.ledger().wait("after", SOON);
    let log = worker.stops();
    assert!(!log.contains("hunter2") && !log.contains("guest:guest"), "{log}");
}

#[tokio::test]
async fn a_store_signs_with_the_key_that_was_read_last() {
    let s3 = S3::start();
    let dir = tempfile::tempdir().expect("a directory");
    let key = dir.path().join("key");
    let right = s3.store_config().secret_access_key.expose();
    std::fs::write(&key, "wrong").expect("a file");
    let mut env: Vec<_> = s3.env().into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    env.push(("MEDIAMILL_STORE_SECRET_ACCESS_KEY".into(), format!("file:{}", key.display()).into()));
    let running = load(None, env.clone(), &[]).expect("valid");
    let store = Store::connect(&running.store).await.expect("a store");
    let put = async || store.put_bytes("assets/x", "x".into(), PutOptions::of("text/plain")).await;
    assert!(put().await.is_err(), "the key is wrong");
    std::fs::write(&key, &*right).expect("a file");
    assert!(put().await.is_err(), "not read yet");
    assert_eq!(reload(&running, None, env, &[]).changed, ["store.secret_access_key"]);
    put().await.expect("stored");
}
