//! The page for people: files that are part of this program and hold no data. What they show they get from the API.

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::routing::get;

/// Scripts, styles and data from this master and from nowhere else; nothing that is written into the page runs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'";
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const ICON: &str = "image/svg+xml";

/// Path, type and content of each file.
pub const FILES: [(&str, &str, &str); 15] = [
    ("/", HTML, include_str!("../../page/index.html")),
    ("/page/app.js", SCRIPT, include_str!("../../page/app.js")),
    (
        "/page/creator.js",
        SCRIPT,
        include_str!("../../page/creator.js"),
    ),
    ("/page/dom.js", SCRIPT, include_str!("../../page/dom.js")),
    ("/page/feed.js", SCRIPT, include_str!("../../page/feed.js")),
    ("/page/job.js", SCRIPT, include_str!("../../page/job.js")),
    (
        "/page/overview.js",
        SCRIPT,
        include_str!("../../page/overview.js"),
    ),
    (
        "/page/plots.js",
        SCRIPT,
        include_str!("../../page/plots.js"),
    ),
    ("/page/poll.js", SCRIPT, include_str!("../../page/poll.js")),
    (
        "/page/ranking.js",
        SCRIPT,
        include_str!("../../page/ranking.js"),
    ),
    (
        "/page/words.js",
        SCRIPT,
        include_str!("../../page/words.js"),
    ),
    (
        "/page/style.css",
        STYLE,
        include_str!("../../page/style.css"),
    ),
    ("/page/icon.svg", ICON, include_str!("../../page/icon.svg")),
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

/// The files of the page, which hold no data.
pub(super) fn shell() -> Router {
    let files = FILES.into_iter();
    files.fold(Router::new(), |router, (path, kind, content)| {
        let headers = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)];
        router.route(path, get(move || async move { (headers, content) }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_nothing_of_elsewhere_and_writes_no_markup() {
        for (path, _, content) in FILES {
            if path.contains("uPlot") {
                continue;
            }
            for elsewhere in ["http://", "https://", "\"//", "'//", "@import", "url("] {
                let found = content.replace("http://www.w3.org/2000/svg", "");
                assert!(!found.contains(elsewhere), "{elsewhere} in {path}");
            }
            for markup in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!content.contains(markup), "{markup} in {path}");
            }
            for inline in [" style=", " onclick=", " onload=", "<style", "<script>"] {
                assert!(!content.contains(inline), "{inline} in {path}");
            }
        }
    }

    #[test]
    fn every_file_that_the_page_needs_is_served() {
        let named = FILES.iter().flat_map(|(_, _, content)| content.split('"'));
        let mut files: Vec<_> = named
            .filter_map(|name| match name.strip_prefix("./") {
                Some(module) if module.ends_with(".js") => Some(format!("/page/{module}")),
                _ => name.starts_with("/page/").then(|| name.to_owned()),
            })
            .collect();
        files.push("/".to_owned());
        for (path, ..) in FILES {
            assert!(files.iter().any(|file| file == path), "nobody needs {path}");
        }
        for file in files {
            assert!(FILES.iter().any(|(path, ..)| *path == file), "{file}");
        }
    }
}
