//! One job, as the worker sees it: launched, talked with, ended.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::link::Link;
use super::protocol::{Answer, ChildEnd, JobSpec, Report, Usage, Verdict};
use super::{Ending, SandboxError, wire};
use crate::config::Limits;
use crate::error::{Code, Fault};

/// The child's own clock rings first, so that the ordinary time limit needs no help from here.
const DEADLINE_GRACE: Duration = Duration::from_secs(2);
/// From a child's last word, or from its killing, to its end.
const FAREWELL: Duration = Duration::from_secs(5);
/// How much of a child's standard error is kept: the end of it.
const STDERR_TAIL_BYTES: usize = 4096;
/// How much of a child's word for people is passed on.
const MAX_MESSAGE_CHARS: usize = 300;

/// Does one job in a child of `link`'s fork server. Whatever came of it, `on_used` hears what it cost.
pub(super) async fn run(
    link: &Arc<Link>,
    spec: &JobSpec,
    scratch: &Path,
    on_progress: impl FnMut(f32) + Send,
    on_used: impl FnOnce(Usage) + Send,
) -> Result<Report, SandboxError> {
    let mut child = Running::launch(link, scratch)?;
    let mut stderr = child.stderr.take();
    let deadline = Duration::from_secs(spec.limits.wall_s).saturating_add(DEADLINE_GRACE);
    let (heard, end, tail) = {
        let story = async {
            let heard = match timeout(deadline, converse(&mut child.socket, spec, on_progress)).await {
                Ok(Ok(Some(answer))) => Heard::Answer(answer),
                Ok(Ok(None)) => Heard::Nothing,
                Ok(Err(error)) => Heard::Nonsense(error.to_string()),
                Err(_) => Heard::Late,
            };
            let unwanted = matches!(heard, Heard::Nonsense(_) | Heard::Late);
            if unwanted {
                child.kill();
            }
            let end = child.ended(unwanted).await;
            (heard, end)
        };
        let ((heard, end), tail) = tokio::join!(story, tail_of(&mut stderr));
        (heard, end, tail)
    };
    if !tail.is_empty() {
        tracing::debug!(stderr = %tail, "a child wrote to standard error");
    }
    let used = end.used();
    used.map(on_used);
    conclude(heard, end, &spec.limits, &tail).map(|report| match used {
        // As the kernel counted, rather than as the child says.
        Some(used) => Report { cpu_s: used.cpu_s(), peak_memory_bytes: used.peak_memory_bytes, ..report },
        None => report,
    })
}

/// What was heard from the child before its end.
enum Heard {
    Answer(Answer),
    Nothing,
    Nonsense(String),
    Late,
}

fn conclude(heard: Heard, end: End, limits: &Limits, tail: &str) -> Result<Report, SandboxError> {
    match (heard, end) {
        (Heard::Answer(answer), _) => match answer {
            Answer::Done { report } => Ok(*report),
            Answer::Failed { verdict, code, message } => Err(told(verdict, &code, message)),
            Answer::Progress { .. } => Err(SandboxError::Protocol("progress instead of an answer".to_owned())),
        },
        (_, End::Lost) => Err(SandboxError::Lost),
        (Heard::Late, End::Killed(_) | End::Reaped(_)) => Err(SandboxError::Ended(Ending::TimeLimit)),
        (Heard::Nonsense(what), End::Killed(_) | End::Reaped(_)) => Err(SandboxError::Protocol(what)),
        (Heard::Nothing, End::Killed(_)) => Err(SandboxError::Protocol("it hung up and went on".to_owned())),
        (Heard::Nothing, End::Reaped(ChildEnd::NotForked { errno })) => {
            Err(SandboxError::Launch(std::io::Error::from_raw_os_error(errno)))
        }
        (Heard::Nothing, End::Reaped(ChildEnd::Exited { code, .. })) => {
            Err(SandboxError::Ended(Ending::Silent { code }))
        }
        (Heard::Nothing, End::Reaped(ChildEnd::Signalled { signal, used })) => {
            Err(SandboxError::Ended(Ending::read_signal(signal, used, limits, tail)))
        }
    }
}

