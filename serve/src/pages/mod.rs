//! One function for each path. A path that is added here is in `/openapi.json`, and protected.

mod climbers;
mod curves;
mod health;
mod history;
mod kols;
mod scores;
mod search;
mod stats;
mod stream;
mod trending;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::IntoResponse as _;
use axum::routing::get;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::answer::Answer;
use crate::problem::Problem;
use crate::serving::Serving;

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "KOL",
    description = "Rankings of creators, live, as a job writes them into Redis. Times are those of the data. What is not known is \
                   absent. Errors are application/problem+json with a stable code; while Redis cannot be read, answers are older \
                   ones with \"stale\": true, or 503 with Retry-After.",
    license(name = "Apache-2.0")
))]
struct Document;

/// All paths with their pages, and what is served around them.
pub(crate) fn router(serving: Arc<Serving>) -> Router {
    let (router, document) = paths().split_for_parts();
    let described = Answer::of(&document);
    let describe = move |request: HeaderMap| async move {
        match described {
            Ok(document) => document.respond(&request),
            Err(problem) => problem.into_response(),
        }
    };
    router
        .route("/openapi.json", get(describe))
        .fallback(async || Problem::no_page())
        .method_not_allowed_fallback(async || Problem::only_get())
        .with_state(serving)
}

/// What `/openapi.json` says.
pub fn openapi() -> OpenApi {
    paths().into_openapi()
}

fn paths() -> OpenApiRouter<Arc<Serving>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(trending::trending))
        .routes(routes!(trending::viral))
        .routes(routes!(trending::hot))
        .routes(routes!(trending::rising))
        .routes(routes!(trending::detailed))
        .routes(routes!(climbers::climbers))
        .routes(routes!(curves::curves))
        .routes(routes!(stream::stream))
        .routes(routes!(stats::of_ranking))
        .routes(routes!(stats::platforms))
        .routes(routes!(stats::stats))
        .routes(routes!(scores::compare))
        .routes(routes!(scores::score))
        .routes(routes!(scores::trending))
        .routes(routes!(kols::list))
        .routes(routes!(kols::one))
        .routes(routes!(history::history))
        .routes(routes!(search::search))
        .routes(routes!(search::suggest))
}
