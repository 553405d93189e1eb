//! Expressions of Python.

use tree_sitter::Node;

use crate::convert::front::strings::unescaped;
use crate::convert::front::tree::{Builder, children};
use crate::convert::syntax::{Argument, Change, Expr, Kind};

pub(super) fn kind(b: &mut Builder, node: Node<'_>) -> Kind {
    let translated = match node.kind() {
        "identifier" => Some(Kind::Name(b.text(node).to_owned())),
        "integer" | "float" => Some(Kind::Atom(b.text(node).replace('_', ""))),
        "unary_operator" => match expression_in(b, node) {
            Some(Kind::Atom(number)) if b.text(node).starts_with('-') => {
                Some(Kind::Atom(format!("-{number}")))
            }
            _ => None,
        },
        "true" => Some(Kind::Atom("true".into())),
        "false" => Some(Kind::Atom("false".into())),
        "none" => Some(Kind::Null),
        "string" => Some(string(b, node)),
        "concatenated_string" => Some(Kind::Pieces(b.all(node))),
        "attribute" => b.field(node, "object").and_then(|base| {
            let name = node.child_by_field_name("attribute")?;
            Some(Kind::Member(base, b.text(name).to_owned()))
        }),
        "subscript" => b
            .field(node, "value")
            .zip(b.field(node, "subscript"))
            .map(|(base, key)| Kind::Index(base, key)),
        "call" => b.field(node, "function").map(|callee| {
            let list = node.child_by_field_name("arguments");
            let arguments = list.map(|list| arguments(b, list)).unwrap_or_default();
            Kind::Call(callee, arguments)
        }),
        "dictionary" => Some(dictionary(b, node)),
        "list" | "tuple" | "set" | "expression_list" => Some(Kind::List(b.all(node))),
        "binary_operator" => sum(b, node),
        "boolean_operator" if operator(b, node) == "or" => b
            .field(node, "left")
            .zip(b.field(node, "right"))
            .map(|(first, second)| Kind::Either(first, second)),
        "conditional_expression" => {
            // `a if condition else c`
            let parts = children(node);
            let values: Vec<Expr> = [parts.first(), parts.get(2)]
                .into_iter()
                .flatten()
                .map(|child| b.expression(*child))
                .collect();
            Some(Kind::Choice(values))
        }
        "parenthesized_expression" | "await" => match children(node)[..] {
            [only] => return b.expression(only).kind,
            _ => None,
        },
        "named_expression" => {
            if let Some((name, value)) = b.field(node, "name").zip(b.field(node, "value"))
                && let Some(name) = name.path()
            {
                b.branch(|b| b.bind(name, Change::Set, *value));
            }
            return b
                .field(node, "value")
                .map_or(Kind::Null, |value| value.kind);
        }
        "as_pattern" => {
            b.branch(|b| targets(b, node.child_by_field_name("alias")));
            None
        }
        "for_in_clause" => {
            b.branch(|b| targets(b, node.child_by_field_name("left")));
            None
        }
        "lambda" => {
            b.branch(|b| targets(b, node.child_by_field_name("parameters")));
            None
        }
        _ => None,
    };
    translated.unwrap_or_else(|| Kind::Other(b.all(node)))
}

fn expression_in(b: &mut Builder, node: Node<'_>) -> Option<Kind> {
    b.field(node, "argument").map(|argument| argument.kind)
}

fn operator<'b>(b: &'b Builder, node: Node<'_>) -> &'b str {
    node.child_by_field_name("operator")
        .map_or("", |o| b.text(o))
}

