//! A collector of OpenTelemetry: keeps the spans that it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A span that was sent.
#[derive(Clone, Debug)]
pub struct SentSpan {
    /// `service.name` of the process.
    pub process: String,
    /// What it is of.
    pub name: String,
    /// Its trace, and it.
    pub ids: (Vec<u8>, Vec<u8>),
    /// The span that it belongs to; empty for the first of a trace.
    pub parent: Vec<u8>,
    /// What it says of itself.
    pub attributes: Vec<(String, String)>,
    /// Whether it failed.
    pub failed: bool,
}

/// See the module. Ends when it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    spans: Arc<Mutex<Vec<SentSpan>>>,
    _runtime: Runtime,
}

struct Service(Arc<Mutex<Vec<SentSpan>>>);

impl Collector {
    /// Starts one on a free port.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let spans = Arc::default();
        let service = TraceServiceServer::new(Service(Arc::clone(&spans)));
        let address = {
            let _inside = runtime.enter();
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let incoming = TcpIncoming::bind(any).expect("a port");
            let address = incoming.local_addr().expect("its address");
            runtime.spawn(
                Server::builder()
                    .add_service(service)
                    .serve_with_incoming(incoming),
            );
            address
        };
        Self {
            address,
            spans,
            _runtime: runtime,
        }
    }

    /// The endpoint that processes send to.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that it was sent.
    pub fn spans(&self) -> Vec<SentSpan> {
        self.spans.lock().expect("its spans").clone()
    }
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for resource in request.into_inner().resource_spans {
            let about = resource.resource.map(|r| texts(r.attributes));
            let about = about.unwrap_or_default();
            let process = about.iter().find(|(key, _)| key == "service.name");
            let process = process.map_or("", |(_, name)| name.as_str());
            let spans = resource.scope_spans.into_iter().flat_map(|s| s.spans);
            let spans = spans.map(|span| SentSpan {
                process: process.to_owned(),
                name: span.name,
                ids: (span.trace_id, span.span_id),
                parent: span.parent_span_id,
                attributes: texts(span.attributes),
                failed: span.status.is_some_and(|status| status.code == 2),
            });
            self.0.lock().expect("its spans").extend(spans);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn texts(attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    let text = |a: KeyValue| {
        let Some(Value::StringValue(text)) = a.value?.value else {
            return None;
        };
        Some((a.key, text))
    };
    attributes.into_iter().filter_map(text).collect()
}
