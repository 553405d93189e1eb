//! Shell scripts, `.env` files and single command lines.

use std::collections::BTreeMap;

use tree_sitter::Node;

use super::command_line;
use super::strings::unescaped;
use super::tree::{children, first_error, line, parse};
use crate::convert::model::{Facts, Origin, Piece, Text};
use crate::convert::secrets::{is_secret, shown};

/// Deepest nesting that is looked at.
const MAX_DEPTH: usize = 200;
/// Most words of one command, and most commands in commands (`bash -c`).
const MAX_WORDS: usize = 10_000;
const MAX_NESTED: usize = 3;

/// Keeps what a script sets and starts. `first_line` is the line of the file in which the text begins.
/// False if parsing takes too long.
pub fn read(file: &str, source: &str, first_line: usize, facts: &mut Facts) -> bool {
    nested(file, source, first_line, 0, facts)
}

fn nested(file: &str, source: &str, first_line: usize, level: usize, facts: &mut Facts) -> bool {
    let Some(tree) = parse(&tree_sitter_bash::LANGUAGE.into(), source) else {
        return false;
    };
    if let Some(at) = first_error(tree.root_node()) {
        let at = at + first_line - 1;
        facts.note(format!(
            "{file}:{at}: this could not be read as shell; what stands near it may be missing"
        ));
    }
    let mut shell = Shell {
        file,
        source,
        first_line,
        level,
        depth: 0,
        branches: 0,
        variables: BTreeMap::new(),
        arrays: BTreeMap::new(),
        facts,
    };
    shell.statements(tree.root_node());
    true
}

struct Shell<'a> {
    file: &'a str,
    source: &'a str,
    first_line: usize,
    level: usize,
    depth: usize,
    branches: usize,
    variables: BTreeMap<String, Text>,
    arrays: BTreeMap<String, Vec<Text>>,
    facts: &'a mut Facts,
}

