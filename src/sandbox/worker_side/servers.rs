//! Keeps one fork server running: starts the first one, replaces one that ended, and replaces one that has run enough
//! jobs.
//!
//! Children are copies of their fork server, so they all have its memory addresses and its stack canary. What one file
//! learns about these, by a crash or by a leak, another file could use. So a fork server is replaced after a suspicious
//! end of a child and after [`SandboxOptions::renew_after_jobs`]. First the next one is started; then it takes all new
//! jobs, and the old one ends after its last job.
//!
//! Each fork server has a thread of its own, because the kernel kills it when the thread that started it ends.

use std::process::ExitStatus;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::fork_server_handle::ForkServerHandle;
use crate::sandbox::{SandboxError, SandboxOptions};
use crate::task::Libav;
use crate::vocabulary::SandboxStatus;

/// Shortest time between two replacements. Without it, files that crash on purpose would have a fork server started for
/// each.
const RENEW_PAUSE: Duration = Duration::from_secs(1);
/// Pause before a fork server that ended is replaced. Doubles up to the maximum while fork servers end soon after their
/// start.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A fork server that has lived this long did not end because of a failed start.
const STABLE_AFTER: Duration = Duration::from_secs(10);

/// Whether a fork server takes jobs.
#[derive(Clone)]
pub(in crate::sandbox) enum State {
    Up(Arc<ForkServerHandle>),
    Down,
    Closed,
}

/// Events for the keeper.
pub(in crate::sandbox) enum Event {
    /// A fork server is initialised and takes jobs.
    Ready(Arc<ForkServerHandle>),
    /// A fork server could not be started.
    NotReady(SandboxError),
    /// A fork server has ended and was reaped.
    Ended { link: Arc<ForkServerHandle>, status: Option<ExitStatus> },
    /// This fork server should be replaced.
    Renew { link: Arc<ForkServerHandle>, why: &'static str },
    /// No more fork servers are needed.
    Close,
}

/// Receives the result of the first start.
pub(in crate::sandbox) type FirstStart = mpsc::SyncSender<Result<(SandboxStatus, Libav), SandboxError>>;

/// Decides when a fork server is started. Runs on a thread of its own until closed.
pub(in crate::sandbox) struct Keeper {
    pub(in crate::sandbox) options: SandboxOptions,
    pub(in crate::sandbox) state: Arc<watch::Sender<State>>,
    pub(in crate::sandbox) events: mpsc::Receiver<Event>,
    /// Given to the threads of fork servers.
    pub(in crate::sandbox) sender: mpsc::Sender<Event>,
}

/// The keeper's state.
struct Known {
    first: Option<FirstStart>,
    /// The fork server that takes new jobs.
    current: Option<Arc<ForkServerHandle>>,
    /// Fork servers that were not yet reaped: the current one, and those that finish their jobs.
    alive: Vec<Arc<ForkServerHandle>>,
    starting: bool,
    /// When to start another one, if one is needed.
    start_at: Option<Instant>,
    last_start: Instant,
    backoff: Duration,
    closing: bool,
}

impl Keeper {
    /// Keeps a fork server running until closed. `first` receives the result of the first start; if that fails, the
    /// keeper ends.
    pub(in crate::sandbox) fn run(self, first: FirstStart) {
        let now = Instant::now();
        let mut known = Known {
            first: Some(first),
            current: None,
            alive: Vec::new(),
            starting: false,
            start_at: Some(now),
            last_start: now,
            backoff: BACKOFF_MIN,
            closing: false,
        };
        while !known.is_over() {
            if let Some(event) = self.next(&mut known) {
                self.handle(event, &mut known);
            }
        }
    }

    /// Starts a fork server if it is time to, or waits for the next event.
    fn next(&self, known: &mut Known) -> Option<Event> {
        let Some(at) = known.start_at.filter(|_| !known.starting) else { return self.events.recv().ok() };
        let pause = at.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            return self.events.recv_timeout(pause).ok();
        }
        known.start_at = None;
        known.last_start = Instant::now();
        let (options, state, sender) = (self.options.clone(), Arc::clone(&self.state), self.sender.clone());
        let thread = std::thread::Builder::new().name("fork-server".to_owned());
        match thread.spawn(move || serve(&options, &state, &sender)) {
            Ok(_) => {
                known.starting = true;
                None
            }
            Err(error) => Some(Event::NotReady(SandboxError::Server(error))),
        }
    }

