//! What the documentation points to exists: links, anchors of headings, paths and targets of make. What is documented
//! says something, in the words of CONTRIBUTING.md.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should say where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[path = "docs/comments.rs"]
mod comments;

/// Folders that hold nothing of ours.
const SKIPPED: [&str; 3] = ["target", "node_modules", "kol-master-state"];
/// Files whose comments may point to a document.
const COMMENTED: [&str; 6] = ["rs", "lua", "proto", "toml", "sh", "yml"];

/// All paths of the repository, and the text of what is looked at. Paths are relative to its root, with `/`.
#[derive(Default)]
struct Repository {
    folders: BTreeSet<String>,
    files: BTreeSet<String>,
    texts: BTreeMap<String, String>,
}

impl Repository {
    fn read(root: &Path) -> Self {
        let mut repository = Self::default();
        repository.walk(root, "");
        repository
    }

    fn walk(&mut self, root: &Path, below: &str) {
        for entry in std::fs::read_dir(root.join(below)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = join(below, &name);
            if !entry.file_type().unwrap().is_dir() {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                self.add(&path, &text);
            } else if name != ".git" && !SKIPPED.contains(&name.as_str()) {
                self.folders.insert(path.clone());
                self.walk(root, &path);
            }
        }
    }

    fn add(&mut self, path: &str, text: &str) {
        self.files.insert(path.to_owned());
        let kind = path.rsplit('.').next().unwrap_or_default();
        if kind == "md" || path == "Makefile" || COMMENTED.contains(&kind) {
            self.texts.insert(path.to_owned(), text.to_owned());
        }
    }

    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files.contains(path) || self.folders.contains(path)
    }

    fn documents(&self) -> impl Iterator<Item = (&String, &String)> {
        self.texts.iter().filter(|(path, _)| path.ends_with(".md"))
    }

    /// Everything in documents and comments that does not exist, each as `file: what`.
    fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (file, text) in self.documents() {
            let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
            let broken_links = links(text)
                .into_iter()
                .filter(|l| !self.link_holds(file, l));
            found.extend(broken_links.map(|link| format!("{file}: link {link}")));
            for word in code_words(text) {
                if !self.path_holds(folder, &word) {
                    found.push(format!("{file}: path {word}"));
                }
            }
            let unknown = test_targets(text).into_iter().filter(|t| !self.tests(t));
            found.extend(unknown.map(|target| format!("{file}: --test {target}")));
            let unknown = test_filters(text).into_iter();
            let unknown = unknown.filter(|(target, filter)| !self.selects(target, filter));
            found.extend(
                unknown.map(|(target, filter)| format!("{file}: --test {target} {filter}")),
            );
            let missing = make_targets(text).into_iter().filter(|t| !self.makes(t));
            found.extend(missing.map(|target| format!("{file}: make {target}")));
        }
        let sources = self.texts.iter().filter(|(path, _)| !path.ends_with(".md"));
        for (file, text) in sources.filter(|(path, _)| !path.ends_with("tests/docs.rs")) {
            let named = text.split(|c: char| !is_path_char(c));
            let documents = named.filter(|word| word.starts_with("docs/"));
            let missing = documents.filter(|word| !self.has(word.trim_end_matches('.')));
            found.extend(missing.map(|word| format!("{file}: path {word}")));
        }
        found
    }

    fn link_holds(&self, file: &str, link: &str) -> bool {
        if link.contains("://") || link.starts_with("mailto:") {
            return true;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
        let target = if path.is_empty() {
            Some(file.to_owned())
        } else {
            resolve(folder, path)
        };
        let Some(target) = target.filter(|target| self.has(target)) else {
            return false;
        };
        let text = self.texts.get(&target);
        anchor.is_empty() || text.is_some_and(|text| anchors(text).contains(anchor))
    }

    /// Words that begin with a folder at the root, or beside the document, are paths from there.
    fn path_holds(&self, folder: &str, word: &str) -> bool {
        let Some((first, _)) = word.split_once('/') else {
            let inside = format!("/{word}");
            return self
                .files
                .iter()
                .any(|file| *file == word || file.ends_with(&inside));
        };
        let roots = ["", folder].into_iter();
        let mut roots = roots.filter(|root| self.folders.contains(&join(root, first)));
        let fixed = word.split(['*', '{', '<', '…']).next().unwrap_or(word);
        let fixed = match fixed.rsplit_once('/') {
            Some((before, _)) if fixed.len() < word.len() => before,
            _ => fixed,
        };
        let Some(one) = roots.next() else {
            return true;
        };
        std::iter::once(one)
            .chain(roots)
            .any(|root| self.has(&join(root, fixed)))
    }

    /// Whether a crate has an integration test of that name.
    fn tests(&self, name: &str) -> bool {
        let file = format!("tests/{name}.rs");
        let folder = format!("tests/{name}/main.rs");
        self.files
            .iter()
            .any(|path| path.ends_with(&file) || path.ends_with(&folder))
    }

    /// Whether an integration test of that target has such a name. Modules are files, or folders.
    fn selects(&self, target: &str, filter: &str) -> bool {
        let (file, folder) = (format!("tests/{target}.rs"), format!("tests/{target}/"));
        let (modules, name) = match filter.rsplit_once("::") {
            Some((modules, name)) => (Some(modules), name),
            None => (None, filter),
        };
        let of_target = self.texts.iter().filter(|(path, _)| {
            let Some((_, inside)) = path.split_once(&folder) else {
                return path.ends_with(&file);
            };
            let inside = inside.trim_end_matches(".rs").replace('/', "::");
            modules.is_none_or(|m| inside.ends_with(m) || (name.is_empty() && inside.contains(m)))
        });
        let mut lines = of_target.flat_map(|(_, text)| text.lines());
        lines.any(|line| {
            let function = line.split_once("fn ").map(|(_, function)| function);
            let function = function.and_then(|f| f.split('(').next());
            // Behind its module a name is given from its beginning on.
            function.is_some_and(|f| match modules {
                Some(_) => f.starts_with(name),
                None => f.contains(name),
            })
        })
    }

    fn makes(&self, target: &str) -> bool {
        let makefile = self.texts.get("Makefile").map_or("", String::as_str);
        makefile
            .lines()
            .any(|line| line.split_once(':').is_some_and(|(name, _)| name == target))
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        return name.to_owned();
    }
    format!("{folder}/{name}")
}

