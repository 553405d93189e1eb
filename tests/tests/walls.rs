//! The walls inside the crates: no modules of a crate import each other in a circle, neither files nor
//! rooms (the modules directly below `src`).
//!
//! This reads text: paths that begin with `crate`, `super`, `self` or a child module, outside of tests.
//! A re-export is not an import: who uses a name through it imports the module that declares the name.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should say where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const CRATES: [&str; 2] = ["common", "client"];

/// Path of a module below the crate's root; that of the root is empty.
type Module = Vec<String>;
/// What each module imports.
type Graph = BTreeMap<Module, BTreeSet<Module>>;

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut problems = Vec::new();
    for name in CRATES {
        let mut sources = Sources::default();
        sources.read(&root.join(name).join("src"), &[]);
        let files = sources.graph();
        let imports: usize = files.values().map(BTreeSet::len).sum();
        assert!(imports > 20, "{name}: found only {imports} imports");
        for (what, graph) in [("files", &files), ("rooms", &rooms(&files))] {
            if let Some(circle) = circle(graph) {
                problems.push(format!("{what} of {name}: {}", circle.join(" -> ")));
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_circle_is_found_through_groups_inline_paths_and_re_exports() {
    let circle_of = |last: &str| {
        let mut sources = Sources::default();
        for (module, text) in [
            ("a", "mod inner;\npub use inner::{Deep, Other as Shallow};"),
            ("a::inner", "use crate::b::{self, c::{Low, High}};"),
            ("b", "mod c; pub use c::*;"),
            ("b::c", "pub struct Low; fn f() -> crate::d::D {}"),
            ("d", last),
        ] {
            let module = module.split("::").map(str::to_owned).collect();
            sources.0.insert(module, code(text));
        }
        circle(&sources.graph())
    };
    assert_eq!(circle_of("use crate::e::E;"), None);
    assert_eq!(circle_of("// use crate::a::Deep;"), None);
    let in_a_test = "#[cfg(test)]\nmod tests {\n    use crate::a::Deep;\n}";
    assert_eq!(circle_of(in_a_test), None);
    for back in [
        "use crate::a::Deep;",
        "use super::b::Low;",
        "fn f(x: crate::a::Shallow) {}",
    ] {
        assert!(circle_of(back).is_some(), "{back}");
    }
}

/// The code of a crate by module, without comments and tests.
#[derive(Default)]
struct Sources(BTreeMap<Module, String>);

impl Sources {
    fn read(&mut self, folder: &Path, module: &[String]) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            let inside = [module, &[stem.to_owned()]].concat();
            let is_code = !stem.ends_with("tests") && !["main", "testing"].contains(&stem);
            if path.is_dir() {
                self.read(&path, &inside);
            } else if is_code {
                let own = ["mod", "lib"].contains(&stem);
                let module = if own { module.to_vec() } else { inside };
                let text = std::fs::read_to_string(&path).unwrap();
                self.0.insert(module, code(&text));
            }
        }
    }

    fn graph(&self) -> Graph {
        let imports = |(module, code): (&Module, &String)| {
            let paths = paths(code).into_iter().filter(|path| !path.re_export);
            let found = paths.filter_map(|path| self.declaring(module, &path.segments, 0));
            let others = found.filter(|other| other != module).collect();
            (module.clone(), others)
        };
        self.0.iter().map(imports).collect()
    }

    /// The module that declares what a path in `module` names; `None` for another crate's.
    fn declaring(&self, module: &[String], path: &[String], depth: usize) -> Option<Module> {
        let mut at = module.to_vec();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => drop(at.pop()),
            _ if self.child(&at, rest).is_some() => rest = path,
            _ => return None,
        }
        if ["crate", "self", "super"].contains(&rest[0].as_str()) {
            rest = &rest[1..];
        }
        while rest.first().is_some_and(|s| s == "super") {
            at.pop();
            rest = &rest[1..];
        }
        while let Some(child) = self.child(&at, rest) {
            at = child;
            rest = &rest[1..];
        }
        let passed_on = rest.first().filter(|_| depth < 8).and_then(|name| {
            let mut re_exports = paths(self.0.get(&at)?)
                .into_iter()
                .filter(|path| path.re_export);
            re_exports.find_map(|path| self.through(&at, &path, name, depth))
        });
        passed_on.or(Some(at))
    }

    /// Where a re-export in `module` gets this name from, if it has it.
    fn through(&self, module: &[String], path: &Found, name: &str, depth: usize) -> Option<Module> {
        let last = path.segments.last()?;
        if path.name == name {
            return self.declaring(module, &path.segments, depth + 1);
        }
        let from = self.declaring(module, &path.segments[..path.segments.len() - 1], depth + 1)?;
        let declares = |kind: &str| self.0[&from].contains(&format!("{kind} {name}"));
        let kinds = ["struct", "enum", "trait", "fn", "type", "const", "static"];
        (last == "*" && kinds.into_iter().any(declares)).then_some(from)
    }

    fn child(&self, module: &[String], path: &[String]) -> Option<Module> {
        let child = [module, path.get(..1)?].concat();
        self.0.contains_key(&child).then_some(child)
    }
}

