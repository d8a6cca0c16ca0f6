//! The reason why a child ended without an answer, from its exit code or signal.

use crate::error::{Code, Fault};
use crate::sandbox::wire::messages::{Excess, Usage};
use crate::task::Limits;

/// What Rust's allocator and C++'s say on standard error before they abort. There is no stable hook for the first.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of", "std::bad_alloc"];

/// A child that had at least one part in so many of `limits.memory_bytes` may have been killed for what it took. Far
/// below, the machine was short of memory for other reasons, and the file is not to blame. Half: what a child holds
/// (resident memory) is always less than what its limit counts (address space).
const NEAR: u64 = 2;

/// Why a child ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, or any other signal.
    Crashed {
        /// Which one.
        signal: i32,
    },
    /// SIGSYS: a system call that is not on the list.
    Forbidden,
    /// SIGXCPU, or the SIGKILL that follows it.
    CpuLimit,
    /// SIGALRM, or the worker's own deadline.
    TimeLimit,
    /// SIGXFSZ.
    OutputLimit,
    /// All its files together took more than they may.
    ScratchLimit,
    /// It made more files than any job does.
    ManyFiles,
    /// It started more threads than any job does.
    ManyThreads,
    /// An allocation failed loudly, or the kernel's out-of-memory killer came for a child near its limit.
    MemoryLimit,
    /// SIGKILL that nobody here sent, to a child far below its limit.
    KilledFromOutside {
        /// Most resident memory that it had, in bytes.
        peak_memory_bytes: u64,
    },
    /// It left by itself without saying anything.
    Silent {
        /// Its exit code.
        code: i32,
    },
}

impl Ending {
    /// Reads the signal that ended a child which nobody here killed.
    pub(in crate::sandbox) fn read_signal(signal: i32, used: Usage, limits: &Limits, stderr: &str) -> Self {
        match signal {
            libc::SIGSYS => Self::Forbidden,
            libc::SIGXCPU => Self::CpuLimit,
            libc::SIGALRM => Self::TimeLimit,
            libc::SIGXFSZ => Self::OutputLimit,
            libc::SIGABRT if OUT_OF_MEMORY.iter().any(|words| stderr.contains(words)) => Self::MemoryLimit,
            // The hard CPU limit ends a child that ignores SIGXCPU in the same way as the out-of-memory killer does.
            libc::SIGKILL if used.cpu_us >= limits.cpu_s.saturating_mul(1_000_000) => Self::CpuLimit,
            libc::SIGKILL if used.peak_memory_bytes >= limits.memory_bytes / NEAR => Self::MemoryLimit,
            libc::SIGKILL => Self::KilledFromOutside { peak_memory_bytes: used.peak_memory_bytes },
            signal => Self::Crashed { signal },
        }
    }

    /// The stable code.
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

    /// What it means for the job: a crash or a spent limit may be the machine's doing and is tried once more.
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

    /// Whether the file may have had a hand in it that a later file could build on: what a crash shows of the addresses
    /// in one child is true of every child of the same fork server.
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
            Self::CpuLimit => f.write_str("the decoder used more CPU time than it may"),
            Self::TimeLimit => f.write_str("the decoder ran longer than it may"),
            Self::OutputLimit => f.write_str("an output grew beyond the limit"),
            Self::ScratchLimit => f.write_str("the files of the job took more scratch space than they may"),
            Self::ManyFiles => f.write_str("the decoder made more files than any job needs and was ended"),
            Self::ManyThreads => f.write_str("the decoder started more threads than any job needs and was ended"),
            Self::MemoryLimit => f.write_str("the decoder needed more memory than it may use"),
            Self::KilledFromOutside { peak_memory_bytes } => {
                let mib = peak_memory_bytes >> 20;
                write!(f, "the decoder was killed from outside the worker while it had {mib} MiB of memory")
            }
            Self::Silent { code } => write!(f, "the decoder left with exit code {code} and no answer"),
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
    fn a_kill_far_below_the_memory_limit_is_not_the_files_doing() {
        let killed =
            |peak_memory_bytes| Ending::read_signal(libc::SIGKILL, Usage { cpu_us: 0, peak_memory_bytes }, &LIMITS, "");
        assert_eq!(killed(50 << 20), Ending::MemoryLimit);
        let fault = killed(20 << 20).fault();
        assert!(matches!(&fault, Fault::Transient { code: Code::WorkerKilled, .. }), "{fault:?}");
        assert!(fault.message().contains("20 MiB"), "{fault}");
    }

    #[test]
    fn what_a_child_takes_too_much_of_has_a_code_and_no_second_try() {
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
