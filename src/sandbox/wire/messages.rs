//! Messages on the sockets: one job to the child, progress and one answer from it. JSON with its length before it.

use serde::{Deserialize, Serialize};

use crate::error::Code;
use crate::task::{Libav, Report};
use crate::vocabulary::SandboxStatus;

/// From the child, any number of `Progress`, then exactly one of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "say")]
pub(in crate::sandbox) enum Answer {
    /// How far the job is.
    Progress {
        /// 0 to 1, of the whole job.
        fraction: f32,
    },
    /// Done and proven.
    Done {
        /// What was found and made.
        report: Box<Report>,
    },
    /// Not done.
    Failed {
        /// What that means for the job.
        verdict: Verdict,
        /// A [`crate::error::Code`] as text.
        code: String,
        /// A sentence for people.
        message: String,
    },
}

impl Answer {
    /// The answer of a child that could not do its job.
    pub(in crate::sandbox) fn failed(verdict: Verdict, code: Code, message: String) -> Self {
        Self::Failed { verdict, code: code.to_string(), message }
    }
}

/// The kinds of [`crate::error::Fault`] that a child can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::sandbox) enum Verdict {
    /// The file can never be processed.
    Rejected,
    /// File or machine may be to blame.
    Suspect,
    /// Passing trouble: no space left, for one.
    Transient,
    /// The child is to blame itself: an encoder is missing, a bug.
    Broken,
}

/// From the worker to the fork server. One datagram each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order")]
pub(in crate::sandbox) enum Order {
    /// Fork a child; the job's socket, its scratch directory and its standard error come along, in this order.
    Launch {
        /// The worker's number for the job.
        job: u64,
        /// What all files of its scratch directory may take, in bytes.
        scratch_bytes: u64,
    },
    /// End the child, if it still runs.
    Kill {
        /// As given to `Launch`.
        job: u64,
    },
}

/// From the fork server to the worker. One datagram each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "notice")]
pub(in crate::sandbox) enum Notice {
    /// Warm and waiting. Sent once, first.
    Ready {
        /// What held a trial child.
        sandbox: SandboxStatus,
        /// What its children have of libav.
        libav: Libav,
        /// Why its children take all libraries with them, where they do: each then costs a few ms more.
        heavy: Option<String>,
    },
    /// This machine cannot hold a child as the configuration demands. Sent once, first and last.
    Refused {
        /// What is missing.
        missing: String,
    },
    /// A child is gone and reaped.
    Ended {
        /// As given to `Launch`.
        job: u64,
        /// What became of it.
        end: ChildEnd,
    },
}

/// What became of a child, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::sandbox) enum ChildEnd {
    /// It never ran: `fork` failed with this error number.
    NotForked {
        /// `errno`.
        errno: i32,
    },
    /// It left by itself.
    Exited {
        /// Its exit code.
        code: i32,
        /// What it used.
        used: Usage,
    },
    /// It took more than it may of what no resource limit bounds, and was killed for it.
    Exceeded {
        /// What it took too much of.
        excess: Excess,
        /// What it used.
        used: Usage,
    },
    /// It was ended by a signal.
    Signalled {
        /// The signal.
        signal: i32,
        /// What it used.
        used: Usage,
    },
}

/// What a child can take too much of without meeting a resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::sandbox) enum Excess {
    /// Bytes of all files in its scratch directory.
    ScratchBytes,
    /// Files in its scratch directory.
    Files,
    /// Threads.
    Threads,
}

/// What a child used, counted by the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Usage {
    /// CPU time, user and system, in µs.
    pub(in crate::sandbox) cpu_us: u64,
    /// Peak resident memory in bytes.
    pub(in crate::sandbox) peak_memory_bytes: u64,
}
