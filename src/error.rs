//! Every stable code, and the kinds of fault.
//!
//! Each module has its own error enum and converts it to a [`Fault`] with one exhaustive match, because only the module
//! where an error happened knows whether another attempt can succeed.

use std::fmt;
use std::time::Duration;

macro_rules! codes {
    ($( $variant:ident = $text:literal, $meaning:literal; )*) => {
        /// A stable, documented reason. The strings are part of the contract: they are never renamed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $( #[doc = $meaning] $variant, )* }

        impl Code {
            /// All codes, in the order of the table in docs/events.md.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            /// The code as it stands in events, metrics and logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $text, )* }
            }

            /// One sentence for people: what the code means.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $( Self::$variant => $meaning, )* }
            }
        }
    };
}

codes! {
    MediaEmpty = "media.empty", "the file has no bytes";
    MediaUnsupported = "media.unsupported", "the bytes are of no container or codec that is accepted";
    MediaUnreadable = "media.unreadable", "the container is recognised but cannot be read: truncated, damaged or not what it claims";
    MediaNoStreams = "media.no-streams", "the container has no audio, video or picture stream that can be played";
    MediaEncrypted = "media.encrypted", "the media is encrypted (DRM) and no key exists for it";
    MediaCrashedDecoder = "media.crashed-decoder", "the decoder crashed on this file, twice";
    MediaSandboxViolation = "media.sandbox-violation", "reading this file made the decoder attempt a forbidden system call";
    MediaProofFailed = "media.proof-failed", "the output did not pass its own check and was not published";
    MediaCannotFit = "media.cannot-fit", "no setting of the profile brings the output below its max_bytes";
    LimitBytes = "media.limit-bytes", "the file is larger than limits.input_bytes";
    LimitPixels = "media.limit-pixels", "a picture or frame has more pixels than limits.pixels";
    LimitDuration = "media.limit-duration", "the media is longer than limits.duration_s";
    LimitStreams = "media.limit-streams", "the container has more streams than limits.streams";
    LimitTime = "media.limit-time", "the job ran longer than limits.wall_s";
    LimitCpu = "media.limit-cpu", "the job used more CPU time than limits.cpu_s";
    LimitMemory = "media.limit-memory", "the job needed more memory than limits.memory_bytes";
    LimitOutput = "media.limit-output", "an output grew beyond limits.output_bytes";
    LimitScratch = "media.limit-scratch", "the job needed more scratch space than limits.scratch_bytes or the scratch space of a worker";
    SourceNotFound = "source.not-found", "the origin says that the object does not exist";
    SourceForbidden = "source.forbidden", "the origin refuses access with the credentials that the worker or the URL gave";
    SourceDenied = "source.denied", "the origin's address, scheme, host or path is not allowed by the configuration";
    SourceInvalid = "source.invalid", "the origin's answer is not a usable file: too many redirects, an invalid URL, an unexpected status";
    SourceNoBucket = "source.no-bucket", "the bucket that the event names does not exist";
    SourceUndelivered = "source.undelivered", "the channel says that something was sent and that it cannot deliver it";
    SourcePaused = "source.paused", "requests of the channel account are stopped for a while: its credential is refused, or the provider asks for it";
    SourceSizeMismatch = "source.size-mismatch", "the number of fetched bytes differs from declared.size_bytes";
    SourceHashMismatch = "source.hash-mismatch", "the SHA-256 of the fetched bytes differs from declared.sha256";
    SourceTimeout = "source.timeout", "the origin was too slow";
    SourceUnavailable = "source.unavailable", "the origin could not be reached or answered with a temporary error";
    StoreUnavailable = "store.unavailable", "the object store could not be reached or answered with a temporary error";
    StoreForbidden = "store.forbidden", "the object store refuses access with the worker's credentials";
    StoreMissing = "store.missing", "the bucket or directory of the object store does not exist";
    StoreChecksum = "store.checksum", "the object store has other bytes than the worker sent";
    StoreArchived = "store.archived", "the object is in an archive of the store and is being brought back, which takes hours";
    StoreLimitBytes = "store.limit-bytes", "an object that is read into memory, such as a manifest, is larger than 16777216 bytes";
    EventMalformed = "event.malformed", "the message is not a CloudEvent in JSON";
    EventUnsupported = "event.unsupported", "the event's type or version is not one that the worker understands";
    EventInvalid = "event.invalid", "the event's data breaks the schema";
    EventMediaIdReused = "event.media-id-reused", "the tenant already has a file with other bytes under this media_id";
    EventLimitRevisions = "event.limit-revisions", "the media already has the largest permitted number of revisions: 100";
    EventLimitBytes = "event.limit-bytes", "the message is larger than 1048576 bytes";
    EventLimitContext = "event.limit-context", "the event's context has more than 65536 bytes of JSON";
    EventProfile = "event.profile", "the event names a profile that this worker does not have";
    ForwardUnavailable = "forward.unavailable", "a target of webhooks that are passed on could not be reached or did not answer with success";
    ForwardDenied = "forward.denied", "a target's address or scheme is not allowed by the configuration, or its URL cannot be used";
    ForwardExpired = "forward.expired", "a webhook was dropped: its target has not taken it within gateway.forward_days";
    PrivacyErased = "privacy.erased", "the media was erased, or an erasure covers whoever sent it: nothing is stored";
    PrivacyDenied = "privacy.denied", "consent to storing media is denied or withdrawn: nothing is fetched or stored";
    PrivacyNoConsent = "privacy.no-consent", "the tenant requires consent to storing media, and none is known: nothing is fetched";
    PrivacyPurge = "privacy.purge", "the service of privacy.purge_url has not taken what was erased; the erasure is not finished and is tried again";
    BrokerUnroutable = "broker.unroutable", "no queue is bound for the outcome event";
    BrokerUnavailable = "broker.unavailable", "the broker could not be reached or did not confirm";
    DatabaseUnavailable = "database.unavailable", "the database of a role could not be reached or cannot take more now";
    DatabaseRefused = "database.refused", "the database of a role refuses what was asked for, or its tables are of another version";
    CatalogUnauthorized = "catalog.unauthorized", "nobody known asks: there is no valid token, no trusted proxy and no genuine link";
    CatalogForbidden = "catalog.forbidden", "the roles of whoever asks are not for this";
    CatalogNotFound = "catalog.not-found", "there is no such thing, or it is not theirs who ask";
    CatalogErased = "catalog.erased", "the media was erased";
    CatalogExpired = "catalog.expired", "the time of the media is over";
    CatalogInvalid = "catalog.invalid", "the request to the catalogue cannot be understood";
    CatalogRange = "catalog.range", "nothing of the range that is asked for is there";
    CatalogLimitRows = "catalog.limit-rows", "more rows are asked for than catalog.page_rows";
    CatalogTimeout = "catalog.timeout", "working on the answer took longer than catalog.request_timeout_s";
    CatalogNoKeys = "catalog.no-keys", "the key set that tokens are signed with cannot be read";
    CatalogLoginFailed = "catalog.login-failed", "the login did not succeed: the provider refuses it, or what came back is not what was asked for";
    CatalogLoginUnavailable = "catalog.login-unavailable", "the provider of the login could not be reached or does not answer as a provider";
    CatalogBroken = "catalog.broken", "the catalogue cannot make an answer, which is a bug";
    DeliverNoRecord = "deliver.no-record", "the destination has no record that the map's match leads to";
    DeliverAmbiguous = "deliver.ambiguous", "the destination has several records that the map's match leads to";
    DeliverMapping = "deliver.mapping", "the map cannot be evaluated for this event, or the destination refuses what it makes";
    DeliverRefused = "deliver.refused", "the destination refuses the request, and would refuse it again";
    DeliverAborted = "deliver.aborted", "the webhook's receiver asks for no further attempts for this event";
    DeliverUnavailable = "deliver.unavailable", "the destination could not be reached, was too slow, or answered with a temporary error";
    DeliverThrottled = "deliver.throttled", "the destination asks for fewer requests, or its quota is used up";
    DeliverLocked = "deliver.locked", "somebody else is changing the record at the destination, or holds it in a process";
    DeliverForbidden = "deliver.forbidden", "the destination refuses the credential or its rights; it is stopped";
    DeliverGone = "deliver.gone", "the destination says that it is gone for good (status 410); it is stopped";
    DeliverDenied = "deliver.denied", "the destination's address is not allowed by the configuration; it is stopped";
    DeliverDisabled = "deliver.disabled", "the destination has failed for disable_after_s without one success; it is stopped";
    DeliverExpired = "deliver.expired", "the event has waited for the destination longer than max_age_s";
    DeliverLimitBytes = "deliver.limit-bytes", "the event has more bytes than body_bytes of the destination";
    DeliverLedger = "deliver.ledger", "the ledger could not be read or written";
    DeliverNoFile = "deliver.no-file", "the object store no longer has a file that is to be attached";
    WorkerSandbox = "worker.sandbox", "the confined child could not be started, broke the protocol between worker and child, or reported that it cannot work";
    WorkerKilled = "worker.killed", "the confined child was killed by something other than the worker; the kernel does so when the machine is short of memory";
    WorkerScratch = "worker.scratch", "the scratch directory is full or cannot be written";
    WorkerOutdated = "worker.outdated", "a worker of another version wrote the manifest of this media, and this worker cannot read it";
    WorkerBroken = "worker.broken", "the worker cannot work as it is installed: an encoder is missing, the configuration is wrong, or the program has a bug";
}

