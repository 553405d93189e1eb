//! The walls inside the crates: which module imports which, read from the sources as text.
//!
//! A module imports another one when it names something of it: in a `use`, or by a path in its code. What is for
//! tests alone does not count. ARCHITECTURE.md says why the walls stand where they do.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should say where"
)]

#[path = "walls/imports.rs"]
mod imports;
#[path = "walls/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use imports::{Imports, Sources, imports_of, is_inside, sources};

const CRATES: [&str; 6] = [
    "common",
    "client",
    "executor",
    "master",
    "serve",
    "tests/fold",
];

/// Crates and their rooms that import nothing of their neighbours.
const CLOSED: &[(&str, &str)] = &[
    ("executor", "state"),
    ("executor", "memory"),
    ("executor", "source::contract"),
    ("executor", "sink"),
    ("master", "meta"),
    ("master", "meta::contract"),
    ("master", "cluster"),
    ("client", "convert"),
    ("client", "generate"),
    ("common", "time"),
];

/// Crates, their rooms, and what these must not import.
const FORBIDDEN: &[(&str, &str, &[&str])] = &[
    (
        "executor",
        "source",
        &[
            "state",
            "sink",
            "partition",
            "supervisor",
            "session",
            "roots",
            "run",
            "present",
            "config",
            "http",
            "telemetry",
        ],
    ),
    ("executor", "partition", &["supervisor", "session", "run"]),
    ("executor", "supervisor", &["run"]),
    ("master", "job", &["controller", "meta", "rpc", "http"]),
    ("master", "checkpoint", &["job", "controller", "meta"]),
    (
        "master",
        "controller",
        &["rpc", "http", "run", "lead", "role"],
    ),
    (
        "master",
        "election",
        &["controller", "rpc", "http", "run", "lead", "role"],
    ),
    ("client", "input", &["cmd", "render"]),
    ("client", "render", &["cmd"]),
    ("serve", "link", &["reader", "serving", "pages", "server"]),
    ("serve", "cache", &["link", "reader", "serving", "pages"]),
    ("serve", "reader", &["cache", "serving", "pages", "server"]),
    (
        "common",
        "event",
        &["job", "scoring", "checkpoint", "kafka", "redis"],
    ),
    ("common", "scoring", &["event", "checkpoint", "redis"]),
];

/// Parts that do not know each other.
const APART: &[(&str, &[&str])] = &[(
    "executor",
    &[
        "partition::reader",
        "partition::stage",
        "partition::delivery",
        "partition::checkpointer",
    ],
)];

/// Crates, their rooms, and what these must not name of other crates.
const FOREIGN: &[(&str, &str, &[&str])] = &[
    ("executor", "source::contract", &["rdkafka"]),
    ("executor", "partition", &["rdkafka"]),
    (
        "executor",
        "state",
        &["rdkafka", "redis", "tokio", "tracing"],
    ),
    ("executor", "sink", &["rdkafka"]),
    ("master", "job::machine", &["tokio", "rdkafka", "redis"]),
    ("master", "checkpoint::coordinator", &["tokio", "rdkafka"]),
    (
        "master",
        "election::machine",
        &["tokio", "tonic", "tracing"],
    ),
    ("master", "cluster", &["tokio", "tracing"]),
    ("master", "meta::contract", &["redb", "tonic"]),
    ("common", "event", &["tokio", "rdkafka", "redis"]),
    ("common", "scoring", &["tokio", "rdkafka", "redis"]),
    ("serve", "cache", &["redis", "axum"]),
    ("serve", "pages", &["redis", "rdkafka", "tonic"]),
    ("serve", "reader", &["axum", "rdkafka", "tonic"]),
    // The reference reads and scores by itself.
    (
        "tests/fold",
        "",
        &["kol_common::event", "kol_common::scoring", "sonic_rs"],
    ),
];

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    for (name, imports) in &*ALL {
        let circle = imports.circle();
        assert!(circle.is_empty(), "files of {name}: {circle:#?}");
        let circle = imports.circle_of_rooms();
        assert!(circle.is_empty(), "rooms of {name}: {circle:#?}");
    }
}

#[test]
fn closed_rooms_import_nothing_of_their_neighbours() {
    for (name, room) in CLOSED {
        let leaks = room_of(name, room).between(room, |to| !is_inside(to, room));
        assert!(leaks.is_empty(), "{name}: {room} is closed: {leaks:#?}");
    }
}