fn told(verdict: Verdict, code: &str, message: String) -> SandboxError {
    let Some(code) = Code::parse(code) else {
        return SandboxError::Protocol("an unknown code".to_owned());
    };
    // From a process that may be somebody else's by now: a line for people, not a way out for what is in the file.
    let message: String = message.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect();
    SandboxError::Answered(match verdict {
        Verdict::Rejected => Fault::rejected(code, message),
        Verdict::Suspect => Fault::suspect(code, message),
        Verdict::Transient => Fault::transient(code, message),
        Verdict::Broken => Fault::broken(code, message),
    })
}

/// Tells the child its job and listens until it has answered. `None`: it is gone without an answer.
async fn converse(
    socket: &mut UnixStream,
    spec: &JobSpec,
    mut on_progress: impl FnMut(f32) + Send,
) -> std::io::Result<Option<Answer>> {
    // A child that never came to be does not read: its end is told by its fork server.
    drop(socket.write_all(&wire::encode(spec)?).await);
    loop {
        match wire::read_async(socket).await? {
            Some(Answer::Progress { fraction }) => on_progress(fraction.clamp(0.0, 1.0)),
            other => return Ok(other),
        }
    }
}

/// Reads to the end, which comes with the child's, and keeps the tail.
async fn tail_of(stderr: &mut Option<pipe::Receiver>) -> String {
    let mut tail = Vec::new();
    let mut chunk = [0; 1024];
    if let Some(pipe) = stderr {
        while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
            tail.extend_from_slice(&chunk[..length]);
            let surplus = tail.len().saturating_sub(STDERR_TAIL_BYTES);
            tail.drain(..surplus);
        }
    }
    String::from_utf8_lossy(&tail).into_owned()
}

/// How the child's end was learnt.
enum End {
    /// From its fork server.
    Reaped(ChildEnd),
    /// It had to be killed from here.
    Killed(Usage),
    /// Its fork server is gone, and the child with it.
    Lost,
}

impl End {
    fn used(&self) -> Option<Usage> {
        match self {
            Self::Reaped(ChildEnd::Exited { used, .. } | ChildEnd::Signalled { used, .. }) | Self::Killed(used) => {
                Some(*used)
            }
            Self::Reaped(ChildEnd::NotForked { .. }) | Self::Lost => None,
        }
    }
}

/// A launched child. Dropped before its end, it kills it.
struct Running {
    link: Arc<Link>,
    job: u64,
    socket: UnixStream,
    stderr: Option<pipe::Receiver>,
    end: oneshot::Receiver<ChildEnd>,
    over: bool,
}

impl Running {
    fn launch(link: &Arc<Link>, scratch: &Path) -> Result<Self, SandboxError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let scratch = rustix::fs::open(scratch, flags, Mode::empty()).map_err(|e| SandboxError::Scratch(e.into()))?;
        let (socket, theirs) = UnixStream::pair().map_err(SandboxError::Launch)?;
        // The child blocks on its end; only ours belongs to the runtime.
        let theirs = theirs.into_std().map_err(SandboxError::Launch)?;
        theirs.set_nonblocking(false).map_err(SandboxError::Launch)?;
        let (stderr, said) = stderr_pipe().map_err(SandboxError::Launch)?;
        let (job, end) = link.launch([theirs.as_fd(), scratch.as_fd(), said.as_fd()])?;
        Ok(Self { link: Arc::clone(link), job, socket, stderr: Some(stderr), end, over: false })
    }

    fn kill(&self) {
        self.link.kill(self.job);
    }

    /// Waits for the end, and brings it about where it does not come.
    async fn ended(&mut self, mut killed: bool) -> End {
        loop {
            let end = timeout(FAREWELL, &mut self.end).await;
            self.over = end.is_ok();
            match end {
                Ok(Ok(ChildEnd::Exited { used, .. } | ChildEnd::Signalled { used, .. })) if killed => {
                    return End::Killed(used);
                }
                Ok(Ok(end)) => return End::Reaped(end),
                Ok(Err(_)) => return End::Lost,
                // A fork server that cannot even kill is stuck: its end is its children's end.
                Err(_) if killed => self.link.abandon(),
                Err(_) => self.kill(),
            }
            killed = true;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            self.kill();
        }
    }
}

/// Ours without blocking. Theirs without blocking too: a child that writes more than is read loses the surplus.
fn stderr_pipe() -> std::io::Result<(pipe::Receiver, OwnedFd)> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)?;
    Ok((pipe::Receiver::from_owned_fd(ours)?, theirs))
}
