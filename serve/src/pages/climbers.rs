//! Who rises fastest.

use axum::response::Response;
use kol_common::redis::history::PLACES;
use serde::Serialize;
use utoipa::ToSchema;

use crate::creator::Row;
use crate::history::Span;
use crate::problem::{Problem, ProblemJson};
use crate::query::{Climbing, Params};
use crate::serving::{Call, Cost, Serving};

/// Creators that rise.
#[derive(Serialize, ToSchema)]
struct Climbers {
    /// Most places gained first. A new one comes from behind the last place that was kept.
    data: Vec<Row>,
    platform: String,
    span: Span,
    /// With the ranking of which time it is compared, ISO 8601; absent where none is kept that is as old as that.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    /// Those of them that have gained a place, also those that are not listed.
    total: usize,
    /// Creators that were looked at: the first 1,000 of the ranking.
    searched: usize,
    /// When Redis was last written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// The creators among the first 1,000 that have gained most places since an hour or a day ago.
#[utoipa::path(get, path = "/api/v1/trending/climbers", params(Climbing), responses(
    (status = OK, body = Climbers),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn climbers(call: Call, Params(wanted): Params<Climbing>) -> Response {
    let read = climbing(call.serving(), &wanted);
    call.answer("climbers", &wanted, Cost::Part, read).await
}

async fn climbing(serving: &Serving, wanted: &Climbing) -> Result<Climbers, Problem> {
    let platform = serving.platform(&wanted.platform);
    let names = serving.names(platform).await?;
    let history = serving.history(platform).await?;
    let first = || names.part(0, PLACES as u64);
    let places = history.climbers(wanted.span, first());
    let listed = places.iter().take(wanted.limit as usize);
    let found = listed.filter_map(|place| names.at(*place)).collect();
    let creators = serving.reader.named(platform, found).await?;
    let creators = serving.with_changes(platform, creators).await;
    Ok(Climbers {
        data: creators.into_iter().map(Row::from).collect(),
        platform: platform.to_owned(),
        span: wanted.span,
        since: history.since(wanted.span).map(|since| since.iso()),
        total: places.len(),
        searched: first().count(),
        updated_at: names.updated.clone(),
    })
}
