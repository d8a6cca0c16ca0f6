//! What a destination is: the seam between the role, which knows queues and the ledger, and the kinds of destinations.
//!
//! A destination makes a [plan](Destination::plan) of steps for an event. The engine goes through them in order: it notes in the
//! ledger that a step begins, has it [applied](Destination::apply), and notes the remote id before the next step begins. A step
//! that had begun and whose end is not known is [read back](Destination::read_back) before anything is sent again.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::amendment::{Amendment, TooLong, Written};
use super::call::Call;
use super::ledger::{MediaKey, Row};
use super::map::Prepared;
use super::subject::Subject;
use crate::error::Code;
use crate::events::Event;

/// A kind of destination with its account.
pub trait Destination: Debug + Send + Sync + 'static {
    /// Whether something of a media stays there that has a remote id: then erased events are for it, whatever the configuration
    /// says.
    fn keeps(&self) -> bool {
        true
    }

    /// What is to be done for an event, in order. Nothing is sent.
    ///
    /// # Errors
    /// [`Failed`] where the event cannot become requests.
    fn plan(&self, work: &Work<'_>) -> Result<Vec<Step>, Failed>;

    /// The requests of a step, as [`Destination::apply`] sends them; with placeholders where `ids` has no id of an earlier step.
    /// A step that looks something up may send fewer of them, and the rest of an upload that is made in parts may follow.
    ///
    /// # Errors
    /// As [`Destination::plan`].
    fn requests(&self, step: &Step, work: &Work<'_>, ids: &Ids) -> Result<Vec<Call>, Failed>;

    /// Does a step.
    fn apply<'a>(&'a self, step: &'a Step, work: &'a Work<'a>, ids: &'a Ids) -> BoxFuture<'a, Result<Applied, Failed>>;

    /// Asks whether a step of which only the beginning is known has been done. Called no earlier than `read_back_lag_s` after it
    /// began.
    fn read_back<'a>(
        &'a self,
        _step: &'a Step,
        _work: &'a Work<'a>,
        _ids: &'a Ids,
    ) -> BoxFuture<'a, Result<ReadBack, Failed>> {
        Box::pin(async { Ok(ReadBack::CannotTell) })
    }

    /// What a further note is in the ledger, where notes cannot be changed: [`Destination::amend`] then writes one, and its remote id
    /// is kept. Nothing where notes are changed, which may be repeated.
    fn adds(&self) -> Option<&'static str> {
        None
    }

    /// Adds to a note that was written before.
    fn amend<'a>(&'a self, _note: Written<'a>, _amendment: &'a Amendment) -> BoxFuture<'a, Result<Applied, Failed>> {
        Box::pin(async { Err(Failed::mapping("amend: this kind of destination has no notes")) })
    }

    /// Asks whether a further note of which only the beginning is known was written.
    fn read_amendment<'a>(
        &'a self,
        _note: Written<'a>,
        _amendment: &'a Amendment,
    ) -> BoxFuture<'a, Result<ReadBack, Failed>> {
        Box::pin(async { Ok(ReadBack::CannotTell) })
    }

    /// Removes everything of a media, by what the ledger knows of it. What is gone already is fine: it is repeated until it
    /// succeeds. A row of a step that only began has no remote id: what it may have made is looked for.
    fn erase<'a>(&'a self, media: MediaKey<'a>, rows: &'a [Row]) -> BoxFuture<'a, Result<Vec<Residue>, Failed>>;

    /// Asks whether the destination would take requests: reads, writes nothing.
    fn check(&self) -> BoxFuture<'_, Result<(), Failed>> {
        Box::pin(async { Ok(()) })
    }

    /// Compares the fields that a map writes for an event with the destination's own description of them: reads, writes nothing.
    /// What differs, a line each; nothing where the destination describes no fields.
    fn compare<'a>(&'a self, _prepared: &'a Prepared) -> BoxFuture<'a, Result<Option<Vec<String>>, Failed>> {
        Box::pin(async { Ok(None) })
    }

    /// What there must be at the destination before the first event: fields and objects to create, for people.
    fn setup(&self) -> String;
}

/// An event that is delivered, with everything that is derived from it.
#[derive(Debug)]
pub struct Work<'a> {
    /// The event.
    pub event: &'a Event,
    /// What it is about.
    pub subject: &'a Subject,
    /// What the destination's map makes of it; nothing for destinations without a map.
    pub prepared: Option<Prepared>,
    /// Links to the media's assets, by role, and `page`; empty where no links are configured.
    pub links: BTreeMap<String, String>,
    /// What a note ends with, so that it can be found again: `mediamill` and the beginning of the event's id.
    pub marker: String,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it is about: `contact`, `note`, `file:playback`.
    pub record: String,
    /// What is done: `find`, `create`, `update`, `upload`, `associate`.
    pub name: &'static str,
    /// What a repetition would do.
    pub repetition: Repetition,
}

