//! Errors as `application/problem+json` (RFC 9457), with a stable code.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use kol_common::{Domain, KolError, Millis};
use serde::Serialize;
use utoipa::ToSchema;

/// After so many seconds it may be tried again.
const AFTER: HeaderValue = HeaderValue::from_static("2");
/// Longest detail, characters: parts of it may come from whoever sent the request.
const LONGEST: usize = 400;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    status: StatusCode,
    error: KolError,
}

/// A problem as it is sent.
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemJson {
    /// What the status means.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status of the answer.
    #[schema(example = 404)]
    status: u16,
    /// Stable, in capitals: see `docs/errors.md`.
    #[schema(example = "KOL_NOT_FOUND")]
    code: &'static str,
    /// What happened, in one sentence.
    detail: String,
    /// What can be done about it.
    help: String,
}

impl Problem {
    /// A parameter or a path cannot be used.
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        let error = KolError::user("REQUEST_INVALID", what);
        let error = error.help("See /openapi.json for the parameters of each path.");
        Self::new(StatusCode::BAD_REQUEST, error)
    }

    /// There is no such path.
    pub(crate) fn no_page() -> Self {
        let error = KolError::user("PAGE_NOT_FOUND", "there is no such path");
        let error = error.help("See /openapi.json for the paths there are.");
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// The path does not take this method.
    pub(crate) fn only_get() -> Self {
        let error = KolError::user("METHOD_NOT_ALLOWED", "this path takes GET and HEAD only");
        let error = error.help("Rankings are changed by jobs, not here.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, error)
    }

    /// No ranking of this platform is shown.
    pub(crate) fn no_platform(platform: &str) -> Self {
        let what = format!("no ranking is shown for the platform `{platform}`");
        let error = KolError::user("PLATFORM_NOT_FOUND", what);
        let error = error.help("See /api/v1/trending/platforms for the platforms there are.");
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// No such creator is known.
    pub(crate) fn no_creator(platform: &str, kol: &str) -> Self {
        let what = format!("there is no creator `{kol}` on the platform `{platform}`");
        let error = KolError::user("KOL_NOT_FOUND", what);
        let error = error.help("Look for it with /api/v1/search, or name its platform.");
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// The ranking of this time is not kept, only those from `begin` on, if any.
    pub(crate) fn no_snapshot(platform: &str, begin: Option<Millis>) -> Self {
        let what = match begin {
            Some(begin) => format!(
                "the ranking of `{platform}` is kept from {} on, not of that time",
                begin.iso()
            ),
            None => format!("no earlier ranking of `{platform}` is kept"),
        };
        let error = KolError::user("SNAPSHOT_NOT_FOUND", what);
        let error = error.help("How far back rankings are kept is sink.history of the job.");
        Self::new(StatusCode::NOT_FOUND, error)
    }

    /// Too much is being read already.
    pub(crate) fn busy() -> Self {
        let what = "too many different requests wait for Redis";
        let error = KolError::external("SERVE_BUSY", what).help("Try again in a moment.");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }

    fn new(status: StatusCode, error: KolError) -> Self {
        Self { status, error }
    }

    /// Whether another request may have an answer soon: then an old answer is better than none.
    pub(crate) fn is_passing(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }
}

/// What keeps Redis from being read is for the log, with its address; callers learn the code.
impl From<KolError> for Problem {
    fn from(mut error: KolError) -> Self {
        if error.domain == Domain::Internal {
            return Self::new(StatusCode::INTERNAL_SERVER_ERROR, error);
        }
        error.message = "the rankings cannot be read from Redis now".to_owned();
        error.help = "Try again in a moment; the log of kol-client serve says why.".to_owned();
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error)
    }
}

impl Problem {
    /// Its bytes: a JSON object.
    pub(crate) fn body(self) -> Vec<u8> {
        let shown = ProblemJson {
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            code: self.error.code,
            detail: self.error.message.chars().take(LONGEST).collect(),
            help: self.error.help,
        };
        serde_json::to_vec(&shown).unwrap_or_default()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, is_passing) = (self.status, self.is_passing());
        let mut response = (status, self.body()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if is_passing {
            headers.insert(RETRY_AFTER, AFTER);
        }
        response
    }
}