    fn handle(&self, event: Event, known: &mut Known) {
        match event {
            Event::Ready(link) => self.ready(link, known),
            Event::NotReady(error) => {
                known.starting = false;
                match known.first.take() {
                    Some(first) => {
                        known.closing = true;
                        first.send(Err(error)).ok();
                    }
                    None if known.closing => {}
                    None => {
                        tracing::error!(%error, "a fork server could not be started; trying again after a pause");
                        known.start_after_a_pause();
                    }
                }
            }
            Event::Ended { link, status } => {
                known.alive.retain(|other| !Arc::ptr_eq(other, &link));
                if known.current.take_if(|current| Arc::ptr_eq(current, &link)).is_some() {
                    withdraw(&self.state, &link);
                    if !known.closing {
                        tracing::warn!(?status, "the fork server ended; starting another one");
                        known.start_after_a_pause();
                    }
                }
            }
            Event::Renew { link, why } => {
                let current = known.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, &link));
                if current && !known.starting && known.start_at.is_none() && !known.closing {
                    tracing::info!(why, jobs = link.jobs_begun(), "replacing the fork server by a new one");
                    known.start_at = Some(known.last_start + RENEW_PAUSE);
                }
            }
            Event::Close => {
                known.closing = true;
                known.start_at = None;
                known.alive.iter().for_each(|link| link.abandon());
            }
        }
    }

    fn ready(&self, link: Arc<ForkServerHandle>, known: &mut Known) {
        known.starting = false;
        known.alive.push(Arc::clone(&link));
        if replace_unless_closed(&self.state, State::Up(Arc::clone(&link))) {
            link.abandon();
        }
        if let Some(first) = known.first.take() {
            // If nobody receives this, nobody will close the keeper either.
            known.closing |= first.send(Ok((link.status.clone(), link.libav.clone()))).is_err();
        }
        // Only now is the old one retired: a job that it refuses finds the new one.
        if let Some(old) = known.current.replace(link) {
            old.retire();
        }
    }
}

impl Known {
    fn is_over(&self) -> bool {
        self.closing && !self.starting && self.alive.is_empty()
    }

    fn start_after_a_pause(&mut self) {
        let now = Instant::now();
        if now.saturating_duration_since(self.last_start) > STABLE_AFTER {
            self.backoff = BACKOFF_MIN;
        }
        self.start_at = Some(now + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF_MAX);
    }
}

/// Runs a fork server from its start to its end.
fn serve(options: &SandboxOptions, state: &watch::Sender<State>, events: &mpsc::Sender<Event>) {
    let (link, mut process) = match ForkServerHandle::start(options) {
        Ok(started) => started,
        // The keeper lives as long as a start can be reported to it.
        Err(error) => return drop(events.send(Event::NotReady(error))),
    };
    events.send(Event::Ready(Arc::clone(&link))).ok();
    link.listen();
    // It may have closed its socket without ending.
    link.abandon();
    withdraw(state, &link);
    // Only now, so that a job that was lost does not find the same fork server again.
    link.forget();
    let status = process.wait().ok();
    events.send(Event::Ended { link, status }).ok();
}

/// If this fork server is the one that takes jobs, none takes jobs from now on.
fn withdraw(state: &watch::Sender<State>, link: &Arc<ForkServerHandle>) {
    state.send_if_modified(|state| {
        let ours = matches!(state, State::Up(current) if Arc::ptr_eq(current, link));
        if ours {
            *state = State::Down;
        }
        ours
    });
}

/// Replaces the state unless it is closed. Returns whether it was closed.
fn replace_unless_closed(state: &watch::Sender<State>, new: State) -> bool {
    let mut closed = false;
    state.send_if_modified(|state| {
        closed = matches!(state, State::Closed);
        if !closed {
            *state = new;
        }
        !closed
    });
    closed
}
