//! Scores of creators whose names are known.

use axum::response::Response;
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use crate::creator::Creator;
use crate::history::Changes;
use crate::problem::{Problem, ProblemJson};
use crate::query::{Compared, KolId, OfPlatform, Params};
use crate::serving::{Call, Cost, Serving};

/// The score of a creator.
#[derive(Serialize, ToSchema)]
struct Score {
    kol_id: String,
    platform: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    trending_score: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trending_label: Option<String>,
    #[schema(example = "redis")]
    source: &'static str,
    /// When the score was written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

impl From<Creator> for Score {
    fn from(creator: Creator) -> Self {
        Self {
            kol_id: creator.kol_id,
            platform: creator.platform,
            trending_score: creator.trending_score,
            trending_label: creator.trending_label,
            source: "redis",
            updated_at: creator.updated_at,
        }
    }
}

/// The score of a creator, and where it is going.
#[derive(Serialize, ToSchema)]
struct Trend {
    kol_id: String,
    platform: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    trending_score: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trending_label: Option<String>,
    /// Engagements a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    velocity: Option<Number>,
    /// Relative change of velocity from one window to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    momentum: Option<Number>,
    /// When the score was written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

impl From<Creator> for Trend {
    fn from(creator: Creator) -> Self {
        Self {
            kol_id: creator.kol_id,
            platform: creator.platform,
            trending_score: creator.trending_score,
            trending_label: creator.trending_label,
            velocity: creator.velocity,
            momentum: creator.momentum,
            updated_at: creator.updated_at,
        }
    }
}

/// Creators side by side.
#[derive(Serialize, ToSchema)]
struct Comparison {
    /// In the order of the request.
    comparisons: Vec<Side>,
    platform: String,
    /// Creators in the request, each counted once.
    total: usize,
    /// Those of them that are known.
    available_count: usize,
}

/// One of them.
#[derive(Serialize, ToSchema)]
struct Side {
    kol_id: String,
    /// Whether it is known: without that the rest is absent.
    available: bool,
    /// Place in the ranking, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<u64>,
    #[serde(flatten)]
    changes: Changes,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    trending_score: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trending_label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    velocity: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    momentum: Option<Number>,
    /// When this was written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// The score of a creator.
#[utoipa::path(get, path = "/api/v1/scores/{kol_id}",
    params(("kol_id" = String, Path, description = "Name of the creator."), OfPlatform),
    responses(
        (status = OK, body = Score),
        (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
        (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
        (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
    ))]
pub(super) async fn score(
    call: Call,
    KolId(kol): KolId,
    Params(wanted): Params<OfPlatform>,
) -> Response {
    call.creator::<Score>("score", &kol, &wanted).await
}

/// The score of a creator, with velocity and momentum.
#[utoipa::path(get, path = "/api/v1/scores/{kol_id}/trending",
    params(("kol_id" = String, Path, description = "Name of the creator."), OfPlatform),
    responses(
        (status = OK, body = Trend),
        (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
        (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
        (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
    ))]
pub(super) async fn trending(
    call: Call,
    KolId(kol): KolId,
    Params(wanted): Params<OfPlatform>,
) -> Response {
    call.creator::<Trend>("trend", &kol, &wanted).await
}

/// Up to ten creators side by side.
#[utoipa::path(get, path = "/api/v1/scores/compare", params(Compared), responses(
    (status = OK, body = Comparison),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn compare(call: Call, Params(wanted): Params<Compared>) -> Response {
    let platform = call.platform(&wanted.platform);
    let read = comparison(call.serving(), platform, wanted.kols());
    call.answer("compare", &wanted, Cost::Part, read).await
}

async fn comparison(
    serving: &Serving,
    platform: &str,
    kols: Vec<String>,
) -> Result<Comparison, Problem> {
    let found = serving.reader.creators(platform, &kols).await?;
    let known = found.into_iter().flatten().collect();
    let known = serving.with_changes(platform, known).await;
    let mut known = known.into_iter().peekable();
    let sides = kols.into_iter().map(|kol| {
        let found = known.next_if(|creator| creator.kol_id == kol);
        side(kol, found)
    });
    let sides: Vec<Side> = sides.collect();
    Ok(Comparison {
        platform: platform.to_owned(),
        total: sides.len(),
        available_count: sides.iter().filter(|side| side.available).count(),
        comparisons: sides,
    })
}

fn side(kol: String, found: Option<Creator>) -> Side {
    let available = found.is_some();
    let creator = found.unwrap_or_default();
    Side {
        kol_id: kol,
        available,
        rank: creator.rank,
        changes: creator.changes,
        trending_score: creator.trending_score,
        trending_label: creator.trending_label,
        velocity: creator.velocity,
        momentum: creator.momentum,
        updated_at: creator.updated_at,
    }
}
