//! Lists: whole, in order, and to be resumed.

use bytes::Bytes;
use mediamill::store::{Cursor, MAX_PAGE, Page, Store};

use super::{OGG, Server};

fn keys(page: &Page) -> Vec<&str> {
    page.objects.iter().map(|object| object.key.as_str()).collect()
}

/// All pages of this size, each from the text of the cursor before.
async fn pages(store: &Store, prefix: &str, size: usize) -> Vec<String> {
    let (mut all, mut at) = (Vec::new(), None);
    loop {
        let page = store.list(prefix, at.as_ref(), size).await.expect("a page");
        assert!(page.objects.len() <= size, "{size}: {page:?}");
        all.extend(keys(&page).into_iter().map(str::to_owned));
        let Some(next) = page.next else { return all };
        assert!(!page.objects.is_empty(), "a page of nothing, and more to come");
        at = Some(Cursor::new(next.as_str()));
    }
}

pub(super) async fn is_listed(store: &Store, server: &Server) {
    // In the order of bytes, which is not that of folders: `-` and `.` come before `/`, digits after it.
    let sorted = ["l/.x/1", "l/1", "l/1-", "l/1.ogg", "l/10/a", "l/1a/b/c", "l/1a/b0", "l/A", "l/a%2Fb", "l/~"];
    for key in sorted.iter().rev().chain(&["k", "l-", "l0", "m/1"]) {
        store.put_bytes(key, Bytes::from(*key), OGG).await.expect("stored");
    }
    let sizes = [1, 2, 3, sorted.len(), sorted.len() + 1, MAX_PAGE, usize::MAX];
    for size in sizes.into_iter().filter(|size| server.has_pages || *size >= MAX_PAGE) {
        assert_eq!(pages(store, "l/", size.min(MAX_PAGE)).await, sorted, "pages of {size}");
    }
    let least = store.list("l/", None, 0).await.expect("a page").objects.len();
    assert!(least == 1 || !server.has_pages, "a page has at least one: {least}");
    // A prefix is text.
    let size = |size| if server.has_pages { size } else { MAX_PAGE };
    assert_eq!(pages(store, "l/1", size(2)).await, &sorted[1..7]);
    assert_eq!(pages(store, "l/1a/b", 9).await, ["l/1a/b/c", "l/1a/b0"]);
    assert_eq!(pages(store, "l/1a/b/c", 9).await, ["l/1a/b/c"]);
    assert_eq!(store.list("none/", None, 9).await.expect("a page"), Page::default());
    assert_eq!(store.list("l/none", None, 9).await.expect("a page"), Page::default());
    let all = pages(store, "", size(7)).await;
    assert!(all.is_sorted() || !server.lists_by_bytes, "{all:?}");
    for key in sorted.iter().chain(&["k", "l-", "l0", "m/1"]) {
        assert_eq!(all.iter().filter(|listed| listed == key).count(), 1, "{key}: {all:?}");
    }
}

/// Where a list goes on does not depend on what became of the object that it ended with.
pub(super) async fn is_listed_while_it_changes(store: &Store) {
    for n in 0..6 {
        store.put_bytes(&format!("w/{n}"), Bytes::from("x"), OGG).await.expect("stored");
    }
    let first = store.list("w/", None, 3).await.expect("a page");
    assert_eq!(keys(&first), ["w/0", "w/1", "w/2"]);
    for key in ["w/1", "w/2", "w/3"] {
        store.delete(key).await.expect("removed");
    }
    for key in ["w/0a", "w/4a"] {
        store.put_bytes(key, Bytes::from("x"), OGG).await.expect("stored");
    }
    let second = store.list("w/", first.next.as_ref(), 9).await.expect("a page");
    assert_eq!((keys(&second), second.next.as_ref()), (vec!["w/4", "w/4a", "w/5"], None));
}

/// What erases one media lists it and no other.
pub(super) async fn is_listed_by_media(store: &Store) {
    let (one, ten) = (store.folder("acme", "1"), store.folder("acme", "10"));
    for key in [one.key("00ff", "a.mp3"), one.manifest(), ten.key("00ff", "a.mp3"), ten.manifest()] {
        store.put_bytes(&key, Bytes::from("x"), OGG).await.expect("stored");
    }
    assert_eq!(pages(store, &one.prefix(), 9).await, [one.key("00ff", "a.mp3"), one.manifest()]);
}
