//! Lists of a ranking.

use axum::response::Response;
use kol_common::Millis;
use serde::Serialize;
use utoipa::ToSchema;

use crate::creator::{Creator, Row};
use crate::problem::{Problem, ProblemJson};
use crate::query::{Listing, Params, Ranged};
use crate::reader::{EXAMINED, Range};
use crate::serving::{Call, Cost, Serving};

/// A part of a ranking.
#[derive(Serialize, ToSchema)]
pub(super) struct Ranking<T> {
    /// Highest score first.
    data: Vec<T>,
    #[schema(example = "trending")]
    metric: &'static str,
    platform: String,
    /// Creators in the ranking.
    total: u64,
    /// The offset at which the list continues; absent at its end. A filter looks at the next 1,000 creators for one answer,
    /// so that a list may be short, or empty, and yet continue.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_offset: Option<u64>,
    /// When Redis was last written, ISO 8601; absent of an earlier ranking.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    /// Of which time an earlier ranking is, ISO 8601: the newest one that is kept and not after the time of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Window end of an earlier ranking, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    window_end: Option<String>,
    /// Generation of the job that showed an earlier ranking.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

/// Creators of a range of scores.
#[derive(Serialize, ToSchema)]
struct InRange {
    /// Highest score first.
    data: Vec<Row>,
    platform: String,
    /// Creators in the range.
    total: u64,
    /// When Redis was last written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// The ranking of a platform.
#[utoipa::path(get, path = "/api/v1/trending", params(Listing), responses(
    (status = OK, body = Ranking<Row>),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn trending(call: Call, Params(wanted): Params<Listing>) -> Response {
    let read = ranking::<Row>(call.serving(), &wanted);
    call.answer("trending", &wanted, Cost::Part, read).await
}

/// The ranking of a platform with all that is known of each creator.
#[utoipa::path(get, path = "/api/v1/trending/detailed", params(Listing), responses(
    (status = OK, body = Ranking<Creator>),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn detailed(call: Call, Params(wanted): Params<Listing>) -> Response {
    let read = ranking::<Creator>(call.serving(), &wanted);
    call.answer("detailed", &wanted, Cost::Part, read).await
}

/// Creators that are viral.
#[utoipa::path(get, path = "/api/v1/trending/viral", params(Ranged), responses(
    (status = OK, body = InRange),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn viral(call: Call, wanted: Params<Ranged>) -> Response {
    ranged(call, wanted, Range::Viral).await
}

/// Creators that are hot, or viral.
#[utoipa::path(get, path = "/api/v1/trending/hot", params(Ranged), responses(
    (status = OK, body = InRange),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn hot(call: Call, wanted: Params<Ranged>) -> Response {
    ranged(call, wanted, Range::Hot).await
}

/// Creators that are warm or hot, with their momentum.
#[utoipa::path(get, path = "/api/v1/trending/rising", params(Ranged), responses(
    (status = OK, body = InRange),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn rising(call: Call, wanted: Params<Ranged>) -> Response {
    ranged(call, wanted, Range::Rising).await
}

/// A part of a ranking as it is requested.
pub(super) async fn ranking<T: From<Creator>>(
    serving: &Serving,
    wanted: &Listing,
) -> Result<Ranking<T>, Problem> {
    if let Some(time) = wanted.time() {
        return earlier(serving, wanted, time).await;
    }
    let platform = serving.platform(&wanted.platform);
    let filters = wanted.label.is_some() || wanted.min_events.is_some();
    let examined = if filters { EXAMINED } else { wanted.limit };
    let part = serving.reader.part(platform, wanted.offset, examined);
    let part = part.await?;
    let creators = serving.with_changes(platform, part.creators).await;
    let ranking = listed(platform, wanted, creators.into_iter(), part.total);
    Ok(Ranking {
        updated_at: part.updated,
        ..ranking
    })
}

/// The same as it was at this time.
async fn earlier<T: From<Creator>>(
    serving: &Serving,
    wanted: &Listing,
    time: Millis,
) -> Result<Ranking<T>, Problem> {
    let platform = serving.platform(&wanted.platform);
    let history = serving.history(platform).await?;
    let moment = history.at(time);
    let moment = moment.ok_or_else(|| Problem::no_snapshot(platform, history.begin()))?;
    let labels = serving.reader.labels();
    let places = (1..).zip(&moment.creators);
    let places = places.skip(usize::try_from(wanted.offset).unwrap_or(usize::MAX));
    let creators = places.map(|(place, (kol, score))| {
        Creator::earlier(platform, kol, place, *score, labels.of(*score))
    });
    let ranking = listed(platform, wanted, creators, moment.creators.len() as u64);
    Ok(Ranking {
        at: Some(moment.name.at.iso()),
        window_end: Some(moment.window_end.clone()),
        generation: Some(moment.name.generation),
        ..ranking
    })
}

/// Those that fit, of creators from the offset on.
fn listed<T: From<Creator>>(
    platform: &str,
    wanted: &Listing,
    creators: impl Iterator<Item = Creator>,
    total: u64,
) -> Ranking<T> {
    let (mut data, mut seen) = (Vec::new(), 0);
    for creator in creators {
        if data.len() as u64 == wanted.limit {
            break;
        }
        seen += 1;
        if fits(&creator, wanted) {
            data.push(T::from(creator));
        }
    }
    let next = wanted.offset + seen;
    Ranking {
        data,
        metric: "trending",
        platform: platform.to_owned(),
        total,
        next_offset: (seen > 0 && next < total).then_some(next),
        updated_at: None,
        at: None,
        window_end: None,
        generation: None,
    }
}

fn fits(creator: &Creator, wanted: &Listing) -> bool {
    let label = wanted.label.map(|label| label.text());
    let has_label = label.is_none() || label == creator.trending_label.as_deref();
    has_label && creator.events() >= wanted.min_events.unwrap_or_default()
}

async fn ranged(call: Call, Params(wanted): Params<Ranged>, range: Range) -> Response {
    let platform = call.platform(&wanted.platform);
    let read = in_range(call.serving(), platform, range, &wanted);
    call.answer("range", &(range, &wanted), Cost::Part, read)
        .await
}

async fn in_range(
    serving: &Serving,
    platform: &str,
    range: Range,
    wanted: &Ranged,
) -> Result<InRange, Problem> {
    let part = serving
        .reader
        .range(platform, range, wanted.offset, wanted.limit);
    let part = part.await?;
    let creators = serving.with_changes(platform, part.creators).await;
    Ok(InRange {
        data: creators.into_iter().map(Row::from).collect(),
        platform: platform.to_owned(),
        total: part.total,
        updated_at: part.updated,
    })
}
