//! Progress bars: one for each running file and one for all files, on standard error and only on a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

const STEPS: u64 = 1000;
const LABEL_COLUMNS: usize = 36;

/// The progress bars of a run.
#[derive(Debug)]
pub(super) struct Bars {
    all: MultiProgress,
    total: ProgressBar,
}

impl Bars {
    /// Bars for this many files. Nothing is drawn if `shown` is false or standard error is not a terminal.
    pub(super) fn new(files: usize, shown: bool) -> Self {
        let all = MultiProgress::new();
        if !shown {
            all.set_draw_target(indicatif::ProgressDrawTarget::hidden());
        }
        let total = all.add(ProgressBar::new(u64::try_from(files).unwrap_or(u64::MAX)));
        total.set_style(style("{pos}/{len} files  {wide_bar:.cyan/dim}  {elapsed_precise}"));
        // Draws the bar before the first file is done.
        total.tick();
        Self { all, total }
    }

    /// Adds a bar for a file that starts now.
    pub(super) fn start(&self, label: &str) -> Bar<'_> {
        let bar = self.all.insert_before(&self.total, ProgressBar::new(STEPS));
        bar.set_style(style("{spinner:.cyan} {prefix} {wide_bar:.green/dim} {percent:>3} %"));
        let label = crate::cli::units::shortened(label, LABEL_COLUMNS);
        let pad = LABEL_COLUMNS.saturating_sub(crate::cli::units::width(&label));
        bar.set_prefix(format!("{label}{:pad$}", ""));
        bar.enable_steady_tick(Duration::from_millis(120));
        Bar { bar, bars: self }
    }

    /// Removes all bars.
    pub(super) fn finish(&self) {
        self.total.finish_and_clear();
    }
}

/// The bar of one file; removed when this is dropped.
#[derive(Debug)]
pub(super) struct Bar<'a> {
    bar: ProgressBar,
    bars: &'a Bars,
}

impl Bar<'_> {
    /// Sets the progress, from 0 to 1.
    pub(super) fn set(&self, fraction: f32) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
        self.bar.set_position((f64::from(fraction.clamp(0.0, 1.0)) * 1000.0) as u64);
    }
}

impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.bars.total.inc(1);
    }
}

/// The templates are constants, and a test draws them.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
