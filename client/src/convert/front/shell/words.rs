//! What words and variables of a script become.

use tree_sitter::Node;

use super::{MAX_DEPTH, Shell, joined};
use crate::convert::front::strings::unescaped;
use crate::convert::front::tree::children;
use crate::convert::model::Text;

impl Shell<'_, '_> {
    /// The words that a node of a command becomes: none to many.
    pub(super) fn words(&mut self, node: Node<'_>) -> Vec<Text> {
        if matches!(node.kind(), "string" | "expansion")
            && let Some(name) = self.array_named(node)
        {
            return self
                .arrays
                .get(&name)
                .cloned()
                .unwrap_or_else(|| vec![Text::words(self.text(node))]);
        }
        let value = self.value(node);
        // Only what is expanded without quotes falls into several words.
        match (node.kind(), value.value()) {
            ("simple_expansion" | "expansion", Some(text)) => {
                text.split_whitespace().map(Text::known).collect()
            }
            ("simple_expansion" | "expansion" | "command_substitution", None) => {
                vec![Text::words(value.source)]
            }
            ("string", None) if self.text(node) == "\"$@\"" => vec![Text::words("$@")],
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
    pub(super) fn value(&mut self, node: Node<'_>) -> Text {
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
        let known = self.known(name).cloned();
        known.unwrap_or_else(|| Text::unknown(format!("${name}")))
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
            // `${name^^}` and `${!name}` are not what the name is.
            None if source.len() == name.len() + 3 => value,
            Some(operator @ (":-" | "-" | ":=" | "=")) => {
                if self
                    .known(&name)
                    .is_some_and(|v| v.value().is_none_or(|v| !v.is_empty()))
                {
                    return value;
                }
                let defaults = parts[1..].iter().map(|p| self.value(*p)).collect();
                let default = joined(defaults, &source);
                let origin = self.origin(node);
                self.facts.note_default(&name, &default, &origin);
                if operator.ends_with('=') {
                    self.set(name, default.clone(), origin);
                }
                default
            }
            Some(":?" | "?") => value,
            _ => Text::unknown(source),
        }
    }
}
