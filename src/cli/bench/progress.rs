//! Shows the progress of a bench and an estimate of the remaining time. Measured by bytes of input, because the time
//! depends on them more than on the number of files.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

const TEMPLATE: &str = "{msg} {wide_bar:.cyan/dim} {elapsed_precise}, about {eta} left";

/// The progress bar of a run, on standard error and only on a terminal.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    jobs: std::cell::Cell<(usize, usize)>,
}

impl Progress {
    /// A bar for jobs with these sizes.
    pub(super) fn new(shown: bool, sizes: impl Iterator<Item = u64>) -> Self {
        let (jobs, bytes) = sizes.fold((0, 0), |(jobs, bytes), size| (jobs + 1, bytes + size));
        let bar = ProgressBar::new(bytes);
        if !shown {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.enable_steady_tick(Duration::from_millis(200));
        let progress = Self { bar, jobs: std::cell::Cell::new((0, jobs)) };
        progress.say();
        progress
    }

    /// A job was done.
    pub(super) fn did(&self, size_bytes: u64) {
        let (done, of) = self.jobs.get();
        self.jobs.set((done + 1, of));
        self.bar.inc(size_bytes);
        self.say();
    }

    /// A job was not needed. Removed from the total, so that it does not make the others look fast.
    pub(super) fn leave(&self, size_bytes: u64) {
        let (done, of) = self.jobs.get();
        self.jobs.set((done, of - 1));
        self.bar.set_length(self.bar.length().unwrap_or(0).saturating_sub(size_bytes));
        self.say();
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self) {
        let (done, of) = self.jobs.get();
        self.bar.set_message(format!("{done}/{of} jobs"));
    }
}
