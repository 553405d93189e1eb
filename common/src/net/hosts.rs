//! The `Host` of requests, where no login protects what is answered.
//!
//! Whoever owns a name can let it point at a loopback address after their page was loaded under it (DNS rebinding). A
//! visitor's browser then takes a process of this machine for the page's own server, and lets the page read its answers.
//! What such requests cannot hide is the name: it stands in their `Host`.
//!
//! 1. A process that listens on a loopback address without a login answers requests to `localhost`, to loopback addresses
//!    and to the names that its operator gave, at any port: it may be forwarded.
//! 2. A request that names several hosts is answered if all of them fit. One without any comes from no browser.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use crate::KolError;

/// Most characters of a host that an answer repeats.
const SHOWN: usize = 100;

/// Names under which a process is reached, besides those of loopback. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts(Arc<[String]>);

impl Hosts {
    /// Also these names, as in URLs, without a port.
    ///
    /// # Errors
    /// `CONFIG_INVALID`: one is not the name of a host.
    pub(super) fn named(names: &[String]) -> Result<Self, KolError> {
        let names = names.iter().map(|name| {
            if host_of(name).is_some_and(|host| host.len() == name.len()) {
                return Ok(name.clone());
            }
            let what = format!("`{name}` is not the name of a host");
            Err(KolError::user("CONFIG_INVALID", what)
                .help("Write names or addresses as in the URLs that people open, without a port."))
        });
        names.collect::<Result<_, _>>().map(Self)
    }

    fn fits(&self, shown: &str) -> bool {
        let Some(host) = host_of(shown) else {
            return false;
        };
        let is = |name: &str| name.eq_ignore_ascii_case(host);
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let address = address.parse::<IpAddr>();
        is("localhost")
            || address.is_ok_and(|address| address.to_canonical().is_loopback())
            || self.0.iter().any(|name| is(name))
    }

    /// The first host of a request that does not fit.
    fn stranger(&self, request: &Request) -> Option<String> {
        let shown = request.headers().get_all(HOST).iter();
        let shown = shown.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
        let target = request.uri().authority();
        let mut all = shown.chain(target.map(ToString::to_string));
        all.find(|host| !self.fits(host))
    }
}

/// The host of what a request shows, which may have a port; `None` where it is none.
fn host_of(shown: &str) -> Option<&str> {
    let is_plain = !shown.contains('@');
    let authority: Authority = shown.parse().ok().filter(|_| is_plain)?;
    let host = shown.get(..authority.host().len())?;
    let host = host.strip_suffix('.').unwrap_or(host);
    (!host.is_empty()).then_some(host)
}

/// Answers requests to these hosts only.
pub(super) async fn known(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    match hosts.stranger(&request) {
        Some(host) => refused(&host),
        None => next.run(request).await,
    }
}

/// As `application/problem+json` (RFC 9457).
fn refused(host: &str) -> Response {
    let host: String = host.chars().take(SHOWN).collect();
    let what = format!("this process has no login and is not known as `{host}`");
    let error = KolError::user("HOST_UNKNOWN", what).help(
        "Open it as http://127.0.0.1 or http://localhost, or start it with --allow-host NAME; with --tls every name will do.",
    );
    let status = StatusCode::MISDIRECTED_REQUEST;
    let body = json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "code": error.code,
        "detail": error.message,
        "help": error.help,
    });
    let kind = HeaderValue::from_static("application/problem+json");
    (status, [(CONTENT_TYPE, kind)], body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_loopback_and_those_that_were_given_fit_at_any_port() {
        let names = ["kol.corp", "10.1.2.3"].map(str::to_owned);
        let hosts = Hosts::named(&names).unwrap();
        for fits in [
            "localhost",
            "LocalHost:4040",
            "localhost.:1",
            "127.0.0.1",
            "127.9.9.9:8000",
            "[::1]",
            "[::1]:4040",
            "[::ffff:127.0.0.1]:1",
            "KOL.corp:80",
            "10.1.2.3:4040",
        ] {
            assert!(hosts.fits(fits), "{fits}");
        }
        for strange in [
            "",
            ":4040",
            "evil.example",
            "evil.example:4040",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "kol.corp.evil.example",
            "evil.example@localhost",
            "localhost@evil.example",
            "localhost@evil.host",
            "0.0.0.0:4040",
            "10.1.2.4",
            "[::2]:1",
            "localhost evil",
            "localhost/",
        ] {
            assert!(!hosts.fits(strange), "{strange}");
        }
    }

    #[test]
    fn what_an_operator_gives_is_a_name_without_a_port() {
        for wrong in ["", "a:80", "http://a", "a/b", "a b", "x@a", "*.a b"] {
            let error = Hosts::named(&[wrong.to_owned()]).unwrap_err();
            assert_eq!(error.code, "CONFIG_INVALID", "{wrong}");
        }
        Hosts::named(&["kol.corp".into(), "[fd00::7]".into()]).unwrap();
    }
}
