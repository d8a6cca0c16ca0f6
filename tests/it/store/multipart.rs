//! Uploads in parts that fail: the object is as it was or new as a whole, and nothing unfinished stays behind.

use mediamill::error::Code;
use mediamill::store::{PutOptions, Store, StoreError, Stored};

use super::contract::noise;
use super::faults::Behind;
use crate::support::faults::{broken_as, transient_as};
use crate::support::gate::{ACCESS_DENIED, Act, Gate, INTERNAL_ERROR};
use crate::support::s3::S3;

/// A part of S3's smallest size, and one more.
const SIZE: usize = (5 << 20) + 1;
const OPTIONS: PutOptions<'_> = PutOptions::of("video/mp4");

async fn put(world: &Behind) -> Result<Stored, StoreError> {
    world.store.put_file("large", &world.dir.write("f", noise(SIZE)), OPTIONS).await
}

/// What the server has, asked without the gate.
async fn object(world: &Behind) -> Option<Vec<u8>> {
    let direct = Store::connect(&world.s3.store_config()).await.expect("a store");
    direct.get("large").await.expect("an answer").map(Vec::from)
}

#[tokio::test]
async fn a_part_that_fails_once_is_sent_again() {
    for act in [Act::Answer(500, INTERNAL_ERROR), Act::Close, Act::CorruptRequest] {
        let world = Behind::new(S3::start(), move |seen| match seen.nth {
            0 if seen.is_part() => act,
            _ => Act::Pass,
        })
        .await;
        let result = put(&world).await;
        // Other bytes are not sent again at this level: what is on the disk may have changed, too.
        if matches!(act, Act::CorruptRequest) {
            transient_as(Code::StoreChecksum, result);
            assert_eq!(object(&world).await, None);
        } else {
            result.unwrap_or_else(|err| panic!("{act:?}: {err}"));
            assert!(object(&world).await == Some(noise(SIZE)), "{act:?}: other bytes");
        }
        assert_eq!(world.s3.pending_uploads().await, 0, "{act:?}");
    }
}

#[tokio::test]
async fn an_upload_that_fails_is_aborted() {
    for act in [Act::Answer(500, INTERNAL_ERROR), Act::Answer(403, ACCESS_DENIED), Act::Never] {
        for at_the_end in [false, true] {
            let world = Behind::new(S3::start(), move |seen| {
                let hit = if at_the_end { seen.is_complete() } else { seen.path.contains("partNumber=2") };
                if hit { act } else { Act::Pass }
            })
            .await;
            let result = put(&world).await;
            match act {
                Act::Answer(403, _) => drop(broken_as(Code::StoreForbidden, result)),
                _ => drop(transient_as(Code::StoreUnavailable, result)),
            }
            assert_eq!(object(&world).await, None, "{act:?}");
            assert_eq!(world.s3.pending_uploads().await, 0, "{act:?}, at the end: {at_the_end}");
        }
    }
}

#[tokio::test]
async fn an_end_whose_answer_is_lost_is_looked_up() {
    let world = Behind::new(S3::start(), |seen| if seen.is_complete() { Act::LoseAnswer } else { Act::Pass }).await;
    put(&world).await.expect("it is there, and that can be seen");
    assert!(object(&world).await == Some(noise(SIZE)), "other bytes");
    assert_eq!(world.s3.pending_uploads().await, 0);
    assert!(world.gate.log().iter().any(|line| line.starts_with("HEAD")), "{:?}", world.gate.log());
}

#[tokio::test]
async fn an_end_whose_answer_is_lost_is_looked_up_on_moto_too() {
    let Some(s3) = S3::moto().await else { return };
    let world = Behind::new(s3, |seen| if seen.is_complete() { Act::LoseAnswer } else { Act::Pass }).await;
    put(&world).await.expect("it is there, and that can be seen");
    assert!(object(&world).await == Some(noise(SIZE)), "other bytes");
    assert_eq!(world.s3.pending_uploads().await, 0);
}

#[tokio::test]
async fn an_upload_whose_job_was_dropped_is_aborted() {
    for at_the_end in [false, true] {
        let (reached, mut at_it) = tokio::sync::mpsc::unbounded_channel();
        let world = Behind::new(S3::start(), move |seen| {
            let hit = if at_the_end { seen.is_complete() } else { seen.path.contains("partNumber=2") };
            if hit {
                reached.send(()).ok();
                return Act::Never;
            }
            Act::Pass
        })
        .await;
        tokio::select! {
            result = put(&world) => panic!("it has come to an end: {result:?}"),
            reached = at_it.recv() => reached.expect("the gate is there"),
        }
        world.store.wait_for_aborts().await;
        assert_eq!(object(&world).await, None);
        assert_eq!(world.s3.pending_uploads().await, 0, "at the end: {at_the_end}");
    }
}

