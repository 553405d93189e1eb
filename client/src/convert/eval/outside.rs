//! What comes from outside of a source: its environment.

use super::lookup::{at, doubted};
use super::{Evaluator, Place, Value};
use crate::convert::syntax::{Binding, Change, Expr, Kind};

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

impl Evaluator<'_> {
    /// The variable that an expression reads from the environment.
    pub fn environment_name(&mut self, expr: &Expr, place: Place) -> Option<String> {
        let (callee, name) = match &expr.kind {
            Kind::Call(callee, arguments) => (&**callee, &arguments.first()?.value),
            Kind::Index(base, key) => (&**base, &**key),
            Kind::Member(base, get) if get == "get" => return self.environment_name(base, place),
            _ => return None,
        };
        match self.full_path(callee, place) {
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

    /// A variable that this source itself sets, or one of the other files.
    pub(super) fn environment(&mut self, name: &str, place: Place) -> Option<Value> {
        let around = self.world.environment.get(name);
        let around = around.map(|setting| Value::Text(setting.value.clone()));
        let program = self.program(place)?;
        let is_before = |b: &&Binding| b.scope != place.scope || b.order < place.order;
        let own = program.bindings.iter().filter(|b| b.name == "os.environ");
        let own: Vec<(&Binding, &Expr)> = own
            .filter(is_before)
            .filter_map(|b| Some((b, set_in_environment(b, name)?)))
            .collect();
        if own.is_empty() {
            return around;
        }
        let certain = own.iter().rposition(|(b, _)| !b.conditional);
        let mut values = Vec::new();
        for (binding, value) in &own[certain.unwrap_or(0)..] {
            values.push(self.eval(value, at(binding, place)));
        }
        // What only a branch sets may be what there is around it.
        if certain.is_none() {
            values.push(around.unwrap_or(Value::Null));
        }
        match &values[..] {
            [only] => Some(only.clone()),
            _ => Some(Value::agreed(values).unwrap_or_else(|| doubted(name))),
        }
    }
}

/// What `os.environ["X"] = "y"` or `os.environ.update({"X": "y"})` sets a variable to.
fn set_in_environment<'p>(binding: &'p Binding, name: &str) -> Option<&'p Expr> {
    let is_it = |key: &Expr| matches!(&key.kind, Kind::Literal(k) if k == name);
    match (&binding.change, &binding.value.kind) {
        (Change::Insert(key), _) if is_it(key) => Some(&binding.value),
        (Change::Merge, Kind::Map(pairs)) => {
            // `update({"X": "y"})` holds a map of its own.
            let inner = pairs.iter().flat_map(|(_, v)| match &v.kind {
                Kind::Map(inner) => &inner[..],
                _ => &[],
            });
            let mut all = pairs.iter().chain(inner);
            let found = all.find(|(key, _)| key.as_ref().is_some_and(is_it));
            found.map(|(_, value)| value)
        }
        _ => None,
    }
}
