//! The admin server: health, metrics, and what the partitions report.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use kol_common::KolError;
use kol_common::proto::PartitionReport;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Prometheus text.
    pub metrics: PrometheusHandle,
    /// Newest reports of all partitions.
    pub reports: watch::Receiver<Vec<PartitionReport>>,
    /// Whether the process is ready to take partitions.
    pub ready: watch::Receiver<bool>,
}

/// Serves until it is stopped.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    pages: Pages,
    stop: CancellationToken,
) -> Result<(), KolError> {
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/partitions", get(partitions))
        .with_state(pages);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
        .map_err(|e| KolError::external("HTTP", e.to_string()))
}

async fn ready(State(pages): State<Pages>) -> (StatusCode, &'static str) {
    if *pages.ready.borrow() {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not registered with a master yet\n",
        )
    }
}

async fn metrics(State(pages): State<Pages>) -> String {
    pages.metrics.render()
}

async fn partitions(State(pages): State<Pages>) -> Json<Vec<serde_json::Value>> {
    let reports = pages.reports.borrow().clone();
    Json(reports.iter().map(kol_common::view::report_json).collect())
}