/// `a + b`, `a | b` of dictionaries, `"%s:%s" % (a, b)`.
fn sum(b: &mut Builder, node: Node<'_>) -> Option<Kind> {
    match operator(b, node) {
        "+" | "|" => b
            .field(node, "left")
            .zip(b.field(node, "right"))
            .map(|(a, c)| Kind::Sum(a, c)),
        "%" => {
            let left = node.child_by_field_name("left")?;
            let right = node.child_by_field_name("right")?;
            let template = string_of(b, left)?;
            let mut values = if right.kind() == "tuple" {
                b.all(right)
            } else {
                vec![b.expression(right)]
            }
            .into_iter();
            let mut parts = Vec::new();
            let template = template.replace("%d", "%s").replace("%i", "%s");
            for (i, part) in template.split("%s").enumerate() {
                if i > 0 {
                    parts.push(values.next()?);
                }
                let text = part.replace("%%", "\0");
                // `%03d` and `%(name)s` are not followed.
                if text.contains('%') {
                    return None;
                }
                parts.push(b.expr(left, Kind::Literal(text.replace('\0', "%"))));
            }
            Some(Kind::Pieces(parts))
        }
        _ => None,
    }
}

fn string_of(b: &mut Builder, node: Node<'_>) -> Option<String> {
    match b.expression(node).kind {
        Kind::Literal(text) => Some(text),
        _ => None,
    }
}

fn dictionary(b: &mut Builder, node: Node<'_>) -> Kind {
    let mut pairs = Vec::new();
    for child in children(node) {
        match child.kind() {
            "pair" => {
                if let Some((key, value)) = b.field(child, "key").zip(b.field(child, "value")) {
                    pairs.push((Some(*key), *value));
                }
            }
            "dictionary_splat" => pairs.extend(b.all(child).into_iter().map(|value| (None, value))),
            _ => {}
        }
    }
    Kind::Map(pairs)
}

fn arguments(b: &mut Builder, list: Node<'_>) -> Vec<Argument> {
    if list.kind() != "argument_list" {
        let value = b.expression(list);
        return vec![Argument::plain(value)];
    }
    let mut arguments = Vec::new();
    for child in children(list) {
        let (name, spread, value) = match child.kind() {
            "keyword_argument" => {
                let name = b.named(child);
                (Some(name), false, child.child_by_field_name("value"))
            }
            "dictionary_splat" | "list_splat" => (None, true, children(child).first().copied()),
            _ => (None, false, Some(child)),
        };
        if let Some(value) = value {
            let value = b.expression(value);
            arguments.push(Argument {
                name,
                spread,
                value,
            });
        }
    }
    arguments
}

/// A text, with what is interpolated in it.
fn string(b: &mut Builder, node: Node<'_>) -> Kind {
    let mut cursor = node.walk();
    let parts: Vec<Node<'_>> = node.named_children(&mut cursor).collect();
    let start = parts
        .first()
        .map_or("", |start| b.text(*start))
        .to_ascii_lowercase();
    let raw = start.contains('r');
    let mut pieces = Vec::new();
    for part in parts {
        match part.kind() {
            "string_content" => {
                let text = b.text(part);
                let text = if raw {
                    text.to_owned()
                } else {
                    unescaped(text)
                };
                let text = if start.contains('f') {
                    text.replace("{{", "{").replace("}}", "}")
                } else {
                    text
                };
                pieces.push(b.expr(part, Kind::Literal(text)));
            }
            "interpolation" => {
                let value = part.child_by_field_name("expression").unwrap_or(part);
                let how = b.program.source.get(value.end_byte()..part.end_byte());
                let is_plain = matches!(how.map(str::trim), Some("}" | "!s}" | ":s}" | ":d}"));
                let value = b.expression(value);
                // `{n:03d}` is not what n is.
                pieces.push(match is_plain {
                    true => value,
                    false => b.expr(part, Kind::Other(vec![value])),
                });
            }
            _ => {}
        }
    }
    match pieces.pop() {
        None => Kind::Literal(String::new()),
        Some(Expr {
            kind: Kind::Literal(text),
            ..
        }) if pieces.is_empty() => Kind::Literal(text),
        Some(last) => {
            pieces.push(last);
            Kind::Pieces(pieces)
        }
    }
}

/// Names in a pattern: what they are is not followed.
pub(super) fn targets(b: &mut Builder, node: Option<Node<'_>>) {
    let Some(node) = node else { return };
    match node.kind() {
        "identifier" => b.bind_unknown(node),
        "attribute" | "subscript" => {
            let target = b.expression(node);
            b.change_unknown(target);
        }
        _ => {
            for child in children(node) {
                b.deeper(|b| targets(b, Some(child)));
            }
        }
    }
}
