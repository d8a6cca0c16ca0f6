//! Runs one job on the worker's side: starts the child, exchanges messages with it, and learns how it ended.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::conclude::{End, Heard, conclude};
use super::fork_server_handle::ForkServerHandle;
use crate::sandbox::SandboxError;
use crate::sandbox::wire::frames;
use crate::sandbox::wire::messages::{Answer, ChildEnd, Usage};
use crate::task::{JobSpec, Report};

/// How long after the child's own timer the worker waits before it kills the child. Normally the timer ends the job.
const DEADLINE_GRACE: Duration = Duration::from_secs(2);
/// How long a child may take to end after its last message or after it was killed.
const END_TIMEOUT: Duration = Duration::from_secs(5);
/// How many bytes of a child's standard error are kept, from its end.
const STDERR_TAIL_BYTES: usize = 4096;
/// Longest progress frame.
const PROGRESS_BYTES: usize = 256;
/// A child of this program sends progress every 100 ms. One that sends it more than about twice as often is not under
/// its control any more.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);
const PROGRESS_AT_ONCE: u128 = 32;

/// Runs one job in the child that was launched for it. `on_used` is told what the child used, whatever the result.
pub(in crate::sandbox) async fn run(
    mut child: Running,
    spec: &JobSpec,
    on_progress: impl FnMut(f32) + Send,
    on_used: impl FnOnce(Usage) + Send,
) -> Result<Report, SandboxError> {
    let mut stderr = child.stderr.take();
    let deadline = Duration::from_secs(spec.limits.wall_s).saturating_add(DEADLINE_GRACE);
    let (heard, end, tail) = {
        let story = async {
            let Some(heard) = child.await_answer(deadline, spec, on_progress).await else {
                return (Heard::Nothing, End::Lost);
            };
            let unwanted = matches!(heard, Heard::Invalid(_) | Heard::Late);
            if unwanted {
                child.kill();
            }
            let end = child.ended(unwanted).await;
            (heard, end)
        };
        let tail = tail_of(&mut stderr);
        let mut story = Box::pin(story);
        tokio::pin!(tail);
        let mut said = None;
        let (heard, end) = loop {
            tokio::select! {
                told = &mut story => break told,
                text = &mut tail, if said.is_none() => said = Some(text),
            }
        };
        let tail = match (said, &end) {
            (Some(text), _) => text,
            // A child that outlives its fork server keeps its standard error open, so it is not read.
            (None, End::Lost) => String::new(),
            (None, _) => tail.await,
        };
        (heard, end, tail)
    };
    if !tail.is_empty() {
        tracing::debug!(stderr = %tail, "a child wrote to standard error");
    }
    let used = end.used();
    used.map(on_used);
    let report = conclude(heard, &end, &spec.limits, &tail)?;
    // These values do not come from the child, which may be hostile: usage is counted by the kernel, and the rest was
    // found by the fork server before any file was read.
    let Usage { peak_memory_bytes, .. } = used.unwrap_or_default();
    let cpu_s = used.unwrap_or_default().cpu_s();
    let (sandbox, libav) = (child.link.status.clone(), child.link.libav.versions.clone());
    Ok(Report { cpu_s, peak_memory_bytes, sandbox, libav, ..report })
}

/// Sends the job to the child and receives until it has answered. `None` if it ended without an answer.
async fn exchange(
    socket: &mut UnixStream,
    spec: &JobSpec,
    mut on_progress: impl FnMut(f32) + Send,
) -> std::io::Result<Option<Answer>> {
    let mut pace = Pace { begun: Instant::now(), told: 0 };
    // Writing fails if the child never started. The fork server reports that end.
    drop(socket.write_all(&frames::encode(spec)?).await);
    loop {
        match frames::read_async(socket).await? {
            Some((Answer::Progress { fraction }, length)) => {
                if length > PROGRESS_BYTES || !pace.allows_another(Instant::now()) {
                    let what = "it sends more progress messages than a job does";
                    return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, what));
                }
                on_progress(fraction.clamp(0.0, 1.0));
            }
            Some((answer, _)) => return Ok(Some(answer)),
            None => return Ok(None),
        }
    }
}

/// Counts a child's progress messages.
struct Pace {
    begun: Instant,
    told: u128,
}

impl Pace {
    /// Counted from the job's start: messages that waited in the socket while the worker was busy are not held against
    /// the child.
    fn allows_another(&mut self, now: Instant) -> bool {
        self.told += 1;
        let elapsed = now.saturating_duration_since(self.begun);
        self.told <= PROGRESS_AT_ONCE + elapsed.as_millis() / PROGRESS_EVERY.as_millis()
    }
}