/// A path in the code.
struct Found {
    segments: Vec<String>,
    /// What it is called here.
    name: String,
    re_export: bool,
}

fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let line = |line: &str| {
        let mut slashes = line.match_indices("//").map(|(at, _)| at);
        // An address has them, too.
        let comment = slashes.find(|&at| !line[..at].ends_with(':'));
        line[..comment.unwrap_or(line.len())].to_owned()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Everything that is imported or re-exported, and paths in the code itself.
fn paths(code: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let starts = ["use ", "crate::", "super::", "self::"];
    let mut rest = code;
    while let Some((at, start)) = starts
        .iter()
        .filter_map(|s| Some((rest.find(s)?, *s)))
        .min()
    {
        let before = rest[..at].trim_end_matches(' ');
        let inside_a_word = rest[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c));
        let is_use = start == "use ";
        let tree = if is_use {
            &rest[at + start.len()..]
        } else {
            &rest[at..]
        };
        let begun = found.len();
        if inside_a_word {
            rest = &rest[at + start.len()..];
            continue;
        }
        rest = read_tree(tree, &[], &mut found);
        let re_export = is_use && (before.ends_with("pub") || before.ends_with(')'));
        for path in &mut found[begun..] {
            path.re_export = re_export;
        }
    }
    found
}

/// Reads `a::{b, c as d, e::*}` behind a prefix; returns the text after it.
fn read_tree<'t>(text: &'t str, prefix: &[String], found: &mut Vec<Found>) -> &'t str {
    let text = text.trim_start();
    if let Some(mut inside) = text.strip_prefix('{') {
        loop {
            inside = inside.trim_start_matches([',', ' ', '\n']);
            if inside.is_empty() || inside.starts_with('}') {
                return inside.strip_prefix('}').unwrap_or_default();
            }
            let left = read_tree(inside, prefix, found);
            // Never twice at the same place, whatever the text is.
            inside = if left.len() == inside.len() {
                &inside[inside.len()..]
            } else {
                left
            };
        }
    }
    let in_word = |c: char| c.is_alphanumeric() || c == '_' || c == '*';
    let end = text.find(|c| !in_word(c)).unwrap_or(text.len());
    let path = [prefix, &[text[..end].to_owned()]].concat();
    let after = &text[end..];
    if let Some(deeper) = after.strip_prefix("::")
        && deeper.starts_with(|c| in_word(c) || c == '{')
    {
        return read_tree(deeper, &path, found);
    }
    let alias = after.strip_prefix(" as ");
    let name_from = alias.unwrap_or(&text[..end]);
    let name_end = name_from.find(|c| !in_word(c)).unwrap_or(name_from.len());
    found.push(Found {
        name: name_from[..name_end].to_owned(),
        segments: path,
        re_export: false,
    });
    alias.map_or(after, |alias| &alias[name_end..])
}

/// The same between the modules directly below `src`.
fn rooms(files: &Graph) -> Graph {
    let mut rooms = Graph::new();
    for (module, others) in files {
        let room = |module: &Module| module.iter().take(1).cloned().collect::<Module>();
        let from = rooms.entry(room(module)).or_default();
        let others = others.iter().filter(|other| !other.is_empty()).map(room);
        from.extend(others.filter(|other| *other != room(module)));
    }
    rooms
}

/// A circle, if there is one. The root of a crate only declares and re-exports.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    let mut way = Vec::new();
    let mut done = BTreeSet::new();
    graph
        .keys()
        .find_map(|module| walk(graph, module, &mut way, &mut done))
}

fn walk(
    graph: &Graph,
    module: &Module,
    way: &mut Vec<Module>,
    done: &mut BTreeSet<Module>,
) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|m| m == module) {
        let circle = way[at..].iter().chain([module]);
        return Some(circle.map(|m| m.join("::")).collect());
    }
    if !done.insert(module.clone()) {
        return None;
    }
    way.push(module.clone());
    let others = graph.get(module).into_iter().flatten();
    let found = others
        .filter(|m| !m.is_empty())
        .find_map(|other| walk(graph, other, way, done));
    way.pop();
    found
}
