//! Expressions of Scala.

use tree_sitter::Node;

use crate::convert::front::strings::unescaped;
use crate::convert::front::tree::{Builder, children};
use crate::convert::syntax::{Argument, Expr, Kind, ScopeKind};

pub(super) fn kind(b: &mut Builder, node: Node<'_>) -> Kind {
    let translated = match node.kind() {
        "identifier" => Some(Kind::Name(b.text(node).to_owned())),
        "integer_literal" | "floating_point_literal" => {
            let text = b
                .text(node)
                .trim_end_matches(['L', 'l', 'd', 'D', 'f', 'F']);
            Some(Kind::Atom(text.replace('_', "")))
        }
        "boolean_literal" => Some(Kind::Atom(b.text(node).to_owned())),
        "null_literal" => Some(Kind::Null),
        "string" => Some(Kind::Literal(literal(b.text(node)))),
        "interpolated_string_expression" => Some(interpolated(b, node)),
        "field_expression" => b.field(node, "value").and_then(|base| {
            let name = node.child_by_field_name("field")?;
            let name = b.text(name).to_owned();
            let is_called = node.parent().is_some_and(|p| p.kind() == "call_expression");
            let member = Kind::Member(base, name);
            match &member {
                // Scala calls a method without parentheses as well.
                Kind::Member(_, method) if method == "load" && !is_called => {
                    Some(Kind::Call(Box::new(b.expr(node, member)), Vec::new()))
                }
                _ => Some(member),
            }
        }),
        "generic_function" => return b.field(node, "function").map_or(Kind::Null, |f| f.kind),
        "call_expression" => b.field(node, "function").map(|callee| {
            let list = node.child_by_field_name("arguments");
            let arguments = list.map(|list| arguments(b, list)).unwrap_or_default();
            Kind::Call(callee, arguments)
        }),
        "instance_expression" if has_members(node) => {
            let bases = children(node)
                .into_iter()
                .map(|c| simple_name(b.text(c)).to_owned())
                .collect();
            b.scoped(String::new(), ScopeKind::Class, Vec::new(), |b| {
                b.bases(bases);
                b.block(node);
            });
            return Kind::Other(Vec::new());
        }
        "instance_expression" => instance(b, node),
        "lambda_expression" => {
            b.branch(|b| targets(b, node.child_by_field_name("parameters")));
            None
        }
        "case_clause" => {
            b.branch(|b| targets(b, node.child_by_field_name("pattern")));
            None
        }
        "enumerator" => {
            b.branch(|b| targets(b, children(node).first().copied()));
            None
        }
        "infix_expression" => infix(b, node),
        "postfix_expression" => postfix(b, node),
        "tuple_expression" => Some(Kind::List(b.all(node))),
        "if_expression" => {
            let branches = ["consequence", "alternative"];
            let values: Vec<Expr> = branches
                .into_iter()
                .filter_map(|name| b.field(node, name).map(|e| *e))
                .collect();
            Some(Kind::Choice(values))
        }
        "parenthesized_expression" | "block" | "indented_block" => match children(node)[..] {
            [only] if !only.kind().ends_with("_definition") => return b.expression(only).kind,
            _ => None,
        },
        "assignment_expression" => {
            // A closure may not be executed.
            b.branch(|b| b.one(node));
            return Kind::Other(Vec::new());
        }
        "val_definition"
        | "var_definition"
        | "function_definition"
        | "object_definition"
        | "class_definition" => {
            // Definitions inside of blocks that are expressions: lambdas, arguments.
            b.one(node);
            return Kind::Other(Vec::new());
        }
        _ => None,
    };
    translated.unwrap_or_else(|| Kind::Other(b.all(node)))
}

fn arguments(b: &mut Builder, list: Node<'_>) -> Vec<Argument> {
    match list.kind() {
        "arguments" | "tuple_expression" | "parenthesized_expression" => children(list)
            .into_iter()
            .map(|child| argument(b, child))
            .collect(),
        "unit" => Vec::new(),
        _ => {
            let value = b.expression(list);
            vec![Argument::plain(value)]
        }
    }
}

fn argument(b: &mut Builder, node: Node<'_>) -> Argument {
    if node.kind() == "assignment_expression"
        && let Some(left) = node.child_by_field_name("left")
        && let Some(right) = node.child_by_field_name("right")
    {
        let name = Some(b.text(left).to_owned());
        let value = b.expression(right);
        return Argument {
            name,
            spread: false,
            value,
        };
    }
    let value = b.expression(node);
    Argument::plain(value)
}