/// Reads standard error until it is closed, which happens when the child ends, and keeps the last part.
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

/// A launched child. Dropping this before its end kills it.
pub(in crate::sandbox) struct Running {
    link: Arc<ForkServerHandle>,
    job: u64,
    socket: UnixStream,
    stderr: Option<pipe::Receiver>,
    end: oneshot::Receiver<ChildEnd>,
    /// How the child ended, if that was reported while its answer was still awaited.
    known: Option<ChildEnd>,
    over: bool,
}

impl Running {
    /// Orders a child from the fork server `link`, with `scratch` as its only directory.
    ///
    /// # Errors
    /// [`SandboxError::Retired`] if another fork server has taken over and must be asked; otherwise the reason why
    /// there is no child.
    pub(in crate::sandbox) fn launch(
        link: &Arc<ForkServerHandle>,
        spec: &JobSpec,
        scratch: &Path,
    ) -> Result<Self, SandboxError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let scratch = rustix::fs::open(scratch, flags, Mode::empty()).map_err(|e| SandboxError::Scratch(e.into()))?;
        let (socket, theirs) = UnixStream::pair().map_err(SandboxError::Launch)?;
        // The child uses blocking I/O on its end; only the worker's end belongs to the runtime.
        let theirs = theirs.into_std().map_err(SandboxError::Launch)?;
        theirs.set_nonblocking(false).map_err(SandboxError::Launch)?;
        let (stderr, said) = stderr_pipe().map_err(SandboxError::Launch)?;
        let descriptors = [theirs.as_fd(), scratch.as_fd(), said.as_fd()];
        let (job, end) = link.launch(descriptors, spec.limits.scratch_bytes)?;
        Ok(Self { link: Arc::clone(link), job, socket, stderr: Some(stderr), end, known: None, over: false })
    }

    fn kill(&self) {
        self.link.kill(self.job);
    }

    /// Sends the job to the child and waits for its answer. `None` if its fork server has ended. That is watched
    /// separately, because a child that was stopped before it could bind itself to its fork server outlives it and
    /// keeps its end of the socket open.
    async fn await_answer(
        &mut self,
        deadline: Duration,
        spec: &JobSpec,
        on_progress: impl FnMut(f32) + Send,
    ) -> Option<Heard> {
        let exchange = timeout(deadline, exchange(&mut self.socket, spec, on_progress));
        tokio::pin!(exchange);
        let heard = loop {
            tokio::select! {
                biased;
                heard = &mut exchange => break heard,
                end = &mut self.end, if self.known.is_none() => match end {
                    Ok(end) => self.known = Some(end),
                    Err(_) => {
                        self.over = true;
                        return None;
                    }
                },
            }
        };
        Some(match heard {
            Ok(Ok(Some(answer))) => Heard::Answer(answer),
            Ok(Ok(None)) => Heard::Nothing,
            Ok(Err(error)) => Heard::Invalid(error.to_string()),
            Err(_) => Heard::Late,
        })
    }

    /// Waits for the child's end, and kills it if it does not end in time.
    async fn ended(&mut self, mut killed: bool) -> End {
        loop {
            let end = match self.known.take() {
                Some(end) => Ok(Ok(end)),
                None => timeout(END_TIMEOUT, &mut self.end).await,
            };
            self.over = end.is_ok();
            match end {
                Ok(Ok(ChildEnd::Exited { used, .. } | ChildEnd::Signalled { used, .. })) if killed => {
                    return End::Killed(used);
                }
                Ok(Ok(end)) => return End::Reaped(end),
                Ok(Err(_)) => return End::Lost,
                // A fork server that does not report a killed child hangs. Its own end also ends its children.
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

/// The pipe for standard error. Both ends are non-blocking: if a child writes more than is read, the surplus is lost.
fn stderr_pipe() -> std::io::Result<(pipe::Receiver, OwnedFd)> {
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK)?;
    Ok((pipe::Receiver::from_owned_fd(ours)?, theirs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_bounded_by_the_time_that_has_passed() {
        let begun = Instant::now();
        let mut pace = Pace { begun, told: 0 };
        let told = |pace: &mut Pace, at: Duration| (0..10_000).take_while(|_| pace.allows_another(begun + at)).count();
        assert_eq!(told(&mut pace, Duration::ZERO), 32);
        // Progress of ten minutes at the normal rate, received all at once.
        let mut pace = Pace { begun, told: 0 };
        assert!((0..6000).all(|_| pace.allows_another(begun + Duration::from_secs(600))));
        let mut pace = Pace { begun, told: 0 };
        assert!((0..6000).all(|n| pace.allows_another(begun + Duration::from_millis(n * 100))));
    }
}
