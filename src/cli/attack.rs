//! `mediamill doctor --attack`: attempts to break out, made from inside the jail of a job on this machine's own kernel, each with
//! the answer that it got.
//!
//! No attempt does harm where it succeeds: signals are number 0, arguments are null, and files are in a directory of their own.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use super::{CliError, EXIT_FAILED, Format, runtime};
use crate::config::{Config, Limits, Profiles, SandboxMode};
use crate::error::Fault;
use crate::sandbox::{Ending, Sandbox, SandboxError, SandboxOptions};
use crate::task::{INPUT, JobSpec, Task};

/// Numbers by which Linux says that something is not permitted, or that there is no such call for this process.
const REFUSALS: [i32; 3] = [libc::EACCES, libc::EPERM, libc::ENOSYS];
/// Address space of the attempt to take all memory: the program and its libraries need some hundred MiB.
const MEMORY_BYTES: u64 = 1 << 30;
const OUTPUT_BYTES: u64 = 1 << 20;
const SCRATCH_BYTES: u64 = 8 << 20;

/// One attempt.
struct Attempt {
    area: &'static str,
    what: &'static str,
    /// As the child takes it: see `sandbox/child/escape.rs`.
    line: String,
    /// Where it is a quota that has to end the child, its key.
    quota: Option<&'static str>,
}

/// What became of it.
enum Verdict {
    /// The kernel said no, or ended the child.
    Refused(String),
    /// It was let through, or nothing can be said of it.
    Failed(String),
}

/// Makes all attempts. Exit codes: 0 all were refused, 1 one was not, or there is no jail.
pub(super) fn run(config: &Config, format: Format) -> Result<ExitCode, CliError> {
    if config.sandbox.mode == SandboxMode::Off {
        eprintln!("mediamill: sandbox.mode is \"off\": there is no jail to attack");
        return Ok(ExitCode::from(EXIT_FAILED));
    }
    let options = SandboxOptions { escape_probes: true, ..SandboxOptions::new(config.sandbox.mode, config.limits) };
    let sandbox = match Sandbox::start(options) {
        Ok(sandbox) => sandbox,
        Err(error) => {
            eprintln!("mediamill: the sandbox does not start: {error}; `mediamill doctor` says what to do");
            return Ok(ExitCode::from(EXIT_FAILED));
        }
    };
    // What belongs to another job.
    let other = tempfile::tempdir()?;
    std::fs::write(other.path().join(INPUT), "another job's")?;
    let attempts = attempts(other.path());
    let profiles = Profiles::load(Path::new("")).map_err(|errors| io::Error::other(errors.to_string()))?;
    let profile = profiles.iter().next().map(|profile| profile.raw.clone());
    let profile = profile.ok_or_else(|| io::Error::other("there is no built-in profile"))?;
    let job = JobSpec { task: Task::Escape, profile, limits: config.limits, threads: 1, nice: 0 };
    let mut out = io::stdout().lock();
    let succeeded = runtime()?.block_on(async {
        let mut succeeded = 0;
        for attempt in &attempts {
            let verdict = make(&sandbox, attempt, &job).await?;
            succeeded += usize::from(matches!(verdict, Verdict::Failed(_)));
            tell(&mut out, format, attempt, &verdict)?;
        }
        Ok::<usize, io::Error>(succeeded)
    })?;
    if format == Format::Human {
        writeln!(out, "{} attempts, {succeeded} not refused", attempts.len())?;
    }
    Ok(ExitCode::from(if succeeded > 0 { EXIT_FAILED } else { 0 }))
}

fn tell(out: &mut impl Write, format: Format, attempt: &Attempt, verdict: &Verdict) -> io::Result<()> {
    let (word, text) = match verdict {
        Verdict::Refused(text) => ("refused", text),
        Verdict::Failed(text) => ("BAD", text),
    };
    let Attempt { area, what, .. } = attempt;
    match format {
        Format::Human => writeln!(out, "{word:<8} {area:<10} {what}: {text}"),
        Format::Json => {
            let refused = matches!(verdict, Verdict::Refused(_));
            writeln!(out, "{}", serde_json::json!({ "area": area, "attempt": what, "refused": refused, "found": text }))
        }
    }
}

/// One attempt in a child and a scratch directory of its own.
async fn make(sandbox: &Sandbox, attempt: &Attempt, job: &JobSpec) -> io::Result<Verdict> {
    let scratch = tempfile::tempdir()?;
    std::fs::write(scratch.path().join(INPUT), &attempt.line)?;
    let limits = job.limits;
    let limits = match attempt.quota {
        Some("limits.cpu_s") => Limits { cpu_s: 1, ..limits },
        Some("limits.wall_s") => Limits { wall_s: 1, ..limits },
        Some("limits.memory_bytes") => Limits { memory_bytes: MEMORY_BYTES.min(limits.memory_bytes), ..limits },
        Some("limits.output_bytes") => Limits { output_bytes: OUTPUT_BYTES.min(limits.output_bytes), ..limits },
        Some("limits.scratch_bytes") => Limits { scratch_bytes: SCRATCH_BYTES.min(limits.scratch_bytes), ..limits },
        Some(_) | None => limits,
    };
    let result = sandbox.run(&JobSpec { limits, ..job.clone() }, scratch.path(), |_| ()).await;
    Ok(match result {
        Ok(_) => Verdict::Failed("the child reported a success that no attempt has".to_owned()),
        Err(error) => judged(attempt, error),
    })
}

