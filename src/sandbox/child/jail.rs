//! The steps that confine a forked process. Their order matters, and each step says why it stands where it does. If a
//! step fails that every supported kernel can do, that is an error; if `best-effort` may omit the step, the status says
//! that it is missing.
#![expect(unsafe_code, reason = "alarm, clearenv and signal dispositions have no safe wrapper")]

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, RestrictionStatus, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, Signal};

use super::seccomp::Filters;
use crate::sandbox::wire::arguments::mode_word;
use crate::task::{Limits, SandboxMode};
use crate::vocabulary::SandboxStatus;

/// Newest Landlock ABI that is requested; an older kernel enforces the part that it supports.
const LANDLOCK_ABI: ABI = ABI::V7;
/// Most open files: the input, the outputs, and those that libav opens for itself.
const MAX_OPEN_FILES: u64 = 64;
/// CPU seconds between SIGXCPU, which identifies the cause, and SIGKILL, which cannot be ignored.
const CPU_GRACE_S: u64 = 5;
/// Makes the kernel's out-of-memory killer choose a child before any other process.
const OOM_SCORE_ADJ: &str = "1000";

/// Why a child could not be confined.
#[derive(Debug, thiserror::Error)]
pub(in crate::sandbox) enum JailError {
    /// A step failed that works on every supported kernel.
    #[error("{step}: {source}")]
    Step { step: &'static str, source: std::io::Error },
    /// The process that started the worker set a lower hard limit than a job needs, and the worker may not raise it.
    #[error("the hard limit {name} is {hard} here, and {needed} are needed ({by}): raise the limit or lower the need")]
    Limit { name: &'static str, hard: u64, needed: u64, by: &'static str },
    /// The Landlock ruleset could not be created.
    #[error("Landlock: {0}")]
    Landlock(#[from] RulesetError),
    /// The kernel has no Landlock, and the mode is `required`.
    #[error("Landlock is {0}: it needs Linux 5.13 or newer with `landlock` in the kernel's list of security modules")]
    NoLandlock(&'static str),
    /// The seccomp filter could not be installed, and the mode is `required`.
    #[error("seccomp: {0} (needs CONFIG_SECCOMP_FILTER)")]
    NoSeccomp(seccompiler::Error),
    /// The fork server has already ended.
    #[error("the fork server ended while this child was starting")]
    Orphan,
}

/// What a child is allowed to use, and which process started it.
#[derive(Debug, Clone, Copy)]
pub(in crate::sandbox) struct JailTerms {
    pub(in crate::sandbox) limits: Limits,
    pub(in crate::sandbox) nice: i32,
    pub(in crate::sandbox) parent: u32,
    /// Name of the original in the scratch directory; `None` for the test child.
    pub(in crate::sandbox) input: Option<&'static str>,
}

/// One resource limit of a child.
struct Bound {
    resource: Resource,
    name: &'static str,
    soft: u64,
    hard: u64,
    /// The configuration key or reason of the limit, for the operator who has to change one of the two.
    by: &'static str,
}

/// Steps 1 to 9, which are done in every mode, including `off`. Other descriptors were closed before (see `child`).
pub(in crate::sandbox) fn confine_resources(scratch: BorrowedFd<'_>, terms: &JailTerms) -> Result<(), JailError> {
    // 1. A decoder needs nothing of the worker's environment. The fork server's is nearly empty already.
    // SAFETY: this process has one thread, and nothing of the environment is borrowed.
    unsafe { libc::clearenv() };
    // 2. The kernel kills the child when the fork server ends. Checked afterwards, because it may have ended before.
    step("parent death signal", rustix::process::set_parent_process_death_signal(Some(Signal::KILL)))?;
    if rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs()) != Some(terms.parent) {
        return Err(JailError::Orphan);
    }
    // 3. The signals that end a child identify the reason, so none may be ignored because the parent ignored it.
    for signal in [libc::SIGALRM, libc::SIGXCPU, libc::SIGXFSZ, libc::SIGABRT] {
        // SAFETY: resets a disposition; no handler of ours is involved.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // 4. Needs /proc, so it comes before Landlock (12), and a dumpable process, so it comes before 9.
    step("writing /proc/self/oom_score_adj", fs::write("/proc/self/oom_score_adj", OOM_SCORE_ADJ))?;
    // 5. Bulk jobs get less CPU time than voice notes. Raising one's own nice value needs no privilege.
    if terms.nice != 0 {
        step("nice", rustix::process::nice(terms.nice))?;
    }
    // 6. The scratch directory becomes the working directory, and the original in it read-only: without capabilities
    //    (10) and without chmod in the filter (13), a decoder that the file controls cannot change what will be stored.
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    step("scratch directory", rustix::process::fchdir(scratch))?;
    if let Some(input) = terms.input {
        let mode = rustix::fs::chmodat(scratch, input, Mode::RUSR, rustix::fs::AtFlags::empty());
        step("mode of the input", if mode == Err(rustix::io::Errno::NOENT) { Ok(()) } else { mode })?;
    }
    // 7. Resource limits. Not RLIMIT_NPROC, which counts the user's processes and not the child's. Threads, the number
    //    of files and the sum of their sizes are watched by the fork server (see `watch`).
    bounds(&terms.limits).iter().try_for_each(bound)?;
    // 8. The child's own timer, in case the worker is too busy to enforce the time limit.
    let seconds = u32::try_from(terms.limits.wall_s).unwrap_or(u32::MAX);
    // SAFETY: sets a timer of this process.
    unsafe { libc::alarm(seconds) };
    // 9. Other processes of the same user cannot attach to it or read its memory, and it writes no core file.
    step("dumpable", rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable))
}

const fn bounds(limits: &Limits) -> [Bound; 6] {
    const fn of(resource: Resource, name: &'static str, most: u64, by: &'static str) -> Bound {
        Bound { resource, name, soft: most, hard: most, by }
    }
    let cpu = of(Resource::Cpu, "RLIMIT_CPU", limits.cpu_s, "limits.cpu_s and a grace of 5 s");
    [
        of(Resource::Core, "RLIMIT_CORE", 0, "no job"),
        of(Resource::Fsize, "RLIMIT_FSIZE", limits.output_bytes, "limits.output_bytes"),
        of(Resource::Nofile, "RLIMIT_NOFILE", MAX_OPEN_FILES, "open files of a decoder"),
        of(Resource::Memlock, "RLIMIT_MEMLOCK", 0, "no job"),
        Bound { hard: limits.cpu_s.saturating_add(CPU_GRACE_S), ..cpu },
        of(Resource::As, "RLIMIT_AS", limits.memory_bytes, "limits.memory_bytes"),
    ]
}

fn bound(bound: &Bound) -> Result<(), JailError> {
    let limit = Rlimit { current: Some(bound.soft), maximum: Some(bound.hard) };
    let Err(error) = rustix::process::setrlimit(bound.resource, limit) else { return Ok(()) };
    // Asked only after that failed: a process that may raise limits needs no comparison.
    match rustix::process::getrlimit(bound.resource).maximum {
        Some(hard) if hard < bound.hard => {
            Err(JailError::Limit { name: bound.name, hard, needed: bound.hard, by: bound.by })
        }
        Some(_) | None => Err(JailError::Step { step: bound.name, source: error.into() }),
    }
}

/// Steps 10 to 13: what the kernel enforces against the child. Returns what is in force.
pub(in crate::sandbox) fn seal(
    mode: SandboxMode,
    scratch: BorrowedFd<'_>,
    filters: &Filters,
) -> Result<SandboxStatus, JailError> {
    if mode == SandboxMode::Off {
        return Ok(status(mode, None, false));
    }
    // 10. In a container the worker often runs as root. Without capabilities that is a user like any other.
    let none = rustix::thread::CapabilitySet::empty();
    let sets = rustix::thread::CapabilitySets { effective: none, permitted: none, inheritable: none };
    step("capabilities", rustix::thread::set_capabilities(None, sets))?;
    // 11. No program that the child could start gets more rights than it has. Landlock and seccomp require this.
    step("no_new_privs", rustix::thread::set_no_new_privs(true))?;
    // 12. Landlock opens descriptors and asks for the kernel's version, both of which the filter (13) forbids.
    let restriction = landlock(scratch)?;
    if let (SandboxMode::Required, Some(missing)) = (mode, missing(&restriction)) {
        return Err(JailError::NoLandlock(missing));
    }
    // 13. Last, because the filter forbids most of the calls above.
    let seccomp = match (filters.apply(), mode) {
        (Ok(()), _) => true,
        (Err(error), SandboxMode::Required) => return Err(JailError::NoSeccomp(error)),
        (Err(_), SandboxMode::BestEffort | SandboxMode::Off) => false,
    };
    Ok(status(mode, Some(&restriction), seccomp))
}

/// Allows reading, writing and creating plain files in the scratch directory. Denies everything else in the file
/// system, TCP ports, abstract sockets, and signals to processes outside. Removing and renaming are denied too, so that
/// no output can replace another one.
fn landlock(scratch: BorrowedFd<'_>) -> Result<RestrictionStatus, RulesetError> {
    let rights: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg;
    Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK_ABI))?
        .handle_access(AccessNet::from_all(LANDLOCK_ABI))?
        .scope(Scope::from_all(LANDLOCK_ABI))?
        .create()?
        .add_rule(PathBeneath::new(scratch.as_fd(), rights))?
        .restrict_self()
}

