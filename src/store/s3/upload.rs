//! Uploads an object by a single PUT. The SDK reads a file from its path, so that it can read it again for a retry.

use std::io;
use std::path::Path;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::SdkError;
use aws_sdk_s3::operation::put_object::PutObjectError;
use aws_sdk_s3::primitives::{ByteStream, Length};
use aws_sdk_s3::types::ChecksumAlgorithm;
use bytes::Bytes;

use super::answer::{Seen, Sent};
use super::classify::{classify, has_no_conditions};
use super::terms::Checksums;
use super::{Inner, PutOptions, StoreError};
use crate::store::digest::{Digests, Part};

pub(super) const ACTION: &str = "write an object";

/// Where the bytes to upload are.
#[derive(Debug, Clone)]
pub(super) enum Body<'a> {
    File(&'a Path),
    Bytes(Bytes),
}

/// The condition under which the object is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Condition<'a> {
    /// No condition.
    None,
    /// No such object exists.
    IsNew,
    /// The object has this ETag.
    Is(&'a str),
}

/// The result of a PUT with a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The condition was met, and the object is stored.
    Stored,
    /// The condition was not met.
    NotMet,
    /// The server does not support conditions. Nothing is stored.
    NoConditions,
}

/// A failed PUT with the SDK's error.
type Refusal = Box<SdkError<PutObjectError, HttpResponse>>;

impl Condition<'_> {
    fn version(self) -> Option<String> {
        match self {
            Self::Is(e_tag) => Some(e_tag.to_owned()),
            Self::None | Self::IsNew => None,
        }
    }
}

impl Body<'_> {
    /// A range of the body as a stream that can be sent more than once.
    pub(super) async fn stream(&self, part: &Part) -> Result<ByteStream, StoreError> {
        match self {
            Self::Bytes(bytes) => Ok(ByteStream::from(bytes.clone())),
            Self::File(path) => {
                let exactly = Length::Exact(part.size_bytes);
                let stream = ByteStream::read_from().path(path).offset(part.offset).length(exactly).build().await;
                stream.map_err(|err| StoreError::Scratch(io::Error::other(err)))
            }
        }
    }
}

impl Inner {
    pub(super) async fn put_whole(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
    ) -> Result<(), StoreError> {
        let sent = self.send_whole(key, body, digests, options, Condition::None).await?;
        sent.map_err(|refusal| classify(ACTION, *refusal))
    }

    pub(super) async fn put_whole_if(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
        condition: Condition<'_>,
    ) -> Result<Outcome, StoreError> {
        let Err(refusal) = self.send_whole(key, body, digests, options, condition).await? else {
            return Ok(Outcome::Stored);
        };
        match refusal.raw_response().map(|raw| raw.status().as_u16()) {
            Some(412) => Ok(Outcome::NotMet),
            // The answer to `If-Match` if the object no longer exists.
            Some(404) if condition.version().is_some() => Ok(Outcome::NotMet),
            _ if has_no_conditions(&refusal) => Ok(Outcome::NoConditions),
            _ => Err(classify(ACTION, *refusal)),
        }
    }

    /// Sends the request. The inner error is the request's own; the outer one is about what was stored.
    async fn send_whole(
        &self,
        key: &str,
        body: Body<'_>,
        digests: &Digests,
        options: PutOptions<'_>,
        condition: Condition<'_>,
    ) -> Result<Result<(), Refusal>, StoreError> {
        let part = &digests.parts[0];
        let terms = &self.terms;
        let request = self
            .remote
            .client()
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .content_type(options.content_type)
            .set_content_disposition(options.content_disposition.map(str::to_owned))
            .set_cache_control(options.cache_control.map(str::to_owned).or_else(|| terms.cache_control.clone()))
            .content_length(i64::try_from(part.size_bytes).unwrap_or(i64::MAX))
            .body(body.stream(part).await?)
            .set_server_side_encryption(terms.sse.clone())
            .set_ssekms_key_id(terms.kms_key_id.clone())
            .set_storage_class(terms.class(options))
            .set_tagging(terms.tagging.clone())
            .set_metadata(terms.metadata.clone())
            .set_if_none_match((condition == Condition::IsNew).then(|| "*".to_owned()))
            .set_if_match(condition.version());
        let request = match terms.checksums {
            Checksums::Sha256 => request.checksum_algorithm(ChecksumAlgorithm::Sha256).checksum_sha256(part.sha256()),
            Checksums::Md5 => request.content_md5(part.content_md5()),
        };
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(err) => return Ok(Err(Box::new(err))),
        };
        let seen =
            Seen { sha256: answer.checksum_sha256(), e_tag: answer.e_tag(), sse: answer.server_side_encryption() };
        let sent = Sent { size_bytes: part.size_bytes, sha256: vec![part.sha256()], e_tag: part.e_tag() };
        self.verify(ACTION, key, seen, &sent).await.map(Ok)
    }
}
