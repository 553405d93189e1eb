//! Creators by a part of their names. Only the first of a ranking are looked at.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::creator::Row;
use crate::names::Place;
use crate::problem::{Problem, ProblemJson};
use crate::query::{Params, Search, Suggest};
use crate::serving::{Call, Cost, Serving};

/// Creators that were found.
#[derive(Serialize, ToSchema)]
struct Found {
    /// Highest score first.
    data: Vec<Row>,
    query: String,
    platform: String,
    /// Creators that were found, also those that are not listed.
    total: usize,
    /// Creators whose names were looked at: the first 10,000 of the ranking.
    searched: usize,
    /// When Redis was last written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// Names that begin so.
#[derive(Serialize, ToSchema)]
struct Suggestions {
    /// Highest score first.
    data: Vec<String>,
    prefix: String,
    platform: String,
    /// Creators whose names were looked at: the first 10,000 of the ranking.
    searched: usize,
}

/// Creators with this text in their names.
#[utoipa::path(get, path = "/api/v1/search", params(Search), responses(
    (status = OK, body = Found),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn search(call: Call, Params(wanted): Params<Search>) -> Response {
    let read = found(call.serving(), &wanted);
    call.answer("search", &wanted, Cost::Part, read).await
}

/// Names of creators that begin so.
#[utoipa::path(get, path = "/api/v1/search/suggest", params(Suggest), responses(
    (status = OK, body = Suggestions),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn suggest(call: Call, Params(wanted): Params<Suggest>) -> Response {
    let read = suggestions(call.serving(), &wanted);
    call.answer("suggest", &wanted, Cost::Part, read).await
}

async fn found(serving: &Serving, wanted: &Search) -> Result<Found, Problem> {
    let platform = serving.platform(&wanted.platform);
    let names = serving.names(platform).await?;
    let limit = wanted.limit as usize;
    let (found, total) = names.find(&wanted.q, Place::Anywhere, limit);
    let creators = serving.reader.named(platform, found).await?;
    let creators = serving.with_changes(platform, creators).await;
    Ok(Found {
        data: creators.into_iter().map(Row::from).collect(),
        query: wanted.q.clone(),
        platform: platform.to_owned(),
        total,
        searched: names.count(),
        updated_at: names.updated.clone(),
    })
}

async fn suggestions(serving: &Serving, wanted: &Suggest) -> Result<Suggestions, Problem> {
    let platform = serving.platform(&wanted.platform);
    let names = serving.names(platform).await?;
    let limit = wanted.limit as usize;
    let (found, _) = names.find(&wanted.prefix, Place::First, limit);
    Ok(Suggestions {
        data: found.into_iter().map(|(_, kol, _)| kol).collect(),
        prefix: wanted.prefix.clone(),
        platform: platform.to_owned(),
        searched: names.count(),
    })
}
