//! The walls of this crate: which module imports which, read from the sources as text.
//!
//! A module imports another one when it names something of it: in a `use`, or by a path in its code. A
//! name that a module only passes on (`pub use` of a child, not used in the file itself) is followed to
//! the module that defines it; `mod` declarations are not imports. Tests do not count.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should say where"
)]

#[path = "walls/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use source::Module;

/// Rooms that import nothing of their neighbours.
const CLOSED: &[&str] = &["state"];

/// Rooms that still have a circle inside.
const CIRCLES_LEFT: &[&str] = &["sink", "supervisor"];

/// Rooms, and what they must not import.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "source",
        &["state", "sink", "partition", "supervisor", "session"],
    ),
    (
        "sink",
        &["state", "source", "partition", "supervisor", "session"],
    ),
    ("partition", &["supervisor", "session", "run"]),
    (
        "partition::reader",
        &[
            "partition::stage",
            "partition::delivery",
            "partition::checkpointer",
        ],
    ),
    (
        "partition::stage",
        &[
            "partition::reader",
            "partition::delivery",
            "partition::checkpointer",
        ],
    ),
    (
        "partition::delivery",
        &[
            "partition::reader",
            "partition::stage",
            "partition::checkpointer",
        ],
    ),
    (
        "partition::checkpointer",
        &[
            "partition::reader",
            "partition::stage",
            "partition::delivery",
        ],
    ),
];

#[test]
fn modules_do_not_import_each_other_in_a_circle() {
    let imports = imports_of(&sources());
    let rest = imports.only(|module| !CIRCLES_LEFT.iter().any(|room| is_inside(module, room)));
    let circle = rest.circle();
    assert!(circle.is_empty(), "a circle of imports: {circle:#?}");
    for room in CIRCLES_LEFT {
        let inside = imports.only(|module| is_inside(module, room));
        let is_left = !inside.circle().is_empty();
        assert!(
            is_left,
            "{room} has no circle any more: take it off the list"
        );
    }
}

#[test]
fn closed_rooms_import_nothing_of_their_neighbours() {
    let imports = imports_of(&sources());
    for room in CLOSED {
        assert!(imports.has(room), "there is no room {room}");
        let leaks = imports.between(room, |to| !is_inside(to, room));
        assert!(leaks.is_empty(), "{room} imports {leaks:#?}");
    }
}

#[test]
fn rooms_do_not_import_what_is_above_or_beside_them() {
    let imports = imports_of(&sources());
    for (room, forbidden) in FORBIDDEN {
        assert!(imports.has(room), "there is no room {room}");
        let leaks = imports.between(room, |to| forbidden.iter().any(|f| is_inside(to, f)));
        assert!(leaks.is_empty(), "{room} imports {leaks:#?}");
    }
}

/// Sources by module path; the root is "".
type Sources = BTreeMap<String, String>;

fn sources() -> Sources {
    let mut all = Sources::new();
    read_folder(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        "",
        &mut all,
    );
    assert!(
        all.len() > 30,
        "the sources were not found: {:?}",
        all.keys()
    );
    all
}

fn read_folder(folder: &Path, module: &str, all: &mut Sources) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            read_folder(&path, &join(module, &name), all);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let of = match name.as_str() {
                "lib" | "mod" => module.to_owned(),
                "main" | "tests" => continue,
                name if name.ends_with("_tests") => continue,
                name => join(module, name),
            };
            all.insert(of, std::fs::read_to_string(&path).unwrap());
        }
    }
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() {
        name.to_owned()
    } else {
        format!("{module}::{name}")
    }
}

fn is_inside(module: &str, room: &str) -> bool {
    module
        .strip_prefix(room)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Which module imports which.
#[derive(Debug, Default)]
struct Imports(BTreeMap<String, BTreeSet<String>>);

fn imports_of(sources: &Sources) -> Imports {
    let modules: BTreeMap<String, Module> = sources
        .iter()
        .map(|(name, text)| (name.clone(), Module::read(text)))
        .collect();
    let mut imports = Imports::default();
    for (name, module) in &modules {
        let mut to = BTreeSet::new();
        for one in &module.uses {
            let passed_on = one.public
                && is_inside(&resolve(&modules, name, &one.path).0, name)
                && !one.name.as_ref().is_some_and(|n| module.words.contains(n));
            if !passed_on {
                follow(&modules, name, &one.path, &mut to, 0);
            }
        }
        for path in &module.paths {
            follow(&modules, name, path, &mut to, 0);
        }
        to.remove(name);
        imports.0.insert(name.clone(), to);
    }
    imports
}

/// The module that a path leads to, as far as it names modules of this crate, and the rest of the path.
/// Of a path into another crate the module is the one that names it.
fn resolve<'p>(
    modules: &BTreeMap<String, Module>,
    from: &str,
    path: &'p [String],
) -> (String, &'p [String]) {
    let (mut at, mut rest) = match path.split_first() {
        Some((head, rest)) if head == "crate" => (String::new(), rest),
        Some((head, rest)) if head == "self" => (from.to_owned(), rest),
        _ => (from.to_owned(), path),
    };
    while let Some((head, tail)) = rest.split_first() {
        at = match head.as_str() {
            "super" => at.rsplit_once("::").map_or("", |(up, _)| up).to_owned(),
            child if modules.contains_key(&join(&at, child)) => join(&at, child),
            _ => break,
        };
        rest = tail;
    }
    (at, rest)
}

