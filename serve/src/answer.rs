//! An answer as HTTP: its bytes, their name (ETag), and how long they may be kept.

use std::time::Duration;

use axum::http::header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use kol_common::KolError;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use crate::problem::Problem;

/// How long others may keep an answer, seconds. Without `public`: one to a request with a login is not shared.
const KEPT: HeaderValue = HeaderValue::from_static("max-age=1");
/// An answer that is too old already is not kept.
const NOT_KEPT: HeaderValue = HeaderValue::from_static("no-store");
/// Bytes of the digest that name an answer.
const NAME_BYTES: usize = 16;

/// A JSON object, ready to be sent. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    body: Bytes,
    /// With its quotes.
    tag: String,
}

impl Answer {
    /// From a value that is an object with at least one member.
    pub(crate) fn of(value: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(value)
            .map_err(|e| KolError::internal("SERVE_ENCODING", e.to_string()))?;
        let name = digest(&SHA256, &body);
        let name = name.as_ref().iter().take(NAME_BYTES);
        let name: String = name.map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            body: body.into(),
            tag: format!("\"{name}\""),
        })
    }

    /// What it takes of memory.
    pub(crate) fn weight(&self) -> usize {
        self.body.len() + self.tag.len()
    }

    /// To a request with these headers.
    pub(crate) fn respond(&self, request: &HeaderMap) -> Response {
        let mut response = if self.is_known(request) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            json(self.body())
        };
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&self.tag) {
            headers.insert(ETAG, tag);
        }
        headers.insert(CACHE_CONTROL, KEPT);
        response
    }

    /// What names its bytes, with quotes.
    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The answer as it is sent.
    pub(crate) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// Its bytes as those of an old answer.
    pub(crate) fn stale_body(&self) -> Bytes {
        let members = self.body.strip_prefix(b"{").unwrap_or_default();
        [&b"{\"stale\":true,"[..], members].concat().into()
    }

    /// While nothing newer can be read: marked in the body and by its age.
    pub(crate) fn respond_stale(&self, age: Duration) -> Response {
        let mut response = json(self.stale_body());
        let headers = response.headers_mut();
        headers.insert(AGE, HeaderValue::from(age.as_secs()));
        headers.insert(CACHE_CONTROL, NOT_KEPT);
        response
    }

    /// Whether whoever sent the request has these bytes: the comparison is the weak one of RFC 9110.
    fn is_known(&self, request: &HeaderMap) -> bool {
        let listed = request.get_all(IF_NONE_MATCH).iter();
        let listed = listed.filter_map(|value| value.to_str().ok());
        let mut tags = listed.flat_map(|list| list.split(',')).map(str::trim);
        tags.any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag)
    }
}

fn json(body: Bytes) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(CONTENT_TYPE, kind)], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(answer: &Answer, tags: &[&str]) -> u16 {
        let mut request = HeaderMap::new();
        for tag in tags {
            request.append(IF_NONE_MATCH, HeaderValue::from_str(tag).unwrap());
        }
        answer.respond(&request).status().as_u16()
    }

    #[test]
    fn whoever_has_the_bytes_gets_them_not_again() {
        let one = Answer::of(&serde_json::json!({"a": 1})).unwrap();
        let other = Answer::of(&serde_json::json!({"a": 2})).unwrap();
        assert_ne!(one.tag, other.tag);
        let (is, not) = (one.tag.as_str(), other.tag.as_str());
        let weak = format!("W/{is}");
        let both = format!("{not} , {is}");
        for known in [&[is][..], &[&weak], &["*"], &[&both], &[not, is]] {
            assert_eq!(status(&one, known), 304, "{known:?}");
        }
        for unknown in [&[][..], &[not], &["x"], &[""]] {
            assert_eq!(status(&one, unknown), 200, "{unknown:?}");
        }
    }
}
