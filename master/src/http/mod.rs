//! HTTP: health, metrics, and the API as JSON.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use kol_common::view::{executor_json, job_json, partition_json, problem_json};
use kol_common::{Domain, KolError};
use serde_json::{Value, json};

use crate::metrics::{self, Cluster};
use crate::role::Roles;

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Pages {
    /// Where jobs and executors are known.
    pub roles: Roles,
    /// What people must know of this process.
    pub warnings: Vec<String>,
}

/// The routes of all pages.
pub fn router(pages: Pages) -> Router {
    let routes = routes().into_iter();
    let router = routes.fold(Router::new(), |router, (path, page)| {
        router.route(path, page)
    });
    router.with_state(pages)
}

/// Paths of the pages, with a job called `job`.
pub fn paths() -> impl Iterator<Item = String> {
    let routes = routes().into_iter();
    routes.map(|(path, _)| path.replace("{job}", "job"))
}

fn routes() -> [(&'static str, MethodRouter<Pages>); 6] {
    [
        ("/healthz", get(|| async { "ok\n" })),
        ("/readyz", get(ready)),
        ("/metrics", get(exposition)),
        ("/api/v1/jobs", get(jobs)),
        ("/api/v1/jobs/{job}", get(job)),
        ("/api/v1/executors", get(executors)),
    ]
}

/// Ready when the controller answers, which is started after the store was read; on a master that follows, when the
/// store does.
async fn ready(State(pages): State<Pages>) -> Response {
    match pages.roles.ready().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
    }
}

/// A leader that does not answer shows what it measured.
async fn exposition(State(pages): State<Pages>) -> String {
    metrics::page(cluster(&pages.roles).await.ok().as_ref())
}

async fn cluster(roles: &Roles) -> Result<Cluster, KolError> {
    let leader = roles.leader()?;
    let (jobs, executors) = tokio::try_join!(leader.jobs(), leader.executors())?;
    Ok(Cluster { jobs, executors })
}

async fn jobs(State(pages): State<Pages>) -> Response {
    answer(pages.roles.jobs().await, |jobs| {
        jobs.iter().map(job_json).collect()
    })
}

async fn job(State(pages): State<Pages>, Path(job): Path<String>) -> Response {
    answer(pages.roles.job(job).await, |mut status| {
        status.warnings.extend(pages.warnings);
        let mut shown = job_json(&status);
        shown["partition_list"] = status.partitions.iter().map(partition_json).collect();
        shown["spec"] = serde_json::from_str(&status.spec_json).unwrap_or_default();
        shown
    })
}

async fn executors(State(pages): State<Pages>) -> Response {
    answer(pages.roles.executors().await, |executors| {
        executors.iter().map(executor_json).collect()
    })
}

fn answer<T>(outcome: Result<T, KolError>, show: impl FnOnce(T) -> Value) -> Response {
    match outcome {
        Ok(value) => Json(show(value)).into_response(),
        Err(error) => {
            let status = match error.domain {
                _ if error.code.ends_with("NOT_FOUND") => StatusCode::NOT_FOUND,
                Domain::User => StatusCode::BAD_REQUEST,
                Domain::External => StatusCode::SERVICE_UNAVAILABLE,
                Domain::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            };
            let body = json!({ "error": problem_json(&error.to_info()) });
            (status, Json(body)).into_response()
        }
    }
}
