//! Takes typed values out of a TOML table. What has the wrong type is noted and read as absent; what
//! nobody known for is an unknown key.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_spanned::Spanned;
use toml::de::{DeArray, DeString, DeTable, DeValue};

use crate::event::{FieldPath, MAX_ALTERNATIVES};
use crate::time::Millis;

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecProblem {
    /// Line of the file, from 1; `None` for what is missing altogether.
    pub line: Option<usize>,
    /// Dotted key: `scoring.slide`.
    pub key: String,
    /// What is wrong, and what to write.
    pub message: String,
}

/// Collects problems while a spec is read.
pub(super) struct Problems {
    line_starts: Vec<usize>,
    keys: BTreeMap<String, usize>,
    found: RefCell<Vec<SpecProblem>>,
}

impl Problems {
    pub(super) fn new(text: &str) -> Self {
        let line_starts = text
            .bytes()
            .enumerate()
            .filter(|(_, byte)| *byte == b'\n')
            .map(|(at, _)| at + 1)
            .collect();
        let mut keys = BTreeMap::new();
        if let Ok(table) = DeTable::parse(text) {
            note_places("", table.as_ref(), &mut keys);
        }
        Self {
            line_starts,
            keys,
            found: RefCell::default(),
        }
    }

    /// `at` is a byte offset into the text.
    pub(super) fn add(&self, at: Option<usize>, key: &str, message: impl Into<String>) {
        let line = at.map(|at| 1 + self.line_starts.partition_point(|start| *start <= at));
        self.found.borrow_mut().push(SpecProblem {
            line,
            key: key.to_owned(),
            message: message.into(),
        });
    }

    pub(super) fn into_sorted(self) -> Vec<SpecProblem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|p| p.line.unwrap_or(usize::MAX));
        found
    }

    /// Notes a problem of a key after reading; its line, or that of the table around it, is known from
    /// the text.
    pub(super) fn of_key(&self, key: &str, message: impl Into<String>) {
        self.add(self.place(key), key, message);
    }

    /// The same of a key of a table in a list, which has this name.
    pub(super) fn of_item(&self, list: &str, name: &str, key: &str, message: impl Into<String>) {
        let at = self.place(&format!("{list}.{name}.{key}"));
        self.add(at, &format!("{list}.{key}"), message);
    }

    /// Where a key stands, or the nearest table around it.
    fn place(&self, mut key: &str) -> Option<usize> {
        loop {
            if let Some(at) = self.keys.get(key) {
                return Some(*at);
            }
            key = key.rsplit_once('.')?.0;
        }
    }
}

/// No time in a spec is longer than about a century: sums of several stay in range.
const LONGEST: Millis = Millis(100 * 365 * 86_400_000);

type Values<'i> = BTreeMap<String, (usize, DeValue<'i>)>;

/// One table of the spec.
pub(super) struct Section<'i, 'p> {
    path: String,
    values: RefCell<Values<'i>>,
    known: RefCell<Vec<&'static str>>,
    pub(super) problems: &'p Problems,
}

impl<'i, 'p> Section<'i, 'p> {
    pub(super) fn root(table: DeTable<'i>, problems: &'p Problems) -> Self {
        Self::new(String::new(), table, problems)
    }

    fn new(path: String, table: DeTable<'i>, problems: &'p Problems) -> Self {
        let entry = |(key, value): (Spanned<DeString<'i>>, Spanned<DeValue<'i>>)| {
            let at = key.span().start;
            (key.into_inner().into_owned(), (at, value.into_inner()))
        };
        Self {
            path,
            values: RefCell::new(table.into_iter().map(entry).collect()),
            known: RefCell::default(),
            problems,
        }
    }

    fn empty(path: String, problems: &'p Problems) -> Self {
        Self {
            path,
            values: RefCell::default(),
            known: RefCell::default(),
            problems,
        }
    }

