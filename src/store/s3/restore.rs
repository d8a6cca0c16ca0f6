//! Bringing an object back from Glacier: a copy that can be read for some days, while the object keeps its class.

use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::types::{GlacierJobParameters, RestoreRequest, Tier};

use super::classify::classify;
use super::{Inner, StoreError};

const ACTION: &str = "bring an object back from the archive";
/// How long the copy can be read: a job that comes again after the retry ladder and a weekend finds it.
const DAYS: i32 = 7;

impl Inner {
    /// Asks for it, with `s3:RestoreObject`. Fine where that was asked for before.
    pub(super) async fn restore(&self, key: &str) -> Result<(), StoreError> {
        let unusable = |err: aws_sdk_s3::error::BuildError| StoreError::Config(format!("{ACTION}: {err}"));
        let tier = GlacierJobParameters::builder().tier(Tier::Standard).build().map_err(unusable)?;
        let wanted = RestoreRequest::builder().days(DAYS).glacier_job_parameters(tier).build();
        let request = self.remote.client().restore_object().bucket(&self.bucket).key(key).restore_request(wanted);
        match request.send().await {
            Ok(_) => Ok(()),
            Err(err) if err.code() == Some("RestoreAlreadyInProgress") => Ok(()),
            Err(err) => Err(classify(ACTION, err)),
        }
    }
}
