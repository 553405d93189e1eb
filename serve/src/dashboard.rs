//! The dashboard: see [`kol_common::net::files`].

use kol_common::net::files::{File, HTML, SCRIPT, SHARED, STYLE};

/// Path, type and content of each file.
pub fn files() -> impl Iterator<Item = File> {
    OWN.into_iter().chain(SHARED)
}

const OWN: [File; 7] = [
    ("/", HTML, include_str!("../page/index.html")),
    ("/page/app.js", SCRIPT, include_str!("../page/app.js")),
    (
        "/page/creator.js",
        SCRIPT,
        include_str!("../page/creator.js"),
    ),
    ("/page/csv.js", SCRIPT, include_str!("../page/csv.js")),
    ("/page/curves.js", SCRIPT, include_str!("../page/curves.js")),
    (
        "/page/rankings.js",
        SCRIPT,
        include_str!("../page/rankings.js"),
    ),
    ("/page/style.css", STYLE, include_str!("../page/style.css")),
];
