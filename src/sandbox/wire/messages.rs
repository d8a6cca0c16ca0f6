//! The messages: a job for the child, progress and one answer from it, orders for the fork server and notices from it.

use serde::{Deserialize, Serialize};

use crate::error::Code;
use crate::task::{Libav, Report};
use crate::vocabulary::SandboxStatus;

/// From the child to the worker: any number of `Progress`, then exactly one of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "say")]
pub(in crate::sandbox) enum Answer {
    /// How much of the job is done.
    Progress {
        /// From 0 to 1.
        fraction: f32,
    },
    /// The job is done, and its outputs were checked.
    Done {
        /// What was found and produced.
        report: Box<Report>,
    },
    /// The job failed.
    Failed {
        /// What the failure means for the job.
        verdict: Verdict,
        /// The text of a [`crate::error::Code`].
        code: String,
        /// An explanation for people.
        message: String,
    },
}

impl Answer {
    /// The answer of a child that could not do its job.
    pub(in crate::sandbox) fn failed(verdict: Verdict, code: Code, message: String) -> Self {
        Self::Failed { verdict, code: code.to_string(), message }
    }
}

/// The kinds of [`crate::error::Fault`] that a child can report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::sandbox) enum Verdict {
    /// The file can never be processed.
    Rejected,
    /// The file or the machine may be the cause.
    Suspect,
    /// A temporary problem, such as a full disk.
    Transient,
    /// The program itself is the cause: a missing encoder, a bug.
    Broken,
}

/// From the worker to the fork server, one datagram each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "order")]
pub(in crate::sandbox) enum Order {
    /// Fork a child. The job socket, the scratch directory and the standard error are attached in this order.
    Launch {
        /// The worker's number for the job.
        job: u64,
        /// How many bytes all files in the scratch directory may take.
        scratch_bytes: u64,
    },
    /// Kill the child if it still runs.
    Kill {
        /// As given to `Launch`.
        job: u64,
    },
}

/// From the fork server to the worker, one datagram each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "notice")]
pub(in crate::sandbox) enum Notice {
    /// The fork server is initialised and waits for orders. Its first message, sent once.
    Ready {
        /// What confined the test child.
        sandbox: SandboxStatus,
        /// What the children's libav can do.
        libav: Libav,
        /// Why libraries that jobs do not need stay mapped in children, if they do. Each child then takes a few ms
        /// longer to start.
        all_libraries: Option<String>,
    },
    /// This machine cannot confine a child as the configuration demands. Its first and last message.
    Refused {
        /// What is missing.
        missing: String,
    },
    /// A child has ended and was reaped.
    Ended {
        /// As given to `Launch`.
        job: u64,
        /// How it ended.
        end: ChildEnd,
    },
}

/// How a child ended, as the kernel reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::sandbox) enum ChildEnd {
    /// It did not start: `fork` failed with this error number.
    NotForked {
        /// `errno`.
        errno: i32,
    },
    /// It exited.
    Exited {
        /// Its exit code.
        code: i32,
        /// The resources that it used.
        used: Usage,
    },
    /// It was killed because it exceeded a bound that is not a resource limit of the kernel.
    Exceeded {
        /// The bound that it exceeded.
        excess: Excess,
        /// The resources that it used.
        used: Usage,
    },
    /// A signal ended it.
    Signalled {
        /// The number of the signal.
        signal: i32,
        /// The resources that it used.
        used: Usage,
    },
}

/// What a child can exceed without reaching a resource limit of the kernel.
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

/// The resources that a child used, counted by the kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::sandbox) struct Usage {
    /// CPU time in user and system mode, in µs.
    pub(in crate::sandbox) cpu_us: u64,
    /// Peak resident memory in bytes.
    pub(in crate::sandbox) peak_memory_bytes: u64,
}
