//! What the old job does to columns and keys: nothing here repeats it, so it is said.

use kol_common::event::Field;

use super::{Finder, MAX_FACTS};
use crate::convert::eval::Place;
use crate::convert::model::{Habit, Text};
use crate::convert::secrets::shown;
use crate::convert::syntax::{Argument, Change, Expr, Kind};

/// Most names of a schema that are listed.
const MAX_NAMES: usize = 12;
/// Deepest chain of functions around a column.
const MAX_AROUND: usize = 20;

/// Keys that a job here writes, as far as readers of the old one may know them.
const RANKINGS: [&str; 1] = ["ranking:{platform}:trending"];
const HASHES: [&str; 2] = ["trending:{platform}:{kol}", "streaming_scores:{kol}"];

/// What a column is made of.
enum Column {
    /// A column of this name.
    Of(String),
    /// The same text in each row.
    Always(String),
    /// What is not followed.
    Other,
}

impl<'a> Finder<'a, '_> {
    /// Keeps what a call does to columns or keys.
    pub(super) fn habit(
        &mut self,
        expr: &'a Expr,
        callee: &'a Expr,
        name: &str,
        arguments: &'a [Argument],
        place: Place,
    ) {
        match (name, arguments, &callee.kind) {
            ("alias" | "as" | "name", [to], Kind::Member(base, _)) => {
                self.renamed(&to.value, base, expr, place);
            }
            ("withColumn", [to, from], _) => self.renamed(&to.value, &from.value, expr, place),
            ("withColumnRenamed", [from, to], _) => {
                let from = self.word(&from.value, place);
                if let (Some(from), Some(to)) = (from, self.word(&to.value, place)) {
                    self.column(&to, &Column::Of(from), expr, place);
                }
            }
            ("selectExpr" | "sql" | "expr", all, _) => {
                for argument in all {
                    if let Some(text) = self.word(&argument.value, place) {
                        self.columns_of_sql(&text, expr, place);
                    }
                }
            }
            ("from_json", [_, schema, ..], _) => self.schema(&schema.value, expr, place),
            ("zadd" | "zAdd" | "zincrby" | "zIncrBy" | "zaddAsync", [key, ..], _) => {
                let here =
                    "here it is ranking:{platform}:trending; sink.keys.ranking names another";
                self.key("rankings", &key.value, &RANKINGS, here, place);
            }
            ("hset" | "hSet" | "hmset" | "hmSet" | "hsetnx" | "hincrby", [key, ..], _) => {
                let here = "here it is trending:{platform}:{kol}; sink.keys.hash names another";
                self.key("hashes", &key.value, &HASHES, here, place);
            }
            _ => {}
        }
    }

    fn word(&mut self, expr: &'a Expr, place: Place) -> Option<String> {
        let text = self.eval.eval(expr, place).to_text().value();
        self.eval.take_notes();
        text
    }

    /// A column gets a name that is read here.
    fn renamed(&mut self, to: &'a Expr, from: &'a Expr, at: &'a Expr, place: Place) {
        if let Some(to) = self.word(to, place)
            && field(&to).is_some()
        {
            let from = self.made_of(from, place);
            self.column(&to, &from, at, place);
        }
    }

    fn column(&mut self, to: &str, from: &Column, at: &'a Expr, place: Place) {
        let Some(of) = field(to) else { return };
        match from {
            Column::Of(from) => {
                let leaf = from.rsplit('.').next().unwrap_or(from);
                if read(leaf) != Some(of) {
                    let here = format!("name it in [source.fields] as {of}");
                    self.keep_habit(format!("column {from} as {to}"), here, at, place);
                }
            }
            Column::Always(text) if of == Field::Platform => {
                let here = format!(
                    "scoring.default_platform = \"{text}\" does this where events name none"
                );
                self.keep_habit(format!("platform \"{text}\" for all"), here, at, place);
            }
            Column::Always(_) | Column::Other => {}
        }
    }

    /// The column below functions, casts and the like.
    fn made_of(&mut self, expr: &'a Expr, place: Place) -> Column {
        let mut at = expr;
        for _ in 0..MAX_AROUND {
            match &at.kind {
                Kind::Call(callee, arguments) => match (callee.last_name(), &arguments[..]) {
                    (Some("col" | "column" | "$"), [name, ..]) => {
                        let name = self.word(&name.value, place);
                        return name.map_or(Column::Other, Column::Of);
                    }
                    (Some("lit" | "typedLit"), [text, ..]) => {
                        let text = self.word(&text.value, place);
                        return text.map_or(Column::Other, Column::Always);
                    }
                    (Some("get_json_object"), [_, path, ..]) => {
                        let path = self.word(&path.value, place);
                        return path.map_or(Column::Other, Column::Of);
                    }
                    (Some("cast" | "getField" | "substr" | "alias"), _) => match &callee.kind {
                        Kind::Member(base, _) => at = base,
                        _ => return Column::Other,
                    },
                    (
                        Some(
                            "trim" | "lower" | "upper" | "coalesce" | "to_timestamp"
                            | "regexp_replace",
                        ),
                        [first, ..],
                    ) => {
                        at = &first.value;
                    }
                    _ => return Column::Other,
                },
                // `df.name`, `$"name"`
                Kind::Member(_, name) => return Column::Of(name.clone()),
                Kind::Index(_, key) => {
                    let key = self.word(key, place);
                    return key.map_or(Column::Other, Column::Of);
                }
                Kind::Literal(name) => return Column::Of(name.clone()),
                Kind::Pieces(parts) => {
                    let known = parts.iter().map(|part| match &part.kind {
                        Kind::Literal(text) => Some(text.as_str()),
                        _ => None,
                    });
                    let known: Option<String> = known.collect();
                    return known.map_or(Column::Other, Column::Of);
                }
                _ => return Column::Other,
            }
        }
        Column::Other
    }

    /// `value.author AS username` in texts of SQL.
    fn columns_of_sql(&mut self, text: &str, at: &'a Expr, place: Place) {
        let words: Vec<&str> = text.split([' ', ',', '\n', '\t', '(', ')']).collect();
        let words: Vec<&str> = words.into_iter().filter(|w| !w.is_empty()).collect();
        for three in words.windows(3).take(MAX_FACTS) {
            if let [from, by, to] = three
                && by.eq_ignore_ascii_case("as")
                && from
                    .chars()
                    .all(|c| c.is_alphanumeric() || "._`".contains(c))
            {
                let (from, to) = (from.replace('`', ""), to.replace('`', ""));
                self.column(&to, &Column::Of(from), at, place);
            }
        }
    }

    /// The names that a schema gives to the parts of an event.
    fn schema(&mut self, schema: &'a Expr, at: &'a Expr, place: Place) {
        let mut names = Vec::new();
        self.names_of(schema, place, &mut names);
        let is_read = |wanted: &dyn Fn(Field) -> bool| {
            names.iter().any(|name| read(name).is_some_and(wanted))
        };
        let is_counter = |of: Field| Field::COUNTERS.contains(&of);
        let is_enough = is_read(&|of| of == Field::Username) && is_read(&is_counter);
        let mut others: Vec<&str> = names.iter().map(String::as_str).collect();
        others.retain(|name| read(name).is_none());
        if is_enough || others.is_empty() {
            return;
        }
        let more = others.len().saturating_sub(MAX_NAMES);
        others.truncate(MAX_NAMES);
        let mut what = format!("schema of from_json with {}", others.join(", "));
        if more > 0 {
            what.push_str(&format!(" and {more} more"));
        }
        let here = "name in [source.fields] which of these is username, likes, …".to_owned();
        self.keep_habit(what, here, at, place);
    }

    fn names_of(&mut self, schema: &'a Expr, place: Place, names: &mut Vec<String>) {
        let bound = schema.path().and_then(|path| {
            let program = self.world.programs.get(place.program)?;
            let is_it = |b: &&crate::convert::syntax::Binding| {
                b.name == path && matches!(b.change, Change::Set)
            };
            program.bindings.iter().rfind(is_it).map(|b| &b.value)
        });
        let schema = bound.unwrap_or(schema);
        schema.walk(&mut |e| {
            let Kind::Call(callee, arguments) = &e.kind else {
                return;
            };
            if let (Some("StructField" | "add"), Some(first)) =
                (callee.last_name(), arguments.first())
                && let Kind::Literal(name) = &first.value.kind
            {
                names.push(name.clone());
            }
        });
        // `"username STRING, like_count BIGINT"`
        if names.is_empty()
            && let Some(text) = self.word(schema, place)
        {
            let parts = text.split([',', '<']).filter_map(|part| {
                let name = part.split_whitespace().next()?;
                Some(name.split(':').next()?.replace('`', ""))
            });
            names.extend(parts);
        }
        names.dedup();
    }

    /// A key of Redis that is not written here.
    fn key(&mut self, what: &str, key: &'a Expr, known: &[&str], here: &str, place: Place) {
        let text = self.eval.setting(what, key, place).value;
        if !known.iter().any(|template| is_of(&text, template)) {
            let what = format!("{what} in {}", text.question());
            self.keep_habit(what, here.to_owned(), key, place);
        }
    }

    pub(super) fn keep_habit(&mut self, what: String, here: String, at: &'a Expr, place: Place) {
        let habit = Habit {
            what: shown(&what),
            here,
            origin: self.eval.origin(at, place),
        };
        let is_known = self.facts.habits.iter().any(|h| h.what == habit.what);
        if !is_known && self.facts.habits.len() < MAX_FACTS {
            self.facts.habits.push(habit);
        }
    }
}

