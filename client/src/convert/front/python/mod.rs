//! Reads Python sources.
//!
//! | file | does |
//! |---|---|
//! | `expressions` | what an expression is |

mod expressions;

use tree_sitter::Node;

use super::tree::{Builder, Words, children, program, sides};
use crate::convert::syntax::{Change, Expr, Kind, Program, ScopeKind};
use expressions::{kind, targets};

/// Translates a Python source; `None` if parsing takes too long.
pub fn read(file: &str, source: &str) -> Option<Program> {
    let grammar = tree_sitter_python::LANGUAGE.into();
    program(&grammar, PYTHON, file, source)
}

const PYTHON: Words = Words { statement, kind };

fn statement(b: &mut Builder, node: Node<'_>) {
    match node.kind() {
        "function_definition" => function(b, node, Vec::new()),
        "class_definition" => class(b, node, Vec::new()),
        "decorated_definition" => decorated(b, node),
        "expression_statement" => {
            for child in children(node) {
                match child.kind() {
                    "assignment" => assignment(b, child),
                    "augmented_assignment" => augmented(b, child),
                    // A text that stands alone is a comment in all but name.
                    "string" | "concatenated_string" => {}
                    _ => alone(b, child),
                }
            }
        }
        "return_statement" => {
            for child in children(node) {
                let value = b.expression(child);
                b.returns(value);
            }
        }
        "if_statement" if is_main_guard(b, node) => b.block(node),
        "for_statement" => b.branch(|b| {
            targets(b, node.child_by_field_name("left"));
            b.block(node);
        }),
        "if_statement" | "while_statement" | "try_statement" | "match_statement" => {
            b.branch(|b| b.block(node))
        }
        "block" | "module" | "with_statement" | "else_clause" | "elif_clause" | "except_clause"
        | "finally_clause" | "case_clause" | "ERROR" => b.block(node),
        "delete_statement" => delete(b, node),
        "global_statement" => {
            for name in children(node) {
                let name = b.text(name).to_owned();
                b.global(name);
            }
        }
        "nonlocal_statement" => {
            for name in children(node) {
                let name = b.text(name).to_owned();
                b.outer(name);
            }
        }
        "case_pattern" => targets(b, Some(node)),
        "import_statement" | "import_from_statement" => import(b, node),
        "future_import_statement" | "pass_statement" | "string" | "concatenated_string" => {}
        _ => alone(b, node),
    }
}

/// `from settings import TOPIC as T`, `import settings as s`: names that other files may give a value.
fn import(b: &mut Builder, node: Node<'_>) {
    let module = node.child_by_field_name("module_name");
    let last = |b: &Builder, node: Node<'_>| {
        let path = b.text(node);
        path.rsplit('.').next().unwrap_or(path).to_owned()
    };
    if let Some(module) = module
        && children(node).iter().any(|c| c.kind() == "wildcard_import")
    {
        let path = b.text(module).to_owned();
        // Names of Spark's functions and types are not those of topics.
        if !path.starts_with("pyspark.") {
            b.star(path.rsplit('.').next().unwrap_or(&path).to_owned());
        }
    }
    let mut cursor = node.walk();
    let names: Vec<Node<'_>> = node.children_by_field_name("name", &mut cursor).collect();
    for imported in names {
        let alias = imported.child_by_field_name("alias");
        let name = imported.child_by_field_name("name").unwrap_or(imported);
        let (from, what) = match module {
            Some(module) => (last(b, module), last(b, name)),
            None if alias.is_some() => (last(b, name), String::new()),
            None => continue,
        };
        let bound = alias.map_or_else(|| what.clone(), |alias| b.text(alias).to_owned());
        let value = b.expr(imported, Kind::Import(from, what));
        b.bind(bound, Change::Set, value);
    }
}

/// `if __name__ == "__main__":` is executed.
fn is_main_guard(b: &Builder, node: Node<'_>) -> bool {
    node.child_by_field_name("condition")
        .is_some_and(|condition| b.text(condition).contains("__name__"))
}

fn alone(b: &mut Builder, node: Node<'_>) {
    let expr = b.expression(node);
    b.alone(expr);
}

/// `del options["key"]`.
fn delete(b: &mut Builder, node: Node<'_>) {
    for deleted in children(node) {
        let Expr { kind, line, span } = b.expression(deleted);
        if let Kind::Index(base, key) = kind
            && let Some(name) = base.path()
        {
            let kind = Kind::Null;
            b.bind(name, Change::Remove(Some(*key)), Expr { kind, line, span });
        }
    }
}

fn assignment(b: &mut Builder, node: Node<'_>) {
    let Some((left, right)) = sides(node) else {
        return;
    };
    if right.kind() == "assignment" {
        // `a = b = value`
        b.deeper(|b| assignment(b, right));
        if let Some(value) = right.child_by_field_name("right") {
            b.deeper(|b| assign(b, left, value));
        }
        return;
    }
    assign(b, left, right);
}