/// Adds the modules that define what a path names.
fn follow(
    modules: &BTreeMap<String, Module>,
    from: &str,
    path: &[String],
    to: &mut BTreeSet<String>,
    depth: usize,
) {
    assert!(depth < 20, "`use` in a circle at {from}: {path:?}");
    let local = matches!(path[0].as_str(), "crate" | "self" | "super")
        || modules.contains_key(&join(from, &path[0]));
    if !local {
        return;
    }
    let (module, rest) = resolve(modules, from, path);
    let whole = rest
        .first()
        .is_none_or(|name| name == "*" || name == "self");
    let mut passed_on = false;
    for one in &modules[&module].uses {
        let is_it = one.name.as_ref() == rest.first();
        if (is_it && !whole) || (whole && one.public) {
            passed_on |= !whole;
            follow(modules, &module, &one.path, to, depth + 1);
        }
    }
    if !passed_on {
        to.insert(module);
    }
}

impl Imports {
    fn has(&self, room: &str) -> bool {
        self.0.keys().any(|module| is_inside(module, room))
    }

    /// Imports of a room's modules that match.
    fn between(&self, room: &str, leads_to: impl Fn(&str) -> bool) -> Vec<(&str, &str)> {
        let of_room = self.0.iter().filter(|(from, _)| is_inside(from, room));
        of_room
            .flat_map(|(from, to)| to.iter().map(|to| (from.as_str(), to.as_str())))
            .filter(|(_, to)| leads_to(to))
            .collect()
    }

    /// Of some modules, among each other.
    fn only(&self, stays: impl Fn(&str) -> bool) -> Self {
        let kept = self.0.iter().filter(|(from, _)| stays(from));
        let kept = kept.map(|(from, to)| {
            let to = to.iter().filter(|to| stays(to)).cloned();
            (from.clone(), to.collect())
        });
        Self(kept.collect())
    }

    /// Modules that import each other in a circle, in its order; none when there is no circle.
    fn circle(&self) -> Vec<&str> {
        let mut done = BTreeSet::new();
        let mut begins = self.0.keys();
        let circle = begins.find_map(|at| self.circle_from(at, &mut Vec::new(), &mut done));
        circle.unwrap_or_default()
    }

    fn circle_from<'i>(
        &'i self,
        module: &'i str,
        way: &mut Vec<&'i str>,
        done: &mut BTreeSet<&'i str>,
    ) -> Option<Vec<&'i str>> {
        if let Some(at) = way.iter().position(|m| *m == module) {
            return Some(way[at..].to_vec());
        }
        if !done.insert(module) {
            return None;
        }
        way.push(module);
        let found = self.0[module]
            .iter()
            .find_map(|to| self.circle_from(to, way, done));
        way.pop();
        found
    }
}

/// Imports of one module of sources that are made up.
fn imports_in(sources: &[(&str, &str)], module: &str) -> Vec<String> {
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let sources: Sources = sources.iter().map(owned).collect();
    let imports = imports_of(&sources);
    imports.0[module].iter().cloned().collect()
}

#[test]
fn a_name_that_is_passed_on_is_an_import_of_the_module_that_defines_it() {
    let sources = [
        ("", "pub mod a; pub mod b;"),
        ("a", "mod inner; pub use inner::{Thing, other as renamed};"),
        ("a::inner", "pub struct Thing; pub fn other() {}"),
        ("b", "use crate::a::{self, Thing}; use super::a::renamed;"),
    ];
    assert_eq!(imports_in(&sources, "b"), ["a", "a::inner"]);
    assert_eq!(imports_in(&sources, "a"), Vec::<String>::new());
}

#[test]
fn a_name_that_is_passed_on_and_used_is_an_import() {
    let used = "mod inner; pub use inner::Thing; pub struct Holder(Thing);";
    let sources = [
        ("a", used),
        ("a::inner", "use super::Holder; pub struct Thing;"),
    ];
    assert_eq!(imports_in(&sources, "a"), ["a::inner"]);
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let imports = imports_of(&sources.iter().map(owned).collect());
    assert_eq!(imports.circle(), ["a", "a::inner"]);
}

#[test]
fn paths_in_code_are_imports_and_comments_texts_and_tests_are_not() {
    let text = r#"
        // use crate::comment::Thing;
        const TEXT: &str = "crate::text::Thing \" crate::text";
        fn name<'a>(c: char) -> bool { c == '"' || c == '\'' || crate::path::is_it(c) }
        #[cfg(test)]
        mod tests { use crate::tests_alone::Thing; fn f() { { } } }
        fn last() -> super::last::Thing { child::call() }
    "#;
    let modules = [
        "",
        "comment",
        "text",
        "path",
        "tests_alone",
        "last",
        "here::child",
    ];
    let mut sources: Vec<_> = modules.iter().map(|name| (*name, "")).collect();
    sources.push(("here", text));
    assert_eq!(
        imports_in(&sources, "here"),
        ["here::child", "last", "path"]
    );
}