impl Code {
    /// The code with this text, if there is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a failed step means for its job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The job can never succeed: a rejected event goes out and the message is acknowledged.
    #[error("{message} [{code}]")]
    Rejected {
        /// The stable reason.
        code: Code,
        /// A sentence for people; no secrets, no captions, no names.
        message: String,
    },
    /// The file or the machine may be to blame (a crash, a time limit): tried once more, then rejected.
    #[error("{message} [{code}]")]
    Suspect {
        /// The stable reason.
        code: Code,
        /// A sentence for people.
        message: String,
    },
    /// Somebody else's passing trouble: up the retry ladder, then failed and dead-lettered.
    #[error("{message} [{code}]")]
    Transient {
        /// The stable reason.
        code: Code,
        /// A sentence for people.
        message: String,
        /// What the other side asked for (HTTP `Retry-After`), if it did.
        retry_after: Option<Duration>,
    },
    /// Needs an operator (wrong credentials, missing encoder, a bug): failed and dead-lettered at once.
    #[error("{message} [{code}]")]
    Broken {
        /// The stable reason.
        code: Code,
        /// A sentence for people.
        message: String,
    },
    /// Running jobs leave too little scratch space for this one: a worker has the message come again later, and does not
    /// count the attempt.
    #[error("{message} [{}]", Code::WorkerScratch)]
    NoRoom {
        /// A sentence for people.
        message: String,
    },
    /// What the job needs is left alone for a while, such as a channel account whose credential is refused: the message comes
    /// again after that, and the attempt does not count.
    #[error("{message} [{code}]")]
    Paused {
        /// The stable reason.
        code: Code,
        /// A sentence for people.
        message: String,
        /// For how long.
        wait: Duration,
    },
    /// The worker is stopping: the message goes back, and the attempt does not count.
    #[error("the worker is stopping")]
    Shutdown,
}

