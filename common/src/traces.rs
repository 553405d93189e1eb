//! Traces, as OpenTelemetry has them: how a submitted job came to run, across processes. Nothing is recorded unless a process
//! knows where to send them, and never anything for an event.
//!
//! A span says which other one it belongs to by a text: `traceparent` of the W3C's Trace Context
//! (<https://www.w3.org/TR/trace-context/>). Spans are sent over OTLP/gRPC. The variables `OTEL_…` that the OpenTelemetry SDK
//! knows (headers, sampling, sizes of batches) hold here, too.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator as _;
pub use opentelemetry::trace::SpanKind;
use opentelemetry::trace::{Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter as Otlp, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

use crate::KolError;

/// What carries a span from process to process: the name of a header, and of nothing else.
pub const TRACEPARENT: &str = "traceparent";
/// The scope of all spans.
const SCOPE: &str = "kol";
/// Longest wait for one answer of the collector.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest wait for the last spans at the end of a process.
const LAST: Duration = Duration::from_secs(2);

/// Where a process sends its traces.
#[derive(Debug, Default)]
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Traces of a process go to this collector from now on; without one there are none. Must be called inside a runtime,
    /// once in a process.
    ///
    /// # Errors
    /// `OTLP_ENDPOINT`: it is not the URL of a collector.
    pub fn start(process: &'static str, endpoint: Option<&str>) -> Result<Self, KolError> {
        let Some(endpoint) = endpoint.filter(|endpoint| !endpoint.is_empty()) else {
            return Ok(Self::default());
        };
        let exporter = exporter(endpoint)?;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(process))
            .build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(Some(provider)))
    }

    /// Sends what is left, as far as that is possible in two seconds. Blocks; the runtime must still be there.
    pub fn end(self) {
        if let Some(provider) = self.0 {
            // What could not be sent was reported.
            let _in_time = provider.shutdown_with_timeout(LAST);
        }
    }
}

/// Something that takes a while; it ends when it is dropped.
#[derive(Debug)]
pub struct Span(Context);

impl Span {
    /// Begins one that belongs to the span of this text. Without one that can be read it begins a trace of its own.
    pub fn begin(
        name: &'static str,
        kind: SpanKind,
        traceparent: &str,
        attributes: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
        let tracer = global::tracer(SCOPE);
        let attributes = attributes.into_iter();
        let builder = tracer
            .span_builder(name)
            .with_kind(kind)
            .with_attributes(attributes.map(|(key, value)| KeyValue::new(key, value)));
        let span = tracer.build_with_context(builder, &parent);
        Self(parent.with_span(span))
    }

    /// Whether it will be sent.
    pub fn is_recorded(&self) -> bool {
        self.0.span().is_recording()
    }

    /// How others name it as what they belong to; empty where it is not recorded.
    pub fn traceparent(&self) -> String {
        let mut carrier = HashMap::new();
        TraceContextPropagator::new().inject_context(&self.0, &mut carrier);
        carrier.remove(TRACEPARENT).unwrap_or_default()
    }

    /// It failed with this code.
    pub fn fail(&self, code: impl Into<String>) {
        self.0.span().set_status(Status::error(code.into()));
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

fn resource(process: &'static str) -> Resource {
    let builder = Resource::builder();
    let builder = match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => builder,
        None => builder.with_service_name(process),
    };
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    builder.with_attribute(version).build()
}

fn exporter(endpoint: &str) -> Result<Watched, KolError> {
    let wrong = |why: String| {
        KolError::user("OTLP_ENDPOINT", format!("`{endpoint}`: {why}"))
            .help("Name the collector of traces as http://HOST:4317, or leave --otlp-endpoint out.")
    };
    let (scheme, _) = endpoint.split_once("://").unwrap_or_default();
    let is_secure = scheme.eq_ignore_ascii_case("https");
    if !is_secure && !scheme.eq_ignore_ascii_case("http") {
        return Err(wrong(
            "it begins neither with http:// nor with https://".into(),
        ));
    }
    let mut exporter = Otlp::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(ANSWER);
    if is_secure {
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    let exporter = exporter.build().map_err(|e| wrong(e.to_string()))?;
    Ok(Watched {
        exporter,
        endpoint: endpoint.to_owned(),
        fails: Arc::default(),
    })
}

/// Sends spans, and says in the log when they cannot be sent, and when they can again.
#[derive(Debug)]
struct Watched {
    exporter: Otlp,
    endpoint: String,
    fails: Arc<AtomicBool>,
}

impl SpanExporter for Watched {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let sent = self.exporter.export(batch).await;
        let failed = self.fails.swap(sent.is_err(), Ordering::Relaxed);
        let endpoint = self.endpoint.as_str();
        match &sent {
            Err(error) if !failed => {
                tracing::warn!(code = "TRACES_NOT_SENT", endpoint, spans, %error, "traces cannot be sent and are dropped: is the collector up, and is it the one for gRPC (port 4317)?");
            }
            Ok(()) if failed => {
                tracing::info!(code = "TRACES_SENT", endpoint, "traces are sent again");
            }
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_collector_nothing_is_recorded() {
        Traces::start("test", None).unwrap().end();
        Traces::start("test", Some("")).unwrap().end();
        let span = Span::begin("x", SpanKind::Internal, "", []);
        assert!(!span.is_recorded());
        assert_eq!(span.traceparent(), "");
    }

    #[test]
    fn what_is_no_url_of_a_collector_is_refused() {
        for wrong in ["collector:4317", "ftp://x:1", "http://", "://"] {
            let refused = exporter(wrong).unwrap_err();
            assert_eq!(refused.code, "OTLP_ENDPOINT", "{wrong}");
        }
    }
}
