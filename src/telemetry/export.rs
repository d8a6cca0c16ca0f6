//! Spans on their way to a collector: OTLP over HTTP, in batches, from a thread of their own. No job waits for them, and
//! what the collector does not take in time is dropped.

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{
    BatchSpanProcessor, SdkTracer, SdkTracerProvider, Span, SpanData, SpanExporter, SpanProcessor,
};
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use url::Url;
use uuid::Uuid;

use crate::config;

/// Where OTLP over HTTP takes spans, below the collector's address.
const PATH: &str = "/v1/traces";
/// How long one request may take; a batch that did not arrive is tried again within the same time.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the end of the program may wait for what is queued.
const FLUSH: Duration = Duration::from_secs(5);

/// Spans could not be exported from the first.
#[derive(Debug, thiserror::Error)]
#[error("traces.endpoint: {0}")]
pub struct TracesError(String);

/// The way to the collector; none where none is configured.
#[derive(Debug)]
pub struct Traces {
    endpoint: String,
    late: Late,
    provider: Option<SdkTracerProvider>,
}

impl Traces {
    /// Starts nothing yet: no thread, no connection.
    #[must_use]
    pub fn new(config: &config::Traces) -> Self {
        let late = Late::default();
        let on = !config.endpoint.is_empty();
        let provider = on.then(|| SdkTracerProvider::builder().with_span_processor(late.clone()).build());
        Self { endpoint: config.endpoint.trim_end_matches('/').to_owned(), late, provider }
    }

    /// What makes spans, where they are wanted.
    pub(super) fn tracer(&self) -> Option<SdkTracer> {
        Some(self.provider.as_ref()?.tracer("mediamill"))
    }

    /// Exports from now on, over connections that live in `runtime`. Does nothing where no collector is configured.
    ///
    /// # Errors
    /// Where there is no HTTP client to be had, or one of the `OTEL_EXPORTER_OTLP_…` variables is wrong. A collector that
    /// does not answer is no error.
    pub fn start(&self, runtime: &Handle) -> Result<(), TracesError> {
        if self.provider.is_none() {
            return Ok(());
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client(&self.endpoint)?)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}{PATH}", self.endpoint))
            .with_timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| TracesError(error.to_string()))?;
        let forwarder =
            Forwarder { exporter: Arc::new(exporter), runtime: runtime.clone(), down: AtomicBool::new(false) };
        self.late.begin(BatchSpanProcessor::builder(forwarder).build());
        tracing::info!(endpoint = self.endpoint, "exporting traces");
        Ok(())
    }

    /// Sends what is queued, within a few seconds. Nothing is exported afterwards. Blocks: not for a task of the runtime.
    pub fn finish(&self) {
        if let Err(OTelSdkError::Timeout(_)) = self.late.shutdown_with_timeout(FLUSH) {
            tracing::warn!(endpoint = self.endpoint, "spans are left behind: the collector does not answer");
        }
    }
}

/// A client for one address. Certificates are loaded only where they are asked for.
fn client(endpoint: &str) -> Result<reqwest::Client, TracesError> {
    let builder = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(REQUEST_TIMEOUT);
    let encrypted = Url::parse(endpoint).is_ok_and(|url| url.scheme() == "https");
    let builder = if encrypted { builder } else { builder.tls_certs_only([]) };
    builder.build().map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        TracesError(format!("no HTTP client: {cause}"))
    })
}

/// Who says it. Whoever starts the worker may say more in `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`.
fn resource() -> Resource {
    let own = Resource::builder_empty()
        .with_service_name("mediamill")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("service.instance.id", Uuid::new_v4().to_string()))
        .with_detector(Box::new(EnvResourceDetector::new()));
    match env::var("OTEL_SERVICE_NAME") {
        Ok(name) if !name.is_empty() => own.with_service_name(name).build(),
        Ok(_) | Err(_) => own.build(),
    }
}

/// Drops spans until there is an exporter. Its thread may only be started after the fork server, and log lines are wanted
/// from before.
#[derive(Debug, Clone, Default)]
struct Late(Arc<OnceLock<BatchSpanProcessor>>);

impl Late {
    fn begin(&self, mut processor: BatchSpanProcessor) {
        processor.set_resource(&resource());
        // A second start changes nothing.
        drop(self.0.set(processor));
    }
}

impl SpanProcessor for Late {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some(processor) = self.0.get() {
            processor.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.get().map_or(Ok(()), SpanProcessor::force_flush)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.get().map_or(Ok(()), |processor| processor.shutdown_with_timeout(timeout))
    }
}

/// Exports within the runtime: connections live there, and the thread that batches spans does not.
#[derive(Debug)]
struct Forwarder {
    exporter: Arc<opentelemetry_otlp::SpanExporter>,
    runtime: Handle,
    /// Whether the last batch was lost.
    down: AtomicBool,
}

impl Forwarder {
    /// One line when it begins to fail and one when it works again, not one a batch.
    fn tell(&self, result: &OTelSdkResult) {
        let was_down = self.down.swap(result.is_err(), Ordering::Relaxed);
        match result {
            Err(error) if !was_down => tracing::warn!(%error, "traces are lost: the collector does not take them"),
            Ok(()) if was_down => tracing::info!("the collector takes traces again"),
            Ok(()) | Err(_) => {}
        }
    }
}

impl SpanExporter for Forwarder {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let export = self.runtime.spawn(async move { exporter.export(batch).await });
        let result = export.await.unwrap_or_else(|gone| Err(OTelSdkError::InternalFailure(gone.to_string())));
        self.tell(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Nobody else has it before the first batch.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}
