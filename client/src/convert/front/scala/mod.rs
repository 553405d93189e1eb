//! Reads Scala sources.
//!
//! | file | does |
//! |---|---|
//! | `expressions` | what an expression is |

mod expressions;

use tree_sitter::Node;

use super::tree::{Builder, Words, children, program, sides};
use crate::convert::syntax::{Change, Expr, Kind, Program, ScopeKind};
use expressions::{kind, simple_name, targets};

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
        "import_declaration" => import(b, node),
        "package_identifier" | "string" => {}
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

/// `import redis.clients.jedis.{Jedis => J}`
fn import(b: &mut Builder, node: Node<'_>) {
    let path: Vec<Node<'_>> = children(node);
    let module = path.iter().rfind(|n| n.kind() == "identifier");
    let module = module.map_or_else(String::new, |n| b.text(*n).to_owned());
    for selectors in path.iter().filter(|n| n.kind() == "namespace_selectors") {
        for renamed in children(*selectors) {
            let sides = ["name", "alias"].map(|side| renamed.child_by_field_name(side));
            if let [Some(name), Some(alias)] = sides {
                let (name, alias) = (b.text(name).to_owned(), b.text(alias).to_owned());
                let value = b.expr(renamed, Kind::Import(module.clone(), name));
                b.bind(alias, Change::Set, value);
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
        | "assignment_expression"
        | "object_definition"
        | "class_definition" => {
            b.deeper(|b| statement(b, node));
        }
        // One of several results: beside what `return` says it is not known.
        "try_expression" | "if_expression" | "match_expression" | "for_expression" => {
            b.deeper(|b| statement(b, node));
            let one_of = b.expr(node, Kind::Other(Vec::new()));
            b.returns(one_of);
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