#[test]
fn rooms_do_not_import_what_is_above_or_beside_them() {
    for (name, room, forbidden) in FORBIDDEN {
        let imports = room_of(name, room);
        for other in *forbidden {
            assert!(imports.has(other), "{name} has no room {other}");
        }
        let is_forbidden = |to: &str| forbidden.iter().any(|other| is_inside(to, other));
        let leaks = imports.between(room, is_forbidden);
        assert!(leaks.is_empty(), "{name}: {room} imports {leaks:#?}");
    }
    for (name, parts) in APART {
        for part in *parts {
            let mut others = parts.iter().filter(|other| *other != part);
            let is_other = |to: &str| others.clone().any(|other| is_inside(to, other));
            let leaks = room_of(name, part).between(part, is_other);
            assert!(leaks.is_empty(), "{name}: {part} knows {leaks:#?}");
            assert!(others.next().is_some(), "{name}: {part} is alone");
        }
    }
}

#[test]
fn rooms_do_not_name_crates_that_are_not_their_business() {
    for (name, room, foreign) in FOREIGN {
        let is_foreign = |path: &str| foreign.iter().any(|other| is_inside(path, other));
        let leaks = room_of(name, room).named(room, is_foreign);
        assert!(leaks.is_empty(), "{name}: {room} names {leaks:#?}");
    }
}

static ALL: LazyLock<BTreeMap<&str, Imports>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |name| {
        let imports = imports_of(&sources(&root.join(name).join("src")));
        assert!(imports.count() > 10, "{name} was not read: {imports:?}");
        (name, imports)
    };
    CRATES.into_iter().map(read).collect()
});

/// The imports of a crate that has this room.
fn room_of(name: &str, room: &str) -> &'static Imports {
    let imports = &ALL[name];
    assert!(imports.has(room), "{name} has no room {room}");
    imports
}

/// Sources that are made up.
fn made_up(sources: &[(&str, &str)]) -> Imports {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let sources: Sources = sources.iter().map(owned).collect();
    imports_of(&sources)
}

#[test]
fn a_name_that_is_passed_on_is_an_import_of_the_module_that_declares_it() {
    let imports = made_up(&[
        ("", "mod a; mod b; mod c; mod d; mod e;"),
        ("a", "mod inner; pub use inner::{Thing, other as renamed};"),
        ("a::inner", "pub struct Thing; pub fn other() {}"),
        ("b", "use crate::a::{self, Thing}; use super::a::renamed;"),
        ("c", "mod inner; pub use inner::*;"),
        ("c::inner", "pub enum Far {}"),
        ("d", "pub use crate::c::Far;"),
        ("e", "use crate::d::Far;"),
    ]);
    assert_eq!(imports.of("b"), ["a", "a::inner"]);
    assert_eq!(imports.of("a"), [""; 0]);
    assert_eq!(imports.of("e"), ["c::inner"]);
}

#[test]
fn a_name_that_is_passed_on_and_used_is_an_import() {
    let used = "mod inner; pub use inner::Thing; pub struct Holder(Thing);";
    let imports = made_up(&[
        ("a", used),
        ("a::inner", "use super::Holder; pub struct Thing;"),
    ]);
    assert_eq!(imports.of("a"), ["a::inner"]);
    assert_eq!(imports.circle(), ["a", "a::inner"]);
}

#[test]
fn rooms_may_be_in_a_circle_where_their_files_are_not() {
    let mut sources = [
        ("", "mod a; mod b;"),
        ("a", "mod x; mod y;"),
        ("a::x", "use crate::b::Low;"),
        ("a::y", "pub struct Deep;"),
        ("b", "mod high; pub struct Low;"),
        ("b::high", "fn f() -> crate::a::y::Deep {}"),
    ];
    let imports = made_up(&sources);
    assert_eq!(imports.circle(), [""; 0]);
    assert_eq!(imports.circle_of_rooms(), ["a", "b"]);
    sources[5].1 = "";
    assert_eq!(made_up(&sources).circle_of_rooms(), [""; 0]);
}

#[test]
fn paths_in_code_are_imports_and_comments_texts_and_tests_are_not() {
    let text = r#"
        // use crate::comment::Thing;
        const TEXT: &str = "crate::text::Thing \" crate::text";
        fn name<'a>(c: char) -> bool { c == '"' || c == '\'' || crate::path::is_it(c) }
        fn all<'a>(c: &'a str) -> impl Iterator + use<'a> { c.chars() }
        #[cfg(test)]
        mod tests { use crate::tests_alone::Thing; fn f() { { } } }
        fn last() -> super::last::Thing { child::call(rdkafka::Message::new()) }
    "#;
    let modules = ["", "comment", "text", "path", "tests_alone", "last"];
    let mut sources: Vec<_> = modules.iter().map(|name| (*name, "")).collect();
    sources.extend([("here", text), ("here::child", "")]);
    let imports = made_up(&sources);
    assert_eq!(imports.of("here"), ["here::child", "last", "path"]);
    let named = imports.named("here", |path| is_inside(path, "rdkafka"));
    assert_eq!(named, ["here -> rdkafka::Message::new"]);
}
