//! Logs and spans. Log lines go to standard error, as JSON or text (`log.format`). Spans go to the OpenTelemetry
//! collector of `traces.endpoint`, if it is set.

mod export;
mod spans;

use std::io;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, FilterExt, Targets, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat, current_filter};

pub use export::{Traces, TracesError};
pub use spans::{SPANS, adopt, fail, trace_context, trace_id};

/// Root of the targets of our own lines.
const OURS: &str = "mediamill";

/// Sends log lines to standard error from now on. A second call does nothing.
pub fn init(log: &Log) {
    drop(tracing_subscriber::registry().with(lines(log)).try_init());
}

/// As [`init`], and keeps spans apart for `traces`, which exports them once it is started.
pub fn init_with_traces(log: &Log, traces: &Traces) {
    // Nothing else is exported: what other crates say of themselves may have customers' data in it.
    let ours = Targets::new().with_target(SPANS, LevelFilter::INFO);
    let exported = traces.tracer().map(|tracer| {
        let layer = tracing_opentelemetry::layer().with_tracer(tracer).with_tracked_inactivity(false);
        layer.with_location(false).with_threads(false).with_target(false).with_filter(ours)
    });
    drop(tracing_subscriber::registry().with(exported).with(lines(log)).try_init());
}

/// Panics are lines of the log from now on, with their place and without their message: it may quote what was in a message
/// or a file.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

fn lines<S>(log: &Log) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let filter = filter(&log.filter).and(filter_fn(|line| is_fit_to_print(line.target(), *line.level())));
    match log.format {
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(true).with_span_list(false).with_filter(filter).boxed()
        }
        LogFormat::Text => layer.with_filter(filter).boxed(),
    }
}

/// Whether a line may be logged, whatever the filter asks for. Below info, other crates write down what they send and get:
/// credentials of the store, signed addresses, bodies. No directive can ask for that.
fn is_fit_to_print(target: &str, level: Level) -> bool {
    let ours = target == OURS || target.strip_prefix(OURS).is_some_and(|rest| rest.starts_with("::"));
    ours || level <= Level::INFO
}

/// The configured filter, and what holds above it: lapin logs each message that is returned to it as a whole, captions
/// included, and every lost connection that is logged where it is handled. Spans for the collector are none of the log's.
fn filter(configured: &str) -> EnvFilter {
    let configured = current_filter(configured);
    let lapin = if configured.contains("lapin") { "" } else { ",lapin=off" };
    let always = format!("lapin::returned_messages=off,{SPANS}=off");
    EnvFilter::try_new(format!("{configured}{lapin},{always}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("info,lapin=off,{SPANS}=off")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_crates_are_not_logged_below_info() {
        for target in
            ["aws_smithy_runtime::client::orchestrator", "aws_sigv4", "hyper_util::client", "mediamillion", ""]
        {
            assert!(is_fit_to_print(target, Level::INFO) && is_fit_to_print(target, Level::ERROR), "{target}");
            assert!(!is_fit_to_print(target, Level::DEBUG) && !is_fit_to_print(target, Level::TRACE), "{target}");
        }
        assert!(is_fit_to_print("mediamill", Level::TRACE) && is_fit_to_print("mediamill::store", Level::TRACE));
    }

    #[test]
    fn no_filter_lets_returned_messages_into_the_log() {
        for configured in ["info", "lapin=trace", "trace", "not=a=filter"] {
            let text = filter(configured).to_string();
            assert!(
                text.contains("lapin::returned_messages=off") || text.contains("lapin=off"),
                "{configured}: {text}"
            );
            assert!(text.contains("mediamill::spans=off"), "{configured}: {text}");
        }
    }
}