/// `path` as seen from `folder`; `None` when it leads out of the repository.
fn resolve(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

fn is_path_char(c: char) -> bool {
    c.is_alphanumeric() || "/._-".contains(c)
}

/// Lines outside of fences, and lines inside.
fn split_fences(text: &str) -> (Vec<&str>, Vec<&str>) {
    let (mut prose, mut code) = (Vec::new(), Vec::new());
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.push(line);
        } else {
            prose.push(line);
        }
    }
    (prose, code)
}

/// Text of the inline code spans, and everything outside of them.
fn split_spans(prose: &[&str]) -> (Vec<String>, String) {
    let text = prose.join("\n");
    let mut parts = text.split('`');
    let (mut spans, mut rest) = (Vec::new(), String::new());
    while let Some(outside) = parts.next() {
        rest.push_str(outside);
        spans.extend(parts.next().map(str::to_owned));
    }
    (spans, rest)
}

/// Targets of inline links and images.
fn links(text: &str) -> Vec<String> {
    let (_, rest) = split_spans(&split_fences(text).0);
    let targets = rest.split("](").skip(1);
    let inside = targets.filter_map(|after| after.split([')', ' ']).next());
    inside.map(str::to_owned).collect()
}

/// Words of inline code and of fences, without what is written around them.
fn code_words(text: &str) -> BTreeSet<String> {
    let (prose, code) = split_fences(text);
    let (spans, _) = split_spans(&prose);
    let lines = spans.iter().map(String::as_str).chain(code);
    let words =
        lines.flat_map(|line| line.split(|c: char| c.is_whitespace() || "\"'(),;|".contains(c)));
    let bare = words.map(|word| word.trim_end_matches([':', '.']));
    bare.filter(|word| word.contains('/') || is_source_name(word))
        .map(str::to_owned)
        .collect()
}

