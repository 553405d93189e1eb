//! Whether the process lives, and whether it can answer.

use axum::Json;
use axum::extract::State;
use kol_common::Millis;
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::{Problem, ProblemJson};
use crate::query::{Nothing, Params};
use crate::serving::Served;

/// The process lives.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    #[schema(example = "ok")]
    status: &'static str,
    /// Version of kol-client; absent where a login is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    /// The time of this process, ISO 8601.
    timestamp: String,
}

/// It can answer.
#[derive(Serialize, ToSchema)]
pub(super) struct Ready {
    #[schema(example = "ready")]
    status: &'static str,
}

/// Whether the process lives, whatever Redis does.
#[utoipa::path(get, path = "/healthz", responses((status = OK, body = Health)))]
pub(super) async fn healthz(State(serving): Served, _: Params<Nothing>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: serving.shows_version.then_some(env!("CARGO_PKG_VERSION")),
        timestamp: Millis::now().iso(),
    })
}

/// Whether Redis can be read: a balancer sends nothing to where it cannot.
#[utoipa::path(get, path = "/readyz", responses(
    (status = OK, body = Ready),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn readyz(
    State(serving): Served,
    _: Params<Nothing>,
) -> Result<Json<Ready>, Problem> {
    serving.ready().await?;
    Ok(Json(Ready { status: "ready" }))
}
