//! Rankings as a whole.

use axum::response::Response;
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use crate::problem::{Problem, ProblemJson};
use crate::query::{Nothing, OfPlatform, Params};
use crate::reader::Reader;
use crate::serving::{Call, Cost};
use crate::shown;

/// The scores of a ranking.
#[derive(Serialize, ToSchema)]
struct Scores {
    platform: String,
    /// Creators in the ranking.
    total: u64,
    /// Creators by label.
    labels: Labels,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    min_score: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    max_score: Option<Number>,
    /// Of a ranking of up to 100,000 creators.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    mean_score: Option<Number>,
    /// When Redis was last written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// Creators by label.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct Labels {
    viral: u64,
    hot: u64,
    warm: u64,
    normal: u64,
    cold: u64,
}

/// A platform whose ranking is shown.
#[derive(Serialize, ToSchema)]
struct Platform {
    platform: String,
    /// Creators in its ranking.
    creators: u64,
}

/// The platforms there are.
#[derive(Serialize, ToSchema)]
struct Platforms {
    /// The platforms that have a ranking, by name.
    data: Vec<Platform>,
    total: usize,
    /// When Redis was last written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// What all platforms have together.
#[derive(Serialize, ToSchema)]
struct Overview {
    /// Creators in all rankings.
    creators: u64,
    /// Names of the platforms whose rankings are shown.
    platforms: Vec<String>,
    /// When Redis was last written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    /// Time of the newest event, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_event_at: Option<String>,
}

/// The scores of a ranking: how many creators have which label; the least, the greatest and the mean.
#[utoipa::path(get, path = "/api/v1/trending/stats", params(OfPlatform), responses(
    (status = OK, body = Scores),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn of_ranking(call: Call, Params(wanted): Params<OfPlatform>) -> Response {
    let platform = call.platform(&wanted.platform);
    let read = scores(call.reader(), platform);
    call.answer("of_ranking", &wanted, Cost::Whole, read).await
}

/// The platforms there are.
#[utoipa::path(get, path = "/api/v1/trending/platforms", responses(
    (status = OK, body = Platforms),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn platforms(call: Call, _: Params<Nothing>) -> Response {
    let read = all_platforms(call.reader());
    call.answer("platforms", &(), Cost::Part, read).await
}

/// How much there is, and how new it is.
#[utoipa::path(get, path = "/api/v1/stats", responses(
    (status = OK, body = Overview),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn stats(call: Call, _: Params<Nothing>) -> Response {
    let read = overview(call.reader());
    call.answer("stats", &(), Cost::Part, read).await
}

async fn scores(reader: &Reader, platform: &str) -> Result<Scores, Problem> {
    let summary = reader.summary(platform).await?;
    let [viral, hot, warm, normal, cold] = summary.labels;
    Ok(Scores {
        platform: platform.to_owned(),
        total: summary.total,
        labels: Labels {
            viral,
            hot,
            warm,
            normal,
            cold,
        },
        min_score: summary.least.and_then(shown::score),
        max_score: summary.greatest.and_then(shown::score),
        mean_score: summary.mean.and_then(shown::score),
        updated_at: summary.updated,
    })
}

async fn all_platforms(reader: &Reader) -> Result<Platforms, Problem> {
    let platforms = reader.platforms().await?;
    let data = platforms.all.into_iter().map(|one| Platform {
        platform: one.name,
        creators: one.creators,
    });
    let data: Vec<_> = data.collect();
    Ok(Platforms {
        total: data.len(),
        data,
        updated_at: platforms.updated,
    })
}

async fn overview(reader: &Reader) -> Result<Overview, Problem> {
    let platforms = reader.platforms().await?;
    Ok(Overview {
        creators: platforms.all.iter().map(|one| one.creators).sum(),
        platforms: platforms.all.into_iter().map(|one| one.name).collect(),
        updated_at: platforms.updated,
        last_event_at: platforms.newest_event,
    })
}
