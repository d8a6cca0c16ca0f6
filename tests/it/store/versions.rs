//! A bucket that keeps versions: what a plain removal leaves there, and that nothing is left by one for good.

use mediamill::error::Code;
use mediamill::store::{PutOptions, Store};

use super::faults::Behind;
use crate::support::faults::{broken_as, transient_as};
use crate::support::gate::{ACCESS_DENIED, Act, INTERNAL_ERROR};
use crate::support::s3::S3;

const JSON: PutOptions<'_> = PutOptions::of("application/json");

#[tokio::test]
async fn every_version_and_every_mark_goes() {
    let Some(s3) = S3::moto().await else { return };
    let store = Store::connect(&s3.store_config()).await.expect("a store");
    store.put_bytes("m", "before versions were kept".into(), JSON).await.expect("stored");
    s3.keep_versions().await;
    for text in ["one", "two"] {
        store.put_bytes("m", text.into(), JSON).await.expect("stored");
        store.delete("m").await.expect("removed");
    }
    for key in ["m", "m0", "l"] {
        store.put_bytes(key, "three".into(), JSON).await.expect("stored");
    }
    assert_eq!(s3.versions("m").await, (4, 2), "a plain removal removes none");
    assert_eq!(store.delete_all_versions("m").await.expect("removed"), 6);
    assert_eq!(s3.versions("m").await, (0, 0));
    assert_eq!(store.get("m").await.expect("an answer"), None);
    assert_eq!((s3.versions("m0").await, s3.versions("l").await), ((1, 0), (1, 0)), "others stay");
    assert_eq!(store.delete_all_versions("m").await.expect("fine where there is none"), 0);
}

#[tokio::test]
async fn of_a_folder_only_the_current_version_of_one_object_stays() {
    for pages_of in [1000, 3] {
        let Some(s3) = S3::moto_with_pages_of(pages_of).await else { return };
        s3.keep_versions().await;
        let store = Store::connect(&s3.store_config()).await.expect("a store");
        for text in ["one", "two", "three"] {
            for key in ["d/a", "d/manifest", "d/z", "e"] {
                store.put_bytes(key, text.into(), JSON).await.expect("stored");
            }
            store.delete("d/a").await.expect("removed");
        }
        let purged = store.purge("d/", Some("d/manifest")).await.expect("removed");
        assert_eq!(purged.objects().collect::<Vec<_>>(), [("d/a", 6), ("d/manifest", 2), ("d/z", 3)]);
        assert_eq!(s3.versions("d/manifest").await, (1, 0));
        assert_eq!(
            (s3.versions("d/a").await, s3.versions("d/z").await, s3.versions("e").await),
            ((0, 0), (0, 0), (3, 0))
        );
        assert_eq!(store.get("d/manifest").await.expect("an answer").as_deref(), Some(&b"three"[..]));
    }
}

#[tokio::test]
async fn more_versions_than_a_page_has_go() {
    let Some(s3) = S3::moto_with_pages_of(5).await else { return };
    s3.keep_versions().await;
    let store = Store::connect(&s3.store_config()).await.expect("a store");
    for n in 0..12 {
        store.put_bytes("m", n.to_string().into(), JSON).await.expect("stored");
    }
    for key in ["m", "m0", "l"] {
        store.delete(key).await.expect("removed");
    }
    assert_eq!(s3.versions("m").await, (12, 1));
    assert_eq!(store.delete_all_versions("m").await.expect("removed"), 13);
    assert_eq!(s3.versions("m").await, (0, 0));
}

#[tokio::test]
async fn uploads_that_were_never_completed_go_too() {
    let Some(s3) = S3::moto().await else { return };
    for key in ["m", "m0"] {
        let url = format!("{}/{}/{key}?uploads", s3.endpoint(), s3.bucket());
        assert!(reqwest::Client::new().post(url).send().await.expect("an answer").status().is_success());
    }
    let store = Store::connect(&s3.store_config()).await.expect("a store");
    store.delete_all_versions("m").await.expect("removed");
    assert_eq!(s3.pending_uploads().await, 1, "that of another key stays");
}

#[tokio::test]
async fn what_cannot_be_listed_or_removed_is_an_error() {
    for (act, is_list) in [
        (Act::Answer(403, ACCESS_DENIED), true),
        (Act::Answer(403, ACCESS_DENIED), false),
        (Act::Answer(500, INTERNAL_ERROR), true),
        (Act::Answer(500, INTERNAL_ERROR), false),
    ] {
        let Some(s3) = S3::moto().await else { return };
        s3.keep_versions().await;
        let world = Behind::new(s3, move |seen| {
            let hit = if is_list { seen.path.contains("versions") } else { seen.path.contains("versionId=") };
            if hit { act } else { Act::Pass }
        })
        .await;
        let result = world.store.delete_all_versions("k").await;
        match act {
            Act::Answer(403, _) => broken_as(Code::StoreForbidden, result),
            _ => transient_as(Code::StoreUnavailable, result),
        };
        assert_eq!(world.object().await, "before");
    }
}
