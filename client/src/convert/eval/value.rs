//! What an expression can turn out to be.

use crate::convert::model::{Piece, Text};

/// Most entries of a list or map.
const MAX_ENTRIES: usize = 4_096;

/// A value, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, number or truth value.
    Text(Text),
    /// A list, tuple or set.
    List(Vec<Value>),
    /// A map in its order; a key that is `None` is not known.
    Map(Vec<Entry>),
    /// An object, or the class itself: members are looked up in the class.
    Object {
        /// Index of the program.
        program: usize,
        /// Scope of the class.
        scope: usize,
        /// Values given to its constructor.
        fields: Vec<Entry>,
    },
    /// No value: `None`, `null`.
    Null,
}

/// An entry of a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key, if it is known.
    pub key: Option<String>,
    /// What the key has.
    pub value: Value,
    /// Line of the value.
    pub line: usize,
}

impl Value {
    /// As a text: lists are joined with commas, as Kafka writes them.
    pub fn to_text(&self) -> Text {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => match Self::joined(items.iter(), ",") {
                Self::Text(text) => text,
                _ => Text::default(),
            },
            Self::Null => Text::unknown("None"),
            Self::Map(_) | Self::Object { .. } => Text::unknown("a value with parts"),
        }
    }

    /// Texts one after the other.
    pub fn joined<'v>(parts: impl Iterator<Item = &'v Self>, separator: &str) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut add = |piece: Piece| match (pieces.last_mut(), piece) {
            (Some(Piece::Known(last)), Piece::Known(next)) => last.push_str(&next),
            (_, piece) => pieces.push(piece),
        };
        for (i, part) in parts.enumerate() {
            if i > 0 && !separator.is_empty() {
                add(Piece::Known(separator.to_owned()));
            }
            part.to_text().pieces.into_iter().for_each(&mut add);
        }
        let source = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Known(text) | Piece::Unknown(text) => text.as_str(),
            })
            .collect();
        Self::Text(Text { pieces, source })
    }

    /// `self + other`.
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::List(mut a), Self::List(b)) => {
                a.extend(b);
                a.truncate(MAX_ENTRIES);
                Self::List(a)
            }
            (Self::List(mut items), item) if item.is_known() && items.len() < MAX_ENTRIES => {
                items.push(item);
                Self::List(items)
            }
            (mut map @ Self::Map(_), other) => {
                map.merge(other);
                map
            }
            (a, b) => Self::joined([&a, &b].into_iter(), ""),
        }
    }

    /// The one value that all of them are.
    pub fn agreed(values: Vec<Self>) -> Option<Self> {
        let mut values = values.into_iter();
        let first = values.next()?;
        (first.is_known() && values.all(|other| other == first)).then_some(first)
    }

    /// Whether nothing in it is left to the run.
    pub fn is_known(&self) -> bool {
        match self {
            Self::Text(text) => text.value().is_some(),
            Self::List(items) => items.iter().all(Self::is_known),
            Self::Map(entries) => entries
                .iter()
                .all(|e| e.key.is_some() && e.value.is_known()),
            Self::Object { .. } => true,
            Self::Null => false,
        }
    }

    /// Whether all keys of a map are known.
    pub fn has_all_keys(&self) -> bool {
        matches!(self, Self::Map(entries) if entries.iter().all(|e| e.key.is_some()))
    }

    /// A rough size, bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::List(items) => items.iter().map(Self::len).sum::<usize>() + items.len(),
            Self::Map(entries)
            | Self::Object {
                fields: entries, ..
            } => entries.iter().map(|e| e.value.len() + 16).sum(),
            Self::Null => 0,
        }
    }

    /// Sets a key of a map.
    pub fn insert(&mut self, key: Option<String>, value: Self, line: usize) {
        let Self::Map(entries) = self else { return };
        if entries.len() < MAX_ENTRIES {
            entries.retain(|e| e.key.is_none() || e.key != key);
            entries.push(Entry { key, value, line });
        }
    }

    /// Leaves a key of a map out; false if it is no map.
    pub fn remove(&mut self, key: &str) -> bool {
        let Self::Map(entries) = self else {
            return false;
        };
        entries.retain(|e| e.key.as_deref() != Some(key));
        true
    }

    /// Takes over all entries of another map; what is no map is an entry without a known key.
    pub fn merge(&mut self, other: Self) {
        match other {
            Self::Map(entries) => {
                for entry in entries {
                    self.insert(entry.key, entry.value, entry.line);
                }
            }
            Self::List(pairs) => {
                for pair in pairs {
                    match pair {
                        Self::List(pair) => {
                            if let [key, value] = &pair[..] {
                                self.insert(key.to_text().value(), value.clone(), 0);
                            }
                        }
                        pair @ Self::Map(_) => self.merge(pair),
                        _ => {}
                    }
                }
            }
            other => self.insert(None, other, 0),
        }
    }

    /// An entry of a map or list.
    pub fn get(&self, key: &str) -> Option<Self> {
        match self {
            Self::Map(entries) => entries
                .iter()
                .find(|e| e.key.as_deref() == Some(key))
                .map(|e| e.value.clone()),
            Self::List(items) => items.get(key.parse::<usize>().ok()?).cloned(),
            _ => None,
        }
    }

    /// Itself, with `source` as the expression to show if it is not known.
    pub fn or_source(mut self, source: &str) -> Self {
        if let Self::Text(text) = &mut self
            && text.value().is_none()
        {
            text.source = source.to_owned();
        }
        self
    }

    /// As JSON, if all of it is known.
    pub fn to_json(&self) -> Option<serde_json::Value> {
        Some(match self {
            Self::Text(text) => {
                let text = text.value()?;
                text.parse::<i64>()
                    .map_or_else(|_| text.into(), serde_json::Value::from)
            }
            Self::List(items) => items.iter().map(Self::to_json).collect::<Option<_>>()?,
            Self::Map(entries) => entries
                .iter()
                .map(|e| Some((e.key.clone()?, e.value.to_json()?)))
                .collect::<Option<serde_json::Map<_, _>>>()?
                .into(),
            Self::Object { .. } | Self::Null => return None,
        })
    }
}
