//! Removal, for now and for good.

use bytes::Bytes;
use mediamill::store::Store;

use super::OGG;

pub(super) async fn is_removed_for_good(store: &Store) {
    for key in ["d/k", "d/k0", "d/k-", "d/other"] {
        store.put_bytes(key, Bytes::from("x"), OGG).await.expect("stored");
    }
    assert_eq!(store.delete_all_versions("d/k").await.expect("removed"), 1);
    assert_eq!(store.delete_all_versions("d/k").await.expect("fine where there is none"), 0);
    assert_eq!(store.get("d/k").await.expect("an answer"), None);
    assert_eq!(store.head("d/k").await.expect("an answer"), None);
    let left: Vec<_> = store.list("d/", None, 9).await.expect("a page").objects.into_iter().map(|o| o.key).collect();
    assert_eq!(left, ["d/k-", "d/k0", "d/other"], "others stay");
    for key in left {
        store.delete_all_versions(&key).await.expect("removed");
    }
    assert_eq!(store.delete_all_versions("d/none/at/all").await.expect("fine where there is none"), 0);
    assert!(store.list("d/", None, 9).await.expect("a page").objects.is_empty());
    store.put_bytes("d/k", Bytes::from("again"), OGG).await.expect("stored");
    assert_eq!(store.get("d/k").await.expect("an answer").as_deref(), Some(&b"again"[..]));
    store.delete("d/k").await.expect("removed");
}

pub(super) async fn is_purged_by_folder(store: &Store) {
    for key in ["f/a/manifest", "f/a/1/x", "f/a/2/y", "f/ab/x", "f/a0"] {
        store.put_bytes(key, Bytes::from("x"), OGG).await.expect("stored");
    }
    let purged = store.purge("f/a/", Some("f/a/manifest")).await.expect("removed");
    assert_eq!(purged.objects().map(|(key, _)| key).collect::<Vec<_>>(), ["f/a/1/x", "f/a/2/y"]);
    let left = |page: mediamill::store::Page| {
        let mut left: Vec<_> = page.objects.into_iter().map(|object| object.key).collect();
        left.sort_unstable();
        left
    };
    assert_eq!(
        left(store.list("f/", None, 9).await.expect("a page")),
        ["f/a/manifest", "f/a0", "f/ab/x"],
        "others stay"
    );
    assert_eq!(store.purge("f/a/", Some("f/a/manifest")).await.expect("nothing is left").versions(), 0);
    assert!(store.purge("f/a", None).await.is_err(), "a folder ends with a slash");
    store.purge("f/", None).await.expect("removed");
    assert!(store.list("f/", None, 9).await.expect("a page").objects.is_empty());
}
