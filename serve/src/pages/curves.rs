//! The scores of a ranking's creators over the last day.

use axum::response::Response;
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use crate::problem::{Problem, ProblemJson};
use crate::query::{Params, Ranged};
use crate::serving::{Call, Cost, Serving};
use crate::shown;

/// Scores of creators over the last day.
#[derive(Serialize, ToSchema)]
struct Curves {
    /// In the order of the ranking. Only the first 10,000 creators of it have a curve.
    data: Vec<Curve>,
    /// Of which times the scores are, ISO 8601, the oldest first: of each hour the first ranking that is kept, and the newest.
    times: Vec<String>,
    platform: String,
    /// When Redis was last written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// The scores of one of them.
#[derive(Serialize, ToSchema)]
struct Curve {
    kol_id: String,
    /// At each of the times: 0 to 100, two decimals; null where it was behind the first 1,000, or not in the ranking.
    #[schema(value_type = Vec<Option<f64>>)]
    scores: Vec<Option<Number>>,
}

/// The scores of a part of a ranking over the last day, as a small line beside each creator wants them.
#[utoipa::path(get, path = "/api/v1/trending/curves", params(Ranged), responses(
    (status = OK, body = Curves),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn curves(call: Call, Params(wanted): Params<Ranged>) -> Response {
    let read = drawn(call.serving(), &wanted);
    call.answer("curves", &wanted, Cost::Whole, read).await
}

async fn drawn(serving: &Serving, wanted: &Ranged) -> Result<Curves, Problem> {
    let platform = serving.platform(&wanted.platform);
    let names = serving.names(platform).await?;
    let history = serving.history(platform).await?;
    let kols = names.part(wanted.offset, wanted.limit);
    let curves = history.curves(kols.clone());
    let lines = kols.zip(curves.scores).map(|(kol, scores)| Curve {
        kol_id: kol.to_owned(),
        scores: scores
            .into_iter()
            .map(|s| s.and_then(shown::score))
            .collect(),
    });
    Ok(Curves {
        data: lines.collect(),
        times: curves.times.iter().map(|time| time.iso()).collect(),
        platform: platform.to_owned(),
        updated_at: names.updated.clone(),
    })
}