    /// The dotted name of a key of this table.
    pub(super) fn dotted(&self, key: &str) -> String {
        if key.is_empty() {
            self.path.clone()
        } else if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn take(&self, key: &'static str) -> Option<(usize, DeValue<'i>)> {
        self.known.borrow_mut().push(key);
        self.values.borrow_mut().remove(key)
    }

    /// Notes a problem with a key of this table.
    pub(super) fn problem(&self, at: usize, key: &str, message: impl Into<String>) {
        self.problems.add(Some(at), &self.dotted(key), message);
    }

    /// Reads a value with `read`, which says what it expected if it cannot.
    pub(super) fn value<T>(
        &self,
        key: &'static str,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, String>,
    ) -> Option<T> {
        let (at, value) = self.take(key)?;
        filled_in(&value)
            .and_then(|()| read(&value))
            .map_err(|expected| self.problem(at, key, expected))
            .ok()
    }

    pub(super) fn text(&self, key: &'static str) -> Option<String> {
        self.value(key, text)
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<bool> {
        self.value(key, |v| {
            v.as_bool().ok_or_else(|| expected("true or false", v))
        })
    }

    pub(super) fn whole(&self, key: &'static str) -> Option<u64> {
        self.value(key, whole)
    }

    pub(super) fn number(&self, key: &'static str) -> Option<f64> {
        self.value(key, finite)
    }

    pub(super) fn duration(&self, key: &'static str) -> Option<Millis> {
        self.value(key, duration)
    }

    /// A duration, or `"off"`.
    pub(super) fn duration_or_off(&self, key: &'static str) -> Option<Option<Millis>> {
        self.value(key, |v| match v.as_str() {
            Some("off") => Ok(None),
            _ => duration(v)
                .map(Some)
                .map_err(|e| format!("{e}, or \"off\"")),
        })
    }

    pub(super) fn texts(&self, key: &'static str) -> Option<Vec<String>> {
        self.value(key, |v| {
            let list = v.as_array().ok_or_else(|| expected("a list of texts", v))?;
            list.iter().map(|item| text(item.as_ref())).collect()
        })
    }

    /// A path, or several that are tried in their order. Each that is wrong is noted.
    pub(super) fn paths(&self, key: &'static str) -> Option<Vec<FieldPath>> {
        const EXAMPLE: &str = "a path like \"stats.diggCount\", or a list of them";
        let (at, value) = self.take(key)?;
        let texts = match &value {
            DeValue::Array(list) => list.iter().map(|item| text(item.as_ref())).collect(),
            other => vec![text(other).map_err(|_| expected(EXAMPLE, other))],
        };
        if texts.is_empty() || texts.len() > MAX_ALTERNATIVES {
            let message = format!("name between one path and {MAX_ALTERNATIVES}");
            self.problem(at, key, message);
        }
        let mut paths = Vec::new();
        for text in texts {
            match text.and_then(|text| text.parse()) {
                Ok(path) => paths.push(path),
                Err(why) => self.problem(at, key, why),
            }
        }
        Some(paths)
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &'static str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        self.value(key, |v| {
            let word = text(v)?;
            let found = words.iter().find(|(name, _)| *name == word);
            found.map(|(_, value)| *value).ok_or_else(|| {
                let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
                format!("`{word}` is not one of: {}", names.join(", "))
            })
        })
    }

    /// A table below this one; an empty one if it is absent.
    pub(super) fn section(&self, key: &'static str) -> Section<'i, 'p> {
        let path = self.dotted(key);
        match self.take(key) {
            Some((_, DeValue::Table(table))) => Section::new(path, table, self.problems),
            Some((at, other)) => {
                self.problem(at, key, expected("a table", &other));
                Section::empty(path, self.problems)
            }
            None => Section::empty(path, self.problems),
        }
    }

    /// A table that a flag may stand for: `true` is an empty one, `false` is none.
    pub(super) fn switch(&self, key: &'static str) -> Option<Section<'i, 'p>> {
        let path = self.dotted(key);
        match self.take(key)? {
            (_, DeValue::Boolean(on)) => on.then(|| Section::empty(path, self.problems)),
            (_, DeValue::Table(table)) => Some(Section::new(path, table, self.problems)),
            (at, other) => {
                self.problem(at, key, expected("true, false or a table", &other));
                None
            }
        }
    }

    /// A key that may not be there.
    pub(super) fn refuse(&self, key: &str, why: &str) {
        if let Some((at, _)) = self.values.borrow_mut().remove(key) {
            self.problem(at, key, why);
        }
    }