/// A file of ours by its name alone, as `reader.rs`.
fn is_source_name(word: &str) -> bool {
    let stem = word
        .strip_suffix(".rs")
        .or_else(|| word.strip_suffix(".lua"));
    stem.is_some_and(|stem| {
        !stem.is_empty() && stem.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// What stands behind each `--test`.
fn test_calls(text: &str) -> Vec<String> {
    let (prose, code) = split_fences(text);
    let (spans, _) = split_spans(&prose);
    let lines = spans.iter().map(String::as_str).chain(code);
    let calls = lines.flat_map(|line| line.split("--test ").skip(1));
    calls.map(str::to_owned).collect()
}

/// Integration tests that are called as `--test NAME`.
fn test_targets(text: &str) -> BTreeSet<String> {
    let calls = test_calls(text);
    let names = calls.iter().filter_map(|c| c.split_whitespace().next());
    names.map(str::to_owned).collect()
}

/// Tests that are called as `--test NAME FILTER`.
fn test_filters(text: &str) -> BTreeSet<(String, String)> {
    let calls = test_calls(text);
    let pairs = calls.iter().filter_map(|call| {
        let mut words = call.split_whitespace();
        let (target, filter) = (words.next()?, words.next()?);
        let is_filter = filter.starts_with(|c: char| c.is_ascii_lowercase());
        is_filter.then(|| (target.to_owned(), filter.to_owned()))
    });
    pairs.collect()
}

/// Targets that are called as `make TARGET`.
fn make_targets(text: &str) -> BTreeSet<String> {
    let (prose, code) = split_fences(text);
    let (spans, _) = split_spans(&prose);
    let lines = spans.iter().map(String::as_str).chain(code);
    let calls = lines.filter_map(|line| line.trim().strip_prefix("make "));
    let first = calls.filter_map(|rest| rest.split_whitespace().next());
    let targets = first.filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    targets.map(str::to_owned).collect()
}

/// Anchors of all headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut all = BTreeSet::new();
    for line in split_fences(text).0 {
        let title = line.trim_start_matches('#');
        if title.len() == line.len() || !title.starts_with(' ') {
            continue;
        }
        let kept = title.trim().chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        });
        let anchor = kept.collect::<String>().to_lowercase();
        let times = seen.entry(anchor.clone()).or_default();
        all.insert(if *times == 0 {
            anchor.clone()
        } else {
            format!("{anchor}-{times}")
        });
        *times += 1;
    }
    all
}

#[test]
fn every_path_link_and_anchor_in_the_documents_exists() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().find(|f| f.join("Cargo.lock").exists());
    let repository = Repository::read(root.unwrap());
    assert!(repository.documents().count() >= 8, "documents are missing");
    assert_eq!(repository.problems(), Vec::<String>::new());
}

#[test]
fn documentation_says_something_in_the_words_of_the_house() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = own.ancestors().find(|f| f.join("Cargo.lock").exists());
    let repository = Repository::read(root.unwrap());
    let mut found = Vec::new();
    for (file, text) in &repository.texts {
        if file.ends_with(".rs") {
            let empty = comments::empty_docs(text).into_iter();
            found.extend(empty.map(|(at, line)| format!("{file}:{at}: {line}")));
        }
        // The table itself, and its test.
        if file != "CONTRIBUTING.md" && !file.ends_with("docs/comments.rs") {
            let words = comments::replaced_words(text).into_iter();
            found.extend(words.map(|(at, words)| format!("{file}:{at}: `{words}`")));
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn what_does_not_exist_is_found() {
    let mut repository = Repository::default();
    repository
        .folders
        .extend(["docs", "src", "docs/more"].map(str::to_owned));
    repository.add("Makefile", "test: setup\nsetup:\n");
    repository.add("src/a.rs", "//! See docs/b.md and docs/gone.md.");
    repository.add("tests/all/main.rs", "mod one;");
    repository.add("tests/all/one.rs", "fn it_works() {}");
    repository.add(
        "docs/b.md",
        "# The *title* of `b`, twice\n## Part\n```\n# no heading\n```\n## Part\n",
    );
    repository.add(
        "README.md",
        "[b](docs/b.md) [b](docs/b.md#the-title-of-b-twice) [b](docs/b.md#part-1) [web](https://x.y/z)\n\
         [no](docs/c.md) [no](docs/b.md#no-heading) [out](../b.md) [here](#nothing)\n\
         `a.rs` `gone.rs` `cargo test --test gone` `src/a.rs` `src/c.rs` `src/*.rs` `src/no/*.rs` `elsewhere/c.rs` `run src/d.rs now`\n\
         ```sh\nmake test ROUNDS=1\nmake gone\ncat src/e.rs # comment\n\
         cargo test --test all one::it_works -- --nocapture\ncargo test --test all one::\ncargo test --test all t_works\n\
         cargo test --test all one::works\ncargo test --test all two::it_works\n```\n`[no link](x.md)`\n",
    );
    repository.add(
        "docs/more.md",
        "`more/` `src/a.rs` `more/gone.md` [a](../src/a.rs)\n",
    );
    let expected = [
        "README.md: link docs/c.md",
        "README.md: link docs/b.md#no-heading",
        "README.md: link ../b.md",
        "README.md: link #nothing",
        "README.md: path gone.rs",
        "README.md: path src/c.rs",
        "README.md: path src/d.rs",
        "README.md: path src/e.rs",
        "README.md: path src/no/*.rs",
        "README.md: --test gone",
        "README.md: --test all one::works",
        "README.md: --test all two::it_works",
        "README.md: make gone",
        "docs/more.md: path more/gone.md",
        "src/a.rs: path docs/gone.md.",
    ];
    assert_eq!(repository.problems(), expected);
}
