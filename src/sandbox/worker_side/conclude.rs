//! Decides which parts of a child's answer are used. The file may have taken control of the child, so the end that the
//! kernel reports is looked at first, and an answer is used only if a child under the control of this program can give
//! it.

use crate::error::{Code, Fault};
use crate::sandbox::wire::messages::{Answer, ChildEnd, Usage, Verdict};
use crate::sandbox::{Ending, SandboxError};
use crate::task::Limits;
use crate::task::Report;

/// Longest text of a child that is used, in characters.
const MAX_MESSAGE_CHARS: usize = 300;

/// What arrived from the child before its end.
#[derive(Debug)]
pub(in crate::sandbox) enum Heard {
    /// One complete answer.
    Answer(Answer),
    /// Nothing: it closed its socket.
    Nothing,
    /// Bytes that are not a valid answer.
    Invalid(String),
    /// No answer before the worker's deadline.
    Late,
}

/// How the worker learned of the child's end.
#[derive(Debug)]
pub(in crate::sandbox) enum End {
    /// The fork server reported it.
    Reaped(ChildEnd),
    /// The worker had to kill the child.
    Killed(Usage),
    /// The fork server has ended, and the child with it.
    Lost,
}

impl End {
    /// The resources that the child used, as counted by the kernel.
    pub(in crate::sandbox) fn used(&self) -> Option<Usage> {
        match self {
            Self::Reaped(
                ChildEnd::Exited { used, .. } | ChildEnd::Signalled { used, .. } | ChildEnd::Exceeded { used, .. },
            )
            | Self::Killed(used) => Some(*used),
            Self::Reaped(ChildEnd::NotForked { .. }) | Self::Lost => None,
        }
    }
}

/// The report of a child that ended normally, or the error. An answer is used only together with exit code 0: a child
/// that answers and is then ended by a signal went on to do something else after the job.
pub(in crate::sandbox) fn conclude(
    heard: Heard,
    end: &End,
    limits: &Limits,
    tail: &str,
) -> Result<Report, SandboxError> {
    let protocol = |what: &str| Err(SandboxError::Protocol(what.to_owned()));
    match (heard, end) {
        (_, End::Lost) => Err(SandboxError::Lost),
        (_, End::Reaped(ChildEnd::NotForked { errno })) => {
            Err(SandboxError::Launch(std::io::Error::from_raw_os_error(*errno)))
        }
        (_, End::Reaped(ChildEnd::Exceeded { excess, .. })) => Err(SandboxError::Ended((*excess).into())),
        (Heard::Late, _) => Err(SandboxError::Ended(Ending::TimeLimit)),
        (Heard::Invalid(what), _) => Err(SandboxError::Protocol(what)),
        (Heard::Nothing, End::Killed(_)) => {
            protocol("it closed its socket without an answer, kept running and was killed")
        }
        (Heard::Answer(_), End::Killed(_)) => protocol("it answered, kept running and was killed"),
        (_, End::Reaped(ChildEnd::Signalled { signal, used })) => {
            Err(SandboxError::Ended(Ending::read_signal(*signal, *used, limits, tail)))
        }
        (Heard::Nothing, End::Reaped(ChildEnd::Exited { code, .. })) => {
            Err(SandboxError::Ended(Ending::Silent { code: *code }))
        }
        (Heard::Answer(answer), End::Reaped(ChildEnd::Exited { code: 0, .. })) => match answer {
            Answer::Done { report } => Ok(*report),
            Answer::Failed { verdict, code, message } => Err(failed(verdict, &code, &message)),
            Answer::Progress { .. } => protocol("it ended with a progress message instead of an answer"),
        },
        (Heard::Answer(_), End::Reaped(ChildEnd::Exited { code, .. })) => {
            Err(SandboxError::Protocol(format!("it answered and then ended with exit code {code}")))
        }
    }
}

