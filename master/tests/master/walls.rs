//! The walls of this crate: no two of its files import each other, directly or around a corner, and no two
//! of its rooms (the folders and files right below `src`) do.
//!
//! What is read is the text: `use` declarations and paths that begin with `crate`, `self` or `super`, outside
//! of tests. A name that a module only passes on (`pub use`) counts as imported from where it is declared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A module by its path below the crate; the crate itself is empty.
type Module = Vec<String>;
/// Who imports whom.
type Imports = BTreeMap<String, BTreeSet<String>>;

#[test]
fn no_two_files_and_no_two_rooms_import_each_other() {
    let mut sources = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read(&root, &[], &mut sources);
    let files = imports(&sources);
    assert!(
        files["controller::steps"].contains("job::effect"),
        "{files:?}"
    );
    assert_eq!(circle(&files), None, "between files");
    assert_eq!(circle(&rooms(&files)), None, "between rooms");
}

#[test]
fn a_circle_is_found_also_through_a_name_that_is_passed_on() {
    let sources = |texts: &[(&str, &str)]| {
        let path = |name: &str| name.split("::").map(str::to_owned).collect();
        let texts = texts
            .iter()
            .map(|(name, text)| (path(name), (*text).to_owned()));
        texts.collect::<BTreeMap<Module, String>>()
    };
    let mut texts = vec![
        ("a", "pub use inner::{Deep, Other};\nmod inner;"),
        ("a::inner", "use std::fmt;\nuse crate::b;"),
        ("b", "fn f() -> crate::c::C { }"),
        (
            "c",
            "use super::d::{self, e::{F, G}}; // use crate::a::Deep;",
        ),
        ("d", "mod e;"),
        ("d::e", "#[cfg(test)]\nmod tests { use crate::a::Deep; }"),
    ];
    assert_eq!(circle(&imports(&sources(&texts))), None);
    texts[5].1 = "use crate::a::Deep;";
    let found = circle(&imports(&sources(&texts))).unwrap();
    assert_eq!(found, ["a::inner", "b", "c", "d::e", "a::inner"]);
}

/// The modules below a folder, with their texts; not those that are only there for tests.
fn read(folder: &Path, module: &[String], sources: &mut BTreeMap<Module, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let for_tests = stem.ends_with("tests") || stem == "testing" || stem == "interleavings";
        if for_tests || (module.is_empty() && stem == "main") {
            continue;
        }
        let inside = |name: String| [module, &[name]].concat();
        if path.is_dir() {
            read(&path, &inside(stem), sources);
        } else {
            let own = match stem.as_str() {
                "mod" | "lib" => module.to_vec(),
                _ => inside(stem),
            };
            sources.insert(own, std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// What each module imports of the others.
fn imports(sources: &BTreeMap<Module, String>) -> Imports {
    let code: BTreeMap<_, _> = sources.iter().map(|(m, text)| (m, code(text))).collect();
    let mut passed_on = BTreeMap::new();
    for (module, code) in &code {
        for path in passed_on_in(code) {
            let path = absolute(module, path, sources);
            let name = path.last().cloned().unwrap_or_default();
            passed_on.insert([module.as_slice(), &[name]].concat(), path);
        }
    }
    let mut imports = Imports::new();
    for (module, code) in &code {
        let found = paths(code).into_iter();
        let of =
            found.map(|path| declared_in(absolute(module, path, sources), sources, &passed_on));
        let others = of.filter(|other| other != *module && !other.is_empty());
        let others = others.map(|other| other.join("::")).collect();
        imports.insert(module.join("::"), others);
    }
    imports
}

/// Without comments, and without what follows the first tests.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next();
    let lines = text.unwrap_or_default().lines();
    let lines = lines.map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// All paths in imports that are not passed on, and in the code itself.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split_inclusive(';') {
        let trimmed = statement.trim_start();
        if let Some(tree) = trimmed.strip_prefix("use ") {
            parse(tree, &mut Vec::new(), &mut found);
        } else if !trimmed.starts_with("pub use ") {
            for start in ["crate::", "super::", "self::"] {
                for (at, _) in statement.match_indices(start) {
                    let before = statement[..at].chars().next_back();
                    if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                        parse(&statement[at..], &mut Vec::new(), &mut found);
                    }
                }
            }
        }
    }
    found
}

