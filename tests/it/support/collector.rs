//! An OpenTelemetry collector: takes OTLP over HTTP and keeps what it is told.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::host::Host;

/// A span as it arrived, ids in hex.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `process …`, `fetch`, …
    pub name: String,
    /// 1 internal, 4 producer, 5 consumer.
    pub kind: i32,
    /// The trace.
    pub trace_id: String,
    /// Its own.
    pub span_id: String,
    /// Empty at the root of a trace.
    pub parent_id: String,
    /// 0 unset, 1 ok, 2 error.
    pub status: i32,
    /// As text.
    pub attributes: BTreeMap<String, String>,
    /// Of the resource that it came from, as text.
    pub resource: BTreeMap<String, String>,
}

impl Seen {
    /// An attribute; empty where there is none.
    pub fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    /// As what is sent from within it says.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }
}

/// The collector.
pub struct Collector {
    address: SocketAddr,
    shared: Arc<Shared>,
    _host: Host,
}

struct Shared {
    answer: Box<dyn Fn(usize) -> StatusCode + Send + Sync>,
    batches: Mutex<Vec<Vec<Seen>>>,
}

impl Collector {
    /// One that takes everything.
    pub fn start() -> Self {
        Self::that_answers(|_| StatusCode::OK)
    }

    /// One that answers the n-th batch, from 0, as it likes.
    pub fn that_answers(answer: impl Fn(usize) -> StatusCode + Send + Sync + 'static) -> Self {
        let host = Host::new();
        let (listener, address) = host.listen();
        let shared = Arc::new(Shared { answer: Box::new(answer), batches: Mutex::default() });
        let router = Router::new().route("/v1/traces", post(take)).with_state(Arc::clone(&shared));
        host.spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        Self { address, shared, _host: host }
    }

    /// For `traces.endpoint`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many batches came, the refused ones too.
    pub fn batches(&self) -> usize {
        self.shared.batches.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// All spans, in the order in which they came.
    pub fn spans(&self) -> Vec<Seen> {
        self.shared.batches.lock().unwrap_or_else(PoisonError::into_inner).concat()
    }

    /// Spans whose `mediamill.media_id` is this, and all below them.
    #[track_caller]
    pub fn job(&self, media_id: &str) -> Job {
        let mut spans = self.spans();
        let at = spans.iter().position(|span| span.attribute("mediamill.media_id") == media_id);
        let process = spans.swap_remove(at.unwrap_or_else(|| panic!("no span of {media_id}: {spans:#?}")));
        spans.retain(|span| span.parent_id == process.span_id);
        Job { process, children: spans }
    }
}

/// The spans of one delivery.
#[derive(Debug)]
pub struct Job {
    /// That of the message.
    pub process: Seen,
    /// Those of its steps.
    pub children: Vec<Seen>,
}

impl Job {
    /// The one step whose span's name begins like this.
    #[track_caller]
    pub fn child(&self, name: &str) -> &Seen {
        let found: Vec<_> = self.children.iter().filter(|span| span.name.starts_with(name)).collect();
        assert_eq!(found.len(), 1, "{name}: {self:#?}");
        found[0]
    }
}

async fn take(State(shared): State<Arc<Shared>>, body: Bytes) -> (StatusCode, Vec<u8>) {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let mut batch = Vec::new();
    for of_resource in request.resource_spans {
        let resource = text(&of_resource.resource.unwrap_or_default().attributes);
        let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
        batch.extend(spans.map(|span| seen(span, &resource)));
    }
    let mut batches = shared.batches.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = (shared.answer)(batches.len());
    batches.push(batch);
    (answer, ExportTraceServiceResponse::default().encode_to_vec())
}

fn seen(span: Span, resource: &BTreeMap<String, String>) -> Seen {
    assert!(span.events.is_empty() && span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
    Seen {
        kind: span.kind,
        trace_id: hex::encode(&span.trace_id),
        span_id: hex::encode(&span.span_id),
        parent_id: hex::encode(&span.parent_span_id),
        status: span.status.map_or(0, |status| status.code),
        attributes: text(&span.attributes),
        resource: resource.clone(),
        name: span.name,
    }
}

fn text(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let value = |value: &Option<AnyValue>| match value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("neither text nor a number: {other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), value(&pair.value))).collect()
}
