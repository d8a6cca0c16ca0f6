//! Derives the reason why a child ended without an answer from its exit code or signal.

use crate::error::{Code, Fault};
use crate::sandbox::wire::messages::{Excess, Usage};
use crate::task::Limits;

/// What Rust's allocator and C++'s `new` write to standard error before they abort. For Rust there is no stable hook.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of", "std::bad_alloc"];

/// A child whose peak memory was at least `1 / NEAR` of `limits.memory_bytes` may have been killed because of its own
/// use of memory. With much less, the machine was short of memory for other reasons, and the file is not to blame.
/// Half, because the peak counts resident memory, which is always less than the address space that the limit counts.
const NEAR: u64 = 2;

/// Why a child ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, or any other signal.
    Crashed {
        /// The number of the signal.
        signal: i32,
    },
    /// SIGSYS: it made a system call that is not on the list.
    Forbidden,
    /// SIGXCPU, or the SIGKILL that follows it.
    CpuLimit,
    /// SIGALRM, or the worker's deadline.
    TimeLimit,
    /// SIGXFSZ.
    OutputLimit,
    /// All files of the job together took more space than allowed.
    ScratchLimit,
    /// The child created more files than any job needs.
    ManyFiles,
    /// The child started more threads than any job needs.
    ManyThreads,
    /// An allocation failed with a message, or the kernel's out-of-memory killer ended a child near its memory limit.
    MemoryLimit,
    /// SIGKILL that this program did not send, to a child far below its memory limit.
    KilledFromOutside {
        /// Its peak resident memory in bytes.
        peak_memory_bytes: u64,
    },
    /// It exited without an answer.
    Silent {
        /// Its exit code.
        code: i32,
    },
}

impl Ending {
    /// Derives the reason from the signal that ended a child which this program did not kill.
    pub(in crate::sandbox) fn read_signal(signal: i32, used: Usage, limits: &Limits, stderr: &str) -> Self {
        match signal {
            libc::SIGSYS => Self::Forbidden,
            libc::SIGXCPU => Self::CpuLimit,
            libc::SIGALRM => Self::TimeLimit,
            libc::SIGXFSZ => Self::OutputLimit,
            libc::SIGABRT if OUT_OF_MEMORY.iter().any(|words| stderr.contains(words)) => Self::MemoryLimit,
            // The hard CPU limit ends a child that ignores SIGXCPU with SIGKILL, as the out-of-memory killer does.
            libc::SIGKILL if used.cpu_us >= limits.cpu_s.saturating_mul(1_000_000) => Self::CpuLimit,
            libc::SIGKILL if used.peak_memory_bytes >= limits.memory_bytes / NEAR => Self::MemoryLimit,
            libc::SIGKILL => Self::KilledFromOutside { peak_memory_bytes: used.peak_memory_bytes },
            signal => Self::Crashed { signal },
        }
    }

    /// The stable code of the reason.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Crashed { .. } | Self::Silent { .. } => Code::MediaCrashedDecoder,
            Self::Forbidden | Self::ManyFiles | Self::ManyThreads => Code::MediaSandboxViolation,
            Self::CpuLimit => Code::LimitCpu,
            Self::TimeLimit => Code::LimitTime,
            Self::OutputLimit => Code::LimitOutput,
            Self::ScratchLimit => Code::LimitScratch,
            Self::MemoryLimit => Code::LimitMemory,
            Self::KilledFromOutside { .. } => Code::WorkerKilled,
        }
    }

    /// What the reason means for the job. A crash or an exceeded limit may be caused by the machine, so it allows one
    /// more try.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::Crashed { .. } | Self::Silent { .. } | Self::CpuLimit | Self::TimeLimit | Self::MemoryLimit => {
                Fault::suspect(self.code(), self.to_string())
            }
            Self::Forbidden | Self::OutputLimit | Self::ScratchLimit | Self::ManyFiles | Self::ManyThreads => {
                Fault::rejected(self.code(), self.to_string())
            }
            Self::KilledFromOutside { .. } => Fault::transient(self.code(), self.to_string()),
        }
    }

    /// Whether the file may have learned something from this end that a later file could use: memory addresses that a
    /// crash reveals are the same in all children of a fork server.
    pub(in crate::sandbox) const fn is_suspicious(self) -> bool {
        match self {
            Self::Crashed { .. }
            | Self::Silent { .. }
            | Self::Forbidden
            | Self::ManyFiles
            | Self::ManyThreads
            | Self::MemoryLimit => true,
            Self::CpuLimit
            | Self::TimeLimit
            | Self::OutputLimit
            | Self::ScratchLimit
            | Self::KilledFromOutside { .. } => false,
        }
    }
}

