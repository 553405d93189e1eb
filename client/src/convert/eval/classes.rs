//! Members of objects: what a constructor was given, what a class assigns, what its methods return.
//! Where only the class is known that a text stands in, all classes that extend it must agree.

use super::doubts::is_method;
use super::lookup::{doubted, only};
use super::value::Entry;
use super::{Evaluator, Frame, Place, Value};
use crate::convert::syntax::{Argument, Binding, Change, Expr, Kind, Program, ScopeKind};

/// Deepest chain of classes.
const MAX_BASES: usize = 16;

impl Evaluator<'_> {
    /// The class that `self` or `this` is of, as far as the text says.
    pub(super) fn own_class(&self, base: &Expr, place: Place) -> Option<(usize, usize)> {
        let Kind::Name(name) = &base.kind else {
            return None;
        };
        if !matches!(name.as_str(), "self" | "this" | "cls") {
            return None;
        }
        let program = self.program(place)?;
        let scope = program.enclosing(place.scope, ScopeKind::Class)?;
        Some((place.program, scope))
    }

    /// The only class or object of this name, in the own file or else in all files.
    pub(super) fn class_named(&self, name: &str, place: Place) -> Option<Value> {
        let (program, scope) = self.class_at(name, place.program)?;
        let fields = None;
        Some(Value::Object {
            program,
            scope,
            fields,
        })
    }

    pub(super) fn class_at(&self, name: &str, own: usize) -> Option<(usize, usize)> {
        let mut found = Vec::new();
        for (index, program) in self.world.programs.iter().enumerate() {
            for (scope, s) in program.scopes.iter().enumerate() {
                if s.kind == ScopeKind::Class && s.name == name {
                    found.push((index, scope));
                }
            }
        }
        if found.iter().any(|(index, _)| *index == own) {
            found.retain(|(index, _)| *index == own);
        }
        match found[..] {
            [only] => Some(only),
            _ => None,
        }
    }

    /// The classes of the files that extend a class.
    fn extending(&self, program: usize, scope: usize) -> Vec<(usize, usize)> {
        let mut names: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        let class = self.world.programs.get(program);
        names.extend(
            class
                .and_then(|p| p.scopes.get(scope))
                .map(|s| s.name.as_str()),
        );
        for _ in 0..MAX_BASES {
            let before = found.len();
            for (index, program) in self.world.programs.iter().enumerate() {
                for (at, s) in program.scopes.iter().enumerate() {
                    let extends = s.bases.iter().any(|base| names.contains(&base.as_str()));
                    if extends && !found.contains(&(index, at)) {
                        found.push((index, at));
                        names.push(&s.name);
                    }
                }
            }
            if found.len() == before {
                break;
            }
        }
        found
    }

    /// Whether a function is the constructor of a class that others extend.
    pub(super) fn is_extended(&self, program: usize, scope: usize) -> bool {
        let Some(source) = self.world.programs.get(program) else {
            return false;
        };
        let class = match source.scopes.get(scope) {
            Some(s) if s.kind == ScopeKind::Class => Some(scope),
            Some(s) if s.name == "__init__" => s.parent,
            _ => None,
        };
        class.is_some_and(|class| !self.extending(program, class).is_empty())
    }

    /// Whether a class itself says something about a member.
    pub(super) fn defines(&self, program: usize, scope: usize, name: &str) -> bool {
        let Some(source) = self.world.programs.get(program) else {
            return false;
        };
        let in_self = [format!("self.{name}"), format!("this.{name}")];
        source.bindings.iter().any(|b| {
            (b.scope == scope && b.name == name)
                || (in_self.contains(&b.name)
                    && source.enclosing(b.scope, ScopeKind::Class) == Some(scope))
        }) || source
            .scopes
            .iter()
            .any(|s| s.parent == Some(scope) && s.kind == ScopeKind::Function && s.name == name)
            || source
                .scopes
                .get(scope)
                .is_some_and(|s| s.params.iter().any(|(p, _)| p == name))
    }

    /// A member of `self`: its class is this one, or one that extends it.
    pub(super) fn own_member(&mut self, program: usize, scope: usize, name: &str) -> Option<Value> {
        let value = self.field(program, scope, None, name)?;
        for (program, scope) in self.extending(program, scope) {
            if self.defines(program, scope, name)
                && self.field(program, scope, None, name).as_ref() != Some(&value)
            {
                return None;
            }
        }
        Some(value)
    }

    /// A field of an object: what its constructor was given, or what its class assigns.
    pub(super) fn field(
        &mut self,
        program: usize,
        scope: usize,
        fields: Option<&[Entry]>,
        name: &str,
    ) -> Option<Value> {
        let source = self.world.programs.get(program)?;
        let class = source.scopes.get(scope)?;
        if self.is_validated(program, scope, name) {
            return Some(doubted(name));
        }
        let init = constructor(source, scope);
        if init.is_none()
            && let Some(fields) = fields
        {
            if let Some(entry) = fields.iter().find(|e| e.key.as_deref() == Some(name)) {
                return Some(entry.value.clone());
            }
            if fields.iter().any(|e| e.key.is_none()) {
                return Some(doubted(name));
            }
        }
        let values = fields.unwrap_or_default().iter();
        let values = values.filter_map(|e| Some((e.key.clone()?, e.value.clone())));
        let frame = fields.and(Some(Frame {
            program,
            scope: init.unwrap_or(scope),
            values: values.collect(),
        }));
        let frames = self.frames.len();
        self.frames.extend(frame);
        let value = self.field_of_class(program, scope, name);
        self.frames.truncate(frames);
        if let Some(lookup) = self.variable_of(program, scope, name)
            && !self.is_function_of(program, scope, name)
        {
            let place = Place {
                program,
                scope,
                order: usize::MAX,
            };
            let value = self.looked_up_field(name, lookup, value, place);
            if value.is_some() {
                return value;
            }
        } else if value.is_some() {
            return value;
        }
        if let Some((_, default)) = class.params.iter().find(|(n, _)| n == name) {
            let place = Place {
                program,
                scope,
                order: usize::MAX,
            };
            return self.parameter(source, scope, name, default.as_ref(), place);
        }
        let is_method = |s: &crate::convert::syntax::Scope| {
            s.parent == Some(scope) && s.name == name && s.kind == ScopeKind::Function
        };
        if let Some(scope) = only(&source.scopes, is_method) {
            return self.result(Place {
                program,
                scope,
                order: usize::MAX,
            });
        }
        // What a class does not say, the one that it extends does.
        let [base] = &class.bases[..] else {
            return None;
        };
        let (program, scope) = self.class_at(base, program)?;
        self.depth += 1;
        let value = (self.depth < super::MAX_DEPTH)
            .then(|| self.field(program, scope, fields, name))
            .flatten();
        self.depth -= 1;
        value
    }

    /// Whether a class has a function of this name: a property, or a method.
    fn is_function_of(&self, program: usize, scope: usize, name: &str) -> bool {
        let source = self.world.programs.get(program);
        source.is_some_and(|p| {
            p.scopes
                .iter()
                .any(|s| s.parent == Some(scope) && s.kind == ScopeKind::Function && s.name == name)
        })
    }

    /// What the body, the constructor and the methods of a class assign to a field: which methods were
    /// called, only the run knows.
    fn field_of_class(&mut self, program: usize, scope: usize, name: &str) -> Option<Value> {
        let source = self.world.programs.get(program)?;
        let place = Place {
            program,
            scope,
            order: usize::MAX,
        };
        let in_self = [
            format!("self.{name}"),
            format!("this.{name}"),
            format!("cls.{name}"),
        ];
        let of_class = |b: &&Binding| {
            (b.scope == scope && b.name == name)
                || (in_self.contains(&b.name)
                    && source.enclosing(b.scope, ScopeKind::Class) == Some(scope))
        };
        let all: Vec<&Binding> = source.bindings.iter().filter(of_class).collect();
        if all.is_empty() {
            return None;
        }
        let (late, early): (Vec<&Binding>, Vec<&Binding>) =
            all.into_iter().partition(|b| is_method(source, b.scope));
        let mut values = Vec::new();
        if !early.is_empty() {
            values.push(self.outcome(&early, place).unwrap_or_else(|| doubted(name)));
        }
        let mut scopes: Vec<usize> = late.iter().map(|b| b.scope).collect();
        scopes.dedup();
        for at in scopes {
            let group: Vec<&Binding> = late.iter().filter(|b| b.scope == at).copied().collect();
            values.push(self.outcome(&group, place).unwrap_or_else(|| doubted(name)));
        }
        let value = match &values[..] {
            [only] => only.clone(),
            _ => Value::agreed(values).unwrap_or_else(|| doubted(name)),
        };
        let is_text = matches!(value, Value::Text(_) | Value::Null);
        let is_changed = self.doubts.name(program, scope, name)
            || !is_text && (self.doubts.is_loose(name) || self.doubts.content(scope, name, place));
        Some(if is_changed { doubted(name) } else { value })
    }

    /// Whether what a path was assigned to is another object by now, or a method may have set it again.
    pub(super) fn is_set_again(&self, base: &Expr, path: &str, place: Place) -> bool {
        let Some(program) = self.program(place) else {
            return false;
        };
        let here = |b: &&Binding| b.scope == place.scope && b.order < place.order;
        let of_path = |b: &&Binding| b.name == path && matches!(b.change, Change::Set);
        let bindings = program.bindings.iter();
        let set = bindings.filter(here).filter(of_path).map(|b| b.order).max();
        let base = base.path();
        let is_other = |b: &Binding| {
            Some(&b.name) == base.as_ref() && matches!(b.change, Change::Set) && Some(b.order) > set
        };
        let is_method =
            |b: &Binding| b.name == path && b.scope != place.scope && is_method(program, b.scope);
        program.bindings.iter().filter(here).any(is_other)
            || program.bindings.iter().any(is_method)
            || self.doubts.is_loose(path)
    }

    /// A method of an object of the files; `None` if `base` is none, `Some(None)` if it is not known.
    pub(super) fn method_of_class(
        &mut self,
        base: &Expr,
        name: &str,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Option<Value>> {
        let own = self.own_class(base, place);
        let (program, scope) = match own {
            Some(class) => class,
            None => match self.eval(base, place) {
                Value::Object { program, scope, .. } => (program, scope),
                _ => return None,
            },
        };
        if own.is_some() {
            let extending = self.extending(program, scope);
            if extending.iter().any(|(p, s)| self.defines(*p, *s, name)) {
                return Some(self.own_member(program, scope, name));
            }
        }
        Some(self.method_at(program, scope, name, arguments, place, MAX_BASES))
    }

    fn method_at(
        &mut self,
        program: usize,
        scope: usize,
        name: &str,
        arguments: &[Argument],
        place: Place,
        left: usize,
    ) -> Option<Value> {
        let source = self.world.programs.get(program)?;
        let mut methods = source.scopes.iter().enumerate().filter(|(_, s)| {
            s.parent == Some(scope) && s.kind == ScopeKind::Function && s.name == name
        });
        match (methods.next(), methods.next()) {
            (Some((at, _)), None) => self.called(program, at, arguments, place),
            (None, _) => {
                let [base] = &source.scopes.get(scope)?.bases[..] else {
                    return None;
                };
                let (program, scope) = self.class_at(base, program)?;
                let left = left.checked_sub(1)?;
                self.method_at(program, scope, name, arguments, place, left)
            }
            _ => None,
        }
    }

    /// An object of a class of the files.
    pub(super) fn constructed(
        &mut self,
        program: usize,
        scope: usize,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Value> {
        let source = self.world.programs.get(program)?;
        let class = source.scopes.get(scope)?;
        let of = constructor(source, scope).and_then(|init| source.scopes.get(init));
        let (given, hidden) = self.bound(of.unwrap_or(class), arguments, place);
        let given = given.into_iter().map(|(name, value)| (Some(name), value));
        let hidden = hidden.into_iter().map(|value| (None, value));
        let fields = given.chain(hidden).map(|(key, value)| Entry {
            key,
            value,
            line: 0,
        });
        let fields = Some(fields.collect());
        Some(Value::Object {
            program,
            scope,
            fields,
        })
    }

    /// A function of the files that returns an expression: the one that is visible, or the only one.
    pub(super) fn own_function(
        &mut self,
        callee: &Expr,
        name: &str,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Value> {
        let is_function =
            |s: &&crate::convert::syntax::Scope| s.kind == ScopeKind::Function && s.name == name;
        let mut at = matches!(callee.kind, Kind::Name(_)).then_some(place.scope);
        let source = self.program(place)?;
        while let Some(scope) = at {
            let mut here = source.scopes.iter().enumerate();
            if here.any(|(_, s)| s.parent == Some(scope) && is_function(&s)) {
                let is_it =
                    |s: &crate::convert::syntax::Scope| s.parent == Some(scope) && is_function(&s);
                let function = only(&source.scopes, is_it)?;
                let extending = self.extending(place.program, scope);
                if extending.iter().any(|(p, s)| self.defines(*p, *s, name)) {
                    return None;
                }
                return self.called(place.program, function, arguments, place);
            }
            at = source.scopes.get(scope)?.parent;
        }
        let mut found = Vec::new();
        for (index, program) in self.world.programs.iter().enumerate() {
            let all = program.scopes.iter().enumerate();
            found.extend(
                all.filter(|(_, s)| is_function(s))
                    .map(|(scope, _)| (index, scope)),
            );
        }
        match found[..] {
            [(program, scope)] => self.called(program, scope, arguments, place),
            _ => None,
        }
    }

    fn called(
        &mut self,
        program: usize,
        scope: usize,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Value> {
        let function = self.world.programs.get(program)?.scopes.get(scope)?;
        let values = self.bind(function, arguments, place);
        self.frames.push(Frame {
            program,
            scope,
            values,
        });
        let value = self.result(Place {
            program,
            scope,
            order: usize::MAX,
        });
        self.frames.pop();
        value
    }
}

/// Python's constructor of a class.
fn constructor(program: &Program, class: usize) -> Option<usize> {
    let is_it = |s: &crate::convert::syntax::Scope| s.parent == Some(class) && s.name == "__init__";
    only(&program.scopes, is_it)
}
