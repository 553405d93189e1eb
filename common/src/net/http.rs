//! Serves pages over HTTP/1: to who may see them, within limits.

use std::io;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use futures::{Stream, StreamExt as _};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use super::connection::Connection;
use super::hosts;
use super::listener::{Limits, accept};
use super::protection::{Protection, Refused};
use super::tokens::Role;
use crate::KolError;
use crate::actor::Group;

/// Connections at one time.
const CONNECTIONS: usize = 256;
/// How long the head of a request may take; also how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last: a scraper opens the next one. A request that is under way then is answered.
const LAST: Duration = Duration::from_secs(60);
/// Most bytes of the head of a request.
const HEAD_BYTES: usize = 16 << 10;
/// Most headers of a request.
const HEADERS: usize = 64;

/// Pages that anybody may see: they say nothing but whether a process lives.
const OPEN: [&str; 2] = ["/healthz", "/readyz"];

/// Whether a page needs no login.
pub fn is_open_to_all(path: &str) -> bool {
    OPEN.contains(&path)
}

/// Lets only people with a token see pages, and gives answers the headers that keep browsers from doing more
/// with them than to show them. A page that is added is protected.
pub fn protect(router: Router, protection: Protection) -> Router {
    open_to_all(router.layer(from_fn_with_state(protection, admit)))
}

/// Pages that everybody may see, with the same headers: they must hold no data. One that needs more of a browser than to
/// be shown says so by a content security policy of its own.
pub fn open_to_all(router: Router) -> Router {
    router.layer(from_fn(harmless))
}

async fn admit(State(protection): State<Protection>, request: Request, next: Next) -> Response {
    if is_open_to_all(request.uri().path()) {
        return next.run(request).await;
    }
    let shown = request.headers().get(AUTHORIZATION);
    let shown = shown.and_then(|value| value.to_str().ok());
    match protection.admit(shown, Role::Viewer) {
        Ok(_) => next.run(request).await,
        Err(refused @ Refused::Unknown) => {
            let scheme = [(WWW_AUTHENTICATE, "Bearer")];
            (StatusCode::UNAUTHORIZED, scheme, format!("{refused}\n")).into_response()
        }
        Err(refused) => (StatusCode::FORBIDDEN, format!("{refused}\n")).into_response(),
    }
}

async fn harmless(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let nothing = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(nothing);
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A page that may be stored says so itself.
    let stored = headers.entry(CACHE_CONTROL);
    stored.or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Serves pages on a listener until the tasks are stopped. Without a login, one on loopback answers requests that name
/// loopback or an allowed host.
pub fn serve_http(listener: TcpListener, router: Router, protection: &Protection, tasks: &Group) {
    let address = listener.local_addr().ok();
    let router = match protection.hosts(address) {
        Some(hosts) => open_to_all(router.layer(from_fn_with_state(hosts, hosts::known))),
        None => router,
    };
    let limits = Limits {
        connections: CONNECTIONS,
        hello: HEAD,
        http2: false,
    };
    let accepted = accept(listener, protection, limits, tasks);
    let _runs_by_itself = tasks.spawn("http", serve(accepted, router, tasks.clone()));
}

async fn serve(
    mut accepted: impl Stream<Item = io::Result<Connection>> + Send + Unpin + 'static,
    router: Router,
    tasks: Group,
) -> Result<(), KolError> {
    let stop = tasks.stop_token();
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            next = accepted.next() => next,
        };
        match next {
            None => return Ok(()),
            Some(Err(error)) => tracing::debug!(%error, "a connection could not be accepted"),
            Some(Ok(connection)) => {
                let serving = one(connection, router.clone(), tasks.clone());
                let _runs_by_itself = tasks.spawn("http-connection", serving);
            }
        }
    }
}

async fn one(connection: Connection, router: Router, tasks: Group) -> Result<(), KolError> {
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS);
    let service = TowerToHyperService::new(router);
    let mut serving = std::pin::pin!(server.serve_connection(TokioIo::new(connection), service));
    let stop = tasks.stop_token();
    let served = tokio::select! {
        biased;
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
        () = tokio::time::sleep(LAST) => {
            serving.as_mut().graceful_shutdown();
            match tokio::time::timeout(HEAD, serving).await {
                Ok(served) => served,
                Err(_) => return Ok(()),
            }
        }
    };
    if let Err(error) = served {
        // Whoever connects can make it fail.
        tracing::debug!(%error, "a connection ended early");
    }
    Ok(())
}