/// What the repetition of a step would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// Nothing: it reads only, or leads to the same result. It is sent again where its end is not known.
    Harmless,
    /// It would make a second one: it is read back where its end is not known.
    Doubles,
}

impl Step {
    /// A step that may be repeated.
    #[must_use]
    pub fn harmless(record: impl Into<String>, name: &'static str) -> Self {
        Self { record: record.into(), name, repetition: Repetition::Harmless }
    }

    /// A step that must not be repeated blindly.
    #[must_use]
    pub fn doubles(record: impl Into<String>, name: &'static str) -> Self {
        Self { record: record.into(), name, repetition: Repetition::Doubles }
    }
}

/// Remote ids of earlier steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ids {
    known: BTreeMap<(String, String), String>,
    /// Whether an id that is not known has a placeholder.
    is_shown: bool,
}

impl Ids {
    /// For requests that are shown and not sent: every id is there, as its record in braces.
    #[must_use]
    pub fn shown() -> Self {
        Self { known: BTreeMap::new(), is_shown: true }
    }

    /// The id that this step gave, or for requests that are shown its placeholder.
    #[must_use]
    pub fn get(&self, record: &str, name: &str) -> Option<String> {
        let known = self.known.get(&(record.to_owned(), name.to_owned())).cloned();
        known.or_else(|| self.is_shown.then(|| format!("{{{record}}}")))
    }

    /// The id that the first of these steps gave.
    #[must_use]
    pub fn first(&self, record: &str, names: &[&str]) -> Option<String> {
        let known = |name: &&str| self.known.get(&(record.to_owned(), (*name).to_owned())).cloned();
        names.iter().find_map(known).or_else(|| self.get(record, names.first()?))
    }

    /// Whether ids are placeholders.
    #[must_use]
    pub const fn are_shown(&self) -> bool {
        self.is_shown
    }

    pub(super) fn put(&mut self, record: &str, name: &str, id: &str) {
        self.known.insert((record.to_owned(), name.to_owned()), id.to_owned());
    }
}

/// How a step ended that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It led to this remote id; empty where there is none to keep.
    Done(String),
    /// There was nothing to do, or nothing was found: it has no id, and is asked again if the event comes again.
    Nothing,
    /// The rest of the plan is not wanted: the event has ended well without it.
    EndsHere,
}

/// What reading back found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadBack {
    /// It was done, and led to this remote id.
    Found(String),
    /// It was not done: it is sent again.
    NotThere,
    /// The destination has no way to say: it is sent again, which may make a second one.
    CannotTell,
}

/// Something of an erased media that the destination keeps for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Residue {
    /// What and where, without anything personal.
    pub what: String,
    /// For so many days at most; nothing where it does not go by itself.
    pub days: Option<u32>,
}

/// Why a step did not succeed, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} [{code}]")]
pub struct Failed {
    /// What is to be done about it.
    pub class: Class,
    /// The stable reason.
    pub code: Code,
    /// A sentence for people, without anything personal: no value of a field, no body of an answer but its codes.
    pub message: String,
    /// Whether the destination may have done all the same what it was asked for.
    pub is_unknown: bool,
}

/// What is to be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// It may pass: the event comes again, after this wait where the destination asked for one.
    Transient(Option<Duration>),
    /// The destination wants no requests for so long: no event is taken until then, and this attempt does not count.
    Pause(Duration),
    /// This event can have no better end: it is dead-lettered, where an operator finds it by its code.
    Park,
    /// The map is wrong: the event comes again, and after some such events in a row the destination is stopped.
    Mapping,
    /// Nothing will succeed before an operator has acted: the destination is stopped, and its queue waits.
    Stop,
    /// A record that the ledger knows is no longer there: what was looked up is forgotten, and the event comes again.
    Stale,
    /// The receiver wants no more attempts for this event.
    Abort,
}

impl From<TooLong> for Failed {
    fn from(error: TooLong) -> Self {
        Self::new(Class::Park, Code::DeliverRefused, error.to_string())
    }
}

impl Failed {
    /// A failure after which nothing was done there.
    pub fn new(class: Class, code: Code, message: impl Into<String>) -> Self {
        Self { class, code, message: message.into(), is_unknown: false }
    }

    /// The same where the destination may have done it.
    #[must_use]
    pub fn unknown(self) -> Self {
        Self { is_unknown: true, ..self }
    }

    /// A failure that may pass.
    pub fn transient(code: Code, message: impl Into<String>) -> Self {
        Self::new(Class::Transient(None), code, message)
    }

    /// A failure of the map.
    pub fn mapping(message: impl Into<String>) -> Self {
        Self::new(Class::Mapping, Code::DeliverMapping, message)
    }
}