fn missing(restriction: &RestrictionStatus) -> Option<&'static str> {
    match (&restriction.ruleset, &restriction.landlock) {
        (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, _) => None,
        (RulesetStatus::NotEnforced, LandlockStatus::NotImplemented) => Some("not in this kernel"),
        (RulesetStatus::NotEnforced, LandlockStatus::NotEnabled) => Some("in this kernel but not enabled"),
        (RulesetStatus::NotEnforced, LandlockStatus::Available { .. }) => Some("in this kernel but was not enforced"),
    }
}

fn status(mode: SandboxMode, restriction: Option<&RestrictionStatus>, seccomp: bool) -> SandboxStatus {
    let landlock = match restriction.map(|restriction| &restriction.ruleset) {
        Some(RulesetStatus::FullyEnforced) => "full",
        Some(RulesetStatus::PartiallyEnforced) => "partial",
        Some(RulesetStatus::NotEnforced) | None => "none",
    };
    let landlock_abi = match restriction.map(|restriction| restriction.landlock) {
        Some(LandlockStatus::Available { kernel_abi: Some(newer), .. }) => newer.unsigned_abs(),
        Some(LandlockStatus::Available { effective_abi, .. }) => effective_abi as u32,
        Some(LandlockStatus::NotEnabled | LandlockStatus::NotImplemented) | None => 0,
    };
    SandboxStatus { mode: mode_word(mode).to_owned(), landlock: landlock.to_owned(), landlock_abi, seccomp }
}

fn step<T>(step: &'static str, result: Result<T, impl Into<std::io::Error>>) -> Result<(), JailError> {
    result.map(drop).map_err(|source| JailError::Step { step, source: source.into() })
}
