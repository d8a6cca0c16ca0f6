//! A list of objects, a page at a time.

use std::time::SystemTime;

use aws_sdk_s3::types::Object;

use super::classify::classify;
use super::{Inner, StoreError};
use crate::store::{Cursor, Listed, Page};

const ACTION: &str = "list objects";

impl Inner {
    /// The cursor is the last key of the page before: unlike a continuation token it can be kept for any time, and it means
    /// the same whatever is written and removed meanwhile. Tokens are used within one call only, for pages that have nothing
    /// to show.
    pub(super) async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let after = after.map(Cursor::as_str);
        let mut token = None;
        loop {
            let request = self
                .remote
                .client()
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(prefix)
                .max_keys(i32::try_from(limit).unwrap_or(i32::MAX))
                .set_start_after(after.map(str::to_owned))
                .set_continuation_token(token);
            let answer = request.send().await.map_err(|err| classify(ACTION, err))?;
            let is_last = !answer.is_truncated().unwrap_or(false);
            let page = page(answer.contents(), after, limit, is_last)?;
            if is_last || !page.objects.is_empty() {
                return Ok(page);
            }
            token = answer.next_continuation_token;
            if token.is_none() {
                return Err(StoreError::Config(format!("{ACTION}: the store ends a list that it says goes on")));
            }
        }
    }
}

/// What a server sends, with what it may have ignored put right.
fn page(sent: &[Object], after: Option<&str>, limit: usize, is_last: bool) -> Result<Page, StoreError> {
    let unordered = "the store does not list keys in the order of their bytes, so that a list cannot be resumed";
    if !sent.is_sorted_by(|one, next| one.key() < next.key()) {
        return Err(StoreError::Config(format!("{ACTION}: {unordered}")));
    }
    let mut objects: Vec<Listed> = sent.iter().filter_map(listed).collect();
    objects.retain(|object| after.is_none_or(|after| object.key.as_str() > after));
    let is_last = is_last && objects.len() <= limit;
    objects.truncate(limit);
    let next = objects.last().filter(|_| !is_last).map(|last| Cursor::new(last.key.clone()));
    Ok(Page { objects, next })
}

fn listed(object: &Object) -> Option<Listed> {
    let modified = object.last_modified().and_then(|at| SystemTime::try_from(*at).ok());
    let size_bytes = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    Some(Listed { key: object.key()?.to_owned(), size_bytes, modified })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(keys: &[&str]) -> Vec<Object> {
        keys.iter().map(|key| Object::builder().key(*key).size(1).build()).collect()
    }

    fn keys(page: &Page) -> Vec<&str> {
        page.objects.iter().map(|object| object.key.as_str()).collect()
    }

    #[test]
    fn a_server_that_ignores_limit_or_start_is_put_right() {
        let sent = objects(&["a", "b", "c", "d"]);
        let all = page(&sent, None, 4, true).expect("a page");
        assert_eq!((keys(&all), all.next.as_ref()), (vec!["a", "b", "c", "d"], None));
        let two = page(&sent, Some("a"), 2, true).expect("a page");
        assert_eq!((keys(&two), two.next.as_ref()), (vec!["b", "c"], Some(&Cursor::new("c"))));
        let cut = page(&sent, None, 4, false).expect("a page");
        assert_eq!(cut.next, Some(Cursor::new("d")), "the server says that there is more");
        assert_eq!(page(&[], None, 4, true).expect("a page"), Page::default());
    }

    #[test]
    fn a_list_without_order_is_an_error_and_not_half_a_list() {
        assert!(page(&objects(&["b", "a"]), None, 4, true).is_err());
        assert!(page(&objects(&["a", "a"]), None, 4, true).is_err());
    }
}
