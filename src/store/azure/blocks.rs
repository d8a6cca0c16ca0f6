//! Large files in blocks.
//!
//! Blocks without a list are stored and billed for a week, and no list of objects shows them. So an upload that fails, or whose
//! future is dropped, is ended by an empty list where there is no object, and the empty object is removed again; only a process
//! that is killed leaves its blocks to the week.

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Ask, Body, Condition, Digests, Inner, Method, PutOptions, StoreError, WRITE, header, missing};
use crate::store::digest::Part;
use crate::store::rest::Rest;

const DISCARD: &str = "discard the blocks of an upload";
/// Blocks that are uploaded at the same time.
const AT_ONCE: usize = 4;

/// An upload whose blocks are discarded where it is dropped before its end.
struct Upload<'a> {
    inner: &'a Inner,
    url: url::Url,
    finished: bool,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let (false, Ok(runtime)) = (self.finished, Handle::try_current()) {
            drop(self.inner.aborts.spawn_on(discard(self.inner.rest.clone(), self.url.clone()), &runtime));
        }
    }
}

impl Inner {
    pub(super) async fn put_in_blocks(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<(), StoreError> {
        let url = self.dialect.address.object(&self.container, key);
        let mut upload = Upload { inner: self, url: url.clone(), finished: false };
        let numbered = digests.parts.iter().enumerate();
        let blocks: Vec<_> = numbered.map(|(n, part)| self.put_block(&url, id(digests, n), &body, part)).collect();
        let sent = stream::iter(blocks).buffered(AT_ONCE).try_collect::<Vec<String>>().await;
        let result = match sent {
            Ok(ids) => self.put_list(&url, &ids, digests, options).await,
            Err(err) => Err(err),
        };
        let result = match result {
            // The answer to the list may be what was lost.
            Err(StoreError::Unavailable { .. }) if self.is_there(key, digests).await => Ok(()),
            result => result,
        };
        upload.finished = true;
        if result.is_err() {
            // In a task of its own, which goes on where this one is dropped.
            self.aborts.spawn(discard(self.rest.clone(), url)).await.ok();
        }
        result
    }

    async fn put_block(&self, url: &url::Url, id: String, body: &Body<'_>, part: &Part) -> Result<String, StoreError> {
        let mut url = url.clone();
        url.query_pairs_mut().append_pair("comp", "block").append_pair("blockid", &id);
        let ask = Ask::new(Method::PUT, url).header("content-md5", &part.content_md5())?;
        let ask = ask.body(body.stretch(part.offset, part.size_bytes));
        let answer = self.rest.done(WRITE, &ask).await.map_err(missing)?;
        match header(&answer.headers, "content-md5") {
            Some(told) if told != part.content_md5() => Err(StoreError::Checksum {
                action: WRITE,
                detail: "the store has other bytes than were sent".to_owned(),
            }),
            _ => Ok(id),
        }
    }

    async fn put_list(
        &self,
        url: &url::Url,
        ids: &[String],
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<(), StoreError> {
        let latest: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
        // Of the object, for those who read it; the service does not compare it.
        let ask = Ask::new(Method::PUT, list_url(url)).header("x-ms-blob-content-md5", &digests.content_md5())?;
        let ask = ask.body(list_of(&latest));
        let ask = Condition::None.add_to(self.terms.add_to(ask, digests, options)?)?;
        self.rest.done(WRITE, &ask).await.map_err(missing).map(drop)
    }
}

/// Of one length for all blocks of an object, and of these bytes only, so that two uploads do not mix.
fn id(digests: &Digests, n: usize) -> String {
    STANDARD.encode(format!("{}-{n:06}", &hex::encode(digests.sha256)[..32]))
}

fn list_url(url: &url::Url) -> url::Url {
    let mut url = url.clone();
    url.query_pairs_mut().append_pair("comp", "blocklist");
    url
}

fn list_of(latest: &str) -> Body<'static> {
    Body::bytes(format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{latest}</BlockList>").into())
}

/// Where there is an object, its next upload discards the blocks.
async fn discard(rest: Rest, url: url::Url) {
    let emptied = async {
        let ask = Condition::IsNew.add_to(Ask::new(Method::PUT, list_url(&url)).body(list_of("")))?;
        let answer = rest.call(DISCARD, &ask).await?;
        let Some(e_tag) = header(&answer.headers, "etag").filter(|_| answer.is_success()) else { return Ok(()) };
        // Not one that somebody has put there meanwhile.
        let ask = Condition::Is(e_tag).add_to(Ask::new(Method::DELETE, url.clone()))?;
        rest.call(DISCARD, &ask).await.map(drop)
    };
    if let Err(err) = emptied.await {
        let err: StoreError = err;
        tracing::warn!(%err, "blocks of an unfinished upload stay for a week");
    }
}
