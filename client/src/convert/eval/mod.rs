//! Finds out what expressions of a source are, without running it: literals, names that are assigned
//! in the files, environment look-ups. What only the run knows stays an expression.
//!
//! | file | does |
//! |---|---|
//! | `value` | what an expression can turn out to be |
//! | `lookup` | follows names to where they are assigned |
//! | `parameters` | what calls give the parameters of a function |
//! | `outcome` | what assignments make of a name |
//! | `outside` | environment |
//! | `flags` | what the words after the application give its arguments |
//! | `words` | how parsers of command lines read them |
//! | `classes` | members of objects, with the classes that override them |
//! | `settings` | classes that read the environment |
//! | `doubts` | what may have been changed where it is not followed |
//! | `place` | a position in a source |
//! | `call` | functions and methods whose result is known |

mod call;
mod classes;
mod doubts;
mod flags;
mod lookup;
mod outcome;
mod outside;
mod parameters;
mod place;
mod settings;
mod value;
mod words;

use std::collections::BTreeMap;

use super::model::{Origin, Setting, Settings, Text};
use super::secrets::{is_secret, shown};
use super::syntax::{Expr, Kind, Program};
pub use place::Place;
pub use value::Value;

/// Most steps for one value: sources can be made to explode.
const MAX_STEPS: usize = 20_000;
/// Most work for all values of a run; a step costs as much as it has to search.
const MAX_WORK: usize = 50_000_000;
/// Deepest chain of names.
const MAX_DEPTH: usize = 100;
/// Longest text, bytes.
const MAX_TEXT: usize = 64 << 10;

/// Everything that expressions can refer to.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// All sources; a program is named by its index here.
    pub programs: &'a [Program],
    /// The environment that other files set.
    pub environment: &'a Settings,
    /// What the application was started with.
    pub arguments: &'a [Text],
}

/// Parameters of a function for one of its calls.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Index of the program.
    pub program: usize,
    /// The function's scope.
    pub scope: usize,
    /// Values of its parameters.
    pub values: Vec<(String, Value)>,
}

/// Evaluates expressions, and notes what it assumes.
pub struct Evaluator<'a> {
    world: World<'a>,
    doubts: doubts::Doubts,
    /// What each program calls what it imports: module, and name in it.
    imports: Vec<BTreeMap<&'a str, (&'a str, &'a str)>>,
    frames: Vec<Frame>,
    steps: usize,
    work: usize,
    depth: usize,
    notes: Vec<String>,
}

impl<'a> Evaluator<'a> {
    /// Nothing is assumed yet.
    pub fn new(world: World<'a>) -> Self {
        let imports = world.programs.iter().map(|program| {
            let all = program.bindings.iter();
            all.filter_map(|b| match &b.value.kind {
                Kind::Import(module, name) => Some((&*b.name, (&**module, &**name))),
                _ => None,
            })
            .collect()
        });
        Self {
            world,
            doubts: doubts::Doubts::new(world.programs),
            imports: imports.collect(),
            frames: Vec::new(),
            steps: 0,
            work: 0,
            depth: 0,
            notes: Vec::new(),
        }
    }

    /// Parameters that functions have from here on.
    pub fn set_frames(&mut self, frames: Vec<Frame>) {
        self.frames = frames;
    }

    /// Whether the sources were too large to be followed to the end.
    pub fn is_exhausted(&self) -> bool {
        self.work > MAX_WORK
    }

    /// What was assumed since the last time.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// The setting that an expression is the value of.
    pub fn setting(&mut self, key: &str, expr: &Expr, place: Place) -> Setting {
        self.steps = 0;
        let value = self.eval(expr, place);
        self.setting_of(key, &value, expr, place)
    }

    /// The setting with a value that was found at `expr`.
    pub fn setting_of(&mut self, key: &str, value: &Value, expr: &Expr, place: Place) -> Setting {
        let mut text = value.to_text();
        if let Some(inner) = text.first_unknown() {
            let source = self.source(expr, place);
            text.source = if source.contains(inner) {
                source
            } else if inner.starts_with(&source) {
                inner.to_owned()
            } else {
                format!("{source}, that is {inner}")
            };
        }
        let notes = self.take_notes();
        Setting {
            key: key.to_owned(),
            value: text,
            origin: self.origin(expr, place),
            notes: if is_secret(key) { Vec::new() } else { notes },
        }
    }

    /// File and line of an expression.
    pub fn origin(&self, expr: &Expr, place: Place) -> Origin {
        Origin {
            file: self
                .program(place)
                .map_or_else(String::new, |p| p.file.clone()),
            line: expr.line,
        }
    }

    /// What an expression turns out to be.
    pub fn eval(&mut self, expr: &Expr, place: Place) -> Value {
        self.steps += 1;
        self.work += 1;
        if self.steps > MAX_STEPS || self.depth > MAX_DEPTH || self.is_exhausted() {
            return self.unknown(expr, place);
        }
        self.depth += 1;
        let value = self.kind(expr, place);
        self.depth -= 1;
        if value.len() > MAX_TEXT {
            return self.unknown(expr, place);
        }
        value
    }