fn assign(b: &mut Builder, left: Node<'_>, right: Node<'_>) {
    match left.kind() {
        "pattern_list" | "tuple_pattern" | "list_pattern"
            if matches!(right.kind(), "expression_list" | "tuple" | "list")
                && is_one_by_one(b, left, right) =>
        {
            for (left, right) in children(left).into_iter().zip(children(right)) {
                b.deeper(|b| assign(b, left, right));
            }
        }
        "subscript" => {
            let target = b.expression(left);
            let value = b.expression(right);
            match target.kind {
                Kind::Index(base, key) if base.path().is_some() => {
                    let name = base.path().unwrap_or_default();
                    b.bind(name, Change::Insert(*key), value);
                }
                kind => {
                    b.statement(value);
                    b.change_unknown(Expr { kind, ..target });
                }
            }
        }
        "pattern_list" | "tuple_pattern" | "list_pattern" => {
            let value = b.expression(right);
            targets(b, Some(left));
            // `args, others = parser.parse_known_args()`
            match (
                &value.kind,
                children(left).first().map(|first| b.expression(*first)),
            ) {
                (
                    Kind::Call(callee, _),
                    Some(Expr {
                        kind: Kind::Name(name),
                        ..
                    }),
                ) if callee.last_name() == Some("parse_known_args") => {
                    b.bind(name, Change::Set, value);
                }
                _ => b.statement(value),
            }
        }
        _ => {
            let value = b.expression(right);
            let target = b.expression(left);
            match target.path() {
                Some(name) => b.bind(name, Change::Set, value),
                None => {
                    b.statement(value);
                    b.change_unknown(target);
                }
            }
        }
    }
}

/// Whether `left = right` assigns item by item, and none of them is read again: `a, b = b, a` is not.
fn is_one_by_one(b: &mut Builder, left: Node<'_>, right: Node<'_>) -> bool {
    let targets: Vec<String> = children(left)
        .into_iter()
        .map(|target| b.text(target).to_owned())
        .collect();
    let values = b.all(right);
    let mut is_read = false;
    for value in &values {
        value.walk(&mut |e| is_read |= e.path().is_some_and(|path| targets.contains(&path)));
    }
    let is_splat = |text: &String| text.starts_with('*');
    targets.len() == values.len() && !is_read && !targets.iter().any(is_splat)
}

fn augmented(b: &mut Builder, node: Node<'_>) {
    let Some((left, right)) = sides(node) else {
        return;
    };
    let operator = node.child_by_field_name("operator");
    let change = match operator.map(|o| b.text(o)) {
        Some("|=") => Change::Merge,
        Some("+=") => Change::Append,
        _ => {
            alone(b, right);
            let target = b.expression(left);
            return b.change_unknown(target);
        }
    };
    let value = b.expression(right);
    let target = b.expression(left);
    match target.path() {
        Some(name) => b.bind(name, change, value),
        None => {
            b.statement(value);
            b.change_unknown(target);
        }
    }
}

fn decorated(b: &mut Builder, node: Node<'_>) {
    let (decorators, defined): (Vec<_>, Vec<_>) = children(node)
        .into_iter()
        .partition(|child| child.kind() == "decorator");
    let decorators = decorators.into_iter().flat_map(|d| b.all(d)).collect();
    match defined[..] {
        [only] if only.kind() == "function_definition" => function(b, only, decorators),
        [only] if only.kind() == "class_definition" => class(b, only, decorators),
        _ => b.block(node),
    }
}

fn function(b: &mut Builder, node: Node<'_>, decorators: Vec<Expr>) {
    let name = b.named(node);
    let (mut params, mut rest) = (Vec::new(), None);
    for param in node
        .child_by_field_name("parameters")
        .map(children)
        .unwrap_or_default()
    {
        if param.kind() == "dictionary_splat_pattern" {
            rest = children(param).first().map(|name| b.text(*name).to_owned());
            continue;
        }
        let named = param.child_by_field_name("name");
        let plain = if param.kind() == "identifier" {
            Some(param)
        } else {
            children(param).into_iter().next()
        };
        let Some(name) = named.or(plain) else {
            continue;
        };
        let name = b.text(name).to_owned();
        let default = param.child_by_field_name("value").map(|v| b.expression(v));
        params.push((name, default));
    }
    b.scoped(name, ScopeKind::Function, params, |b| {
        b.decorators(decorators);
        b.rest(rest);
        b.body(node);
    });
}

fn class(b: &mut Builder, node: Node<'_>, decorators: Vec<Expr>) {
    let name = b.named(node);
    let list = node.child_by_field_name("superclasses");
    let bases = list.map(|list| b.all(list)).unwrap_or_default();
    let bases = bases
        .iter()
        .map(|base| base.last_name().unwrap_or_default().to_owned())
        .collect();
    b.scoped(name, ScopeKind::Class, Vec::new(), |b| {
        b.decorators(decorators);
        b.bases(bases);
        b.body(node);
    });
}