impl From<Excess> for Ending {
    fn from(excess: Excess) -> Self {
        match excess {
            Excess::ScratchBytes => Self::ScratchLimit,
            Excess::Files => Self::ManyFiles,
            Excess::Threads => Self::ManyThreads,
        }
    }
}

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Crashed { signal } => write!(f, "the decoder was ended by {}", signal_name(*signal)),
            Self::Forbidden => f.write_str("the decoder attempted a forbidden system call"),
            Self::CpuLimit => f.write_str("the decoder used more CPU time than limits.cpu_s allows"),
            Self::TimeLimit => f.write_str("the decoder ran longer than limits.wall_s allows"),
            Self::OutputLimit => f.write_str("an output grew beyond limits.output_bytes"),
            Self::ScratchLimit => f.write_str("the files of the job took more space than limits.scratch_bytes allows"),
            Self::ManyFiles => f.write_str("the decoder created more files than any job needs and was killed"),
            Self::ManyThreads => f.write_str("the decoder started more threads than any job needs and was killed"),
            Self::MemoryLimit => f.write_str("the decoder needed more memory than limits.memory_bytes allows"),
            Self::KilledFromOutside { peak_memory_bytes } => {
                let mib = peak_memory_bytes >> 20;
                write!(f, "the decoder was killed from outside the worker while it had {mib} MiB of memory")
            }
            Self::Silent { code } => write!(f, "the decoder ended with exit code {code} and without an answer"),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGBUS => "SIGBUS",
        libc::SIGILL => "SIGILL",
        libc::SIGFPE => "SIGFPE",
        libc::SIGABRT => "SIGABRT",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        input_bytes: 1,
        pixels: 1,
        duration_s: 1,
        streams: 1,
        wall_s: 1,
        cpu_s: 2,
        memory_bytes: 100 << 20,
        output_bytes: 1,
        scratch_bytes: 1,
    };

    fn read(signal: i32, cpu_us: u64, stderr: &str) -> Ending {
        Ending::read_signal(signal, Usage { cpu_us, peak_memory_bytes: 99 << 20 }, &LIMITS, stderr)
    }

    #[test]
    fn a_kill_far_below_the_memory_limit_is_not_caused_by_the_file() {
        let killed =
            |peak_memory_bytes| Ending::read_signal(libc::SIGKILL, Usage { cpu_us: 0, peak_memory_bytes }, &LIMITS, "");
        assert_eq!(killed(50 << 20), Ending::MemoryLimit);
        let fault = killed(20 << 20).fault();
        assert!(matches!(&fault, Fault::Transient { code: Code::WorkerKilled, .. }), "{fault:?}");
        assert!(fault.message().contains("20 MiB"), "{fault}");
    }

    #[test]
    fn each_exceeded_bound_has_a_code_and_allows_no_second_try() {
        for (excess, code) in [
            (Excess::ScratchBytes, "media.limit-scratch"),
            (Excess::Files, "media.sandbox-violation"),
            (Excess::Threads, "media.sandbox-violation"),
        ] {
            let ending = Ending::from(excess);
            assert_eq!(ending.code().as_str(), code);
            assert!(matches!(ending.fault(), Fault::Rejected { .. }), "{ending:?}");
        }
    }

    #[test]
    fn each_signal_has_its_code_and_says_whether_another_try_is_worth_it() {
        let table = [
            (read(libc::SIGSEGV, 0, ""), "media.crashed-decoder", true),
            (read(libc::SIGABRT, 0, "panicked at src/a.rs:1"), "media.crashed-decoder", true),
            (read(libc::SIGSYS, 0, ""), "media.sandbox-violation", false),
            (read(libc::SIGXCPU, 0, ""), "media.limit-cpu", true),
            (read(libc::SIGKILL, 2_000_000, ""), "media.limit-cpu", true),
            (read(libc::SIGALRM, 0, ""), "media.limit-time", true),
            (read(libc::SIGXFSZ, 0, ""), "media.limit-output", false),
            (read(libc::SIGKILL, 0, ""), "media.limit-memory", true),
            (read(libc::SIGABRT, 0, "memory allocation of 9 bytes failed"), "media.limit-memory", true),
        ];
        for (ending, code, again) in table {
            assert_eq!(ending.code().as_str(), code, "{ending:?}");
            assert_eq!(matches!(ending.fault(), Fault::Suspect { .. }), again, "{ending:?}");
        }
    }
}