/// `new Base { override val topic = "t" }` is a class of its own.
fn has_members(node: Node<'_>) -> bool {
    let is_body = |c: &Node<'_>| c.kind() == "template_body";
    children(node).iter().any(is_body)
}

/// `new Jedis("host", 6379)`.
fn instance(b: &mut Builder, node: Node<'_>) -> Option<Kind> {
    let list = node.child_by_field_name("arguments")?;
    let class = children(node).into_iter().find(|child| *child != list)?;
    let name = simple_name(b.text(class)).to_owned();
    let callee = b.expr(class, Kind::Name(name));
    let arguments = arguments(b, list);
    Some(Kind::Call(Box::new(callee), arguments))
}

/// `a -> b`, `a + b`, `a ++ b`, and methods without a dot: `reader option("a", "b")`.
fn infix(b: &mut Builder, node: Node<'_>) -> Option<Kind> {
    let operator = node.child_by_field_name("operator")?;
    let right = node.child_by_field_name("right")?;
    let left = b.field(node, "left")?;
    let name = b.text(operator).to_owned();
    match name.as_str() {
        "->" => {
            let value = b.expression(right);
            Some(Kind::Map(vec![(Some(*left), value)]))
        }
        "+" | "++" => Some(Kind::Sum(left, Box::new(b.expression(right)))),
        _ if name.starts_with(|c: char| c.is_alphabetic()) => {
            let callee = b.expr(node, Kind::Member(left, name));
            let arguments = arguments(b, right);
            Some(Kind::Call(Box::new(callee), arguments))
        }
        _ => None,
    }
}

/// `reader load`.
fn postfix(b: &mut Builder, node: Node<'_>) -> Option<Kind> {
    let [base, name] = children(node)[..] else {
        return None;
    };
    let base = Box::new(b.expression(base));
    let name = b.text(name).to_owned();
    let callee = b.expr(node, Kind::Member(base, name));
    Some(Kind::Call(Box::new(callee), Vec::new()))
}

/// A literal without its quotes.
fn literal(text: &str) -> String {
    match text.strip_prefix("\"\"\"") {
        Some(raw) => raw.strip_suffix("\"\"\"").unwrap_or(raw).to_owned(),
        None => {
            let inner = text.strip_prefix('"').unwrap_or(text);
            unescaped(inner.strip_suffix('"').unwrap_or(inner))
        }
    }
}

/// `s"…$name…${expression}…"`.
fn interpolated(b: &mut Builder, node: Node<'_>) -> Kind {
    let Some(string) = children(node)
        .into_iter()
        .find(|c| c.kind() == "interpolated_string")
    else {
        return Kind::Other(Vec::new());
    };
    let interpolator = b.program.source.get(node.start_byte()..string.start_byte());
    let is_formatted = !matches!(interpolator.map(str::trim), Some("s" | "raw"));
    if is_formatted && b.text(string).contains('%') {
        // `f"$n%03d"` is not what n is.
        return Kind::Other(Vec::new());
    }
    let raw = b.text(string).starts_with("\"\"\"");
    let quotes = if raw { 3 } else { 1 };
    let end = string.end_byte().saturating_sub(quotes);
    let mut at = string.start_byte() + quotes;
    let mut pieces = Vec::new();
    let holes = children(string)
        .into_iter()
        .filter(|c| c.kind() == "interpolation");
    for hole in holes {
        pieces.push(between(b, string, at..hole.start_byte(), raw));
        match children(hole)[..] {
            [inner] => pieces.push(b.expression(inner)),
            _ => pieces.push(b.expr(hole, Kind::Other(Vec::new()))),
        }
        at = hole.end_byte();
    }
    pieces.push(between(b, string, at..end, raw));
    Kind::Pieces(pieces)
}

fn between(b: &Builder, node: Node<'_>, range: std::ops::Range<usize>, raw: bool) -> Expr {
    let text = b.program.source.get(range).unwrap_or("").replace("$$", "$");
    let text = if raw { text } else { unescaped(&text) };
    b.expr(node, Kind::Literal(text))
}

/// Names in a pattern: what they are is not followed.
pub(super) fn targets(b: &mut Builder, node: Option<Node<'_>>) {
    let Some(node) = node else { return };
    match node.kind() {
        "identifier" if b.text(node).starts_with(char::is_lowercase) => b.bind_unknown(node),
        _ => {
            for child in children(node) {
                b.deeper(|b| targets(b, Some(child)));
            }
        }
    }
}

/// `Base` for `a.b.Base[T]`.
pub(super) fn simple_name(path: &str) -> &str {
    let path = path.split(['[', '(']).next().unwrap_or_default();
    path.rsplit('.').next().unwrap_or_default().trim()
}