impl Shell<'_> {
    fn text(&self, node: Node<'_>) -> &str {
        self.source.get(node.byte_range()).unwrap_or("")
    }

    fn origin(&self, node: Node<'_>) -> Origin {
        Origin {
            file: self.file.to_owned(),
            line: line(node) + self.first_line - 1,
        }
    }

    fn statements(&mut self, node: Node<'_>) {
        if self.depth >= MAX_DEPTH {
            return;
        }
        self.depth += 1;
        for child in children(node) {
            match child.kind() {
                "variable_assignment" => self.assignment(child),
                "declaration_command" | "variable_assignments" => self.statements(child),
                "command" => self.command(child),
                "if_statement" | "case_statement" | "while_statement" | "for_statement"
                | "elif_clause" | "else_clause" => {
                    self.branches += 1;
                    self.statements(child);
                    self.branches -= 1;
                }
                "heredoc_redirect" | "heredoc_body" => {}
                _ => self.statements(child),
            }
        }
        self.depth -= 1;
    }

    fn assignment(&mut self, node: Node<'_>) {
        let Some(name) = node.child_by_field_name("name") else {
            return;
        };
        let name = self.text(name).to_owned();
        let value = node.child_by_field_name("value");
        let appends = self
            .text(node)
            .get(name.len()..)
            .is_some_and(|rest| rest.starts_with("+="));
        if let Some(array) = value.filter(|v| v.kind() == "array") {
            let items: Vec<Text> = children(array)
                .into_iter()
                .flat_map(|item| self.words(item))
                .collect();
            let all = self.arrays.entry(name).or_default();
            if !appends {
                all.clear();
            }
            all.extend(items);
            all.truncate(MAX_WORDS);
            return;
        }
        let notes = self.facts.notes.len();
        let mut value = value.map_or_else(|| Text::known(""), |v| self.value(v));
        // What a secret is by default is a secret as well.
        if is_secret(&name) {
            self.facts.notes.truncate(notes);
        }
        let before = self.variables.get(&name);
        if appends && let Some(before) = before {
            value = joined(vec![before.clone(), value], self.text(node));
        } else if self.branches > 0 && before.is_some_and(|before| *before != value) {
            value = Text::unknown(format!(
                "${name}, which {} assigns in several branches",
                self.file
            ));
        }
        let origin = self.origin(node);
        self.facts.property(&name, value.clone(), origin);
        self.variables.insert(name, value);
    }

    fn command(&mut self, node: Node<'_>) {
        let mut words = Vec::new();
        for child in children(node) {
            match child.kind() {
                "variable_assignment" => self.assignment(child),
                "file_redirect" | "herestring_redirect" | "heredoc_redirect" => {}
                "command_name" => words.extend(
                    children(child)
                        .first()
                        .map_or_else(Vec::new, |c| self.words(*c)),
                ),
                _ => words.extend(self.words(child)),
            }
            words.truncate(MAX_WORDS);
        }
        let origin = self.origin(node);
        let script = words
            .iter()
            .position(|w| w.value().as_deref() == Some("-c"));
        let is_shell = |w: &Text| {
            w.value()
                .is_some_and(|w| matches!(w.rsplit('/').next(), Some("sh" | "bash")))
        };
        if let Some(at) = script.filter(|at| words[..*at].iter().any(is_shell))
            && let Some(text) = words.get(at + 1).and_then(Text::value)
            && self.level < MAX_NESTED
        {
            nested(self.file, &text, origin.line, self.level + 1, self.facts);
            return;
        }
        command_line::read(&words, &origin, self.facts);
    }

    /// The words that a node of a command becomes: none to many.
    fn words(&mut self, node: Node<'_>) -> Vec<Text> {
        if matches!(node.kind(), "string" | "expansion")
            && let Some(name) = self.array_named(node)
        {
            return self
                .arrays
                .get(&name)
                .cloned()
                .unwrap_or_else(|| vec![Text::unknown(self.text(node))]);
        }
        let value = self.value(node);
        // Only what is expanded without quotes falls into several words.
        match (node.kind(), value.value()) {
            ("simple_expansion" | "expansion", Some(text)) => {
                text.split_whitespace().map(Text::known).collect()
            }
            _ => vec![value],
        }
    }

    /// `"${name[@]}"`
    fn array_named(&self, node: Node<'_>) -> Option<String> {
        let inner = match node.kind() {
            "string" => children(node).into_iter().next()?,
            _ => node,
        };
        let subscript = children(inner)
            .into_iter()
            .find(|c| c.kind() == "subscript")?;
        let name = subscript.child_by_field_name("name")?;
        let index = subscript.child_by_field_name("index")?;
        matches!(self.text(index), "@" | "*").then(|| self.text(name).to_owned())
    }

    /// The text that a node becomes.
    fn value(&mut self, node: Node<'_>) -> Text {
        if self.depth >= MAX_DEPTH {
            return Text::unknown(self.text(node));
        }
        self.depth += 1;
        let source = self.text(node).to_owned();
        let value = match node.kind() {
            "word" | "number" | "variable_name" | "string_content" => {
                Text::known(unescaped(&source))
            }
            "raw_string" => Text::known(source.trim_matches('\'')),
            "ansi_c_string" => {
                Text::known(unescaped(source.trim_start_matches('$').trim_matches('\'')))
            }
            "string" => self.quoted(node),
            "concatenation" | "command_name" => {
                let parts = children(node).into_iter().map(|c| self.value(c)).collect();
                joined(parts, &source)
            }
            "simple_expansion" => self.variable(source.trim_start_matches('$')),
            "expansion" => self.expansion(node),
            _ => Text::unknown(source),
        };
        self.depth -= 1;
        value
    }

    /// Everything between double quotes; blanks between parts belong to the text.
    fn quoted(&mut self, node: Node<'_>) -> Text {
        let (mut at, end) = (node.start_byte() + 1, node.end_byte().saturating_sub(1));
        let mut parts = Vec::new();
        for child in children(node) {
            parts.push(self.plain(at, child.start_byte()));
            parts.push(match child.kind() {
                "string_content" => self.plain(child.start_byte(), child.end_byte()),
                _ => self.value(child),
            });
            at = child.end_byte();
        }
        parts.push(self.plain(at, end));
        joined(parts, self.text(node).trim_matches('"'))
    }

    /// Inside of double quotes a backslash escapes only a few characters.
    fn plain(&self, from: usize, to: usize) -> Text {
        let text = self.source.get(from..to).unwrap_or("");
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match (c, chars.peek()) {
                ('\\', Some('\n')) => {
                    chars.next();
                }
                ('\\', Some(next @ ('"' | '\\' | '$' | '`'))) => {
                    out.push(*next);
                    chars.next();
                }
                _ => out.push(c),
            }
        }
        Text::known(out)
    }

    fn variable(&self, name: &str) -> Text {
        let known = self.variables.get(name);
        let known = known.or_else(|| self.facts.environment.get(name).map(|s| &s.value));
        known
            .cloned()
            .unwrap_or_else(|| Text::unknown(format!("${name}")))
    }

    /// `${name}`, `${name:-default}`.
    fn expansion(&mut self, node: Node<'_>) -> Text {
        let parts = children(node);
        let source = self.text(node).to_owned();
        let Some(name) = parts.first().filter(|p| p.kind() == "variable_name") else {
            return Text::unknown(source);
        };
        let name = self.text(*name).to_owned();
        let operator = node
            .child_by_field_name("operator")
            .map(|o| self.text(o).to_owned());
        let value = self.variable(&name);
        match operator.as_deref() {
            None if parts.len() == 1 => value,
            Some(":-" | "-" | ":=" | "=") => {
                if value.value().is_some_and(|v| !v.is_empty()) {
                    return value;
                }
                let defaults = parts[1..].iter().map(|p| self.value(*p)).collect();
                let default = joined(defaults, &source);
                let origin = self.origin(node);
                self.facts.note_default(&name, &default, &origin);
                default
            }
            Some(":?" | "?") => value,
            _ => Text::unknown(source),
        }
    }
}

/// Texts one after the other.
pub(super) fn joined(parts: Vec<Text>, source: &str) -> Text {
    let mut pieces: Vec<Piece> = Vec::new();
    for piece in parts.into_iter().flat_map(|part| part.pieces) {
        match (pieces.last_mut(), piece) {
            (Some(Piece::Known(last)), Piece::Known(next)) => last.push_str(&next),
            (_, piece) => pieces.push(piece),
        }
    }
    if pieces.is_empty() {
        return Text::known("");
    }
    let mut text = Text {
        pieces,
        source: source.to_owned(),
    };
    if let Some(value) = text.value() {
        text.source = value;
    }
    text
}

impl Facts {
    /// Says that a default was taken.
    pub(super) fn note_default(&mut self, name: &str, default: &Text, origin: &Origin) {
        if let Some(text) = default.value()
            && !is_secret(name)
        {
            self.note(format!(
                "{origin}: {name} is not set in the files given: its default \"{}\" is taken",
                shown(&text)
            ));
        }
    }
}
