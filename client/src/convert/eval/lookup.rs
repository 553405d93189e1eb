//! Follows names to where they are assigned.

use super::{Evaluator, Frame, Place, Value};
use crate::convert::model::Text;
use crate::convert::syntax::{Argument, Binding, Expr, Kind, Program, Scope, ScopeKind};

/// Most calls of a function that are looked at.
const MAX_CALLS: usize = 32;

impl Evaluator<'_> {
    /// What a name is at this place.
    pub(super) fn name(&mut self, name: &str, place: Place) -> Option<Value> {
        let program = self.program(place)?;
        let mut at = Some(place.scope);
        while let Some(index) = at {
            let scope = program.scopes.get(index)?;
            if let Some(value) = self.assigned(program, name, index, place) {
                return Some(value);
            }
            if let Some((_, default)) = scope.params.iter().find(|(n, _)| n == name) {
                return self.parameter(program, index, name, default.as_ref(), place);
            }
            if scope.rest.as_deref() == Some(name) {
                return self.parameter(program, index, name, None, place);
            }
            at = scope.parent;
        }
        self.class_named(name, place)
            .or_else(|| self.without_parameters(program, name, place))
            .or_else(|| self.elsewhere(name, place))
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
        let visible = |b: &&Binding| {
            b.scope == scope && b.name == name && (scope != place.scope || b.order < place.order)
        };
        let all: Vec<&Binding> = program.bindings.iter().filter(visible).collect();
        self.outcome(&all, place)
    }

    /// A parameter: what the call gives it, or all calls in the file, or its default.
    fn parameter(
        &mut self,
        program: &Program,
        scope: usize,
        name: &str,
        default: Option<&Expr>,
        place: Place,
    ) -> Option<Value> {
        let of_frame = self
            .frames
            .iter()
            .rev()
            .find(|f| f.program == place.program && f.scope == scope)
            .and_then(|f| f.values.iter().find(|(n, _)| n == name));
        if let Some((_, value)) = of_frame {
            return Some(value.clone());
        }
        let mut values = Vec::new();
        for frame in self.frames_of(place.program, scope) {
            let given = frame.values.into_iter().find(|(n, _)| n == name);
            values.extend(given.map(|(_, value)| value));
        }
        if values.is_empty() {
            let default = default?;
            let value = self.eval(
                default,
                Place {
                    scope: 0,
                    order: usize::MAX,
                    ..place
                },
            );
            if let Some(text) = value.to_text().value()
                && !crate::convert::secrets::is_secret(name)
            {
                let function = program.scopes.get(scope).map_or("", |s| s.name.as_str());
                let note = format!(
                    "{}:{}: {function} is not called with {name}: its default \"{}\" is taken",
                    program.file,
                    default.line,
                    crate::convert::secrets::shown(&text)
                );
                self.notes.push(note);
            }
            return Some(value);
        }
        Value::agreed(values)
    }

    /// The parameters of a function for each of its calls in the file.
    pub fn frames_of(&mut self, program: usize, scope: usize) -> Vec<Frame> {
        let Some(source) = self.world.programs.get(program) else {
            return Vec::new();
        };
        let Some(function) = source.scopes.get(scope).filter(|s| !s.params.is_empty()) else {
            return Vec::new();
        };
        // A constructor is called by the name of its class.
        let class = function.parent.and_then(|p| source.scopes.get(p));
        let name = match (function.name.as_str(), class) {
            ("__init__", Some(class)) => class.name.as_str(),
            (name, _) => name,
        };
        let mut calls: Vec<(Place, &[Argument])> = Vec::new();
        for (index, caller) in self.world.programs.iter().enumerate() {
            self.work += caller.source.len();
            for (at, order, expr) in caller.expressions() {
                // Recursion says nothing about the first call.
                if (index, at) != (program, scope) {
                    let place = Place {
                        program: index,
                        scope: at,
                        order,
                    };
                    find_calls(expr, name, &mut |arguments| calls.push((place, arguments)));
                }
            }
        }
        calls.truncate(MAX_CALLS);
        let bound = calls.into_iter().map(|(place, arguments)| {
            let values = self.bind(function, arguments, place);
            Frame {
                program,
                scope,
                values,
            }
        });
        bound.collect()
    }

    /// Gives parameters the values of a call's arguments; `self` and the like take none.
    pub(super) fn bind(
        &mut self,
        of: &Scope,
        arguments: &[Argument],
        place: Place,
    ) -> Vec<(String, Value)> {
        let mut names = of
            .params
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !matches!(name.as_str(), "self" | "cls"));
        let mut values = Vec::new();
        for argument in arguments {
            let name = argument.name.clone().or_else(|| names.next().cloned());
            let value = self.eval(&argument.value, place);
            match (argument.spread, value, name) {
                (true, Value::Map(entries), _) => {
                    values.extend(entries.into_iter().filter_map(|e| Some((e.key?, e.value))))
                }
                (_, value, Some(name)) => {
                    let source = self.source(&argument.value, place);
                    values.push((name, value.or_source(&source)));
                }
                (_, _, None) => {}
            }
        }
        let Some(rest) = &of.rest else { return values };
        let is_param = |name: &String| of.params.iter().any(|(param, _)| param == name);
        let (mut values, others): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|(name, _)| is_param(name));
        let mut map = Value::Map(Vec::new());
        for (name, value) in others {
            map.insert(Some(name), value, 0);
        }
        values.push((rest.clone(), map));
        values
    }

    /// A class or object of this name.
    fn class_named(&self, name: &str, place: Place) -> Option<Value> {
        let files = self.world.programs.iter().enumerate();
        // The own file first.
        let mut files: Vec<_> = files.collect();
        files.sort_by_key(|(i, _)| *i != place.program);
        files.into_iter().find_map(|(program, source)| {
            let is_it =
                |s: &crate::convert::syntax::Scope| s.kind == ScopeKind::Class && s.name == name;
            let scope = source.scopes.iter().position(is_it)?;
            Some(Value::Object {
                program,
                scope,
                fields: Vec::new(),
            })
        })
    }

    /// Scala's `def topic = "x"`, and functions whose result is an expression.
    fn without_parameters(&mut self, program: &Program, name: &str, place: Place) -> Option<Value> {
        let is_it = |s: &crate::convert::syntax::Scope| {
            s.kind == ScopeKind::Function && s.name == name && s.params.is_empty()
        };
        let scope = program.scopes.iter().position(is_it)?;
        self.result(Place { scope, ..place })
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
            return value;
        }
        let own =
            matches!(&base.kind, Kind::Name(n) if matches!(n.as_str(), "self" | "this" | "cls"));
        let base_value = if own {
            self.own_class(place)
        } else {
            Some(self.eval(base, place))
        };
        let value = match base_value {
            Some(Value::Object {
                program,
                scope,
                fields,
            }) => self.field(program, scope, &fields, name),
            Some(map @ Value::Map(_)) => map.get(name),
            _ => self
                .of_module(base, name, place)
                .or_else(|| self.flag(name, place)),
        };
        value.unwrap_or(unknown)
    }

    /// `self.topic`, `config.topic` where the path itself is assigned.
    fn assigned_path(&mut self, path: &str, place: Place) -> Option<Value> {
        let program = self.program(place)?;
        self.assigned(program, path, place.scope, place)
    }

    fn own_class(&self, place: Place) -> Option<Value> {
        let program = self.program(place)?;
        let scope = program.enclosing(place.scope, ScopeKind::Class)?;
        Some(Value::Object {
            program: place.program,
            scope,
            fields: Vec::new(),
        })
    }

    /// A field of an object: what its constructor was given, or what its class assigns.
    fn field(
        &mut self,
        program: usize,
        scope: usize,
        fields: &[super::value::Entry],
        name: &str,
    ) -> Option<Value> {
        if let Some(entry) = fields.iter().find(|e| e.key.as_deref() == Some(name)) {
            return Some(entry.value.clone());
        }
        let source = self.world.programs.get(program)?;
        let class = source.scopes.get(scope)?;
        let place = Place {
            program,
            scope,
            order: usize::MAX,
        };
        let in_self = format!("self.{name}");
        let of_class = |b: &&Binding| {
            (b.scope == scope && b.name == name)
                || (b.name == in_self
                    && source
                        .scopes
                        .get(b.scope)
                        .is_some_and(|s| s.parent == Some(scope)))
        };
        let all: Vec<&Binding> = source.bindings.iter().filter(of_class).collect();
        if let Some(value) = self.outcome(&all, place) {
            return Some(value);
        }
        if let Some((_, default)) = class.params.iter().find(|(n, _)| n == name) {
            return self.parameter(source, scope, name, default.as_ref(), place);
        }
        let method = source.scopes.iter().position(|s| {
            s.parent == Some(scope) && s.name == name && s.kind == ScopeKind::Function
        })?;
        self.result(Place {
            program,
            scope: method,
            order: usize::MAX,
        })
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
        let index = self.world.programs.iter().position(|p| {
            let stem = std::path::Path::new(&p.file).file_stem();
            stem.and_then(|s| s.to_str()) == Some(module)
        })?;
        let place = Place {
            program: index,
            scope: 0,
            order: usize::MAX,
        };
        self.assigned(self.world.programs.get(index)?, name, 0, place)
    }
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