fn passed_on_in(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split_inclusive(';') {
        if let Some(tree) = statement.trim_start().strip_prefix("pub use ") {
            parse(tree, &mut Vec::new(), &mut found);
        }
    }
    found
}

/// The paths of a tree such as `a::{b, c::{d, e}}`, each behind `prefix`; answers with what is left.
fn parse<'t>(text: &'t str, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> &'t str {
    let depth = prefix.len();
    let mut rest = text.trim_start();
    loop {
        if let Some(mut inside) = rest.strip_prefix('{') {
            while !inside.trim_start().starts_with('}') {
                inside = parse(inside, prefix, found).trim_start();
                inside = inside.strip_prefix(',').unwrap_or(inside);
                if inside.is_empty() {
                    break;
                }
            }
            rest = inside.trim_start().strip_prefix('}').unwrap_or_default();
            break;
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '*');
        let (name, after) = rest.split_at(end.unwrap_or(rest.len()));
        prefix.push(name.to_owned());
        if let Some(deeper) = after.strip_prefix("::") {
            rest = deeper.trim_start();
        } else {
            found.push(prefix.clone());
            let renamed = after.trim_start().strip_prefix("as ");
            rest = renamed.map_or(after, |r| {
                r.trim_start_matches(|c: char| c.is_alphanumeric())
            });
            break;
        }
    }
    prefix.truncate(depth);
    // Something that is no tree must not be read again and again.
    if rest == text {
        &rest[rest.len().min(1)..]
    } else {
        rest
    }
}

/// From the crate on; a path into another crate becomes one that no module has.
fn absolute(module: &Module, path: Vec<String>, sources: &BTreeMap<Module, String>) -> Module {
    let mut at = module.clone();
    let mut rest = path.as_slice();
    match path.first().map(String::as_str) {
        Some("crate") => at.clear(),
        Some("self") => {}
        Some("super") => {
            while rest.first().is_some_and(|name| name == "super") {
                at.pop();
                rest = &rest[1..];
            }
            return [&at, rest].concat();
        }
        Some(child) if sources.contains_key(&[module.as_slice(), &[child.to_owned()]].concat()) => {
            return [module, rest].concat();
        }
        _ => return vec!["(another crate)".to_owned()],
    }
    [&at, &rest[1..]].concat()
}

/// The module in which the item of a path is declared; the crate itself for one that no module has.
fn declared_in(
    path: Module,
    sources: &BTreeMap<Module, String>,
    passed_on: &BTreeMap<Module, Module>,
) -> Module {
    let longest = (1..=path.len())
        .rev()
        .find(|n| sources.contains_key(&path[..*n]));
    let Some(length) = longest else {
        return Module::new();
    };
    let item = &path[..(length + 1).min(path.len())];
    match passed_on.get(item) {
        Some(further) => declared_in(further.clone(), sources, passed_on),
        None => path[..length].to_vec(),
    }
}

/// The same between the first names of the paths.
fn rooms(files: &Imports) -> Imports {
    let room = |file: &str| file.split("::").next().unwrap_or_default().to_owned();
    let mut rooms = Imports::new();
    for (file, others) in files {
        let others = others.iter().map(|other| room(other));
        let others = others.filter(|other| *other != room(file));
        rooms.entry(room(file)).or_default().extend(others);
    }
    rooms
}

/// Modules that import each other in this order, the first one again at the end.
fn circle(imports: &Imports) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    let mut starts = imports.keys();
    starts.find_map(|start| follow(start, imports, &mut Vec::new(), &mut done))
}

fn follow(
    module: &str,
    imports: &Imports,
    way: &mut Vec<String>,
    done: &mut BTreeSet<String>,
) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|before| before == module) {
        let mut circle = way.split_off(at);
        circle.push(module.to_owned());
        return Some(circle);
    }
    if !done.insert(module.to_owned()) {
        return None;
    }
    way.push(module.to_owned());
    let mut others = imports.get(module).into_iter().flatten();
    let found = others.find_map(|other| follow(other, imports, way, done));
    way.pop();
    found
}
