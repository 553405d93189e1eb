//! The places of a creator over time.

use axum::response::Response;
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use crate::problem::{Problem, ProblemJson};
use crate::query::{KolId, OfPlatform, Params};
use crate::serving::{Call, Cost, Serving};
use crate::shown;

/// The places of a creator over time.
#[derive(Serialize, ToSchema)]
struct Places {
    kol_id: String,
    platform: String,
    /// The oldest first: of the last hour each that is kept, before that one of each hour.
    data: Vec<Point>,
}

/// A creator at one time.
#[derive(Serialize, ToSchema)]
struct Point {
    /// Of which time the ranking was, ISO 8601.
    at: String,
    /// Place from 1; absent where it was not among the first 1,000, or not among those that fit into the snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<u64>,
    /// 0 to 100, two decimals; absent with the rank.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    score: Option<Number>,
    /// Generation of the job that showed the ranking.
    generation: u64,
}

/// The places of a creator over the last hour and day.
#[utoipa::path(get, path = "/api/v1/kols/{kol_id}/history",
    params(("kol_id" = String, Path, description = "Name of the creator."), OfPlatform),
    responses(
        (status = OK, body = Places),
        (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
        (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
        (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
    ))]
pub(super) async fn history(
    call: Call,
    KolId(kol): KolId,
    Params(wanted): Params<OfPlatform>,
) -> Response {
    let platform = call.platform(&wanted.platform);
    let read = places(call.serving(), platform, &kol);
    call.answer("history", &(&kol, &wanted), Cost::Part, read)
        .await
}

async fn places(serving: &Serving, platform: &str, kol: &str) -> Result<Places, Problem> {
    let history = serving.history(platform).await?;
    let points = history.of(kol);
    if !points.iter().any(|(_, place)| place.is_some()) {
        // One that was never among the first may be known all the same.
        serving.reader.creator(platform, kol).await?;
    }
    let points = points.into_iter().map(|(name, place)| Point {
        at: name.at.iso(),
        rank: place.map(|(place, _)| place),
        score: place.and_then(|(_, score)| shown::score(score)),
        generation: name.generation,
    });
    Ok(Places {
        kol_id: kol.to_owned(),
        platform: platform.to_owned(),
        data: points.collect(),
    })
}
