//! Shell scripts, `.env` files and single command lines.
//!
//! | file | does |
//! |---|---|
//! | `words` | what words and variables become |

mod words;

use std::collections::{BTreeMap, BTreeSet};

use tree_sitter::Node;

use super::command_line;
use super::tree::{children, first_error, line, parse};
use crate::convert::model::{Facts, Origin, Piece, Text};
use crate::convert::secrets::{is_secret, shown};

/// Deepest nesting that is looked at.
const MAX_DEPTH: usize = 200;
/// Most words of one command, and most commands in commands (`bash -c`).
const MAX_WORDS: usize = 10_000;
const MAX_NESTED: usize = 3;
/// Most commands of a script that are distinguished by what they find in the environment.
const MAX_COMMANDS: usize = 64;

/// Keeps what a script sets and starts. `first_line` is the line of the file in which the text begins.
/// False if parsing takes too long.
pub fn read(file: &str, source: &str, first_line: usize, facts: &mut Facts) -> bool {
    nested(file, source, first_line, BTreeMap::new(), 0, facts)
}

/// The same for a script that is known in parts only.
pub fn read_parts(file: &str, script: &Text, first_line: usize, facts: &mut Facts) -> bool {
    let mut variables = BTreeMap::new();
    let mut source = String::new();
    let mut hole = |source: &mut String, expression: &str| {
        let name = format!("__HOLE_{}", variables.len());
        source.push_str(&format!("${{{name}}}"));
        variables.insert(name, Text::unknown(expression));
    };
    for piece in &script.pieces {
        match piece {
            Piece::Unknown(expression) => hole(&mut source, expression),
            Piece::Known(text) => {
                let mut rest = text.as_str();
                // What a template fills in: `{{ … }}`.
                while let Some((before, inside)) = rest.split_once("{{") {
                    let (inside, after) = inside.split_once("}}").unwrap_or((inside, ""));
                    source.push_str(before);
                    hole(&mut source, &format!("{{{{{inside}}}}}"));
                    rest = after;
                }
                source.push_str(rest);
            }
        }
    }
    nested(file, &source, first_line, variables, 0, facts)
}

fn nested(
    file: &str,
    source: &str,
    first_line: usize,
    variables: BTreeMap<String, Text>,
    level: usize,
    facts: &mut Facts,
) -> bool {
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
        variables,
        arrays: BTreeMap::new(),
        empty: Vec::new(),
        first_command: facts.commands.len(),
        functions: BTreeMap::new(),
        called: BTreeSet::new(),
        facts,
    };
    shell.statements(tree.root_node());
    // A library's functions are called by who reads it.
    let rest = std::mem::take(&mut shell.functions);
    for (name, body) in rest {
        if !shell.called.contains(&name) {
            shell.statements(body);
        }
    }
    true
}

struct Shell<'a, 't> {
    file: &'a str,
    source: &'a str,
    first_line: usize,
    level: usize,
    depth: usize,
    branches: usize,
    variables: BTreeMap<String, Text>,
    arrays: BTreeMap<String, Vec<Text>>,
    /// Names that a test found empty: what is assigned to them then is a default.
    empty: Vec<String>,
    /// Index of the script's first command among all.
    first_command: usize,
    /// Functions by name; they are executed where they are called.
    functions: BTreeMap<String, Node<'t>>,
    /// Names of functions that were called.
    called: BTreeSet<String>,
    facts: &'a mut Facts,
}

