//! What the program says while it runs: log lines on standard error, JSON for machines, text for people; and spans for an
//! OpenTelemetry collector, where there is one.

mod export;
mod spans;

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

pub use export::{Traces, TracesError};
pub use spans::{SPANS, adopt, fail, trace_context, trace_id};

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
    let filter = filter(&log.filter);
    match log.format {
        LogFormat::Json => {
            layer.json().flatten_event(true).with_current_span(true).with_span_list(false).with_filter(filter).boxed()
        }
        LogFormat::Text => layer.with_filter(filter).boxed(),
    }
}

/// The configured filter, and what holds above it: lapin logs each message that is returned to it as a whole, captions
/// included, and every lost connection that is logged where it is handled. Spans for the collector are none of the log's.
fn filter(configured: &str) -> EnvFilter {
    let lapin = if configured.contains("lapin") { "" } else { ",lapin=off" };
    let always = format!("lapin::returned_messages=off,{SPANS}=off");
    EnvFilter::try_new(format!("{configured}{lapin},{always}"))
        .unwrap_or_else(|_| EnvFilter::new(format!("info,lapin=off,{SPANS}=off")))
}

#[cfg(test)]
mod tests {
    use super::*;

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
