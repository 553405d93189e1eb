//! What may have been changed where it is not followed: from another scope, by another name, by a
//! function that it was passed to. Computed once over all files; a lookup of any of these is unknown.

mod calls;

use std::collections::{BTreeMap, BTreeSet};

use super::place::Place;
use crate::convert::syntax::{Binding, Change, Expr, Kind, Program, ScopeKind};

/// A name of a scope: program, scope, dotted name.
type Name = (usize, usize, String);

/// Most rounds in which functions pass on what they were passed.
const MAX_ROUNDS: usize = 8;

/// What may have been changed where it is not followed.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Names that another scope assigns.
    names: BTreeSet<Name>,
    /// Names whose maps, lists or objects are changed, with the scope and position of the change.
    contents: BTreeMap<Name, Vec<(usize, usize)>>,
    /// Fields that are assigned from outside of their class, with the assigned name.
    fields: BTreeMap<String, Vec<Name>>,
    /// Names and fields that are set by their text, or in a class that is not in the files.
    anywhere: BTreeSet<String>,
    /// Names and fields, in whatever scope, whose maps, lists or objects may be changed.
    loose: BTreeSet<String>,
    /// Fields may be set whose names only the run knows.
    all_fields: bool,
    /// Programs that set names which only the run knows.
    programs: BTreeSet<usize>,
    /// Functions that change what they are passed.
    changing: BTreeSet<String>,
    /// Functions and classes that a library calls with the words of the command line.
    entries: BTreeSet<String>,
    /// A library calls any function so.
    are_all_entries: bool,
    /// Functions that are passed to others, which call them.
    passed_on: BTreeSet<String>,
    /// Names that belong to a scope, with what was imported under them and where they are last set.
    declared: BTreeMap<Name, (Option<String>, usize)>,
}

impl Doubts {
    /// Looks through all files.
    pub(super) fn new(programs: &[Program]) -> Self {
        let mut doubts = Self::default();
        for (index, program) in programs.iter().enumerate() {
            doubts.declare(index, program);
        }
        for (index, program) in programs.iter().enumerate() {
            program
                .bindings
                .iter()
                .for_each(|b| doubts.binding(index, program, b));
            doubts.aliases(index, program);
            for target in &program.unfollowed {
                doubts.unfollowed(programs, index, &target.expr);
            }
            for (scope, order, expr) in program.expressions() {
                let place = Place {
                    program: index,
                    scope,
                    order,
                };
                expr.walk(&mut |e| doubts.expression(programs, e, place));
            }
        }
        let scopes = programs.iter().flat_map(|p| &p.scopes);
        let defined: BTreeSet<&str> = scopes.map(|s| s.name.as_str()).collect();
        for (index, program) in programs.iter().enumerate() {
            for alone in &program.statements {
                let place = Place {
                    program: index,
                    scope: alone.scope,
                    order: alone.order,
                };
                doubts.passed_out(&defined, program, &alone.expr, place);
            }
        }
        for _ in 0..MAX_ROUNDS {
            let before = doubts.changing.len();
            for (index, program) in programs.iter().enumerate() {
                for (scope, order, expr) in program.expressions() {
                    let place = Place {
                        program: index,
                        scope,
                        order,
                    };
                    expr.walk(&mut |e| doubts.passed(program, e, place));
                }
            }
            if doubts.changing.len() == before {
                break;
            }
        }
        doubts
    }

    fn declare(&mut self, index: usize, program: &Program) {
        for (at, scope) in program.scopes.iter().enumerate() {
            let params = scope.params.iter().map(|(param, _)| param);
            for name in params.chain(&scope.rest) {
                self.declared.insert((index, at, name.clone()), (None, 0));
            }
        }
        for b in program.bindings.iter().filter(|b| b.declares) {
            let name = (index, b.scope, b.name.clone());
            let entry = self.declared.entry(name).or_default();
            entry.1 = b.order;
            if let Kind::Import(_, of) = &b.value.kind {
                entry.0 = Some(of.clone());
            }
        }
    }

