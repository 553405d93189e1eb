//! Statements that change what a name is, in the words of Python's and Scala's collections.

use super::tree::Builder;
use crate::convert::syntax::{Argument, Change, Expr, Kind};

/// Methods that change what they are called on in a way that is not followed.
const OTHERS: [&str; 12] = [
    "clear",
    "popitem",
    "insert",
    "reverse",
    "sort",
    "discard",
    "prepend",
    "removeAll",
    "subtractOne",
    "subtractAll",
    "filterInPlace",
    "mapValuesInPlace",
];

impl Builder {
    /// Notes an expression that stands alone: it may change what a name is.
    pub(super) fn alone(&mut self, expr: Expr) {
        let Some((name, method)) = called(&expr) else {
            return self.statement(expr);
        };
        // What is set in the environment is looked up by name.
        if name == "os.environ" && method != "update" {
            return self.statement(expr);
        }
        let Expr { kind, line, span } = expr;
        let Kind::Call(callee, arguments) = kind else {
            return;
        };
        let expr = |kind: Kind| Expr {
            kind,
            line,
            span: span.clone(),
        };
        let is_plain = arguments.iter().all(|a| a.name.is_none() && !a.spread);
        let count = arguments.len();
        let mut values = arguments.into_iter();
        let next = |values: &mut dyn Iterator<Item = Argument>| {
            values.next().map_or_else(|| expr(Kind::Null), |a| a.value)
        };
        let (change, value) = match (method.as_str(), count) {
            ("append" | "addOne" | "add", 1) if is_plain => {
                let item = next(&mut values);
                (Change::Append, expr(Kind::List(vec![item])))
            }
            ("extend" | "addAll" | "appendAll" | "putAll", 1) if is_plain => {
                (Change::Append, next(&mut values))
            }
            ("put" | "update", 2) if is_plain => {
                let key = next(&mut values);
                (Change::Insert(key), next(&mut values))
            }
            ("setdefault" | "putIfAbsent", 2) if is_plain => {
                let key = next(&mut values);
                (Change::Default(key), next(&mut values))
            }
            ("update", _) => {
                let literal = |name: String| expr(Kind::Literal(name));
                let pairs = values.map(|a| (a.name.map(literal), a.value)).collect();
                (Change::Merge, expr(Kind::Map(pairs)))
            }
            ("pop" | "remove", 1..) => {
                let key = next(&mut values);
                (Change::Remove(Some(key)), expr(Kind::Null))
            }
            (other, _) if OTHERS.contains(&other) => (Change::Remove(None), expr(Kind::Null)),
            _ => {
                let kind = Kind::Call(callee, values.collect());
                return self.statement(expr(kind));
            }
        };
        self.bind(name, change, value);
    }
}

/// The name that a method is called on, and the method.
fn called(expr: &Expr) -> Option<(String, String)> {
    let Kind::Call(callee, _) = &expr.kind else {
        return None;
    };
    match &callee.kind {
        Kind::Member(base, method) => Some((base.path()?, method.clone())),
        _ => None,
    }
}
