//! Functions and methods whose result is known without running anything.

use super::value::Entry;
use super::{Evaluator, Place, Value};
use crate::convert::model::Text;
use crate::convert::syntax::{Argument, Expr, Kind};

/// Longest chain of functions that pass the words of the command line on.
const MAX_CALLERS: usize = 8;

impl Evaluator<'_> {
    /// The result of a call, if it is known.
    pub(super) fn call(
        &mut self,
        expr: &Expr,
        callee: &Expr,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Value> {
        if let Some(name) = self.environment_name(expr, place) {
            return self.looked_up(&name, expr, arguments, place);
        }
        let name = callee.last_name()?;
        if let Kind::Member(base, _) = &callee.kind {
            if let Some(value) = self.parsed(name, arguments, place) {
                return Some(value);
            }
            if let Some(value) = self.method(base, name, arguments, place) {
                return Some(value);
            }
        }
        if let Some(value) = self.built_in(name, arguments, place) {
            return Some(value);
        }
        if let Kind::Member(base, _) = &callee.kind
            && let Some(value) = self.method_of_class(base, name, arguments, place)
        {
            return value;
        }
        match self.eval(callee, place) {
            Value::Object { program, scope, .. } => {
                self.constructed(program, scope, arguments, place)
            }
            map @ (Value::Map(_) | Value::List(_)) => {
                let key = self
                    .eval(&arguments.first()?.value, place)
                    .to_text()
                    .value()?;
                map.get(&key)
            }
            _ if self.is_command_line(callee, place, MAX_CALLERS) => {
                let at = self
                    .eval(&arguments.first()?.value, place)
                    .to_text()
                    .value()?;
                self.argument(at.parse().ok())
            }
            _ => self.own_function(callee, name, arguments, place),
        }
    }

    /// An environment look-up, with its default.
    fn looked_up(
        &mut self,
        name: &str,
        expr: &Expr,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Value> {
        if let Some(value) = self.environment(name, place) {
            return Some(value);
        }
        let default = arguments
            .iter()
            .find(|a| a.name.as_deref() == Some("default"));
        let default = default.or_else(|| arguments.get(1).filter(|a| a.name.is_none()))?;
        let value = self.eval(&default.value, place);
        self.note_default(name, &value, expr, place);
        Some(value)
    }

    fn method(
        &mut self,
        base: &Expr,
        name: &str,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Value> {
        match name {
            "getOrElse" | "orElse" | "getOrDefault" | "get" | "pop" if !arguments.is_empty() => {
                self.with_default(base, name, arguments, place)
            }
            "strip" | "rstrip" | "lstrip" if !arguments.is_empty() => {
                let text = self.eval(base, place).to_text().value()?;
                let ends = self.eval(&arguments.first()?.value, place);
                Some(Value::Text(Text::known(stripped(
                    name,
                    &text,
                    &ends.to_text().value()?,
                ))))
            }
            "strip" | "trim" | "rstrip" | "lstrip" | "lower" | "toLowerCase" | "upper"
            | "toUpperCase" | "stripMargin" | "toString" | "get_secret_value"
                if arguments.is_empty() =>
            {
                let text = self.eval(base, place).to_text().value()?;
                Some(Value::Text(Text::known(cleaned(name, &text))))
            }
            "join" if base.path().is_none_or(|path| path != "os.path") => {
                let separator = self.eval(base, place).to_text().value()?;
                match self.eval(&arguments.first()?.value, place) {
                    Value::List(items) => Some(Value::joined(items.iter(), &separator)),
                    _ => None,
                }
            }
            "join" => {
                let parts: Vec<Value> = arguments
                    .iter()
                    .map(|a| self.eval(&a.value, place))
                    .collect();
                // A part that is absolute replaces those before it.
                let absolute = |part: &Value| part.to_text().head().starts_with('/');
                let is_one = parts.iter().skip(1).any(absolute);
                (!is_one).then(|| Value::joined(parts.iter(), "/"))
            }
            "mkString" => match (self.eval(base, place), arguments) {
                (Value::List(items), [separator]) => {
                    let separator = self.eval(&separator.value, place).to_text().value()?;
                    Some(Value::joined(items.iter(), &separator))
                }
                _ => None,
            },
            "split" => {
                let text = self.eval(base, place).to_text().value()?;
                let [separator] = arguments else { return None };
                let separator = self.eval(&separator.value, place).to_text().value()?;
                // Scala takes it as a regular expression.
                let special = |c: char| ".|*+?^$()[]{}\\".contains(c);
                if separator.is_empty() || (self.is_scala(place) && separator.contains(special)) {
                    return None;
                }
                let parts = text.split(separator.as_str()).take(1_000);
                Some(Value::List(
                    parts.map(|p| Value::Text(Text::known(p))).collect(),
                ))
            }
            "format" if self.is_scala(place) || arguments.iter().any(|a| a.spread) => None,
            "format" => {
                let template = self.eval(base, place).to_text().value()?;
                self.formatted(&template, arguments, place)
            }
            "copy" | "_replace" if !arguments.is_empty() => {
                let value = self.eval(base, place);
                self.copied(value, arguments, place)
            }
            "copy" | "toMap" | "toList" | "toSeq" | "asJava" | "result" => {
                Some(self.eval(base, place))
            }
            "updated" => {
                let mut map = self.eval(base, place);
                let [key, value] = arguments else { return None };
                let key = self.eval(&key.value, place).to_text().value();
                let line = value.value.line;
                let value = self.eval(&value.value, place);
                map.insert(key, value, line);
                Some(map)
            }
            _ => None,
        }
    }

    /// `map.get(key, default)`, `option.getOrElse(default)`.
    fn with_default(
        &mut self,
        base: &Expr,
        name: &str,
        arguments: &[Argument],
        place: Place,
    ) -> Option<Value> {
        let notes = self.notes.len();
        match (self.eval(base, place), arguments) {
            (map @ Value::Map(_), [key, rest @ ..]) => {
                let key = self.eval(&key.value, place).to_text().value()?;
                match (map.get(&key), rest) {
                    (Some(value), _) => Some(value),
                    (None, [default, ..]) => Some(self.eval(&default.value, place)),
                    (None, []) => None,
                }
            }
            (value, [default]) if name != "get" && name != "pop" => match value {
                Value::Null => Some(self.fallback(base, &default.value, None, notes, place)),
                value if value.is_known() => Some(value),
                value => Some(self.fallback(base, &default.value, Some(value), notes, place)),
            },
            _ => None,
        }
    }

    /// `config.copy(topic = "t")`: the object with other values.
    fn copied(&mut self, value: Value, arguments: &[Argument], place: Place) -> Option<Value> {
        let Value::Object {
            program,
            scope,
            fields: Some(mut fields),
        } = value
        else {
            return None;
        };
        for argument in arguments {
            let key = Some(argument.name.clone()?);
            let value = self.eval(&argument.value, place);
            fields.retain(|e| e.key != key);
            let line = argument.value.line;
            fields.push(Entry { key, value, line });
        }
        let fields = Some(fields);
        Some(Value::Object {
            program,
            scope,
            fields,
        })
    }

    fn built_in(&mut self, name: &str, arguments: &[Argument], place: Place) -> Option<Value> {
        let first = arguments.first().map(|a| &a.value);
        match name {
            "vars" | "str" | "String" | "int" | "bool" | "Some" | "Option" | "tuple"
            | "SecretStr" | "mapAsJavaMap" => Some(self.eval(first?, place)),
            "list" | "set" => Some(self.eval(first?, place)),
            "Seq" | "List" | "Array" | "Set" | "Vector" => {
                let items = arguments.iter().map(|a| self.eval(&a.value, place));
                Some(Value::List(items.collect()))
            }
            "dict" | "Map" | "HashMap" | "SimpleNamespace" | "Properties" => {
                Some(self.dictionary(arguments, place))
            }
            "dumps" => {
                let json = self.eval(first?, place).to_json()?;
                Some(Value::Text(Text::known(json.to_string())))
            }
            "Field" | "field" => {
                let default = arguments
                    .iter()
                    .find(|a| a.name.as_deref() == Some("default"));
                let default = default.or_else(|| arguments.first().filter(|a| a.name.is_none()))?;
                Some(self.eval(&default.value, place))
            }
            _ => None,
        }
    }

    /// A dictionary made of arguments: pairs, other dictionaries, `key=value`.
    pub fn dictionary(&mut self, arguments: &[Argument], place: Place) -> Value {
        let mut map = Value::Map(Vec::new());
        for argument in arguments {
            let value = self.eval(&argument.value, place);
            let value = value.or_source(&self.source(&argument.value, place));
            match &argument.name {
                Some(name) => map.insert(Some(name.clone()), value, argument.value.line),
                None => map.merge(value),
            }
        }
        map
    }

    /// `"{}:{}".format(a, b)`.
    fn formatted(&mut self, template: &str, arguments: &[Argument], place: Place) -> Option<Value> {
        let mut parts = Vec::new();
        let mut rest = template;
        let mut next = 0;
        while let Some(open) = rest.find('{') {
            let close = open + rest[open..].find('}')?;
            parts.push(Value::Text(Text::known(&rest[..open])));
            let hole = &rest[open + 1..close];
            let by_name = arguments.iter().find(|a| a.name.as_deref() == Some(hole));
            let argument = match hole.parse::<usize>() {
                Ok(number) => arguments.get(number)?,
                Err(_) if hole.is_empty() => {
                    next += 1;
                    arguments.get(next - 1)?
                }
                Err(_) => by_name?,
            };
            parts.push(self.eval(&argument.value, place));
            rest = &rest[close + 1..];
        }
        parts.push(Value::Text(Text::known(rest)));
        Some(Value::joined(parts.iter(), ""))
    }
}

/// `"a/".rstrip("/")`: characters are stripped, not texts.
fn stripped(method: &str, text: &str, ends: &str) -> String {
    let is_end = |c: char| ends.contains(c);
    match method {
        "rstrip" => text.trim_end_matches(is_end).to_owned(),
        "lstrip" => text.trim_start_matches(is_end).to_owned(),
        _ => text.trim_matches(is_end).to_owned(),
    }
}

/// What methods that clean a text make of it.
pub(super) fn cleaned(method: &str, text: &str) -> String {
    match method {
        "strip" | "trim" => text.trim().to_owned(),
        "rstrip" => text.trim_end().to_owned(),
        "lstrip" => text.trim_start().to_owned(),
        "lower" | "toLowerCase" => text.to_lowercase(),
        "upper" | "toUpperCase" => text.to_uppercase(),
        "stripMargin" => {
            let lines = text.lines().map(|line| {
                let bare = line.trim_start();
                bare.strip_prefix('|').unwrap_or(line)
            });
            lines.collect::<Vec<_>>().join("\n")
        }
        _ => text.to_owned(),
    }
}