    /// The scope that a name belongs to, seen from `scope`.
    fn owner(&self, index: usize, program: &Program, scope: usize, name: &str) -> Option<usize> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            if self.declared.contains_key(&(index, scope, name.to_owned())) {
                return Some(scope);
            }
            at = program.scopes.get(scope)?.parent;
        }
        None
    }

    /// Whether another scope may have assigned this name.
    pub(super) fn name(&self, program: usize, scope: usize, name: &str) -> bool {
        self.anywhere.contains(name)
            || (scope == 0 && self.programs.contains(&program))
            || self.names.contains(&(program, scope, name.to_owned()))
    }

    /// Whether a map, list or object of this name may have been changed before `place`.
    pub(super) fn content(&self, scope: usize, name: &str, place: Place) -> bool {
        if self.is_loose(name) {
            return true;
        }
        let changes = self.contents.get(&(place.program, scope, name.to_owned()));
        changes.is_some_and(|all| {
            all.iter()
                .any(|(at, order)| *at != place.scope || *order < place.order)
        })
    }

    /// Whether a library calls a function or class of this name with the words of the command line.
    pub(super) fn is_entry(&self, name: &str) -> bool {
        self.are_all_entries || self.entries.contains(name)
    }

    /// Whether a function is passed to another one, which may call it with anything.
    pub(super) fn is_passed_on(&self, name: &str) -> bool {
        self.passed_on.contains(name)
    }

    /// Whether a map, list or object of this name, in whatever scope, may have been changed.
    pub(super) fn is_loose(&self, name: &str) -> bool {
        self.loose.contains(name.rsplit('.').next().unwrap_or(name))
    }

    /// Whether the field of an object may have been set from outside; `path`, which `place` sees
    /// assigned, is no doubt.
    pub(super) fn field(&self, name: &str, path: Option<(&str, Place)>) -> bool {
        let is_other = |(program, scope, other): &Name| {
            path.is_none_or(|(path, place)| {
                (*program, *scope) != (place.program, place.scope) || other != path
            })
        };
        self.all_fields
            || self.anywhere.contains(name)
            || self
                .fields
                .get(name)
                .is_some_and(|all| all.iter().any(is_other))
    }

    fn binding(&mut self, index: usize, program: &Program, b: &Binding) {
        if let Some((base, leaf)) = b.name.rsplit_once('.') {
            if leaf == "__dict__" {
                self.all_fields = true;
            }
            if !is_self(base) && b.name != "os.environ" {
                let name = (index, b.scope, b.name.clone());
                self.fields.entry(leaf.to_owned()).or_default().push(name);
            }
            return;
        }
        if b.declares {
            return;
        }
        let is_set = matches!(b.change, Change::Set);
        match self.owner(index, program, b.scope, &b.name) {
            Some(scope) => {
                let last = self.declared.get(&(index, scope, b.name.clone()));
                let is_before = last.is_some_and(|(_, order)| *order > b.order);
                // Also what `global` makes a name of the file.
                let is_global = scope == 0 && b.conditional && (is_set || is_before);
                if scope != b.scope || is_global {
                    self.names.insert((index, scope, b.name.clone()));
                }
                if !is_set {
                    self.changed_parameter(program, scope, &b.name);
                    self.changed_import(index, scope, &b.name);
                }
            }
            None if is_set && b.scope > 0 => {
                self.anywhere.insert(b.name.clone());
            }
            None if is_set => {}
            None => {
                self.loose.insert(b.name.clone());
            }
        }
    }

    /// A function that changes its parameter changes what it is passed.
    fn changed_parameter(&mut self, program: &Program, scope: usize, name: &str) {
        let Some(function) = program.scopes.get(scope) else {
            return;
        };
        if !function.params.iter().any(|(param, _)| param == name) {
            return;
        }
        let class = function.parent.and_then(|p| program.scopes.get(p));
        let called = match (function.name.as_str(), class) {
            ("__init__", Some(class)) => &class.name,
            _ => &function.name,
        };
        self.changing.insert(called.clone());
    }

    /// What is changed under an imported name is changed in its module.
    fn changed_import(&mut self, index: usize, scope: usize, name: &str) {
        let declared = self.declared.get(&(index, scope, name.to_owned()));
        if let Some((Some(of), _)) = declared {
            self.loose.insert(of.clone());
        }
    }

    /// `other = name`: what changes one of them changes both.
    fn aliases(&mut self, index: usize, program: &Program) {
        // The last change of each name in each scope.
        let mut changes: BTreeMap<&str, BTreeMap<usize, usize>> = BTreeMap::new();
        let all = program.bindings.iter();
        for b in all.filter(|b| !matches!(b.change, Change::Set)) {
            changes.entry(&b.name).or_default().insert(b.scope, b.order);
        }
        let sets = program.bindings.iter();
        for b in sets.filter(|b| matches!(b.change, Change::Set)) {
            let mut of = Vec::new();
            same(&b.value, &mut of);
            for of in of {
                let own = changes
                    .get(b.name.as_str())
                    .and_then(|all| all.get(&b.scope));
                if let Some(order) = own {
                    let (scope, order) = (b.scope, *order);
                    self.change(
                        program,
                        &of,
                        Place {
                            program: index,
                            scope,
                            order: b.order.min(order),
                        },
                    );
                }
                let others = changes.get(of.as_str()).into_iter().flatten();
                let later = others
                    .map(|(scope, order)| (*scope, *order))
                    .find(|(scope, order)| *scope != b.scope || *order > b.order);
                if let Some((scope, order)) = later {
                    self.change(
                        program,
                        &b.name,
                        Place {
                            program: index,
                            scope,
                            order,
                        },
                    );
                }
            }
        }
    }

    /// The map, list or object of a name is changed at this place.
    fn change(&mut self, program: &Program, name: &str, at: Place) {
        let Some(scope) = self.owner(at.program, program, at.scope, name) else {
            let leaf = name.rsplit('.').next().unwrap_or(name);
            self.loose.insert(leaf.to_owned());
            return;
        };
        self.changed_parameter(program, scope, name);
        self.changed_import(at.program, scope, name);
        let name = (at.program, scope, name.to_owned());
        self.contents
            .entry(name)
            .or_default()
            .push((at.scope, at.order));
    }
}

fn is_self(base: &str) -> bool {
    matches!(base, "self" | "this" | "cls")
}

/// The names that an expression may be another name of.
fn same(expr: &Expr, names: &mut Vec<String>) {
    match &expr.kind {
        Kind::Name(_) | Kind::Member(..) | Kind::Index(..) => names.extend(expr.root_path()),
        Kind::Either(a, b) => [a, b].into_iter().for_each(|e| same(e, names)),
        Kind::Choice(all) => all.iter().for_each(|e| same(e, names)),
        _ => {}
    }
}

/// Whether a scope is a function other than the constructor of a class.
pub(super) fn is_method(program: &Program, scope: usize) -> bool {
    program
        .scopes
        .get(scope)
        .is_some_and(|s| s.kind == ScopeKind::Function && s.name != "__init__")
}
