//! Spans and the W3C Trace Context that joins them to those of other services.
//!
//! Spans are made with `tracing` and the target [`SPANS`]. Where nothing is exported they do not exist: all of this is
//! then a look at one flag.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Status, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::error::Code;
use crate::events::{TRACEPARENT, is_traceparent};

/// Target of the spans that are exported.
pub const SPANS: &str = "mediamill::spans";

/// Makes `span` a child of the remote one that `traceparent` names. Before anything else is done with it; a traceparent
/// that is none is passed over, and the span begins a trace of its own.
pub fn adopt(span: &Span, traceparent: Option<&str>) {
    // The SDK takes ids that are too short.
    if let Some(text) = traceparent.filter(|text| is_traceparent(text)) {
        // Fails where nothing is exported.
        drop(span.set_parent(context(text)));
    }
}

/// What a message says that is sent from within `span`; nothing where nothing is exported.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    written(&span.context())
}

/// The trace of `span` in hex; nothing where nothing is exported.
#[must_use]
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let span = context.span();
    let of = span.span_context();
    of.is_valid().then(|| of.trace_id().to_string())
}

/// What `span` is about went wrong. Only the code is said: a message may have customers' data in it.
pub fn fail(span: &Span, code: Code) {
    span.set_attribute("error.type", code.as_str());
    span.set_status(Status::error(code.as_str()));
}

fn context(traceparent: &str) -> Context {
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

fn written(context: &Context) -> Option<String> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    carrier.remove(TRACEPARENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRODUCER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_written_as_it_was_read() {
        for text in [PRODUCER, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"] {
            let context = context(text);
            assert!(context.span().span_context().is_remote());
            assert_eq!(written(&context).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_traceparent_is_nobodys_parent() {
        let _exported = exported();
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            let span = tracing::info_span!(target: SPANS, "process");
            adopt(&span, Some(text));
            let own = traceparent(&span).expect("a trace of its own");
            assert!(!own.contains("4bf92f3577b34da6a3ce929d0e0e473"), "{text}: {own}");
        }
    }

    #[test]
    fn where_nothing_is_exported_there_is_nothing_to_say() {
        let span = tracing::info_span!(target: SPANS, "process");
        adopt(&span, Some(PRODUCER));
        fail(&span, Code::MediaEmpty);
        assert_eq!((traceparent(&span), trace_id(&span)), (None, None));
    }

    #[test]
    fn a_span_is_in_its_producers_trace_and_has_an_id_of_its_own() {
        let _exported = exported();
        let span = tracing::info_span!(target: SPANS, "process");
        adopt(&span, Some(PRODUCER));
        let own = traceparent(&span).expect("a traceparent");
        assert!(own.starts_with(&PRODUCER[..36]) && own.ends_with("-01") && own != PRODUCER, "{own}");
        assert_eq!(trace_id(&span).as_deref(), Some(&PRODUCER[3..35]));
        let unsampled = tracing::info_span!(target: SPANS, "process");
        adopt(&unsampled, Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"));
        assert!(traceparent(&unsampled).expect("a traceparent").ends_with("-00"));
    }

    /// Spans of this thread are made as if somebody wanted them.
    fn exported() -> tracing::subscriber::DefaultGuard {
        use tracing_subscriber::layer::SubscriberExt;
        let traces =
            crate::telemetry::Traces::new(&crate::config::Traces { endpoint: "http://127.0.0.1:1".to_owned() });
        let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer().expect("it is on"));
        tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
    }
}
