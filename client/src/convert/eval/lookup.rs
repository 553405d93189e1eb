//! Follows names to where they are assigned.

use super::{Evaluator, Place, Value};
use crate::convert::model::Text;
use crate::convert::syntax::{Argument, Binding, Change, Expr, Kind, Program, Scope, ScopeKind};

impl Evaluator<'_> {
    /// What a name is at this place.
    pub(super) fn name(&mut self, name: &str, place: Place) -> Option<Value> {
        let program = self.program(place)?;
        let mut at = Some(place.scope);
        while let Some(index) = at {
            let scope = program.scopes.get(index)?;
            let param = scope.params.iter().find(|(n, _)| n == name);
            if param.is_some() || scope.rest.as_deref() == Some(name) {
                let default = param.and_then(|(_, default)| default.as_ref());
                return self.parameter_now(program, index, name, default, place);
            }
            let is_member = scope.kind == ScopeKind::Class && index != place.scope;
            if is_member && self.defines(place.program, index, name) {
                return self.own_member(place.program, index, name);
            }
            if let Some(value) = self.assigned(program, name, index, place) {
                return Some(value);
            }
            if let Some(value) = self.without_parameters(program, name, index, place) {
                return Some(value);
            }
            at = scope.parent;
        }
        self.class_named(name, place)
            .or_else(|| self.elsewhere(name, place))
    }

    /// A parameter after what the function does to it.
    fn parameter_now(
        &mut self,
        program: &Program,
        scope: usize,
        name: &str,
        default: Option<&Expr>,
        place: Place,
    ) -> Option<Value> {
        let all = visible(program, name, scope, place);
        let is_set = |b: &&&Binding| matches!(b.change, Change::Set);
        if all.iter().filter(is_set).any(|b| !b.conditional) {
            return self.assigned(program, name, scope, place);
        }
        let given = self.parameter(program, scope, name, default, place)?;
        let value = if all.iter().any(|b| matches!(b.change, Change::Set)) {
            let set = self.outcome(&all, place)?;
            Value::agreed(vec![given, set])?
        } else {
            self.changed(given, &all, place)
        };
        Some(self.unless_changed(program, value, name, scope, place))
    }

    /// What the assignments in one scope make of a name.
    fn assigned(
        &mut self,
        program: &Program,
        name: &str,
        scope: usize,
        place: Place,
    ) -> Option<Value> {
        self.work += program.bindings.len();
        let all = visible(program, name, scope, place);
        let value = self.outcome(&all, place)?;
        let last = all.last().map_or(0, |b| b.order);
        if self.starred(program, scope, name, last) {
            return Some(doubted(name));
        }
        Some(self.unless_changed(program, value, name, scope, place))
    }

    /// The value of a name, unless something that is not followed may have changed it.
    fn unless_changed(
        &self,
        program: &Program,
        value: Value,
        name: &str,
        scope: usize,
        place: Place,
    ) -> Value {
        let is_whole = matches!(value, Value::Text(_) | Value::Null | Value::Parsed { .. });
        // An imported name is a copy: what it stands for is that of its module.
        let is_import = |b: &Binding| {
            b.scope == scope && b.name == name && matches!(b.value.kind, Kind::Import(..))
        };
        let is_own = !program.bindings.iter().any(is_import);
        let is_changed = self.doubts.name(place.program, scope, name) && is_own
            || !is_whole && self.doubts.content(scope, name, place);
        if is_changed { doubted(name) } else { value }
    }

    /// Whether a later import of all names of a module may have set this one.
    fn starred(&self, program: &Program, scope: usize, name: &str, since: usize) -> bool {
        let may_set = |module: &str| {
            let mut there = self.world.programs.iter().filter(|p| is_module(p, module));
            there.next().is_none_or(|p| {
                !p.stars.is_empty() || p.bindings.iter().any(|b| b.scope == 0 && b.name == name)
            })
        };
        let mut stars = program.stars.iter();
        stars.any(|(at, order, module)| *at == scope && *order > since && may_set(module))
    }

    /// Scala's `def topic = "x"` in this scope.
    fn without_parameters(
        &mut self,
        program: &Program,
        name: &str,
        scope: usize,
        place: Place,
    ) -> Option<Value> {
        let is_it = |s: &Scope| {
            s.kind == ScopeKind::Function
                && s.name == name
                && s.params.is_empty()
                && s.parent == Some(scope)
        };
        let scope = only(&program.scopes, is_it)?;
        let order = usize::MAX;
        self.result(Place {
            scope,
            order,
            ..place
        })
    }

    /// What the function that is the scope of `place` returns.
    pub(super) fn result(&mut self, place: Place) -> Option<Value> {
        let program = self.program(place)?;
        let function = program.scopes.get(place.scope)?;
        let mut values = Vec::new();
        for (order, expr) in &function.returns {
            values.push(self.eval(
                expr,
                Place {
                    order: *order,
                    ..place
                },
            ));
        }
        match &values[..] {
            [_] => values.pop(),
            _ => Value::agreed(values),
        }
    }

    /// A name that another of the files gives a value, if all that do agree.
    fn elsewhere(&mut self, name: &str, place: Place) -> Option<Value> {
        let mut values = Vec::new();
        for (index, program) in self.world.programs.iter().enumerate() {
            if index != place.program {
                let there = Place {
                    program: index,
                    scope: 0,
                    order: usize::MAX,
                };
                values.extend(self.assigned(program, name, 0, there));
            }
        }
        Value::agreed(values)
    }

    /// `base.name`.
    pub(super) fn member(&mut self, expr: &Expr, base: &Expr, name: &str, place: Place) -> Value {
        let unknown = self.unknown(expr, place);
        if matches!(
            name,
            "toString"
                | "trim"
                | "stripMargin"
                | "get"
                | "toInt"
                | "toLong"
                | "toBoolean"
                | "value"
        ) {
            let value = self.eval(base, place);
            if let Value::Text(text) = &value
                && let Some(known) = text.value()
            {
                return Value::Text(Text::known(super::call::cleaned(name, &known)));
            }
        }
        if let Some(path) = expr.path()
            && let Some(value) = self.assigned_path(&path, place)
        {
            let is_doubt = self.doubts.field(name, Some((&path, place)))
                || self.is_set_again(base, &path, place);
            return if is_doubt { unknown } else { value };
        }
        if self.doubts.field(name, None) {
            return unknown;
        }
        let base_value = match self.own_class(base, place) {
            Some((program, scope)) => {
                return self.own_member(program, scope, name).unwrap_or(unknown);
            }
            None => Some(self.eval(base, place)),
        };
        let value = match base_value {
            Some(Value::Object {
                program,
                scope,
                fields,
            }) => self.field(program, scope, fields.as_deref(), name),
            Some(map @ Value::Map(_)) => map.get(name),
            Some(Value::Parsed { program, words }) => self.flag(name, program, words.as_deref()),
            _ => self.of_module(base, name, place),
        };
        value.unwrap_or(unknown)
    }

    /// `self.topic`, `config.topic` where the path itself is assigned.
    fn assigned_path(&mut self, path: &str, place: Place) -> Option<Value> {
        let program = self.program(place)?;
        self.assigned(program, path, place.scope, place)
    }

    /// `config.TOPIC` where config.py is one of the files, also by another name.
    fn of_module(&mut self, base: &Expr, name: &str, place: Place) -> Option<Value> {
        let module = base.last_name()?;
        let bindings = &self.program(place)?.bindings;
        let alias = bindings.iter().find_map(|b| match &b.value.kind {
            Kind::Import(module, of) if b.name == module_name(base)? && of.is_empty() => {
                Some(module.as_str())
            }
            _ => None,
        });
        self.imported(alias.unwrap_or(module), name)
    }

    /// What one of the files calls by this name.
    pub(super) fn imported(&mut self, module: &str, name: &str) -> Option<Value> {
        let mut programs = self.world.programs.iter();
        let index = programs.position(|p| is_module(p, module))?;
        let place = Place {
            program: index,
            scope: 0,
            order: usize::MAX,
        };
        self.assigned(self.world.programs.get(index)?, name, 0, place)
    }
}

