//! Pages for people: files that are part of a program and hold no data. What they show they get from the API beside them.

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::get;

use super::http::open_to_all;

/// Scripts, styles and data from the same server and from nowhere else; nothing that is written into the page runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";

/// Types of files.
pub const HTML: &str = "text/html; charset=utf-8";
/// See [`HTML`].
pub const SCRIPT: &str = "text/javascript; charset=utf-8";
/// See [`HTML`].
pub const STYLE: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// Path, type and content of a file.
pub type File = (&'static str, &'static str, &'static str);

/// Files that the pages of all programs need.
pub const SHARED: [File; 9] = [
    ("/page/api.js", SCRIPT, include_str!("../../page/api.js")),
    ("/page/base.css", STYLE, include_str!("../../page/base.css")),
    ("/page/dom.js", SCRIPT, include_str!("../../page/dom.js")),
    ("/page/icon.svg", ICON, include_str!("../../page/icon.svg")),
    (
        "/page/plots.js",
        SCRIPT,
        include_str!("../../page/plots.js"),
    ),
    ("/page/poll.js", SCRIPT, include_str!("../../page/poll.js")),
    (
        "/page/words.js",
        SCRIPT,
        include_str!("../../page/words.js"),
    ),
    (
        "/page/uPlot.js",
        SCRIPT,
        include_str!("../../page/uplot/uPlot.iife.min.js"),
    ),
    (
        "/page/uPlot.css",
        STYLE,
        include_str!("../../page/uplot/uPlot.min.css"),
    ),
];

/// Serves files to everybody.
pub fn files(all: impl IntoIterator<Item = File>) -> Router {
    let router = all.into_iter().fold(Router::new(), |router, file| {
        let (path, kind, content) = file;
        let headers = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)];
        router.route(path, get(move || async move { (headers, content) }))
    });
    open_to_all(router)
}
