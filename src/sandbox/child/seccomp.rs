//! The lists of `syscalls`, compiled to BPF once in the fork server and installed in every child.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition,
    SeccompFilter, SeccompRule,
};

use super::syscalls::{ABSENT, ALLOWED, ALLOWED_HERE, PRCTL, When};

/// Stands for the child's process id in the compiled filter. No process has this id: ids are below 2^22.
const PID_PLACEHOLDER: u32 = 0x5e1f_5e1f;
/// The flags with which glibc's and musl's `pthread_create` call `clone`. musl adds one that has no effect any more.
const THREAD_FLAGS: u64 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID) as u64;
const IGNORED_FLAGS: u64 = libc::CLONE_DETACHED as u64;

/// The filters of a child, still without its process id.
#[derive(Debug, Clone)]
pub(in crate::sandbox) struct Filters {
    /// Allows the listed calls and ends the process with SIGSYS at any other.
    allow: BpfProgram,
    /// Answers harmless probes with ENOSYS. The kernel runs both filters; the stricter answer counts.
    absent: BpfProgram,
}

impl Filters {
    /// Compiles the lists for the architecture that this program was built for.
    pub(in crate::sandbox) fn compile() -> Result<Self, BackendError> {
        let arch = std::env::consts::ARCH.try_into()?;
        let allow = SeccompFilter::new(allow_rules()?, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
        let errno = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let absent = SeccompFilter::new(absent_rules()?, SeccompAction::Allow, errno, arch)?;
        Ok(Self { allow: allow.try_into()?, absent: absent.try_into()? })
    }

    /// Installs the filters in this process, which must have one thread. They cannot be removed.
    pub(in crate::sandbox) fn apply(&self) -> Result<(), seccompiler::Error> {
        seccompiler::apply_filter(&self.absent)?;
        seccompiler::apply_filter(&self.for_process(std::process::id()))
    }

    fn for_process(&self, pid: u32) -> BpfProgram {
        let mut program = self.allow.clone();
        for instruction in program.iter_mut().filter(|instruction| instruction.k == PID_PLACEHOLDER) {
            instruction.k = pid;
        }
        program
    }
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn allow_rules() -> Result<Rules, BackendError> {
    let mut rules = Rules::new();
    for (number, _, when) in ALLOWED.iter().chain(ALLOWED_HERE) {
        rules.insert(*number, conditions(*when)?);
    }
    for (number, _) in ABSENT {
        rules.insert(*number, Vec::new());
    }
    Ok(rules)
}

fn absent_rules() -> Result<Rules, BackendError> {
    let mut rules: Rules = ABSENT.iter().map(|(number, _)| (*number, Vec::new())).collect();
    let others: Result<Vec<_>, _> =
        PRCTL.iter().map(|option| SeccompCondition::new(0, Len::Dword, Op::Ne, *option)).collect();
    rules.insert(libc::SYS_prctl, vec![SeccompRule::new(others?)?]);
    Ok(rules)
}

/// The rules of one call. It is allowed if any of them matches, or if there is none.
fn conditions(when: When) -> Result<Vec<SeccompRule>, BackendError> {
    let rule = |conditions: Vec<SeccompCondition>| SeccompRule::new(conditions);
    let check = SeccompCondition::new;
    Ok(match when {
        When::Always => Vec::new(),
        When::NotExecutable => {
            let executable = libc::PROT_EXEC.unsigned_abs().into();
            vec![rule(vec![check(2, Len::Dword, Op::MaskedEq(executable), 0)?])?]
        }
        When::Thread => vec![rule(vec![check(0, Len::Qword, Op::MaskedEq(!IGNORED_FLAGS), THREAD_FLAGS)?])?],
        When::Self_ => vec![rule(vec![check(0, Len::Dword, Op::Eq, PID_PLACEHOLDER.into())?])?],
        When::AskOwnLimit => {
            vec![rule(vec![check(0, Len::Dword, Op::Eq, 0)?, check(2, Len::Qword, Op::Eq, 0)?])?]
        }
        When::Access(flags) => {
            // O_TMPFILE includes O_DIRECTORY, which is harmless by itself.
            let nameless = libc::O_TMPFILE & !libc::O_DIRECTORY;
            let mask = (libc::O_ACCMODE | libc::O_PATH | nameless).unsigned_abs().into();
            let modes = [libc::O_RDONLY, libc::O_WRONLY, libc::O_RDWR].map(|mode| u64::from(mode.unsigned_abs()));
            let one = |mode: u64| rule(vec![check(flags, Len::Dword, Op::MaskedEq(mask), mode)?]);
            modes.into_iter().map(one).collect::<Result<_, _>>()?
        }
        When::Command(commands) => {
            let one = |command: &u64| rule(vec![check(1, Len::Dword, Op::Eq, *command)?]);
            commands.iter().map(one).collect::<Result<_, _>>()?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_compile_and_only_tgkill_depends_on_the_process() {
        let filters = Filters::compile().expect("compiles");
        let placeholders = filters.allow.iter().filter(|instruction| instruction.k == PID_PLACEHOLDER).count();
        assert_eq!(placeholders, 1);
        assert!(filters.for_process(42).iter().all(|instruction| instruction.k != PID_PLACEHOLDER));
    }

    #[test]
    fn no_call_is_in_two_lists() {
        let mut seen = std::collections::BTreeSet::new();
        let names = ALLOWED.iter().chain(ALLOWED_HERE).map(|line| (line.0, line.1)).chain(ABSENT.iter().copied());
        for (number, name) in names {
            assert!(seen.insert(number), "{name} is listed twice");
        }
    }

    #[test]
    fn calls_that_the_jail_must_prevent_are_not_on_the_list() {
        let deadly = [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_bind,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_kill,
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_mount,
            libc::SYS_keyctl,
            libc::SYS_io_uring_setup,
            libc::SYS_bpf,
            libc::SYS_userfaultfd,
            libc::SYS_perf_event_open,
            libc::SYS_memfd_create,
            libc::SYS_pidfd_open,
            libc::SYS_fchmod,
            libc::SYS_fallocate,
        ];
        let rules = allow_rules().expect("compiles");
        for number in deadly {
            assert!(!rules.contains_key(&number), "{number}");
        }
    }
}
