//! Creators of a platform, page by page.

use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::creator::Creator;
use crate::problem::{Problem, ProblemJson};
use crate::query::{Direction, KolId, OfPlatform, Paged, Params};
use crate::serving::{Call, Cost, Serving};

/// A page of creators.
#[derive(Serialize, ToSchema)]
struct Page {
    data: Vec<Creator>,
    platform: String,
    /// Creators on all pages.
    total: u64,
    page: u64,
    page_size: u64,
    /// Whether there is another page.
    has_more: bool,
    /// When Redis was last written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

/// The creators of a platform, page by page.
#[utoipa::path(get, path = "/api/v1/kols", params(Paged), responses(
    (status = OK, body = Page),
    (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn list(call: Call, Params(wanted): Params<Paged>) -> Response {
    let read = page(call.serving(), &wanted);
    call.answer("kols", &wanted, Cost::Part, read).await
}

/// All that is known of a creator.
#[utoipa::path(get, path = "/api/v1/kols/{kol_id}",
    params(("kol_id" = String, Path, description = "Name of the creator."), OfPlatform),
    responses(
        (status = OK, body = Creator),
        (status = NOT_MODIFIED, description = "As the ETag in If-None-Match says."),
        (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
        (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
        (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
    ))]
pub(super) async fn one(
    call: Call,
    KolId(kol): KolId,
    Params(wanted): Params<OfPlatform>,
) -> Response {
    call.creator::<Creator>("kol", &kol, &wanted).await
}

async fn page(serving: &Serving, wanted: &Paged) -> Result<Page, Problem> {
    let platform = serving.platform(&wanted.platform);
    let (first, size) = (wanted.first(), wanted.page_size);
    let part = match wanted.order_dir {
        Direction::Desc => serving.reader.part(platform, first, size).await?,
        Direction::Asc => serving.reader.last(platform, first, size).await?,
    };
    Ok(Page {
        data: serving.with_changes(platform, part.creators).await,
        platform: platform.to_owned(),
        total: part.total,
        page: wanted.page,
        page_size: size,
        has_more: first + size < part.total,
        updated_at: part.updated,
    })
}
