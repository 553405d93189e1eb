//! What the calls of a function give its parameters.

use super::lookup::find_calls;
use super::{Evaluator, Frame, Place, Value};
use crate::convert::syntax::{Argument, Binding, Expr, Kind, Program, Scope};

/// Most calls of a function that are looked at.
const MAX_CALLS: usize = 32;

impl Evaluator<'_> {
    /// A parameter: what the call gives it, or all calls in the file, or its default.
    pub(super) fn parameter(
        &mut self,
        program: &Program,
        scope: usize,
        name: &str,
        default: Option<&Expr>,
        place: Place,
    ) -> Option<Value> {
        let of_call = |f: &&Frame| f.program == place.program && f.scope == scope;
        let frame = self.frames.iter().rev().find(of_call);
        let of_frame = frame.map(|f| f.values.iter().find(|(n, _)| n == name));
        if let Some(Some((_, value))) = of_frame {
            return Some(value.clone());
        }
        let is_called = of_frame.is_some();
        if !is_called && self.is_extended(place.program, scope) {
            // What the classes that extend this one pass on is not followed.
            return None;
        }
        let frames = match is_called {
            true => Vec::new(),
            false => self.frames_of(place.program, scope),
        };
        let is_uncalled = !is_called && frames.is_empty();
        if let Some(value) = self.started_with(place.program, scope, name, is_uncalled) {
            return value;
        }
        let mut values = Vec::new();
        for frame in frames {
            let given = frame.values.into_iter().find(|(n, _)| n == name);
            values.push(given.map(|(_, value)| value));
        }
        if values.iter().all(Option::is_none) {
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
        let there = Place {
            scope: 0,
            order: usize::MAX,
            ..place
        };
        let values = values.into_iter().map(|given| match (given, default) {
            (Some(value), _) => Some(value),
            (None, Some(default)) => Some(self.eval(default, there)),
            (None, None) => None,
        });
        Value::agreed(values.collect::<Option<Vec<_>>>()?)
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
        self.bound(of, arguments, place).0
    }

    /// Also answers an argument of which it is not known which parameter it gives.
    pub(super) fn bound(
        &mut self,
        of: &Scope,
        arguments: &[Argument],
        place: Place,
    ) -> (Vec<(String, Value)>, Option<Value>) {
        let mut names = of
            .params
            .iter()
            .map(|(name, _)| name)
            .filter(|name| !matches!(name.as_str(), "self" | "cls"));
        let mut values: Vec<(String, Value)> = Vec::new();
        // Arguments that give parameters which are not known: any of those not given by name.
        let mut hidden = None;
        for argument in arguments {
            let source = self.source(&argument.value, place);
            let value = self.eval(&argument.value, place).or_source(&source);
            match (argument.spread, value) {
                (true, Value::Map(entries)) => {
                    for entry in entries {
                        match entry.key {
                            Some(key) => values.push((key, entry.value)),
                            None => hidden = Some(entry.value),
                        }
                    }
                }
                (true, Value::List(items)) => {
                    for item in items {
                        match names.next() {
                            Some(name) => values.push((name.clone(), item)),
                            None => hidden = Some(item),
                        }
                    }
                }
                (true, value) => hidden = Some(value),
                (false, value) => match argument.name.as_ref().or_else(|| names.next()) {
                    Some(name) => values.push((name.clone(), value)),
                    None => hidden = Some(value),
                },
            }
        }
        let is_param = |name: &String| of.params.iter().any(|(param, _)| param == name);
        if let Some(hidden) = &hidden {
            let mut map = Value::Map(Vec::new());
            map.insert(None, hidden.clone(), 0);
            for (param, _) in &of.params {
                if !values.iter().any(|(name, _)| name == param) {
                    values.extend(map.get(param).map(|value| (param.clone(), value)));
                }
            }
        }
        let Some(rest) = &of.rest else {
            return (values, hidden);
        };
        let (mut values, others): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|(name, _)| is_param(name));
        let mut map = Value::Map(Vec::new());
        if let Some(hidden) = &hidden {
            map.insert(None, hidden.clone(), 0);
        }
        for (name, value) in others {
            map.insert(Some(name), value, 0);
        }
        values.push((rest.clone(), map));
        (values, hidden)
    }

    /// Whether an expression is the array of words that the application was started with: the parameter of
    /// `main`, what functions are passed of it as a whole, or `args` of an `App`.
    pub(super) fn is_command_line(&mut self, expr: &Expr, place: Place, left: usize) -> bool {
        let (Kind::Name(name), Some(program)) = (&expr.kind, self.program(place)) else {
            return false;
        };
        self.work += program.bindings.len();
        let mut at = Some(place.scope);
        while let Some(index) = at {
            let Some(scope) = program.scopes.get(index) else {
                return false;
            };
            let is_bound = |b: &Binding| b.scope == index && b.name == *name;
            if program.bindings.iter().any(is_bound) {
                return false;
            }
            if let Some(number) = scope.params.iter().position(|(param, _)| param == name) {
                return (scope.name == "main" && number == 0)
                    || self.is_passed_command_line(scope, number, left);
            }
            at = scope.parent;
        }
        name == "args"
    }

    /// Whether all calls of a function pass the words of the command line at this place.
    fn is_passed_command_line(&mut self, function: &Scope, number: usize, left: usize) -> bool {
        let Some(left) = left.checked_sub(1) else {
            return false;
        };
        let mut calls: Vec<(Place, Option<&Argument>)> = Vec::new();
        for (program, caller) in self.world.programs.iter().enumerate() {
            self.work += caller.source.len();
            for (scope, order, expr) in caller.expressions() {
                let place = Place {
                    program,
                    scope,
                    order,
                };
                find_calls(expr, &function.name, &mut |arguments| {
                    calls.push((place, arguments.get(number)));
                });
            }
        }
        !calls.is_empty()
            && calls.len() <= MAX_CALLS
            && calls.into_iter().all(|(place, argument)| {
                argument.is_some_and(|a| {
                    a.name.is_none() && self.is_command_line(&a.value, place, left)
                })
            })
    }
}