fn judged(attempt: &Attempt, error: SandboxError) -> Verdict {
    match (error, attempt.quota) {
        (SandboxError::Ended(Ending::Forbidden), _) => Verdict::Refused("seccomp ended the child (SIGSYS)".to_owned()),
        (SandboxError::Ended(ending), Some(quota)) if quota_of(&ending) == Some(quota) => {
            Verdict::Refused(format!("the child was ended at {quota}"))
        }
        (SandboxError::Answered(Fault::Rejected { message, .. }), _) => {
            let number = message.strip_prefix("errno ").and_then(|text| text.parse::<i32>().ok());
            match number {
                Some(number) if REFUSALS.contains(&number) => {
                    Verdict::Refused(io::Error::from_raw_os_error(number).to_string())
                }
                // The kernel looked at the arguments: it would have done it.
                _ => Verdict::Failed(format!("let through as far as {message}")),
            }
        }
        (SandboxError::Answered(fault), _) => Verdict::Failed(fault.to_string()),
        (error, _) => Verdict::Failed(error.to_string()),
    }
}

/// The limit that ended a child.
fn quota_of(ending: &Ending) -> Option<&'static str> {
    match ending {
        Ending::CpuLimit => Some("limits.cpu_s"),
        Ending::TimeLimit => Some("limits.wall_s"),
        Ending::OutputLimit => Some("limits.output_bytes"),
        Ending::ScratchLimit => Some("limits.scratch_bytes"),
        Ending::MemoryLimit => Some("limits.memory_bytes"),
        Ending::ManyFiles => Some("the number of files of a job"),
        Ending::ManyThreads => Some("the number of threads of a job"),
        Ending::Forbidden | Ending::Crashed { .. } | Ending::KilledFromOutside { .. } | Ending::Silent { .. } => None,
    }
}

fn attempts(other: &Path) -> Vec<Attempt> {
    let of = |area, what, line: String| Attempt { area, what, line, quota: None };
    let other = |name: &str| other.join(name).display().to_string();
    let mut all = vec![
        of("files", "read /etc/passwd", "read /etc/passwd".to_owned()),
        of("files", "list the root directory", "list /".to_owned()),
        of("files", "list the directory above", "list ..".to_owned()),
        of("files", "read the environment of process 1", "read /proc/1/environ".to_owned()),
        of("files", "read the map of its own memory", "read /proc/self/maps".to_owned()),
        of("files", "write its own memory as a file", "append /proc/self/mem".to_owned()),
        of("files", "read another job's file", format!("read {}", other(INPUT))),
        of("files", "change another job's file", format!("append {}", other(INPUT))),
        of("files", "remove another job's file", format!("remove {}", other(INPUT))),
        of("files", "put a file into another job's directory", format!("write {}", other("planted"))),
        of("files", "change its own original", format!("append {INPUT}")),
        of("files", "remove its own original", format!("remove {INPUT}")),
        of("devices", "read a device", "read /dev/zero".to_owned()),
        of("devices", "write to the terminal", "append /dev/tty".to_owned()),
    ];
    all.extend(calls().into_iter().map(|(area, what, call)| of(area, what, format!("call {call}"))));
    let quotas = [
        ("take memory without end", "memory", "limits.memory_bytes"),
        ("compute without end", "cpu", "limits.cpu_s"),
        ("do nothing without end", "sleep", "limits.wall_s"),
        ("write one file without end", "output", "limits.output_bytes"),
        ("write many files without end", "scratch", "limits.scratch_bytes"),
        ("make files without end", "files", "the number of files of a job"),
        ("start threads without end", "threads", "the number of threads of a job"),
    ];
    let quota = |(what, how, key)| Attempt { area: "quotas", what, line: format!("end {how}"), quota: Some(key) };
    all.extend(quotas.into_iter().map(quota));
    all
}

