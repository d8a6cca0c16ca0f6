//! Links with which anybody can read one object for a limited time without credentials (AWS Signature Version 4 in the
//! query).

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::PresigningConfig;

use super::classify::classify;
use super::{Inner, StoreError};
use crate::store::{Link, LinkOptions, SignedUrl};

const ACTION: &str = "sign a link";

impl Inner {
    /// Computed locally. A request is made only if the credentials have to be renewed.
    pub(super) async fn sign(&self, key: &str, options: &LinkOptions<'_>) -> Result<Link, StoreError> {
        // The signature has whole seconds.
        let life = Duration::from_secs(options.expires_in.as_secs());
        let now = SystemTime::now();
        let config = PresigningConfig::builder().start_time(now).expires_in(life).build();
        let config = config.map_err(|err| StoreError::invalid(ACTION, err.to_string()))?;
        let request = self
            .remote
            .client()
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .set_response_content_type(options.content_type.map(str::to_owned))
            .set_response_content_disposition(options.content_disposition.map(str::to_owned));
        let signed = request.presigned(config).await.map_err(|err| classify(ACTION, err))?;
        // A browser that follows the link sends none of these headers, so the signature would not match.
        if signed.headers().next().is_some() {
            return Err(StoreError::Config(format!(
                "{ACTION}: the signature includes headers, which a browser does not send"
            )));
        }
        Ok(Link::Signed(SignedUrl::new(signed.uri().to_owned(), now + life)))
    }
}
