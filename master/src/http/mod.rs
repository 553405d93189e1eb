//! HTTP: health, metrics, the API as JSON, and the page for people with its news.

mod creator;
mod epoch;
mod live;
mod look;
mod pace;
mod ranking;
mod shell;
mod snapshot;

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::{CONNECTION, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use kol_common::actor::Group;
use kol_common::net::{self, Protection, protect};
use kol_common::proto::ExplainRequest;
use kol_common::view::{executor_json, job_json, problem_json};
use kol_common::{Domain, KolError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::metrics::{self, Cluster};
use crate::role::Roles;
use creator::Creators;
use live::Live;
use look::Master;
use snapshot::job_with_parts;

pub use ranking::Rankings;
pub use shell::files;

/// What the pages show.
#[derive(Clone, Debug)]
pub struct Pages {
    roles: Roles,
    /// What people must know of this process.
    warnings: Vec<String>,
    live: Live,
    creators: Creators,
    rankings: Rankings,
}

impl Pages {
    /// Of a master, until the tasks are stopped. `warnings` is what people must know of this process.
    pub fn new(roles: Roles, warnings: Vec<String>, rankings: Rankings, tasks: &Group) -> Self {
        let live = Live::start(Master::new(roles.clone(), warnings.clone()), tasks);
        Self {
            creators: Creators::new(roles.clone()),
            rankings,
            roles,
            warnings,
            live,
        }
    }
}

/// All that is served: what has data to those who may look at it, and the page, which has none, to everybody.
pub fn served(pages: Pages, protection: Protection) -> Router {
    net::files::files(files()).merge(protect(router(pages), protection))
}

fn router(pages: Pages) -> Router {
    let routes = routes().into_iter();
    let router = routes.fold(Router::new(), |router, (path, page)| {
        router.route(path, page)
    });
    router.with_state(pages)
}

/// Paths of the pages with data, with a job called `job`.
pub fn paths() -> impl Iterator<Item = String> {
    let routes = routes().into_iter();
    routes.map(|(path, _)| path.replace("{job}", "job"))
}

fn routes() -> [(&'static str, MethodRouter<Pages>); 9] {
    [
        ("/healthz", get(|| async { "ok\n" })),
        ("/readyz", get(ready)),
        ("/metrics", get(exposition)),
        ("/api/v1/jobs", get(jobs)),
        ("/api/v1/jobs/{job}", get(job)),
        ("/api/v1/jobs/{job}/creator", get(creator)),
        ("/api/v1/jobs/{job}/ranking", get(ranking)),
        ("/api/v1/executors", get(executors)),
        ("/api/v1/events", get(events)),
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
        job_with_parts(&status)
    })
}

/// A creator, or a platform, that is looked at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Looked {
    platform: String,
    kol: String,
}

/// Every term of a creator's score.
async fn creator(
    State(pages): State<Pages>,
    Path(job): Path<String>,
    Query(looked): Query<Looked>,
) -> Response {
    let request = ExplainRequest {
        job,
        platform: looked.platform,
        kol: looked.kol,
    };
    answer(pages.creators.explain(request).await, |found| found)
}

/// The first creators of a ranking.
async fn ranking(
    State(pages): State<Pages>,
    Path(job): Path<String>,
    Query(looked): Query<Looked>,
) -> Response {
    let read = async {
        let status = pages.roles.job(job).await?;
        pages.rankings.first(&status, &looked.platform).await
    };
    answer(read.await, |ranking| ranking)
}

async fn executors(State(pages): State<Pages>) -> Response {
    answer(pages.roles.executors().await, |executors| {
        executors.iter().map(executor_json).collect()
    })
}

/// The job that a page is about.
#[derive(Debug, Deserialize)]
struct Watch {
    job: Option<String>,
}

/// The news of the page. Its connection is used for nothing else: a stream that begins on one that is old would be cut.
async fn events(State(pages): State<Pages>, Query(watch): Query<Watch>) -> Response {
    match pages.live.events(watch.job) {
        Ok(news) => ([(CONNECTION, "close")], news).into_response(),
        Err(error) => {
            let later = [(RETRY_AFTER, "10")];
            (later, answer(Err(error), |()| Value::Null)).into_response()
        }
    }
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