/// The field that a name stands for.
fn field(name: &str) -> Option<Field> {
    let mut all = Field::ALL.into_iter();
    read(name).or_else(|| all.find(|field| field.as_str() == name))
}

/// The field that is looked for under a name in events.
fn read(name: &str) -> Option<Field> {
    let mut all = Field::ALL.into_iter();
    all.find(|field| field.default_paths().contains(&name))
}

/// Whether a text that is known in parts is a key of this template.
fn is_of(text: &Text, template: &str) -> bool {
    let text = text.with_gaps();
    // What stands between the holes of the template.
    let mut parts = template
        .split('{')
        .enumerate()
        .map(|(number, part)| match number {
            0 => part,
            _ => part.split_once('}').map_or("", |(_, rest)| rest),
        });
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    for part in parts {
        match (part, rest.find(part)) {
            ("", _) => return !rest.is_empty(),
            (_, Some(at)) if at > 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_a_template_whatever_fills_its_holes() {
        let gap = |before: &str, after: &str| {
            let mut text = Text::known(before);
            text.pieces.extend(Text::unknown("x").pieces);
            text.pieces.extend(Text::known(after).pieces);
            text
        };
        for (text, template, is) in [
            (Text::known("ranking:tiktok:trending"), RANKINGS[0], true),
            (gap("ranking:", ":trending"), RANKINGS[0], true),
            (Text::known("ranking::trending"), RANKINGS[0], false),
            (Text::known("ranking:tiktok:trending2"), RANKINGS[0], false),
            (gap("board:", ""), RANKINGS[0], false),
            (Text::unknown("key"), RANKINGS[0], false),
            (gap("trending:tiktok:", ""), HASHES[0], true),
            (gap("streaming_scores:", ""), HASHES[1], true),
            (Text::known("trending:tiktok:"), HASHES[0], false),
        ] {
            assert_eq!(is_of(&text, template), is, "{text:?}");
        }
    }
}
