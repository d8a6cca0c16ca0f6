//! How a child's end is read when it left no answer. The signals are the vocabulary; this is the dictionary.

use super::protocol::Usage;
use crate::config::Limits;
use crate::error::{Code, Fault};

/// What Rust's allocator and C++'s say on standard error before they abort. There is no stable hook for the first.
const OUT_OF_MEMORY: [&str; 2] = ["memory allocation of", "std::bad_alloc"];

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
    /// An allocation failed loudly, or the kernel's out-of-memory killer came.
    MemoryLimit,
    /// It left by itself without saying anything.
    Silent {
        /// Its exit code.
        code: i32,
    },
}

impl Ending {
    /// Reads the signal that ended a child which nobody here killed.
    pub(super) fn read_signal(signal: i32, used: Usage, limits: &Limits, stderr: &str) -> Self {
        match signal {
            libc::SIGSYS => Self::Forbidden,
            libc::SIGXCPU => Self::CpuLimit,
            libc::SIGALRM => Self::TimeLimit,
            libc::SIGXFSZ => Self::OutputLimit,
            libc::SIGABRT if OUT_OF_MEMORY.iter().any(|words| stderr.contains(words)) => Self::MemoryLimit,
            // The hard CPU limit ends a child that ignores SIGXCPU in the same way as the out-of-memory killer does.
            libc::SIGKILL if used.cpu_us >= limits.cpu_s.saturating_mul(1_000_000) => Self::CpuLimit,
            libc::SIGKILL => Self::MemoryLimit,
            signal => Self::Crashed { signal },
        }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Crashed { .. } | Self::Silent { .. } => Code::MediaCrashedDecoder,
            Self::Forbidden => Code::MediaSandboxViolation,
            Self::CpuLimit => Code::LimitCpu,
            Self::TimeLimit => Code::LimitTime,
            Self::OutputLimit => Code::LimitOutput,
            Self::MemoryLimit => Code::LimitMemory,
        }
    }

    /// What it means for the job: a crash or a spent limit may be the machine's doing and is tried once more.
    #[must_use]
    pub fn fault(self) -> Fault {
        match self {
            Self::Crashed { .. } | Self::Silent { .. } | Self::CpuLimit | Self::TimeLimit | Self::MemoryLimit => {
                Fault::suspect(self.code(), self.to_string())
            }
            Self::Forbidden | Self::OutputLimit => Fault::rejected(self.code(), self.to_string()),
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
            Self::MemoryLimit => f.write_str("the decoder needed more memory than it may use"),
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
        memory_bytes: 1,
        output_bytes: 1,
    };

    fn read(signal: i32, cpu_us: u64, stderr: &str) -> Ending {
        Ending::read_signal(signal, Usage { cpu_us, peak_memory_bytes: 0 }, &LIMITS, stderr)
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
