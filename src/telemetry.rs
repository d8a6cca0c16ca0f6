//! Log lines on standard error: JSON for machines, text for people.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// Sends log lines to standard error from now on. A second call does nothing.
pub fn init(log: &Log) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(&log.filter)).with_writer(io::stderr);
    let installed = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init(),
        LogFormat::Text => builder.try_init(),
    };
    drop(installed);
}

/// The configured filter, and what holds above it: lapin logs each message that is returned to it as a whole, captions
/// included, and every lost connection that is logged where it is handled.
fn filter(configured: &str) -> EnvFilter {
    let lapin = if configured.contains("lapin") { "" } else { ",lapin=off" };
    EnvFilter::try_new(format!("{configured}{lapin},lapin::returned_messages=off"))
        .unwrap_or_else(|_| EnvFilter::new("info,lapin=off"))
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
        }
    }
}
