//! Classes that read the environment: those of pydantic that extend `BaseSettings`.

use super::lookup::doubted;
use super::{Evaluator, Place, Value};
use crate::convert::syntax::{Argument, Binding, Expr, Kind, Program, Scope, ScopeKind};

/// Longest chain of classes.
const MAX_BASES: usize = 16;

/// What a field of such a class is looked up by.
pub(super) struct Lookup<'e> {
    /// The variable, in whatever case.
    variable: String,
    /// Where its default stands.
    default: Option<(&'e Expr, Place)>,
}

impl<'a> Evaluator<'a> {
    /// The variable that a field of a class is read from. `None` if the class does not read the environment,
    /// `Some(None)` if it is not known by which name it does.
    pub(super) fn variable_of(
        &self,
        program: usize,
        scope: usize,
        name: &str,
    ) -> Option<Option<Lookup<'a>>> {
        if !self.reads_environment(program, scope, MAX_BASES) || name.starts_with("model_") {
            return None;
        }
        let source: &'a Program = self.world.programs.get(program)?;
        let of_field = |b: &&Binding| b.scope == scope && b.name == name;
        let field = source.bindings.iter().find(of_field);
        let default = field.map(|b| {
            let place = Place {
                program,
                scope,
                order: b.order,
            };
            (&b.value, place)
        });
        let own = field.and_then(|b| match &b.value.kind {
            Kind::Call(callee, arguments) if callee.last_name() == Some("Field") => {
                let names = ["validation_alias", "alias", "env"];
                names.iter().find_map(|name| named(arguments, name))
            }
            _ => None,
        });
        let variable = match own {
            Some(Expr {
                kind: Kind::Literal(variable),
                ..
            }) => Some(variable.clone()),
            Some(_) => None,
            None => self
                .prefix(program, scope, MAX_BASES)
                .map(|prefix| format!("{prefix}{name}").to_uppercase()),
        };
        Some(variable.map(|variable| Lookup { variable, default }))
    }

    /// The value of such a field: the variable, or what the class says.
    pub(super) fn looked_up_field(
        &mut self,
        name: &str,
        lookup: Option<Lookup<'_>>,
        of_class: Option<Value>,
        place: Place,
    ) -> Option<Value> {
        let Some(Lookup { variable, default }) = lookup else {
            return Some(doubted(name));
        };
        let mut all = self.world.environment.iter();
        let set = all.find(|(key, _)| key.eq_ignore_ascii_case(&variable));
        if let Some((_, setting)) = set {
            return Some(Value::Text(setting.value.clone()));
        }
        if let Some(value) = self.environment(&variable, place) {
            return Some(value);
        }
        if let (Some(value), Some((expr, place))) = (&of_class, default) {
            self.note_default(&variable, value, expr, place);
        }
        of_class
    }

    /// Whether a validator of a class, or what answers for all of its fields, may change what a field is.
    pub(super) fn is_validated(&self, program: usize, scope: usize, name: &str) -> bool {
        let source = self.world.programs.get(program);
        let scopes = source.map_or(&[][..], |p| &p.scopes);
        let own = || scopes.iter().filter(|s| s.parent == Some(scope));
        let answers = |s: &Scope| matches!(s.name.as_str(), "__getattr__" | "__getattribute__");
        let mut decorators = own().flat_map(|s| &s.decorators);
        own().any(answers)
            || decorators.any(|(_, decorator)| match &decorator.kind {
                Kind::Call(callee, arguments) => match callee.last_name() {
                    Some("root_validator" | "model_validator") => true,
                    Some("validator" | "field_validator") => arguments.iter().any(|a| {
                        let of = literal(&a.value);
                        a.name.is_none() && of.is_none_or(|of| of == name || of == "*")
                    }),
                    _ => false,
                },
                _ => decorator.last_name() == Some("root_validator"),
            })
    }

    fn reads_environment(&self, program: usize, scope: usize, left: usize) -> bool {
        let source = self.world.programs.get(program);
        let Some(class) = source.and_then(|p| p.scopes.get(scope)) else {
            return false;
        };
        class.bases.iter().any(|base| {
            base == "BaseSettings"
                || left.checked_sub(1).is_some_and(|left| {
                    let base = self.class_at(base, program);
                    base.is_some_and(|(program, scope)| {
                        self.reads_environment(program, scope, left)
                    })
                })
        })
    }

    /// What stands before the names of variables; `None` if that is not known.
    fn prefix(&self, program: usize, scope: usize, left: usize) -> Option<String> {
        let source = self.world.programs.get(program)?;
        let class = source.scopes.get(scope)?;
        let inner = source.scopes.iter().position(|s: &Scope| {
            s.parent == Some(scope) && s.kind == ScopeKind::Class && s.name == "Config"
        });
        for binding in &source.bindings {
            if binding.scope == scope && binding.name == "model_config" {
                let of_map = |pairs: &'a [(Option<Expr>, Expr)]| {
                    let is_it =
                        |key: &Expr| matches!(&key.kind, Kind::Literal(k) if k == "env_prefix");
                    pairs
                        .iter()
                        .find(|(key, _)| key.as_ref().is_some_and(is_it))
                        .map(|(_, value)| value)
                };
                let prefix = match &binding.value.kind {
                    Kind::Call(_, arguments) if arguments.iter().any(|a| a.spread) => return None,
                    Kind::Call(_, arguments) => named(arguments, "env_prefix"),
                    Kind::Map(pairs) => of_map(pairs),
                    _ => return None,
                };
                if let Some(prefix) = prefix {
                    return literal(prefix);
                }
            }
            if Some(binding.scope) == inner && binding.name == "env_prefix" {
                return literal(&binding.value);
            }
        }
        let bases = class.bases.iter();
        let mut known = bases.filter_map(|base| self.class_at(base, program));
        match (known.next(), left.checked_sub(1)) {
            (Some((program, scope)), Some(left)) => self.prefix(program, scope, left),
            _ => Some(String::new()),
        }
    }
}

fn literal(expr: &Expr) -> Option<String> {
    match &expr.kind {
        Kind::Literal(text) => Some(text.clone()),
        _ => None,
    }
}

fn named<'e>(arguments: &'e [Argument], name: &str) -> Option<&'e Expr> {
    let mut all = arguments.iter();
    all.find(|a| a.name.as_deref() == Some(name))
        .map(|a| &a.value)
}