#[tokio::test]
async fn an_abort_that_was_dropped_is_made_up_for() {
    let (reached, mut at_it) = tokio::sync::mpsc::unbounded_channel();
    let world = Behind::new(S3::start(), move |seen| match seen.method {
        "PUT" if seen.path.contains("partNumber=2") => Act::Answer(403, ACCESS_DENIED),
        "DELETE" if seen.nth == 0 => {
            reached.send(()).ok();
            Act::Never
        }
        _ => Act::Pass,
    })
    .await;
    // As a job does where another asset of the same file could not be stored.
    tokio::select! {
        result = put(&world) => panic!("it has come to an end: {result:?}"),
        reached = at_it.recv() => reached.expect("the gate is there"),
    }
    world.store.wait_for_aborts().await;
    assert_eq!(object(&world).await, None);
    assert_eq!(world.s3.pending_uploads().await, 0);
}

#[tokio::test]
async fn a_beginning_that_was_dropped_leaves_nothing() {
    let Some(s3) = S3::moto().await else { return };
    let (reached, mut at_it) = tokio::sync::mpsc::unbounded_channel();
    let endpoint = s3.endpoint();
    let world = Behind::new(s3, move |seen| {
        // It is done, and dropped before its answer is there.
        if seen.is_begin() { Act::LoseAnswer } else { Act::Pass }
    })
    .await;
    let pending = async {
        loop {
            let listed = reqwest::get(format!("{endpoint}/media?uploads")).await.expect("an answer");
            if listed.text().await.expect("a list").contains("<UploadId>") {
                reached.send(()).ok();
                return std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        result = put(&world) => panic!("it has come to an end: {result:?}"),
        () = pending => unreachable!(),
        reached = at_it.recv() => reached.expect("it has begun"),
    }
    world.store.wait_for_aborts().await;
    assert_eq!(world.s3.pending_uploads().await, 0);
}

#[tokio::test]
async fn an_abort_is_repeated_where_parts_may_come_after_it() {
    let aborts = |world: &Behind| world.gate.log().iter().filter(|line| line.starts_with("DELETE")).count();
    for (at_the_end, expected) in [(false, 2), (true, 1)] {
        let world = Behind::new(S3::start(), move |seen| {
            let hit = if at_the_end { seen.is_complete() } else { seen.path.contains("partNumber=2") };
            if hit { Act::Answer(403, ACCESS_DENIED) } else { Act::Pass }
        })
        .await;
        broken_as(Code::StoreForbidden, put(&world).await);
        assert_eq!(world.s3.pending_uploads().await, 0);
        world.store.wait_for_aborts().await;
        assert_eq!(aborts(&world), expected, "at the end: {at_the_end}");
    }
}

#[tokio::test]
async fn what_a_killed_worker_began_is_cleared_away_by_the_next_one() {
    let Some(s3) = S3::moto().await else { return };
    let begun = |key: &'static str| {
        let url = format!("{}/{}/{key}?uploads", s3.endpoint(), s3.bucket());
        async move { reqwest::Client::new().post(url).send().await.expect("an answer") }
    };
    assert!(begun("large").await.status().is_success());
    assert!(begun("larger").await.status().is_success());
    assert_eq!(s3.pending_uploads().await, 2);
    let world = Behind::new(s3, |_| Act::Pass).await;
    put(&world).await.expect("stored");
    assert_eq!(world.s3.pending_uploads().await, 1, "an upload of another key is somebody else's");
}

#[tokio::test]
async fn a_beginning_whose_answer_is_lost_leaves_nothing() {
    let Some(s3) = S3::moto().await else { return };
    let lost = |act: Act| {
        move |seen: crate::support::gate::Seen<'_>| match seen.is_begin() {
            true if seen.nth == 0 || matches!(act, Act::LoseAnswer) => Act::LoseAnswer,
            _ => Act::Pass,
        }
    };
    let world = Behind::new(s3, lost(Act::Pass)).await;
    put(&world).await.expect("the second request has begun it");
    assert_eq!(world.s3.pending_uploads().await, 0);
    let gate = Gate::start(&world.s3.endpoint(), lost(Act::LoseAnswer));
    let mut config = world.s3.access().via(&gate.url()).config();
    config.attempt_timeout_s = 3;
    config.max_attempts = 2;
    let store = Store::connect(&config).await.expect("a store");
    transient_as(Code::StoreUnavailable, store.put_file("large", &world.dir.path().join("f"), OPTIONS).await);
    assert_eq!(world.s3.pending_uploads().await, 0);
}
