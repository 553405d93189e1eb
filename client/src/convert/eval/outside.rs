//! What comes from outside of a source: its environment, and the arguments it was started with.

use super::lookup::{at, find_calls};
use super::{Evaluator, Place, Value};
use crate::convert::model::Text;
use crate::convert::syntax::{Argument, Change, Expr, Kind};

/// Paths that read the environment when they are called or indexed with a name.
const ENVIRONMENT: [&str; 20] = [
    "os.environ.get",
    "os.environ",
    "os.getenv",
    "os.environ.setdefault",
    "os.environ.pop",
    "environ.get",
    "environ",
    "getenv",
    "os.environ.__getitem__",
    "sys.env",
    "sys.env.apply",
    "sys.env.get",
    "sys.env.getOrElse",
    "System.getenv",
    "System.getenv.get",
    "System.getenv.getOrDefault",
    "Properties.envOrElse",
    "scala.util.Properties.envOrElse",
    "Properties.envOrNone",
    "envOrElse",
];

/// The flags that an argument of a parser is declared with: `-t`, `--topic`.
fn flags(arguments: &[Argument]) -> impl Iterator<Item = &str> {
    arguments.iter().filter_map(|a| match &a.value.kind {
        Kind::Literal(flag) if a.name.is_none() => Some(flag.as_str()),
        _ => None,
    })
}

impl Evaluator<'_> {
    /// `args.topic` where the file declares `--topic`: what the application was started with, or the
    /// declared default.
    pub(super) fn flag(&mut self, name: &str, place: Place) -> Option<Value> {
        let program = self.program(place)?;
        self.work += program.source.len();
        let mut found: Option<(usize, usize, &[Argument])> = None;
        for (scope, order, expr) in program.expressions() {
            find_calls(expr, "add_argument", &mut |arguments| {
                let dest = arguments.iter().find(|a| a.name.as_deref() == Some("dest"));
                let declared = match dest.map(|a| &a.value.kind) {
                    Some(Kind::Literal(dest)) => dest == name,
                    _ => flags(arguments)
                        .any(|flag| flag.trim_start_matches('-').replace('-', "_") == name),
                };
                if declared {
                    found = Some((scope, order, arguments));
                }
            });
        }
        let (scope, order, arguments) = found?;
        if let Some(given) = self.given_flag(arguments) {
            return Some(given);
        }
        let default = arguments
            .iter()
            .find(|a| a.name.as_deref() == Some("default"))?;
        let value = self.eval(
            &default.value,
            Place {
                scope,
                order,
                ..place
            },
        );
        self.note_default(
            &format!("--{}", name.replace('_', "-")),
            &value,
            &default.value,
            place,
        );
        Some(value)
    }

    /// `--name value`, `--name=value` or `-n value` among the application's arguments.
    fn given_flag(&self, declared: &[Argument]) -> Option<Value> {
        let mut arguments = self.world.arguments.iter();
        while let Some(argument) = arguments.next() {
            let Some(word) = argument.value().filter(|word| word.starts_with('-')) else {
                continue;
            };
            let (flag, value) = word
                .split_once('=')
                .map_or((&word[..], None), |(f, v)| (f, Some(v)));
            if flags(declared).any(|declared| declared == flag) {
                return match value {
                    Some(value) => Some(Value::Text(Text::known(value))),
                    None => arguments.next().cloned().map(Value::Text),
                };
            }
        }
        None
    }

    /// The variable that an expression reads from the environment.
    pub fn environment_name(&mut self, expr: &Expr, place: Place) -> Option<String> {
        let (callee, name) = match &expr.kind {
            Kind::Call(callee, arguments) => (&**callee, &arguments.first()?.value),
            Kind::Index(base, key) => (&**base, &**key),
            Kind::Member(base, get) if get == "get" => return self.environment_name(base, place),
            _ => return None,
        };
        match callee.path() {
            Some(path) if ENVIRONMENT.contains(&path.as_str()) => {
                self.eval(name, place).to_text().value()
            }
            // `Option(System.getenv("X"))`, `System.getenv().get("X")`.
            Some(path) if path == "Option" => self.environment_name(name, place),
            None => match &callee.kind {
                Kind::Member(base, get) if get == "get" || get == "getOrElse" => match &base.kind {
                    Kind::Call(inner, none) if none.is_empty() => {
                        let is_it = inner.path().as_deref() == Some("System.getenv");
                        is_it
                            .then(|| self.eval(name, place).to_text().value())
                            .flatten()
                    }
                    _ => None,
                },
                _ => None,
            },
            Some(_) => None,
        }
    }

    /// A variable that one of the files sets, or this source itself.
    pub(super) fn environment(&mut self, name: &str, place: Place) -> Option<Value> {
        if let Some(setting) = self.world.environment.get(name) {
            return Some(Value::Text(setting.value.clone()));
        }
        let program = self.program(place)?;
        let is_it = |key: &Expr| matches!(&key.kind, Kind::Literal(k) if k == name);
        let mut own = program
            .bindings
            .iter()
            .rev()
            .filter(|b| b.name == "os.environ");
        let (binding, value) = own.find_map(|b| match (&b.change, &b.value.kind) {
            (Change::Insert(key), _) if is_it(key) => Some((b, &b.value)),
            (Change::Merge, Kind::Map(pairs)) => {
                // `update({"X": "y"})` holds a map of its own.
                let mut own = pairs
                    .iter()
                    .chain(pairs.iter().flat_map(|(_, v)| match &v.kind {
                        Kind::Map(inner) => &inner[..],
                        _ => &[],
                    }));
                let found = own.find(|(key, _)| key.as_ref().is_some_and(is_it));
                found.map(|(_, value)| (b, value))
            }
            _ => None,
        })?;
        Some(self.eval(value, at(binding, place)))
    }
}
