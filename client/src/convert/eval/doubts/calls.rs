//! Calls that change what they are called on, what they are passed, or names that only the run knows.

use std::collections::BTreeSet;

use super::{Doubts, same};
use crate::convert::eval::place::Place;
use crate::convert::syntax::{Argument, Expr, Kind, Program};

/// Methods that change what they are called on.
const CHANGING: [&str; 20] = [
    "update",
    "setdefault",
    "put",
    "putIfAbsent",
    "putAll",
    "append",
    "appendAll",
    "extend",
    "insert",
    "clear",
    "popitem",
    "add",
    "addAll",
    "addOne",
    "remove",
    "getOrElseUpdate",
    "load",
    "__setitem__",
    "read_dict",
    "merge_from_dict",
];

/// Functions that read what they are passed.
const READING: [&str; 20] = [
    "print",
    "println",
    "pprint",
    "debug",
    "info",
    "warn",
    "warning",
    "error",
    "exception",
    "log",
    "dump",
    "dumps",
    "option",
    "options",
    "start",
    "load",
    "save",
    "awaitTermination",
    "exit",
    "run",
];

/// Functions that call what they are passed with the words of the command line.
const ENTRIES: [&str; 7] = [
    "fire.Fire",
    "Fire",
    "typer.run",
    "plac.call",
    "defopt.run",
    "tyro.cli",
    "clize.run",
];

/// Functions that do not call what they are passed, or with what they have themselves.
const KEEPING: [&str; 14] = [
    "foreachBatch",
    "foreach",
    "foreachPartition",
    "mapPartitions",
    "udf",
    "register",
    "isinstance",
    "issubclass",
    "signal",
    "add_command",
    "wraps",
    "type",
    "print",
    "len",
];

impl Doubts {
    /// `settings()["topic"] = …`, `globals()["TOPIC"] = …`.
    pub(super) fn unfollowed(&mut self, programs: &[Program], index: usize, target: &Expr) {
        if let Kind::Member(_, leaf) = &target.kind {
            self.anywhere.insert(leaf.clone());
        }
        target.walk(&mut |e| {
            let Kind::Call(callee, _) = &e.kind else {
                return;
            };
            match callee.last_name() {
                Some("globals" | "locals") => {
                    self.programs.insert(index);
                }
                Some("vars") => {
                    self.programs.insert(index);
                    self.all_fields = true;
                }
                Some(name) => self.returned(programs, name),
                None => {}
            }
        });
    }

    /// What a function returns is changed.
    fn returned(&mut self, programs: &[Program], function: &str) {
        for program in programs {
            let all = program.scopes.iter().filter(|s| s.name == function);
            for (_, expr) in all.flat_map(|s| &s.returns) {
                let mut of = Vec::new();
                same(expr, &mut of);
                let leaf = |path: &String| path.rsplit('.').next().map(str::to_owned);
                self.loose.extend(of.iter().filter_map(leaf));
            }
        }
    }

    pub(super) fn expression(&mut self, programs: &[Program], expr: &Expr, place: Place) {
        let Kind::Call(callee, arguments) = &expr.kind else {
            return;
        };
        self.handed(callee, arguments);
        match callee.last_name() {
            Some("exec" | "execfile" | "run_path" | "reload") => {
                self.programs.insert(place.program);
            }
            Some("setattr" | "__setattr__") => match named(arguments) {
                Some(name) => {
                    self.anywhere.insert(name.to_owned());
                }
                None => self.all_fields = true,
            },
            Some(method) if CHANGING.contains(&method) => {
                let Kind::Member(base, _) = &callee.kind else {
                    return;
                };
                match (base.root_path(), programs.get(place.program)) {
                    (Some(name), Some(program)) => self.change(program, &name, place),
                    _ => self.unfollowed(programs, place.program, base),
                }
            }
            _ => {}
        }
    }

    /// Functions among the arguments of a call: who takes them calls them.
    fn handed(&mut self, callee: &Expr, arguments: &[Argument]) {
        let path = callee.path().unwrap_or_default();
        let is_entry = ENTRIES.contains(&path.as_str());
        self.are_all_entries |= is_entry && arguments.is_empty();
        if callee
            .last_name()
            .is_some_and(|name| KEEPING.contains(&name))
        {
            return;
        }
        for argument in arguments {
            match &argument.value.kind {
                Kind::Name(name) if !is_entry => {
                    self.passed_on.insert(name.clone());
                }
                _ if is_entry => argument.value.walk(&mut |e| {
                    if let Kind::Name(name) = &e.kind {
                        self.entries.insert(name.clone());
                    }
                }),
                _ => {}
            }
        }
    }

    /// What is passed to a function that changes it.
    pub(super) fn passed(&mut self, program: &Program, expr: &Expr, place: Place) {
        if let Kind::Call(callee, arguments) = &expr.kind
            && callee
                .last_name()
                .is_some_and(|name| self.changing.contains(name))
        {
            self.change_all(program, arguments, place);
        }
    }

    /// What is passed to a function that is not in the files, and whose result nobody uses.
    pub(super) fn passed_out(
        &mut self,
        defined: &BTreeSet<&str>,
        program: &Program,
        expr: &Expr,
        place: Place,
    ) {
        let Kind::Call(callee, arguments) = &expr.kind else {
            return;
        };
        let Some(name) = callee.last_name() else {
            return;
        };
        if !READING.contains(&name) && !defined.contains(name) {
            self.change_all(program, arguments, place);
        }
    }

    fn change_all(&mut self, program: &Program, arguments: &[Argument], place: Place) {
        for argument in arguments.iter().filter(|a| !a.spread) {
            if let Some(name) = argument.value.root_path() {
                self.change(program, &name, place);
            }
        }
    }
}

/// The field that `setattr(object, field, value)` sets, in front of the value.
fn named(arguments: &[Argument]) -> Option<&str> {
    let at = arguments.len().checked_sub(2)?;
    match &arguments.get(at)?.value.kind {
        Kind::Literal(text) => Some(text),
        _ => None,
    }
}
