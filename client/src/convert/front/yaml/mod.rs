//! YAML: docker-compose files and Kubernetes objects, above all `SparkApplication`. The walker knows
//! keys, not schemas: environment, commands and Spark's settings are found wherever they stand.
//!
//! | file | does |
//! |---|---|
//! | `kubernetes` | what kinds of objects say by themselves |

mod kubernetes;

use super::documents::{Node, documents};
use super::{command_line, shell};
use crate::convert::model::{Facts, Origin, Text};
use crate::convert::secrets::is_secret;

/// Keeps what all documents of a file say.
///
/// # Errors
/// Line and reason: it is not YAML, or too large.
pub fn read(file: &str, source: &str, facts: &mut Facts) -> Result<(), (usize, String)> {
    let mut all = documents(source)?;
    // What is set for a container itself counts more than what it is given as a whole.
    all.sort_by_key(|document| !matches!(document.kind(), "ConfigMap" | "Secret"));
    let is_ours = |document: &Node| facts.sources.iter().any(|source| document.names(source));
    let is_one_ours = all.iter().any(|d| d.is_application() && is_ours(d));
    let others: Vec<bool> = all
        .iter()
        .map(|d| is_one_ours && d.is_application() && !is_ours(d))
        .collect();
    for (document, is_other) in all.iter().zip(others) {
        let mut walker = Walker {
            file,
            facts,
            is_object: false,
            container: None,
        };
        if is_other {
            let origin = walker.origin(document.line());
            walker.facts.note(format!(
                "{origin}: this SparkApplication starts none of the files given: it is left out"
            ));
        } else {
            walker.document(document);
        }
    }
    Ok(())
}

struct Walker<'a> {
    file: &'a str,
    facts: &'a mut Facts,
    /// It is an object of Kubernetes: dollars mean nothing in it.
    is_object: bool,
    /// The container whose settings are read.
    container: Option<String>,
}