    fn kind(&mut self, expr: &Expr, place: Place) -> Value {
        match &expr.kind {
            Kind::Literal(text) | Kind::Atom(text) => Value::Text(Text::known(text.as_str())),
            Kind::Null => Value::Null,
            Kind::Pieces(parts) => {
                let parts: Vec<Value> = parts.iter().map(|p| self.eval(p, place)).collect();
                Value::joined(parts.iter(), "")
            }
            Kind::Name(name) => self
                .name(name, place)
                .unwrap_or_else(|| self.unknown(expr, place)),
            Kind::Import(module, name) => self
                .imported(module, name)
                .unwrap_or_else(|| self.unknown(expr, place)),
            Kind::Member(base, name) => self.member(expr, base, name, place),
            Kind::Index(base, key) => self.index(expr, base, key, place),
            Kind::Call(callee, arguments) => self
                .call(expr, callee, arguments, place)
                .unwrap_or_else(|| self.unknown(expr, place)),
            Kind::Map(pairs) => self.pairs(pairs, place),
            Kind::List(items) => Value::List(items.iter().map(|i| self.eval(i, place)).collect()),
            Kind::Sum(a, b) => {
                let (a, b) = (self.eval(a, place), self.eval(b, place));
                a.plus(b)
            }
            Kind::Either(first, second) => {
                let notes = self.notes.len();
                match self.eval(first, place) {
                    value if value.is_nothing() => self.fallback(first, second, None, notes, place),
                    value if value.is_known() => value,
                    value => self.fallback(first, second, Some(value), notes, place),
                }
            }
            Kind::Choice(all) => {
                let values: Vec<Value> = all.iter().map(|e| self.eval(e, place)).collect();
                Value::agreed(values).unwrap_or_else(|| self.unknown(expr, place))
            }
            Kind::Other(_) => self.unknown(expr, place),
        }
    }

    /// `first or second`. Where only the run knows the first: an environment variable that no file sets is
    /// taken as not set.
    fn fallback(
        &mut self,
        first: &Expr,
        second: &Expr,
        unknown: Option<Value>,
        notes: usize,
        place: Place,
    ) -> Value {
        let name = self.environment_name(first, place);
        match (name, unknown) {
            (None, Some(value)) => value,
            (None, None) => self.eval(second, place),
            (Some(name), _) => {
                self.notes.truncate(notes);
                let default = self.eval(second, place);
                self.note_default(&name, &default, first, place);
                default
            }
        }
    }

    fn pairs(&mut self, pairs: &[(Option<Expr>, Expr)], place: Place) -> Value {
        let mut map = Value::Map(Vec::new());
        for (key, value) in pairs {
            let at = self.origin(value, place);
            let evaluated = self.eval(value, place);
            match key {
                Some(key) => {
                    let name = self.eval(key, place).to_text().value();
                    map.insert(
                        name,
                        evaluated.or_source(&self.source(value, place)),
                        at.line,
                    );
                }
                None => map.merge(evaluated),
            }
        }
        map
    }

    fn index(&mut self, expr: &Expr, base: &Expr, key: &Expr, place: Place) -> Value {
        if let Some(name) = self.environment_name(expr, place) {
            return self
                .environment(&name, place)
                .unwrap_or_else(|| self.unknown(expr, place));
        }
        let key = self.eval(key, place).to_text().value();
        if self.full_path(base, place).as_deref() == Some("sys.argv") {
            let at = key.and_then(|k| k.parse::<usize>().ok());
            return self
                .argument(at.and_then(|at| at.checked_sub(1)))
                .unwrap_or_else(|| self.unknown(expr, place));
        }
        let base = self.eval(base, place);
        let value = match (&base, key) {
            (Value::Parsed { program, words }, Some(key)) => {
                self.flag(&key, *program, words.as_deref())
            }
            (_, key) => key.and_then(|key| base.get(&key)),
        };
        value.unwrap_or_else(|| self.unknown(expr, place))
    }

    /// A word that the application was started with, if it is known which one it is.
    fn argument(&mut self, at: Option<usize>) -> Option<Value> {
        let words = self.world.arguments.get(..=at?)?;
        let is_certain = !words.iter().any(|word| word.splits);
        words
            .last()
            .filter(|_| is_certain)
            .map(|word| Value::Text(word.clone()))
    }

    /// The path of an expression, by the names that imported modules have themselves.
    pub fn full_path(&self, expr: &Expr, place: Place) -> Option<String> {
        let path = expr.path()?;
        let (first, rest) = path.split_once('.').unwrap_or((&path, ""));
        let imports = self.imports.get(place.program)?;
        let Some((module, name)) = imports.get(first) else {
            return Some(path);
        };
        let parts = [*module, *name, rest].into_iter();
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        Some(parts.join("."))
    }

    fn note_default(&mut self, name: &str, default: &Value, expr: &Expr, place: Place) {
        let at = self.origin(expr, place);
        let note = match default.to_text().value() {
            Some(_) if is_secret(name) => return,
            Some(text) => format!(
                "{at}: {name} is not set in the files given: its default \"{}\" is taken",
                shown(&text)
            ),
            None => return,
        };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// A value that only the run knows: its expression.
    pub fn unknown(&self, expr: &Expr, place: Place) -> Value {
        Value::Text(Text::unknown(self.source(expr, place)))
    }

    fn source(&self, expr: &Expr, place: Place) -> String {
        self.program(place)
            .map_or("", |program| program.text(expr))
            .chars()
            .take(1_000)
            .collect()
    }

    fn is_scala(&self, place: Place) -> bool {
        use crate::convert::kinds::{Kind, kind};
        self.program(place)
            .is_some_and(|p| kind(&p.file, &p.source) == Kind::Scala)
    }

    fn program(&self, place: Place) -> Option<&'a Program> {
        self.world.programs.get(place.program)
    }
}