    /// The tables of a list, each with the place where it begins; none if it is absent.
    pub(super) fn sections(&self, key: &'static str) -> Vec<(usize, Section<'i, 'p>)> {
        let path = self.dotted(key);
        let (at, list) = match self.take(key) {
            Some((at, DeValue::Array(list))) => (at, list),
            Some((at, other)) => {
                self.problem(at, key, expected("a list of tables", &other));
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut sections = Vec::new();
        for item in list {
            let begins = item.span().start;
            match item.into_inner() {
                DeValue::Table(table) => {
                    sections.push((begins, Section::new(path.clone(), table, self.problems)));
                }
                other => self.problem(at, key, expected("a list of tables", &other)),
            }
        }
        sections
    }

    /// All remaining keys with text values.
    pub(super) fn all_texts(&self) -> Vec<(String, usize, String)> {
        let values = std::mem::take(&mut *self.values.borrow_mut());
        let mut all = Vec::new();
        for (key, (at, value)) in values {
            let as_text = match &value {
                DeValue::Integer(i) => Ok(i.as_str().to_owned()),
                DeValue::Boolean(b) => Ok(b.to_string()),
                other => text(other),
            };
            match as_text {
                Ok(text) => all.push((key, at, text)),
                Err(expected) => self.problem(at, &key, expected),
            }
        }
        all
    }

    /// Refuses keys that nobody has taken.
    pub(super) fn end(&self) {
        let known = self.known.borrow();
        for (key, (at, _)) in &*self.values.borrow() {
            let near = known
                .iter()
                .map(|name| (distance(key, name), *name))
                .min()
                .filter(|(distance, name)| *distance <= name.len() / 2);
            let hint = near.map_or_else(
                || format!("known keys: {}", known.join(", ")),
                |(_, name)| format!("did you mean `{name}`?"),
            );
            self.problem(*at, key, format!("unknown key; {hint}"));
        }
    }
}

/// Notes where each key of a spec stands, by its dotted name.
fn note_places(path: &str, table: &DeTable<'_>, places: &mut BTreeMap<String, usize>) {
    for (key, value) in table.iter() {
        let dotted = if path.is_empty() {
            key.as_ref().to_string()
        } else {
            format!("{path}.{}", key.as_ref())
        };
        places.insert(dotted.clone(), key.span().start);
        match value.as_ref() {
            DeValue::Table(inner) => note_places(&dotted, inner, places),
            DeValue::Array(list) => note_items(&dotted, list, places),
            _ => {}
        }
    }
}

/// The same in a list, for its tables that have a name.
fn note_items(path: &str, list: &DeArray<'_>, places: &mut BTreeMap<String, usize>) {
    for item in list.iter() {
        let DeValue::Table(table) = item.as_ref() else {
            continue;
        };
        if let Some(DeValue::String(name)) = table.get("name").map(|name| name.as_ref()) {
            let path = format!("{path}.{name}");
            places.insert(path.clone(), item.span().start);
            note_places(&path, table, places);
        }
    }
}

fn expected(what: &str, found: &DeValue<'_>) -> String {
    format!("expected {what}, found {}", found.type_str())
}

/// What a converter could not know is not a value yet.
fn filled_in(value: &DeValue<'_>) -> Result<(), String> {
    match value.as_str() {
        Some(open) if open.starts_with("FILL-IN") => {
            Err(format!("is still to be filled in: {open}"))
        }
        _ => Ok(()),
    }
}

pub(super) fn text(value: &DeValue<'_>) -> Result<String, String> {
    filled_in(value)?;
    let found = value.as_str();
    found.map_or_else(|| Err(expected("a text", value)), |t| Ok(t.to_owned()))
}

pub(super) fn whole(value: &DeValue<'_>) -> Result<u64, String> {
    let integer = value
        .as_integer()
        .ok_or_else(|| expected("a whole number", value))?;
    u64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix())
        .map_err(|_| format!("`{}` is not a whole number from 0 on", integer.as_str()))
}

pub(super) fn finite(value: &DeValue<'_>) -> Result<f64, String> {
    let text = match value {
        DeValue::Integer(i) if i.radix() == 10 => i.as_str(),
        DeValue::Float(f) => f.as_str(),
        other => return Err(expected("a number", other)),
    };
    let number: f64 = text
        .replace('_', "")
        .parse()
        .map_err(|_| format!("`{text}` is not a number"))?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err(format!("`{text}` is not a finite number"))
    }
}

fn duration(value: &DeValue<'_>) -> Result<Millis, String> {
    const EXAMPLE: &str = "a time like \"24h\", \"5m\" or \"100ms\"";
    let text = value.as_str().ok_or_else(|| expected(EXAMPLE, value))?;
    let parsed = humantime::parse_duration(text)
        .map(Millis::from)
        .map_err(|_| format!("`{text}` is not {EXAMPLE}"))?;
    if parsed > LONGEST {
        return Err(format!("`{text}` is longer than {LONGEST}"));
    }
    Ok(parsed)
}

/// Edit distance, for suggestions.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != *y))
                .min(above + 1)
                .min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}
