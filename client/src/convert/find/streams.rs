//! Streams: chains of calls from `readStream` to `load`, in one expression or over several names.

use std::collections::BTreeSet;

use super::{Finder, MAX_FACTS};
use crate::convert::eval::{Frame, Place};
use crate::convert::model::{Settings, Stream};
use crate::convert::syntax::{Argument, Binding, Change, Expr, Kind, Program, ScopeKind};

/// Most links of one chain, names followed included.
const MAX_LINKS: usize = 5_000;
/// Most links of all chains.
const MAX_ALL_LINKS: usize = 2_000_000;
/// Deepest chain of names and functions.
const MAX_DEPTH: usize = 50;

/// One call of a chain.
#[derive(Clone, Copy)]
struct Link<'a> {
    name: &'a str,
    arguments: &'a [Argument],
    at: &'a Expr,
    place: Place,
    /// It stands in a branch and may not be executed.
    conditional: bool,
}

/// A chain, last call first.
#[derive(Default)]
struct Chain<'a> {
    links: Vec<Link<'a>>,
    /// Where `readStream` stands.
    start: Option<(usize, usize)>,
    visited: BTreeSet<(usize, usize)>,
    depth: usize,
    /// What is followed stands in a branch.
    conditional: bool,
}

impl<'a> Finder<'a, '_> {
    /// Keeps all streams, in the order of the files.
    pub(super) fn streams(&mut self) {
        let mut budget = MAX_ALL_LINKS;
        let mut begun: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut starts: Vec<(&'a Expr, Place)> = Vec::new();
        for (place, expr) in self.expressions() {
            expr.walk(&mut |e| {
                if matches!(&e.kind, Kind::Member(_, name) if name == "readStream") {
                    starts.push((e, place));
                }
            });
            let mut loads = Vec::new();
            expr.walk(&mut |e| {
                if let Kind::Call(callee, _) = &e.kind
                    && callee.last_name() == Some("load")
                {
                    loads.push(e);
                }
            });
            for load in loads {
                let mut chain = Chain::default();
                self.follow(load, place, &mut chain);
                budget = budget.saturating_sub(chain.links.len());
                if let Some(start) = chain.start
                    && budget > 0
                    && self.facts.streams.len() < MAX_FACTS
                {
                    begun.insert(start);
                    chain.links.reverse();
                    self.stream(&chain.links, load, place);
                }
            }
        }
        starts.retain(|(e, place)| !begun.contains(&(place.program, e.span.end)));
        for (expr, place) in starts.into_iter().take(MAX_FACTS) {
            let origin = self.eval.origin(expr, place);
            self.facts.note(format!(
                "{origin}: this readStream does not lead to a load() that could be followed: it is not carried over"
            ));
        }
    }

    fn expressions(&self) -> Vec<(Place, &'a Expr)> {
        let programs: &'a [Program] = self.world.programs;
        let mut all: Vec<(Place, &'a Expr)> = Vec::new();
        for (program, source) in programs.iter().enumerate() {
            let each = source.expressions();
            all.extend(each.map(|(scope, order, expr)| {
                (
                    Place {
                        program,
                        scope,
                        order,
                    },
                    expr,
                )
            }));
        }
        all.sort_by_key(|(place, expr)| (place.program, expr.span.start));
        all
    }

    fn follow(&self, expr: &'a Expr, place: Place, chain: &mut Chain<'a>) {
        if chain.links.len() >= MAX_LINKS || chain.depth >= MAX_DEPTH {
            return;
        }
        let mut at = expr;
        loop {
            match &at.kind {
                Kind::Call(callee, arguments) => {
                    if let Kind::Member(base, name) = &callee.kind {
                        chain.links.push(Link {
                            name,
                            arguments,
                            at,
                            place,
                            conditional: chain.conditional,
                        });
                        if name == "readStream" {
                            chain.start = Some((place.program, callee.span.end));
                            return;
                        }
                        at = base;
                    } else {
                        return self.follow_function(callee, place, chain);
                    }
                }
                Kind::Member(_, name) if name == "readStream" => {
                    chain.start = Some((place.program, at.span.end));
                    return;
                }
                Kind::Member(base, _) if at.path().is_none() => at = base,
                Kind::Name(_) | Kind::Member(..) => return self.follow_name(at, place, chain),
                Kind::Choice(all) => {
                    let before = std::mem::replace(&mut chain.conditional, true);
                    for choice in all {
                        self.follow(choice, place, chain);
                    }
                    chain.conditional = before;
                    return;
                }
                _ => return,
            }
        }
    }

    /// A function that returns a reader.
    fn follow_function(&self, callee: &'a Expr, place: Place, chain: &mut Chain<'a>) {
        let Some(name) = callee.last_name() else {
            return;
        };
        let programs: &'a [Program] = self.world.programs;
        let mut order: Vec<usize> = (0..programs.len()).collect();
        order.sort_by_key(|i| *i != place.program);
        for index in order {
            let Some(program) = programs.get(index) else {
                continue;
            };
            let function = program.scopes.iter().enumerate().find(|(_, s)| {
                s.kind == ScopeKind::Function && s.name == name && !s.returns.is_empty()
            });
            let Some((scope, function)) = function else {
                continue;
            };
            if chain.visited.insert((index, usize::MAX - scope)) {
                // Which one it returns, only the run knows.
                let conditional = chain.conditional || function.returns.len() > 1;
                let before = std::mem::replace(&mut chain.conditional, conditional);
                chain.depth += 1;
                for (order, returned) in function.returns.iter().rev() {
                    let place = Place {
                        program: index,
                        scope,
                        order: *order,
                    };
                    self.follow(returned, place, chain);
                }
                chain.depth -= 1;
                chain.conditional = before;
            }
            return;
        }
    }

    /// A name that a reader was assigned to, and statements that change that reader.
    fn follow_name(&self, expr: &'a Expr, place: Place, chain: &mut Chain<'a>) {
        let Some(name) = expr.path() else { return };
        let programs: &'a [Program] = self.world.programs;
        let Some(program) = programs.get(place.program) else {
            return;
        };
        let mut scope = Some(place.scope);
        while let Some(index) = scope {
            let before = if index == place.scope {
                place.order
            } else {
                usize::MAX
            };
            let of_name = |b: &&Binding| {
                b.scope == index
                    && b.name == name
                    && b.order < before
                    && matches!(b.change, Change::Set)
            };
            let bindings: Vec<&'a Binding> = program.bindings.iter().filter(of_name).collect();
            if let Some(last) = bindings.last() {
                self.follow_statements(
                    program,
                    &name,
                    Place {
                        scope: index,
                        order: before,
                        ..place
                    },
                    last.order,
                    chain,
                );
                // Branches may all have been taken: their options are kept together.
                let certain = bindings.iter().rposition(|b| !b.conditional).unwrap_or(0);
                for binding in bindings[certain..].iter().rev() {
                    if chain.visited.insert((place.program, binding.order)) {
                        chain.depth += 1;
                        let at = Place {
                            scope: index,
                            order: binding.order,
                            ..place
                        };
                        let before = std::mem::replace(&mut chain.conditional, binding.conditional);
                        self.follow(&binding.value, at, chain);
                        chain.conditional = before;
                        chain.depth -= 1;
                    }
                }
                return;
            }
            scope = program.scopes.get(index).and_then(|s| s.parent);
        }
    }

    /// `reader.option("a", "b")` without an assignment changes the reader as well.
    fn follow_statements(
        &self,
        program: &'a Program,
        name: &str,
        place: Place,
        since: usize,
        chain: &mut Chain<'a>,
    ) {
        let statements = program
            .statements
            .iter()
            .rev()
            .filter(|s| s.scope == place.scope && s.order < place.order && s.order > since);
        for statement in statements {
            let mut links = Vec::new();
            let mut at = &statement.expr;
            while let Kind::Call(callee, arguments) = &at.kind
                && let Kind::Member(base, method) = &callee.kind
            {
                links.push(Link {
                    name: method,
                    arguments,
                    at,
                    place: Place {
                        order: statement.order,
                        ..place
                    },
                    conditional: statement.conditional,
                });
                at = base;
            }
            if at.path().as_deref() == Some(name) && chain.links.len() < MAX_LINKS {
                chain.links.extend(
                    links
                        .into_iter()
                        .filter(|l| matches!(l.name, "option" | "options" | "format")),
                );
            }
        }
    }

    /// Keeps a stream; a function that is called several times reads several.
    fn stream(&mut self, links: &[Link<'a>], load: &'a Expr, place: Place) {
        let functions = links.iter().map(|link| link.place).chain([place]);
        let function = functions.into_iter().find_map(|p| {
            let program = self.world.programs.get(p.program)?;
            let scope = program.enclosing(p.scope, ScopeKind::Function)?;
            (!program.scopes.get(scope)?.params.is_empty()).then_some((p.program, scope))
        });
        let frames = function.map_or_else(Vec::new, |(program, scope)| {
            self.eval.frames_of(program, scope)
        });
        self.eval.take_notes();
        if frames.is_empty() {
            let stream = self.stream_of(links, load, place);
            self.keep(stream);
        }
        for frame in frames {
            let stream = self.stream_in(frame, links, load, place);
            self.keep(stream);
        }
    }

    fn keep(&mut self, stream: Stream) {
        let same = |other: &Stream| {
            other.origin == stream.origin
                && other.options.len() == stream.options.len()
                && stream.options.iter().all(|(key, setting)| {
                    other
                        .options
                        .get(key)
                        .is_some_and(|o| o.value == setting.value)
                })
        };
        if !self.facts.streams.iter().any(same) && self.facts.streams.len() < MAX_FACTS {
            self.facts.streams.push(stream);
        }
    }

    fn stream_in(
        &mut self,
        frame: Frame,
        links: &[Link<'a>],
        load: &'a Expr,
        place: Place,
    ) -> Stream {
        self.eval.set_frames(vec![frame]);
        let stream = self.stream_of(links, load, place);
        self.eval.set_frames(Vec::new());
        stream
    }

    fn stream_of(&mut self, links: &[Link<'a>], load: &'a Expr, place: Place) -> Stream {
        let mut stream = Stream {
            origin: self.eval.origin(load, place),
            options: Settings::new(),
            format: None,
            unnamed: Vec::new(),
        };
        let is_certain = links.iter().any(|link| !link.conditional);
        for link in links {
            let conditional = link.conditional && is_certain;
            match (link.name, link.arguments) {
                ("format", [format]) => {
                    let format = self.eval.setting("format", &format.value, link.place);
                    stream.format = Some(format.value);
                }
                ("option", [key, value]) => {
                    match self.eval.eval(&key.value, link.place).to_text().value() {
                        Some(key) => {
                            self.eval.take_notes();
                            let setting = self.eval.setting(&key, &value.value, link.place);
                            stream.set(setting, link.conditional, conditional);
                        }
                        None => stream.set_unnamed(self.eval.origin(&key.value, link.place)),
                    }
                }
                ("options", arguments) => {
                    let map = self.eval.dictionary(arguments, link.place);
                    if !map.has_all_keys() {
                        stream.set_unnamed(self.eval.origin(link.at, link.place));
                    }
                    for (_, setting) in self.entries(&map, link.at, link.place) {
                        stream.set(setting, link.conditional, conditional);
                    }
                }
                _ => {}
            }
        }
        stream
    }
}
