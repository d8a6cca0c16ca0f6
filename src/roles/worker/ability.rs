//! Tests whether this worker can do any job, after a job has failed because of the store or the machine. If it cannot,
//! the attempt of that job is not counted.
//!
//! A failure with a code of the store or of the machine is followed by a *trial*: a small write, or a tiny sound made
//! by a child. Where that fails too, no message is to blame: the worker takes no more, the message goes back without
//! its attempt being counted, and the trial is repeated until it passes. Where the trial passes, the store or the
//! machine fails at this one file only, and its message goes through its retry queues to its end. Counting failures in
//! a row instead would use up an attempt of the first ones of each outage, and would never end a message that comes
//! alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

use super::pipeline::Pipeline;
use crate::error::{Code, Fault};
use crate::task::INPUT;

/// A trial without an end within this has failed.
const PATIENCE: Duration = Duration::from_secs(10);
/// Samples a second of the tiny sound, and how many it has.
const RATE: u32 = 8000;
const SAMPLES: u32 = RATE / 5;

/// What a job needs besides its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The object store.
    Store,
    /// Scratch space, fork server, libav.
    Machine,
}

/// What is known of it.
#[derive(Debug, Clone)]
pub(super) struct Ability {
    pipeline: Pipeline,
    trouble: Arc<Mutex<Option<Part>>>,
    /// One trial at a time: those who wait for it go by what it found.
    trials: Arc<AsyncMutex<()>>,
}

/// The part that a failure may come from, if it is not the file's own.
pub(super) const fn suspect(code: Code) -> Option<Part> {
    match code {
        Code::StoreUnavailable | Code::StoreForbidden | Code::StoreMissing => Some(Part::Store),
        Code::WorkerSandbox | Code::WorkerScratch | Code::WorkerBroken => Some(Part::Machine),
        _ => None,
    }
}

/// Whether a trial that ended so shows that nothing can be done. A child that judges its file has done its work, and where
/// running jobs leave no room for the trial, work is done.
const fn is_trouble(fault: &Fault) -> bool {
    !matches!(fault, Fault::Rejected { .. } | Fault::NoRoom { .. } | Fault::Paused { .. } | Fault::Shutdown)
}

impl Ability {
    pub(super) fn new(pipeline: Pipeline) -> Self {
        Self { pipeline, trouble: Arc::default(), trials: Arc::default() }
    }

    /// Whether no more messages are to be taken for now.
    pub(super) fn is_unable(&self) -> bool {
        self.trouble().is_some()
    }

    /// Whether a job failed because this worker can do none at the moment.
    pub(super) async fn explains(&self, fault: &Fault) -> bool {
        let Some(part) = fault.code().and_then(suspect).filter(|_| is_trouble(fault)) else { return false };
        let one_at_a_time = self.trials.lock().await;
        if *self.trouble() == Some(part) {
            return true;
        }
        // Boxed, as everything that has the store's futures in it.
        let tried = Box::pin(self.try_part(part)).await;
        drop(one_at_a_time);
        let Some(trouble) = tried.err().filter(is_trouble) else { return false };
        tracing::error!(reason = trouble.message(), "no job can be done here: the attempt does not count");
        *self.trouble() = Some(part);
        true
    }

    /// Whether jobs can be done: what each needs is there, and what was in trouble passes its trial.
    ///
    /// # Errors
    /// What is in the way.
    pub(super) async fn check(&self) -> Result<(), Fault> {
        let trouble = *self.trouble();
        let checked = Box::pin(timeout(PATIENCE, self.pipeline.store().check())).await;
        checked.map_err(|_elapsed| no_answer())??;
        self.pipeline.able()?;
        if let Some(part) = trouble
            && let Some(fault) = Box::pin(self.try_part(part)).await.err().filter(is_trouble)
        {
            return Err(fault);
        }
        // A job that runs may have met another trouble meanwhile: that one is looked at next.
        let mut now = self.trouble();
        if *now == trouble {
            *now = None;
        }
        drop(now);
        Ok(())
    }

    async fn try_part(&self, part: Part) -> Result<(), Fault> {
        let trial = async {
            match part {
                Part::Store => Ok(self.pipeline.store().check_write().await?),
                Part::Machine => self.make_a_sound().await,
            }
        };
        timeout(PATIENCE, trial).await.unwrap_or_else(|_elapsed| Err(no_answer()))
    }

    async fn make_a_sound(&self) -> Result<(), Fault> {
        self.pipeline.able()?;
        let sound = tiny_sound();
        let bytes = u64::try_from(sound.len()).unwrap_or(u64::MAX);
        let scratch = self.pipeline.workspace().claim(bytes)?;
        let unwritten = |err| Fault::transient(Code::WorkerScratch, format!("writing to the scratch directory: {err}"));
        tokio::fs::write(scratch.path().join(INPUT), sound).await.map_err(unwritten)?;
        // There is always a default profile: others without it are refused.
        if let Some(spec) = self.pipeline.trial() {
            self.pipeline.sandbox().run(&spec, scratch.path(), |_| ()).await?;
        }
        Ok(())
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Part>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_answer() -> Fault {
    Fault::transient(Code::StoreUnavailable, format!("a trial had no end within {} s", PATIENCE.as_secs()))
}

/// A WAV file: a fifth of a second of a tone, one channel, 16 bits.
fn tiny_sound() -> Vec<u8> {
    let data_bytes = SAMPLES * 2;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + data_bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend([1, 0, 1, 0]);
    wav.extend(RATE.to_le_bytes());
    wav.extend((RATE * 2).to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(data_bytes.to_le_bytes());
    // A triangle of 16 samples: 500 Hz.
    wav.extend((0..SAMPLES).flat_map(|n| {
        let step = i16::try_from(n % 16).unwrap_or(0);
        let height = if step < 8 { step } else { 16 - step };
        ((height - 4) * 2000).to_le_bytes()
    }));
    wav
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_and_the_machine_are_suspected_of_their_own_codes_only() {
        let of = |part| -> Vec<&str> {
            Code::ALL.iter().filter(|code| suspect(**code) == Some(part)).map(|code| code.as_str()).collect()
        };
        assert_eq!(of(Part::Store), ["store.unavailable", "store.forbidden", "store.missing"]);
        assert_eq!(of(Part::Machine), ["worker.sandbox", "worker.scratch", "worker.broken"]);
    }

    #[test]
    fn a_trial_whose_sound_is_refused_has_shown_a_child_at_work() {
        assert!(!is_trouble(&Fault::rejected(Code::LimitBytes, "")));
        assert!(!is_trouble(&Fault::NoRoom { message: String::new() }), "the running jobs are at work");
        assert!(is_trouble(&Fault::suspect(Code::MediaCrashedDecoder, "")));
        assert!(is_trouble(&Fault::transient(Code::StoreUnavailable, "")));
        assert!(is_trouble(&Fault::broken(Code::WorkerSandbox, "")));
    }

    #[test]
    fn the_tiny_sound_is_as_long_as_it_says() {
        let wav = tiny_sound();
        assert_eq!(wav.len(), 44 + 3200);
        assert_eq!(wav[4..8], u32::try_from(wav.len() - 8).expect("small").to_le_bytes());
    }
}
