//! Reads Scala sources.

use tree_sitter::Node;

use super::strings::unescaped;
use super::tree::{Builder, Words, children, program, sides};
use crate::convert::syntax::{Argument, Change, Expr, Kind, Program, ScopeKind};

/// Translates a Scala source; `None` if parsing takes too long.
pub fn read(file: &str, source: &str) -> Option<Program> {
    let grammar = tree_sitter_scala::LANGUAGE.into();
    program(&grammar, SCALA, file, source)
}

const SCALA: Words = Words { statement, kind };

fn statement(b: &mut Builder, node: Node<'_>) {
    match node.kind() {
        "val_definition" | "var_definition" => definition(b, node),
        "assignment_expression" => assignment(b, node),
        "function_definition" => function(b, node),
        "object_definition" | "class_definition" | "trait_definition" | "package_object" => {
            class(b, node)
        }
        "if_expression" | "match_expression" | "for_expression" | "while_expression"
        | "try_expression" | "catch_clause" => b.branch(|b| b.block(node)),
        "compilation_unit" | "template_body" | "block" | "indented_block" | "case_block"
        | "package_clause" | "finally_clause" | "ERROR" => b.block(node),
        "return_expression" => {
            for child in children(node) {
                let value = b.expression(child);
                b.returns(value);
            }
        }
        "import_declaration" | "package_identifier" | "string" => {}
        "case_clause" => {
            targets(b, node.child_by_field_name("pattern"));
            b.block(node);
        }
        "infix_expression" => changed(b, node),
        _ => {
            let expr = b.expression(node);
            b.alone(expr);
        }
    }
}

/// Names in a pattern: what they are is not followed.
fn targets(b: &mut Builder, node: Option<Node<'_>>) {
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

/// `options += ("a" -> "b")`, `options ++= others`.
fn changed(b: &mut Builder, node: Node<'_>) {
    let operator = node.child_by_field_name("operator").map(|o| b.text(o));
    let change = match operator {
        Some("+=") => Change::Append,
        Some("++=") => Change::Merge,
        Some("-=" | "--=") => Change::Remove(None),
        _ => {
            let expr = b.expression(node);
            return b.alone(expr);
        }
    };
    let sides = ["left", "right"].map(|side| b.field(node, side));
    if let [Some(left), Some(right)] = sides {
        match left.path() {
            Some(name) => b.bind(name, change, *right),
            None => {
                b.statement(*right);
                b.change_unknown(*left);
            }
        }
    }
}

fn definition(b: &mut Builder, node: Node<'_>) {
    let (Some(pattern), Some(value)) = (
        node.child_by_field_name("pattern"),
        node.child_by_field_name("value"),
    ) else {
        return;
    };
    let value = b.expression(value);
    if pattern.kind() == "identifier" {
        let name = b.text(pattern).to_owned();
        b.bind(name, Change::Set, value);
    } else {
        b.statement(value);
        targets(b, Some(pattern));
    }
}

fn assignment(b: &mut Builder, node: Node<'_>) {
    let Some((left, right)) = sides(node) else {
        return;
    };
    let value = b.expression(right);
    let left = b.expression(left);
    match (left.path(), left.kind) {
        (Some(name), _) => b.bind_as(name, Change::Set, value, false),
        // `options("key") = value`
        (None, Kind::Call(map, mut key)) if key.len() == 1 && map.path().is_some() => {
            let name = map.path().unwrap_or_default();
            match key.pop() {
                Some(key) => b.bind(name, Change::Insert(key.value), value),
                None => b.statement(value),
            }
        }
        (_, kind) => {
            b.statement(value);
            b.change_unknown(Expr {
                kind,
                line: left.line,
                span: left.span,
            });
        }
    }
}

fn function(b: &mut Builder, node: Node<'_>) {
    let name = b.named(node);
    let mut params = Vec::new();
    let mut cursor = node.walk();
    let lists: Vec<Node<'_>> = node
        .children_by_field_name("parameters", &mut cursor)
        .collect();
    for list in lists {
        parameters(b, list, "parameter", &mut params);
    }
    b.scoped(name, ScopeKind::Function, params, |b| {
        let Some(body) = node.child_by_field_name("body") else {
            return;
        };
        match body.kind() {
            "block" | "indented_block" => {
                let statements = children(body);
                let (last, before) = match statements.split_last() {
                    Some((last, before)) => (*last, before),
                    None => return,
                };
                before.iter().for_each(|s| {
                    b.deeper(|b| statement(b, *s));
                });
                result(b, last);
            }
            _ => result(b, body),
        }
    });
}

/// The last expression of a function is its result.
fn result(b: &mut Builder, node: Node<'_>) {
    match node.kind() {
        "val_definition"
        | "var_definition"
        | "function_definition"
        | "try_expression"
        | "if_expression"
        | "match_expression"
        | "for_expression"
        | "assignment_expression"
        | "object_definition"
        | "class_definition" => {
            b.deeper(|b| statement(b, node));
        }
        _ => {
            let value = b.expression(node);
            b.returns(value);
        }
    }
}

fn class(b: &mut Builder, node: Node<'_>) {
    let name = b.named(node);
    let mut params = Vec::new();
    if let Some(list) = node.child_by_field_name("class_parameters") {
        parameters(b, list, "class_parameter", &mut params);
    }
    let bases = extended(b, node);
    b.scoped(name, ScopeKind::Class, params, |b| {
        b.bases(bases);
        b.body(node);
    });
}

/// Names of the classes and traits that a class extends.
fn extended(b: &Builder, node: Node<'_>) -> Vec<String> {
    let clauses = children(node)
        .into_iter()
        .filter(|c| c.kind() == "extends_clause");
    let types = clauses.flat_map(children);
    types.map(|t| simple_name(b.text(t)).to_owned()).collect()
}

/// `Base` for `a.b.Base[T]`.
fn simple_name(path: &str) -> &str {
    let path = path.split(['[', '(']).next().unwrap_or_default();
    path.rsplit('.').next().unwrap_or_default().trim()
}

fn parameters(
    b: &mut Builder,
    list: Node<'_>,
    kind: &str,
    params: &mut Vec<(String, Option<Expr>)>,
) {
    for param in children(list).into_iter().filter(|p| p.kind() == kind) {
        let name = b.named(param);
        let default = param
            .child_by_field_name("default_value")
            .map(|v| b.expression(v));
        params.push((name, default));
    }
}

fn kind(b: &mut Builder, node: Node<'_>) -> Kind {
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
            b.deeper(|b| b.branch(|b| statement(b, node)));
            return Kind::Other(Vec::new());
        }
        "val_definition"
        | "var_definition"
        | "function_definition"
        | "object_definition"
        | "class_definition" => {
            // Definitions inside of blocks that are expressions: lambdas, arguments.
            b.deeper(|b| statement(b, node));
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
