//! The page for people: see [`kol_common::net::files`].

use kol_common::net::files::{File, HTML, SCRIPT, SHARED, STYLE};

/// Path, type and content of each file.
pub fn files() -> impl Iterator<Item = File> {
    OWN.into_iter().chain(SHARED)
}

const OWN: [File; 9] = [
    ("/", HTML, include_str!("../../page/index.html")),
    ("/page/app.js", SCRIPT, include_str!("../../page/app.js")),
    (
        "/page/creator.js",
        SCRIPT,
        include_str!("../../page/creator.js"),
    ),
    ("/page/feed.js", SCRIPT, include_str!("../../page/feed.js")),
    ("/page/job.js", SCRIPT, include_str!("../../page/job.js")),
    (
        "/page/links.js",
        SCRIPT,
        include_str!("../../page/links.js"),
    ),
    (
        "/page/overview.js",
        SCRIPT,
        include_str!("../../page/overview.js"),
    ),
    (
        "/page/ranking.js",
        SCRIPT,
        include_str!("../../page/ranking.js"),
    ),
    (
        "/page/style.css",
        STYLE,
        include_str!("../../page/style.css"),
    ),
];
