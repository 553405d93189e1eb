//! Which module of a crate imports which. A name that a module only passes on (`pub use` of a child, not used
//! in the module itself) is followed to the module that declares it; `mod` declarations are not imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::source::Module;

/// Sources by module path; the root is "".
pub type Sources = BTreeMap<String, String>;

/// The modules of a crate, as its root and they declare them. So what is for tests alone is not among them.
pub fn sources(src: &Path) -> Sources {
    let mut all = Sources::new();
    add(&src.join("lib.rs"), src, "", &mut all);
    all
}

fn add(file: &Path, folder: &Path, module: &str, all: &mut Sources) {
    let text = std::fs::read_to_string(file).unwrap();
    for child in Module::read(&text).children {
        let inside = folder.join(&child);
        let beside = folder.join(format!("{child}.rs"));
        let file = if beside.exists() {
            beside
        } else {
            inside.join("mod.rs")
        };
        add(&file, &inside, &join(module, &child), all);
    }
    all.insert(module.to_owned(), text);
}

fn join(module: &str, name: &str) -> String {
    if module.is_empty() {
        name.to_owned()
    } else {
        format!("{module}::{name}")
    }
}

/// Whether a module is a room or below it; the room "" is the whole crate.
pub fn is_inside(module: &str, room: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || room.is_empty() || rest.starts_with("::");
    module.strip_prefix(room).is_some_and(below)
}

/// From each module to others.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// Which module imports which.
#[derive(Debug, Default)]
pub struct Imports {
    modules: Graph,
    /// Every path that a module names, as it is written.
    paths: Graph,
}

/// Reads who imports whom.
pub fn imports_of(sources: &Sources) -> Imports {
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
        imports.modules.insert(name.clone(), to);
        let uses = module.uses.iter().map(|one| &one.path);
        let paths = uses.chain(&module.paths).map(|path| path.join("::"));
        imports.paths.insert(name.clone(), paths.collect());
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
        let is_it = match &one.name {
            Some(name) => Some(name) == rest.first(),
            None => one.public && has_item(modules, &module, &one.path, rest.first()),
        };
        if (is_it && !whole) || (whole && one.public) {
            passed_on |= !whole;
            follow(modules, &module, &one.path, to, depth + 1);
        }
    }
    if !passed_on {
        to.insert(module);
    }
}

/// Whether the module of a glob declares a name.
fn has_item(
    modules: &BTreeMap<String, Module>,
    from: &str,
    glob: &[String],
    name: Option<&String>,
) -> bool {
    let (module, _) = resolve(modules, from, glob);
    module != from && name.is_some_and(|name| modules[&module].items.contains(name))
}

impl Imports {
    /// What a module imports.
    pub fn of(&self, module: &str) -> Vec<&str> {
        self.modules[module].iter().map(String::as_str).collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.modules.values().map(BTreeSet::len).sum()
    }

    /// Whether there is such a room.
    pub fn has(&self, room: &str) -> bool {
        self.modules.keys().any(|module| is_inside(module, room))
    }

    /// Imports of a room's modules that match, as `from -> to`.
    pub fn between(&self, room: &str, leads_to: impl Fn(&str) -> bool) -> Vec<String> {
        matching(&self.modules, room, leads_to)
    }

    /// Paths that a room's modules name and that match, in the same form.
    pub fn named(&self, room: &str, is_it: impl Fn(&str) -> bool) -> Vec<String> {
        matching(&self.paths, room, is_it)
    }

    /// Modules that import each other in a circle, in its order; none when there is no circle.
    pub fn circle(&self) -> Vec<&str> {
        circle(&self.modules)
    }

    /// A circle among the rooms of one folder, whichever has one. A room is a file or a folder; what its
    /// modules import it imports.
    pub fn circle_of_rooms(&self) -> Vec<String> {
        let circles = self.modules.keys().map(|folder| {
            let rooms = self.rooms_of(folder);
            let circle = circle(&rooms).into_iter().map(str::to_owned);
            circle.collect::<Vec<String>>()
        });
        circles
            .into_iter()
            .find(|circle| !circle.is_empty())
            .unwrap_or_default()
    }

    fn rooms_of(&self, folder: &str) -> Graph {
        let room = |module: &str| {
            let below = module.strip_prefix(folder)?;
            let below = if folder.is_empty() {
                below
            } else {
                below.strip_prefix("::")?
            };
            let name = below.split("::").next().filter(|name| !name.is_empty())?;
            Some(join(folder, name))
        };
        let mut rooms = Graph::new();
        for (from, to) in &self.modules {
            if let Some(from) = room(from) {
                let others = to.iter().filter_map(|to| room(to));
                let others = others.filter(|to| *to != from).collect::<Vec<_>>();
                rooms.entry(from).or_default().extend(others);
            }
        }
        rooms
    }
}

fn matching(graph: &Graph, room: &str, leads_to: impl Fn(&str) -> bool) -> Vec<String> {
    let of_room = graph.iter().filter(|(from, _)| is_inside(from, room));
    let pairs = of_room.flat_map(|(from, to)| to.iter().map(move |to| (from, to)));
    let found = pairs.filter(|(_, to)| leads_to(to));
    found.map(|(from, to)| format!("{from} -> {to}")).collect()
}

fn circle(graph: &Graph) -> Vec<&str> {
    let mut done = BTreeSet::new();
    let mut begins = graph.keys();
    let found = begins.find_map(|at| circle_from(graph, at, &mut Vec::new(), &mut done));
    found.unwrap_or_default()
}

fn circle_from<'g>(
    graph: &'g Graph,
    module: &'g str,
    way: &mut Vec<&'g str>,
    done: &mut BTreeSet<&'g str>,
) -> Option<Vec<&'g str>> {
    if let Some(at) = way.iter().position(|m| *m == module) {
        return Some(way[at..].to_vec());
    }
    if !done.insert(module) {
        return None;
    }
    way.push(module);
    let mut others = graph.get(module).into_iter().flatten();
    let found = others.find_map(|to| circle_from(graph, to, way, done));
    way.pop();
    found
}