impl<'t> Shell<'_, 't> {
    fn text(&self, node: Node<'_>) -> &str {
        self.source.get(node.byte_range()).unwrap_or("")
    }

    fn origin(&self, node: Node<'_>) -> Origin {
        Origin {
            file: self.file.to_owned(),
            line: line(node) + self.first_line - 1,
        }
    }

    fn statements(&mut self, node: Node<'t>) {
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
                    let tests = child.child_by_field_name("condition");
                    self.branch(tests.unwrap_or(child), |shell| shell.statements(child));
                }
                "list" => self.list(child),
                "function_definition" => {
                    if let (Some(name), Some(body)) = (
                        child.child_by_field_name("name"),
                        child.child_by_field_name("body"),
                    ) {
                        let name = self.text(name).to_owned();
                        self.functions.insert(name, body);
                    }
                }
                "heredoc_redirect" | "heredoc_body" => {}
                "redirected_statement" => {
                    self.written(child);
                    self.statements(child);
                }
                _ => self.statements(child),
            }
        }
        self.depth -= 1;
    }

    /// `cat > job.env <<END`: a file that the script writes.
    fn written(&mut self, node: Node<'t>) {
        let parts = children(node);
        let target = parts.iter().find(|part| part.kind() == "file_redirect");
        let target = target.and_then(|part| part.child_by_field_name("destination"));
        let (Some(target), true) = (target, parts.iter().any(|p| p.kind() == "heredoc_redirect"))
        else {
            return;
        };
        let file = shown(self.text(target));
        let is_read = [
            ".env",
            ".conf",
            ".properties",
            ".py",
            ".scala",
            ".yml",
            ".yaml",
        ];
        if is_read.iter().any(|end| file.ends_with(end)) {
            let origin = self.origin(node);
            self.facts.note(format!(
                "{origin}: {file} is written here: give it as a file of its own, what it says is not read"
            ));
        }
    }

    /// `[ "$1" = prod ] && X=y`: what follows a test may not be executed.
    fn list(&mut self, node: Node<'t>) {
        let parts = children(node);
        let is_test = parts.first().is_some_and(|first| {
            let text = self.text(*first).trim_start_matches(['!', ' ']);
            let word = text.split_whitespace().next();
            first.kind() == "test_command" || matches!(word, Some("test" | "[" | "[[" | "grep"))
        });
        match (is_test, parts.split_first()) {
            (true, Some((test, rest))) => {
                for part in rest {
                    self.branch(*test, |shell| shell.statement(*part));
                }
            }
            _ => self.statements(node),
        }
    }

    fn statement(&mut self, node: Node<'t>) {
        match node.kind() {
            "variable_assignment" => self.assignment(node),
            "command" => self.command(node),
            "list" => self.list(node),
            _ => self.statements(node),
        }
    }

    /// What may not be executed, depending on `test`.
    fn branch(&mut self, test: Node<'_>, inner: impl FnOnce(&mut Self)) {
        let text = self.text(test);
        let names = text.split("-z").skip(1).filter_map(|after| {
            let name = after.trim_start_matches([' ', '"', '$', '{']);
            let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            name.get(..end.unwrap_or(name.len())).map(str::to_owned)
        });
        // Of an `if` without a condition of its own the whole text is the test: only its first line is.
        let is_one_line = !text.contains('\n');
        let names: Vec<String> = names.filter(|_| is_one_line).collect();
        let before = std::mem::replace(&mut self.empty, names);
        self.branches += 1;
        inner(self);
        self.branches -= 1;
        self.empty = before;
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
        let origin = self.origin(node);
        let before = self.known(&name).cloned();
        let is_empty = |text: &Text| text.value().is_some_and(|v| v.is_empty());
        match before {
            Some(before) if appends => value = joined(vec![before, value], self.text(node)),
            // Where a test found it empty, this is its default.
            Some(before) if self.empty.contains(&name) && !is_empty(&before) => value = before,
            _ if self.empty.contains(&name) => self.facts.note_default(&name, &value, &origin),
            Some(before) if self.branches > 0 && before != value => {
                let question = format!("${name}, which {} assigns in several branches", self.file);
                value = Text::unknown(question);
            }
            None if self.branches > 0 => {
                let question = format!("${name}, which {} assigns in a branch only", self.file);
                value = Text::unknown(question);
            }
            _ => {}
        }
        self.set(name, value, origin);
    }

    /// A variable has this value from here on. Commands before it have the one before.
    fn set(&mut self, name: String, value: Text, origin: Origin) {
        let before = self.known(&name).cloned();
        if before.as_ref() != Some(&value) {
            let before = before.unwrap_or_else(|| {
                Text::unknown(format!("${name}, which {origin} sets after this command"))
            });
            let earlier = self.facts.commands.iter_mut().skip(self.first_command);
            for command in earlier.take(MAX_COMMANDS) {
                if !command.settings.iter().any(|(key, _)| *key == name) {
                    command.settings.push((name.clone(), before.clone()));
                }
            }
        }
        match crate::convert::kinds::is_env_file(self.file) {
            true => self.facts.variable(&name, value.clone(), origin),
            false => self.facts.property(&name, value.clone(), origin),
        }
        self.variables.insert(name, value);
    }

    /// What a variable is here.
    fn known(&self, name: &str) -> Option<&Text> {
        let own = self.variables.get(name);
        own.or_else(|| self.facts.environment.get(name).map(|s| &s.value))
    }

    fn command(&mut self, node: Node<'t>) {
        let mut words = Vec::new();
        let mut own = Vec::new();
        for child in children(node) {
            match child.kind() {
                "variable_assignment" => own.push(child),
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
            let (variables, level) = (self.variables.clone(), self.level + 1);
            nested(self.file, &text, origin.line, variables, level, self.facts);
            return;
        }
        let called = words.first().and_then(Text::value);
        if let Some((name, body)) = called.and_then(|name| self.functions.remove_entry(&name)) {
            // While it is executed it does not call itself.
            self.called.insert(name.clone());
            self.statements(body);
            self.functions.insert(name, body);
            return;
        }
        self.changing(&words, &origin);
        let is_spark = command_line::starts_spark(&words, self.facts);
        let mut settings = Vec::new();
        for node in own {
            match (is_spark, node.child_by_field_name("name")) {
                // `X=y spark-submit`: for this command only.
                (true, Some(name)) => {
                    let name = self.text(name).to_owned();
                    let value = node.child_by_field_name("value");
                    let value = value.map_or_else(|| Text::known(""), |v| self.value(v));
                    settings.push((name, value));
                }
                _ => self.assignment(node),
            }
        }
        command_line::read(&words, settings, &origin, self.facts);
    }

    /// Commands that give variables values which are not followed.
    fn changing(&mut self, words: &[Text], origin: &Origin) {
        let Some(command) = words.first().and_then(Text::value) else {
            return;
        };
        let rest = words.iter().skip(1).filter_map(Text::value);
        match command.as_str() {
            "source" | "." => {
                let file = words.get(1).map(Text::question).unwrap_or_default();
                let name = file.rsplit('/').next().unwrap_or_default();
                if !self.facts.files.iter().any(|given| given == name) {
                    self.facts.note(format!(
                        "{origin}: {file} is read here: give it as well, in front of this file"
                    ));
                }
            }
            "read" | "unset" | "mapfile" => {
                let names: Vec<String> = rest.filter(|word| !word.starts_with('-')).collect();
                for name in names {
                    if self.known(&name).is_some() {
                        let value = Text::unknown(format!("${name}, which {origin} changes"));
                        self.set(name, value, origin.clone());
                    }
                }
            }
            _ => {}
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
        splits: false,
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