impl Walker<'_> {
    fn origin(&self, line: usize) -> Origin {
        Origin {
            file: self.file.to_owned(),
            line,
        }
    }

    fn document(&mut self, document: &Node) {
        self.is_object = document.get("apiVersion").is_some();
        match document.kind() {
            _ if document.is_application() => {
                self.application(document);
                // What several of them set differently is not known.
                let of = document.name().map_or("", |(name, _)| name);
                self.container = Some(format!("SparkApplication {of}"));
            }
            "Secret" => return self.secret(document),
            "ConfigMap" => return self.config_map(document),
            _ => {}
        }
        self.walk(document);
    }

    fn walk(&mut self, node: &Node) {
        match node {
            // `run: spark-submit …` of a pipeline.
            Node::Scalar(text, line) if text.contains("spark-submit ") => self.script(text, *line),
            Node::Scalar(..) => {}
            Node::List(items) => items.iter().for_each(|item| self.walk(item)),
            Node::Map(pairs) => {
                for (key, value) in pairs {
                    match key.as_str() {
                        "environment" | "env" | "envVars" | "env_vars" => self.environment(value),
                        "sparkConf" | "spark_conf" | "conf" => self.settings(value),
                        "env_file" => self.named_files(value),
                        "services" => self.services(value),
                        "containers" | "initContainers" => self.pod(value),
                        "command" | "entrypoint" | "args" => {}
                        _ => self.walk(value),
                    }
                }
                self.command(node);
            }
        }
    }

    /// `env_file: [prod.env]`
    fn named_files(&mut self, files: &Node) {
        match files {
            Node::Scalar(file, line) => {
                let name = file.rsplit('/').next().unwrap_or(file);
                if !self.facts.files.iter().any(|given| given == name) {
                    let origin = self.origin(*line);
                    let file = crate::convert::secrets::shown(file);
                    let note = format!("{origin}: {file} is read here: give it as well");
                    self.facts.note(note);
                }
            }
            Node::List(files) => files.iter().for_each(|file| self.named_files(file)),
            Node::Map(_) => {
                if let Some(file) = files.get("path") {
                    self.named_files(file);
                }
            }
        }
    }

    fn services(&mut self, services: &Node) {
        match services {
            Node::Map(pairs) => {
                self.containers(pairs.iter().map(|(name, node)| (name.as_str(), node)));
            }
            _ => self.walk(services),
        }
    }

    fn pod(&mut self, containers: &Node) {
        let Node::List(items) = containers else {
            return self.walk(containers);
        };
        let name = |node: &Node| {
            node.get("name")
                .and_then(Node::scalar)
                .map(|(n, _)| n.to_owned())
        };
        let named: Vec<_> = items
            .iter()
            .map(|node| (name(node).unwrap_or_default(), node))
            .collect();
        self.containers(named.iter().map(|(name, node)| (name.as_str(), *node)));
    }

    /// Each container has an environment of its own: only that of the likeliest counts.
    fn containers<'n>(&mut self, all: impl Iterator<Item = (&'n str, &'n Node)>) {
        let sources = &self.facts.sources;
        let rank = |name: &str, node: &Node| match () {
            () if sources.iter().any(|source| node.names(source)) => 3,
            () if node.mentions("spark-submit") => 2,
            () if name.contains("spark") || node.mentions("spark") => 1,
            () => 0,
        };
        let ranked: Vec<_> = all
            .map(|(name, node)| (rank(name, node), name, node))
            .collect();
        let best = ranked.iter().map(|(rank, ..)| *rank).max();
        for (rank, name, node) in ranked {
            if Some(rank) == best {
                let around = self.container.replace(name.to_owned());
                self.walk(node);
                self.container = around;
            }
        }
    }

    fn environment(&mut self, node: &Node) {
        match node {
            Node::Map(pairs) => {
                for (name, value) in pairs {
                    match value.scalar() {
                        Some((text, line)) => self.variable(name, text, line),
                        None => self.walk(value),
                    }
                }
            }
            Node::List(items) => {
                for item in items {
                    if let Some((name, value)) =
                        item.scalar().and_then(|(text, _)| text.split_once('='))
                    {
                        let line = item.scalar().map_or(0, |(_, line)| line);
                        self.variable(name, value, line);
                    } else if let Some((name, line)) = item.get("name").and_then(Node::scalar) {
                        match item.get("value").and_then(Node::scalar) {
                            Some((value, line)) => self.variable(name, value, line),
                            None if item.get("valueFrom").is_some() => {
                                let known = item.get("valueFrom").and_then(|v| self.referred(v));
                                let value = known.unwrap_or_else(|| {
                                    Text::unknown(format!("${name}, from valueFrom"))
                                });
                                self.of_owner("", name, value, line);
                            }
                            None => {}
                        }
                    }
                }
            }
            Node::Scalar(..) => {}
        }
    }

    fn variable(&mut self, name: &str, value: &str, line: usize) {
        let notes = self.facts.notes.len();
        let value = self.interpolated(value, line);
        // What a secret is by default is a secret as well.
        if is_secret(name) {
            self.facts.notes.truncate(notes);
        }
        self.of_owner("", name, value, line);
    }

    /// A setting of the container that is read; one that two containers, or two ConfigMaps, set differently is
    /// not known.
    fn of_owner(&mut self, kind: &str, name: &str, mut value: Text, line: usize) {
        if let Some(own) = &self.container {
            let first = self.facts.containers.entry(format!("{kind}{name}"));
            let (other, before) = first.or_insert_with(|| (own.clone(), value.clone()));
            if other != own && *before != value {
                value = Text::unknown(format!("{name}, which {other} and {own} set differently"));
            }
            // Once it is not known it stays so.
            *before = value.clone();
        }
        let origin = self.origin(line);
        self.facts.property(name, value, origin);
    }

    fn settings(&mut self, node: &Node) {
        let Node::Map(pairs) = node else { return };
        for (key, value) in pairs {
            if let Some((text, line)) = value.scalar() {
                self.variable(key, text, line);
            }
        }
    }

    /// Replaces `${NAME:-default}` in compose files, and `$(NAME)` in objects of Kubernetes.
    fn interpolated(&mut self, text: &str, line: usize) -> Text {
        if text.contains("{{") {
            return Text::unknown(text);
        }
        if self.is_object {
            return match text.contains("$(") {
                true => self.referring(text),
                false => Text::known(text),
            };
        }
        if !text.contains('$') {
            return Text::known(text);
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            parts.push(Text::known(&rest[..at]));
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                parts.push(Text::known("$"));
                rest = after;
            } else if let Some(inner) = rest.strip_prefix('{') {
                let Some((hole, after)) = inner.split_once('}') else {
                    break;
                };
                parts.push(self.hole(hole, line));
                rest = after;
            } else {
                let end = rest
                    .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                    .unwrap_or(rest.len());
                parts.push(self.hole(&rest[..end], line));
                rest = &rest[end..];
            }
        }
        parts.push(Text::known(rest));
        shell::joined(parts, text)
    }

    /// `$(NAME)` is a variable that the container has.
    fn referring(&self, text: &str) -> Text {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, (name, after))) = rest
            .split_once("$(")
            .and_then(|(before, inner)| Some((before, inner.split_once(')')?)))
        {
            parts.push(Text::known(before));
            let known = self.facts.environment.get(name).map(|s| s.value.clone());
            parts.push(known.unwrap_or_else(|| Text::unknown(format!("$({name})"))));
            rest = after;
        }
        parts.push(Text::known(rest));
        shell::joined(parts, text)
    }

    fn hole(&mut self, hole: &str, line: usize) -> Text {
        let end = hole
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(hole.len());
        let (name, rest) = hole.split_at(end);
        // What containers set is not what the file is filled in with.
        if let Some(known) = self.facts.outside.get(name) {
            return known.clone();
        }
        let default = rest.strip_prefix(":-").or_else(|| rest.strip_prefix('-'));
        match default {
            Some(default) => {
                let (default, origin) = (Text::known(default), self.origin(line));
                self.facts.note_default(name, &default, &origin);
                default
            }
            None => Text::unknown(format!("${name}")),
        }
    }

    /// `command`, `entrypoint` and `args` are one command.
    fn command(&mut self, node: &Node) {
        let parts = ["entrypoint", "command", "args"].map(|key| node.get(key));
        let mut words: Vec<(String, usize)> = Vec::new();
        for part in parts.into_iter().flatten() {
            match part {
                Node::Scalar(text, line) => self.script(text, *line),
                Node::List(items) => words.extend(
                    items
                        .iter()
                        .filter_map(Node::scalar)
                        .map(|(t, l)| (t.to_owned(), l)),
                ),
                Node::Map(_) => self.walk(part),
            }
        }
        let Some((_, line)) = words.first() else {
            return;
        };
        let origin = self.origin(*line);
        // `["bash", "-c", "…"]`
        if let Some(at) = words
            .iter()
            .position(|(word, _)| matches!(word.as_str(), "-c" | "-lc" | "-ec"))
            && let Some((script, line)) = words.get(at + 1)
        {
            return self.script(&script.clone(), *line);
        }
        let words: Vec<Text> = words
            .iter()
            .map(|(word, line)| self.interpolated(word, *line))
            .collect();
        command_line::read(&words, Vec::new(), &origin, self.facts);
    }

    fn script(&mut self, text: &str, line: usize) {
        let text = if self.is_object {
            text.to_owned()
        } else {
            text.replace("$$", "$")
        };
        if !shell::read_parts(self.file, &Text::known(text), line, self.facts) {
            self.facts.note(format!(
                "{}:{line}: this command takes too long to read",
                self.file
            ));
        }
    }
}
