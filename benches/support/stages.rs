//! Listens to the spans of the transcoder and adds up how long each was the innermost.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Time by stage.
pub(crate) type Times = BTreeMap<&'static str, Duration>;

/// The clocks of all stages. For one thread.
#[derive(Clone, Default)]
pub(crate) struct Stages(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    names: Vec<&'static str>,
    inside: Vec<usize>,
    since: Option<Instant>,
    times: Times,
}

impl State {
    /// What has passed since the last look belongs to the innermost stage.
    fn settle(&mut self) {
        let now = Instant::now();
        if let (Some(since), Some(innermost)) = (self.since.replace(now), self.inside.last()) {
            *self.times.entry(self.names[*innermost]).or_default() += now - since;
        }
    }
}

impl Stages {
    /// Listens from now on.
    pub(crate) fn install() -> Self {
        let stages = Self::default();
        tracing::subscriber::set_global_default(stages.clone()).expect("the only listener");
        stages
    }

    /// Forgets what was heard.
    pub(crate) fn clear(&self) {
        self.state().times.clear();
    }

    /// What was heard since.
    pub(crate) fn take(&self) -> Times {
        std::mem::take(&mut self.state().times)
    }

    /// The stages of all rounds, the longest of the first round first.
    pub(crate) fn names(rounds: &[Times]) -> Vec<&'static str> {
        let mut named: Vec<_> = rounds.first().into_iter().flatten().collect();
        named.sort_by_key(|(_, time)| std::cmp::Reverse(**time));
        named.into_iter().map(|(name, _)| *name).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }
}

impl Subscriber for Stages {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("mediamill::transcode")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let (mut state, name) = (self.state(), span.metadata().name());
        let known = state.names.iter().position(|known| *known == name);
        let index = known.unwrap_or_else(|| {
            state.names.push(name);
            state.names.len() - 1
        });
        Id::from_u64(index as u64 + 1)
    }

    fn enter(&self, span: &Id) {
        let mut state = self.state();
        state.settle();
        state.inside.push(usize::try_from(span.into_u64()).expect("an index") - 1);
    }

    fn exit(&self, _: &Id) {
        let mut state = self.state();
        state.settle();
        state.inside.pop();
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}
}