impl Fault {
    /// A [`Fault::Rejected`].
    pub fn rejected(code: Code, message: impl Into<String>) -> Self {
        Self::Rejected { code, message: message.into() }
    }

    /// A [`Fault::Suspect`].
    pub fn suspect(code: Code, message: impl Into<String>) -> Self {
        Self::Suspect { code, message: message.into() }
    }

    /// A [`Fault::Transient`] without a wish for when to come back.
    pub fn transient(code: Code, message: impl Into<String>) -> Self {
        Self::Transient { code, message: message.into(), retry_after: None }
    }

    /// A [`Fault::Broken`].
    pub fn broken(code: Code, message: impl Into<String>) -> Self {
        Self::Broken { code, message: message.into() }
    }

    /// The stable code, where there is one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Rejected { code, .. }
            | Self::Suspect { code, .. }
            | Self::Transient { code, .. }
            | Self::Paused { code, .. }
            | Self::Broken { code, .. } => Some(*code),
            Self::NoRoom { .. } => Some(Code::WorkerScratch),
            Self::Shutdown => None,
        }
    }

    /// The sentence for people, without the code.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Rejected { message, .. }
            | Self::Suspect { message, .. }
            | Self::Transient { message, .. }
            | Self::Broken { message, .. }
            | Self::Paused { message, .. }
            | Self::NoRoom { message } => message,
            Self::Shutdown => "the worker is stopping",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_kebab_case_below_a_known_family_and_unique() {
        let families = [
            "media", "source", "store", "event", "forward", "privacy", "broker", "catalog", "database", "deliver",
            "worker",
        ];
        for (n, code) in Code::ALL.iter().enumerate() {
            let (family, name) = code.as_str().split_once('.').expect("a family and a name");
            assert!(families.contains(&family), "{code}");
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{code}");
            assert!(Code::ALL[n + 1..].iter().all(|other| other.as_str() != code.as_str()), "{code} twice");
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
    }
}
