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
use crate::events::TraceContext;

/// Target of the spans that are exported.
pub const SPANS: &str = "mediamill::spans";

/// Makes `span` a child of the remote one that `trace` names. Before anything else is done with it.
pub fn adopt(span: &Span, trace: &TraceContext) {
    // Fails where nothing is exported.
    drop(span.set_parent(read(trace)));
}

/// What a message says that is sent from within `span`; nothing where nothing is exported.
#[must_use]
pub fn trace_context(span: &Span) -> Option<TraceContext> {
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

fn read(trace: &TraceContext) -> Context {
    let carrier: HashMap<_, _> = trace.fields().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier)
}

fn written(context: &Context) -> Option<TraceContext> {
    let mut carrier = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut carrier);
    TraceContext::read(|name| carrier.get(name).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::TRACEPARENT;

    const PRODUCER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    const STATE: &str = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE";

    fn producer(traceparent: &str) -> TraceContext {
        let text = |name| if name == TRACEPARENT { traceparent } else { STATE };
        TraceContext::read(|name| Some(text(name).to_owned())).expect("valid")
    }

    #[test]
    fn a_context_is_written_as_it_was_read() {
        for trace in [PRODUCER, UNSAMPLED].map(producer) {
            let context = read(&trace);
            assert!(context.span().span_context().is_remote());
            assert_eq!(written(&context), Some(trace));
        }
    }

    #[test]
    fn where_nothing_is_exported_there_is_nothing_to_say() {
        let span = tracing::info_span!(target: SPANS, "process");
        adopt(&span, &producer(PRODUCER));
        fail(&span, Code::MediaEmpty);
        assert_eq!((trace_context(&span), trace_id(&span)), (None, None));
    }

    #[test]
    fn a_span_is_in_its_producers_trace_and_has_an_id_of_its_own() {
        let _exported = exported();
        let said = |traceparent| -> Vec<String> {
            let span = tracing::info_span!(target: SPANS, "process");
            adopt(&span, &producer(traceparent));
            assert_eq!(trace_id(&span).as_deref(), Some(&PRODUCER[3..35]));
            let own = trace_context(&span).expect("a context");
            own.fields().map(|(_, value)| value.to_owned()).collect()
        };
        let sampled = said(PRODUCER);
        assert!(sampled[0].starts_with(&PRODUCER[..36]) && sampled[0].ends_with("-01"), "{sampled:?}");
        assert!(sampled[0] != PRODUCER && sampled[1] == STATE, "{sampled:?}");
        assert!(said(UNSAMPLED)[0].ends_with("-00"));
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