/// System calls, with arguments that do nothing where they are let through.
fn calls() -> Vec<(&'static str, &'static str, String)> {
    use libc as l;
    let worker = std::process::id();
    let executable = l::PROT_READ | l::PROT_EXEC;
    let anonymous = l::MAP_PRIVATE | l::MAP_ANONYMOUS;
    vec![
        ("network", "a socket of TCP", format!("{} {} {} 0", l::SYS_socket, l::AF_INET, l::SOCK_STREAM)),
        ("network", "a socket of UDP", format!("{} {} {} 0", l::SYS_socket, l::AF_INET6, l::SOCK_DGRAM)),
        ("network", "a socket of this machine", format!("{} {} {} 0", l::SYS_socket, l::AF_UNIX, l::SOCK_STREAM)),
        ("network", "connect the socket that it has", format!("{} 3 0 0", l::SYS_connect)),
        ("network", "pass descriptors on", format!("{} 3 0 0", l::SYS_sendmsg)),
        ("processes", "fork", format!("{} {} 0 0 0 0", l::SYS_clone, l::SIGCHLD)),
        ("processes", "run a program", format!("{} 0 0 0", l::SYS_execve)),
        ("processes", "run a program by descriptor", format!("{} 0 0 0 0 0", l::SYS_execveat)),
        ("processes", "be traced", format!("{} {} 0 0 0", l::SYS_ptrace, l::PTRACE_TRACEME)),
        ("processes", "read the worker's memory", format!("{} {worker} 0 0 0 0 0", l::SYS_process_vm_readv)),
        ("processes", "write the worker's memory", format!("{} {worker} 0 0 0 0 0", l::SYS_process_vm_writev)),
        ("processes", "take the worker's descriptors", format!("{} {worker} 0", l::SYS_pidfd_open)),
        ("signals", "a signal to the worker", format!("{} {worker} 0", l::SYS_kill)),
        ("signals", "a signal to everybody", format!("{} -1 0", l::SYS_kill)),
        ("signals", "a signal to a thread", format!("{} {worker} {worker} 0", l::SYS_tgkill)),
        ("privileges", "become root", format!("{} 0", l::SYS_setuid)),
        ("privileges", "a namespace of its own", format!("{} {}", l::SYS_unshare, l::CLONE_NEWUSER)),
        ("privileges", "another's namespace", format!("{} 3 0", l::SYS_setns)),
        ("privileges", "mount", format!("{} 0 0 0 0 0", l::SYS_mount)),
        ("privileges", "change the root directory", format!("{} 0", l::SYS_chroot)),
        ("privileges", "raise a limit", format!("{} 0 {} 1 0", l::SYS_prlimit64, l::RLIMIT_AS)),
        ("privileges", "read keyrings", format!("{} 0 0 0 0 0", l::SYS_keyctl)),
        ("kernel", "bpf", format!("{} 0 0 0", l::SYS_bpf)),
        ("kernel", "io_uring", format!("{} 8 0", l::SYS_io_uring_setup)),
        ("kernel", "userfaultfd", format!("{} 0", l::SYS_userfaultfd)),
        ("kernel", "perf_event_open", format!("{} 0 0 0 0 0", l::SYS_perf_event_open)),
        ("kernel", "load a module", format!("{} 0 0 0", l::SYS_init_module)),
        ("kernel", "set the clock", format!("{} 0 0", l::SYS_clock_settime)),
        ("memory", "executable memory", format!("{} 0 4096 {executable} {anonymous} -1 0", l::SYS_mmap)),
        ("memory", "memory made executable", format!("{} 0 4096 {executable}", l::SYS_mprotect)),
        ("memory", "a program in memory", format!("{} 0 0", l::SYS_memfd_create)),
        ("devices", "a device of its own", format!("{} 0 0 0 0", l::SYS_mknodat)),
        ("devices", "type into the terminal", format!("{} 0 {} 0", l::SYS_ioctl, l::TIOCSTI)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;

    fn refused(quota: Option<&'static str>, error: SandboxError) -> bool {
        let attempt = Attempt { area: "test", what: "test", line: String::new(), quota };
        matches!(judged(&attempt, error), Verdict::Refused(_))
    }

    #[test]
    fn only_what_the_kernel_refuses_is_refused() {
        let answered = |message: &str| {
            SandboxError::Answered(Fault::Rejected { code: Code::MediaSandboxViolation, message: message.to_owned() })
        };
        assert!(refused(None, answered(&format!("errno {}", libc::EACCES))));
        // A bad address: the kernel would have done it with a good one.
        assert!(!refused(None, answered(&format!("errno {}", libc::EFAULT))));
        assert!(!refused(None, answered("something else")));
        let escaped = Fault::broken(Code::WorkerBroken, "escaped: 5 bytes");
        assert!(!refused(None, SandboxError::Answered(escaped)));
        assert!(refused(None, SandboxError::Ended(Ending::Forbidden)));
        assert!(!refused(None, SandboxError::Ended(Ending::CpuLimit)), "no quota was to end it");
        assert!(refused(Some("limits.cpu_s"), SandboxError::Ended(Ending::CpuLimit)));
        assert!(!refused(Some("limits.cpu_s"), SandboxError::Ended(Ending::TimeLimit)), "another one ended it");
    }

    #[test]
    fn every_attempt_has_a_name_of_its_own() {
        let all = attempts(Path::new("/other"));
        let names: std::collections::BTreeSet<_> = all.iter().map(|attempt| (attempt.area, attempt.what)).collect();
        assert_eq!(names.len(), all.len());
    }
}
