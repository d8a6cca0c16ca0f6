//! How many requests of the class *PUT* a store bills for an upload.

use super::digest::part_bytes;
use crate::config::Location;

/// The requests for an object of this size, where files of `multipart_bytes` or more are uploaded in parts:
///
/// - S3 bills the beginning, each part, the completion, and the list of unfinished uploads that follows it;
/// - Google Cloud Storage bills a completed resumable upload as one operation, however many requests it took
///   (<https://docs.cloud.google.com/storage/docs/resumable-uploads>);
/// - Azure bills each block, and the list of blocks.
#[must_use]
pub const fn put_requests(location: &Location, size_bytes: u64, multipart_bytes: u64) -> u64 {
    if size_bytes < multipart_bytes {
        return 1;
    }
    let parts = size_bytes.div_ceil(part_bytes(size_bytes, multipart_bytes));
    match location {
        Location::S3 { .. } => parts + 3,
        Location::Azure { .. } => parts + 1,
        Location::Gcs { .. } | Location::Local { .. } => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_requests_of_their_own() {
        let (bucket, prefix) = ("b".to_owned(), String::new());
        let s3 = Location::S3 { bucket: bucket.clone(), prefix: prefix.clone() };
        let gcs = Location::Gcs { bucket: bucket.clone(), prefix: prefix.clone() };
        let azure = Location::Azure { container: bucket, prefix };
        let mib = 1 << 20;
        let of = |size_bytes| [&s3, &gcs, &azure].map(|location| put_requests(location, size_bytes, 16 * mib));
        assert_eq!(of(16 * mib - 1), [1, 1, 1]);
        assert_eq!(of(16 * mib), [4, 1, 2], "one part");
        assert_eq!(of(16 * mib + 1), [5, 1, 3], "two parts");
        // No upload has more than 10,000 parts: they are larger then.
        assert_eq!(of(16 * mib * 20_000), [10_003, 1, 10_001]);
    }
}
