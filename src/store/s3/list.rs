//! A list of objects, a page at a time.

use std::time::SystemTime;

use aws_sdk_s3::types::Object;

use super::classify::classify;
use super::{Inner, StoreError};
use crate::store::{Cursor, Listed, Page};

const ACTION: &str = "list objects";

impl Inner {
    /// The cursor is the server's continuation token. A key would do as well on AWS, but not on servers that list a tree of
    /// folders (`a/b` before `a-`), nor in directory buckets, which have no order of keys at all.
    pub(super) async fn list(&self, prefix: &str, after: Option<&Cursor>, limit: usize) -> Result<Page, StoreError> {
        let mut token = after.map(|cursor| cursor.as_str().to_owned());
        loop {
            let request = self
                .remote
                .client()
                .list_objects_v2()
                .bucket(&self.bucket)
                .prefix(prefix)
                .max_keys(i32::try_from(limit).unwrap_or(i32::MAX))
                .set_continuation_token(token.clone());
            let answer = request.send().await.map_err(|err| classify(ACTION, err))?;
            let objects: Vec<Listed> = answer.contents().iter().filter_map(listed).collect();
            let next = goes_on(answer.is_truncated(), answer.next_continuation_token, token)?;
            // A server may have looked at much and found nothing to show.
            if !objects.is_empty() || next.is_none() {
                return Ok(Page { objects, next: next.map(Cursor::new) });
            }
            token = next;
        }
    }
}

/// The token of the next page; nothing where this one is the last. A list that cannot go on is an error: its rest would be
/// missing.
fn goes_on(
    is_truncated: Option<bool>,
    next: Option<String>,
    before: Option<String>,
) -> Result<Option<String>, StoreError> {
    if !is_truncated.unwrap_or(false) {
        return Ok(None);
    }
    let next = next.filter(|next| !next.is_empty() && Some(next) != before.as_ref());
    let lost = "the store has more objects to list, and does not tell how to go on";
    next.map(Some).ok_or_else(|| StoreError::Config(format!("{ACTION}: {lost}")))
}

fn listed(object: &Object) -> Option<Listed> {
    let modified = object.last_modified().and_then(|at| SystemTime::try_from(*at).ok());
    let size_bytes = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    Some(Listed { key: object.key()?.to_owned(), size_bytes, modified })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_or_goes_on_or_is_an_error() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(goes_on(Some(false), some("x"), None).expect("the end"), None);
        assert_eq!(goes_on(None, None, None).expect("the end"), None);
        assert_eq!(goes_on(Some(true), some("x"), some("w")).expect("more"), some("x"));
        for next in [None, some(""), some("x")] {
            assert!(goes_on(Some(true), next.clone(), some("x")).is_err(), "{next:?}");
        }
    }
}
