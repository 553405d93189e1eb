//! The admin server: health, metrics, and what the partitions report.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use kol_common::process::Process;
use kol_common::proto::PartitionReport;
use tokio::sync::watch;

use crate::memory::Memory;
use crate::telemetry;

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Newest reports of all partitions.
    pub reports: watch::Receiver<Vec<Arc<PartitionReport>>>,
    /// Memory of the process, and what it knows about itself.
    pub memory: Memory,
    /// See `memory`.
    pub process: Arc<dyn Process>,
    /// Whether the process is ready to take partitions.
    pub ready: watch::Receiver<bool>,
}

/// The routes of all pages.
pub fn router(pages: Pages) -> Router {
    let routes = routes().into_iter();
    let router = routes.fold(Router::new(), |router, (path, page)| {
        router.route(path, page)
    });
    router.with_state(pages)
}

fn routes() -> [(&'static str, MethodRouter<Pages>); 4] {
    [
        ("/healthz", get(|| async { "ok\n" })),
        ("/readyz", get(ready)),
        ("/metrics", get(metrics)),
        ("/api/v1/partitions", get(partitions)),
    ]
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
    let cpu_ms = pages.process.cpu_ms();
    let reports = pages.reports.borrow().clone();
    telemetry::page(&reports, &pages.memory, cpu_ms)
}

async fn partitions(State(pages): State<Pages>) -> Json<Vec<serde_json::Value>> {
    let reports = pages.reports.borrow().clone();
    Json(
        reports
            .iter()
            .map(|r| kol_common::view::report_json(r))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::body::Body;
    use axum::http::Request;
    use kol_common::Millis;
    use kol_common::net::authority::{Authority, write_secret};
    use kol_common::net::{EXECUTOR, Protection, Role, is_open_to_all, new_token, protect};
    use kol_common::process::ThisProcess;
    use tower::ServiceExt as _;

    use super::*;

    async fn status(router: &Router, path: &str, token: Option<&str>) -> u16 {
        let request = Request::get(path);
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let request = request.body(Body::empty()).unwrap();
        router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    #[tokio::test]
    async fn without_a_token_no_page_but_health_answers() {
        let folder = tempfile::tempdir().unwrap();
        let now = Millis::now();
        let authority = Authority::generate(now).unwrap();
        let day = Duration::from_secs(86_400);
        authority
            .equip(folder.path(), &[EXECUTOR], now, day)
            .unwrap();
        let (token, line) = new_token("prometheus", Role::Viewer).unwrap();
        write_secret(&folder.path().join("tokens"), &line).unwrap();
        let protection = Protection::new(Some(folder.path()), false).unwrap();
        let pages = Pages {
            reports: watch::channel(Vec::new()).1,
            memory: Memory::new(1 << 30),
            process: Arc::new(ThisProcess),
            ready: watch::channel(true).1,
        };
        let router = protect(router(pages), protection);
        for (path, _) in routes() {
            let refused = if is_open_to_all(path) { 200 } else { 401 };
            assert_eq!(status(&router, path, None).await, refused, "{path}");
            assert_eq!(
                status(&router, path, Some("kol_x")).await,
                refused,
                "{path}"
            );
            assert_eq!(status(&router, path, Some(&token)).await, 200, "{path}");
        }
        assert_eq!(status(&router, "/nowhere", None).await, 401);
    }
}