/// Checks a failure that a child reports. A child can judge the file and its scratch directory. It cannot know anything
/// about stores, sources or the broker, so codes about those are not accepted from it.
fn failed(verdict: Verdict, code: &str, message: &str) -> SandboxError {
    let Some(code) = Code::parse(code) else {
        return SandboxError::Protocol("its answer has an unknown code".to_owned());
    };
    let of_the_file = code.as_str().starts_with("media.");
    let passing = matches!(code, Code::WorkerScratch | Code::WorkerSandbox);
    let message = printable(message);
    SandboxError::Answered(match verdict {
        Verdict::Rejected if of_the_file => Fault::rejected(code, message),
        Verdict::Suspect if of_the_file => Fault::suspect(code, message),
        Verdict::Transient if passing => Fault::transient(code, message),
        // Whatever it says is missing, only this is certain: the child could not do its work.
        Verdict::Broken => Fault::broken(Code::WorkerSandbox, message),
        Verdict::Rejected | Verdict::Suspect | Verdict::Transient => {
            return SandboxError::Protocol(format!("its answer has the code {code}, which a child must not report"));
        }
    })
}

/// Makes a child's text one printable line, so that it cannot carry the file's content into logs.
fn printable(message: &str) -> String {
    let shown = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    message.chars().take(MAX_MESSAGE_CHARS).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::wire::messages::Excess;

    fn limits() -> Limits {
        crate::config::load(None, [], &[]).expect("the defaults").limits
    }

    fn refused(verdict: Verdict, code: &str) -> Heard {
        Heard::Answer(Answer::Failed { verdict, code: code.to_owned(), message: "why".to_owned() })
    }

    fn ends(heard: Heard, end: ChildEnd) -> SandboxError {
        conclude(heard, &End::Reaped(end), &limits(), "").expect_err("no report")
    }

    const USED: Usage = Usage { cpu_us: 1, peak_memory_bytes: 1 };
    const EXIT_0: ChildEnd = ChildEnd::Exited { code: 0, used: USED };

    #[test]
    fn only_codes_about_the_file_and_the_scratch_directory_are_accepted() {
        for (verdict, code, believed) in [
            (Verdict::Rejected, "media.unreadable", true),
            (Verdict::Suspect, "media.limit-memory", true),
            (Verdict::Transient, "worker.scratch", true),
            (Verdict::Rejected, "source.denied", false),
            (Verdict::Suspect, "worker.scratch", false),
            (Verdict::Transient, "store.unavailable", false),
            (Verdict::Transient, "media.unreadable", false),
            (Verdict::Transient, "no.code", false),
        ] {
            let error = ends(refused(verdict, code), EXIT_0);
            let answered = matches!(&error, SandboxError::Answered(fault) if fault.code() == Code::parse(code));
            assert_eq!(answered, believed, "{verdict:?} {code}: {error:?}");
            assert!(believed || matches!(error, SandboxError::Protocol(_)), "{error:?}");
        }
    }

    #[test]
    fn a_broken_child_counts_as_a_broken_sandbox_whatever_code_it_reports() {
        let error = ends(refused(Verdict::Broken, "store.forbidden"), EXIT_0);
        let SandboxError::Answered(fault) = error else { panic!("{error:?}") };
        assert_eq!(fault, Fault::broken(Code::WorkerSandbox, "why"));
    }

    #[test]
    fn an_answer_counts_only_with_exit_code_0() {
        let answer = || refused(Verdict::Rejected, "media.empty");
        let error = ends(answer(), ChildEnd::Signalled { signal: libc::SIGSYS, used: USED });
        assert!(matches!(error, SandboxError::Ended(Ending::Forbidden)), "{error:?}");
        let error = ends(answer(), ChildEnd::Exited { code: 3, used: USED });
        assert!(matches!(error, SandboxError::Protocol(_)), "{error:?}");
        let error = ends(answer(), ChildEnd::Exceeded { excess: Excess::Files, used: USED });
        assert!(matches!(error, SandboxError::Ended(Ending::ManyFiles)), "{error:?}");
        let error = conclude(answer(), &End::Killed(USED), &limits(), "").expect_err("no report");
        assert!(matches!(error, SandboxError::Protocol(_)), "{error:?}");
        let error = conclude(answer(), &End::Lost, &limits(), "").expect_err("no report");
        assert!(matches!(error, SandboxError::Lost), "{error:?}");
    }

    #[test]
    fn the_text_of_a_child_is_short_and_printable() {
        let text = printable(&format!("a\u{1b}]0;x\u{7}é{}", "y".repeat(1000)));
        assert!(text.starts_with("a?]0;x??y"), "{text}");
        assert_eq!(text.len(), MAX_MESSAGE_CHARS);
    }
}