/// A value that something which is not followed may have changed.
pub(super) fn doubted(name: &str) -> Value {
    let ask = format!("{name}, which may be changed where it is not followed");
    Value::Text(Text::unknown(ask))
}

fn is_module(program: &Program, module: &str) -> bool {
    let stem = std::path::Path::new(&program.file).file_stem();
    stem.and_then(|s| s.to_str()) == Some(module)
}

/// What is done to a name of a scope before `place`.
fn visible<'p>(program: &'p Program, name: &str, scope: usize, place: Place) -> Vec<&'p Binding> {
    let is_it = |b: &&Binding| {
        b.scope == scope && b.name == name && (scope != place.scope || b.order < place.order)
    };
    program.bindings.iter().filter(is_it).collect()
}

/// The only scope of this kind.
pub(super) fn only(scopes: &[Scope], is_it: impl Fn(&Scope) -> bool) -> Option<usize> {
    let mut all = scopes.iter().enumerate().filter(|(_, s)| is_it(s));
    let (found, _) = all.next()?;
    all.next().is_none().then_some(found)
}

/// A name that stands alone.
fn module_name(base: &Expr) -> Option<&str> {
    match &base.kind {
        Kind::Name(name) => Some(name),
        _ => None,
    }
}

pub(super) fn at(binding: &Binding, place: Place) -> Place {
    Place {
        program: place.program,
        scope: binding.scope,
        order: binding.order,
    }
}

/// Calls `found` with the arguments of all calls of `name` in an expression.
pub(super) fn find_calls<'e>(expr: &'e Expr, name: &str, found: &mut dyn FnMut(&'e [Argument])) {
    expr.walk(&mut |e| {
        if let Kind::Call(callee, arguments) = &e.kind
            && callee.last_name() == Some(name)
        {
            found(arguments);
        }
    });
}
