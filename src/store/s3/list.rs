//! Lists objects, one page at a time.

use std::time::SystemTime;

use aws_sdk_s3::types::Object;

use super::classify::classify;
use super::{Inner, StoreError};
use crate::store::{Cursor, Listed, Page};

const ACTION: &str = "list objects";

impl Inner {
    /// The cursor is the server's continuation token. A key would work on AWS, but not on servers that list a tree of
    /// folders (`a/b` before `a-`), nor in directory buckets, which do not list by key order.
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
            let next = next_token(answer.is_truncated(), answer.next_continuation_token, token)?;
            // A server may return an empty page that is not the last one.
            if !objects.is_empty() || next.is_none() {
                return Ok(Page { objects, next: next.map(Cursor::new) });
            }
            token = next;
        }
    }
}

/// The token of the next page; `None` if this is the last one. An answer that claims more objects without a usable
/// token is an error, because the rest of the list would be missing.
fn next_token(
    is_truncated: Option<bool>,
    next: Option<String>,
    before: Option<String>,
) -> Result<Option<String>, StoreError> {
    if !is_truncated.unwrap_or(false) {
        return Ok(None);
    }
    let next = next.filter(|next| !next.is_empty() && Some(next) != before.as_ref());
    let lost = "the store has more objects to list, but its answer has no usable continuation token";
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
    fn a_list_ends_or_continues_or_is_an_error() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(next_token(Some(false), some("x"), None).expect("the end"), None);
        assert_eq!(next_token(None, None, None).expect("the end"), None);
        assert_eq!(next_token(Some(true), some("x"), some("w")).expect("more"), some("x"));
        for next in [None, some(""), some("x")] {
            assert!(next_token(Some(true), next.clone(), some("x")).is_err(), "{next:?}");
        }
    }
}
