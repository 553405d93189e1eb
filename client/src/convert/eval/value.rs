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
        /// Values given to its constructor; `None` for the class itself.
        fields: Option<Vec<Entry>>,
    },
    /// What a parser of this program made of these words, or of those that the application was started with.
    Parsed {
        /// Index of the program.
        program: usize,
        /// The words, if the source names them.
        words: Option<Vec<Text>>,
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
            Self::Map(_) | Self::Object { .. } | Self::Parsed { .. } => {
                Text::unknown("a value with parts")
            }
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
        Self::Text(Text {
            pieces,
            source,
            splits: false,
        })
    }

    /// `self + other`.
    pub fn plus(self, other: Self) -> Self {
        match (self, other) {
            // Numbers are added, and what `1 + 1` is in a source is not its text.
            (Self::Text(a), Self::Text(b)) if a.is_number() && b.is_number() => {
                Self::Text(Text::unknown(format!("{} + {}", a.source, b.source)))
            }
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

    /// Whether Python takes it for nothing: `None`, an empty text, list or dictionary.
    pub fn is_nothing(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.value().is_some_and(|v| v.is_empty()),
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.is_empty(),
            Self::Object { .. } | Self::Parsed { .. } => false,
        }
    }

    /// Whether nothing in it is left to the run.
    pub fn is_known(&self) -> bool {
        match self {
            Self::Text(text) => text.value().is_some(),
            Self::List(items) => items.iter().all(Self::is_known),
            Self::Map(entries) => entries
                .iter()
                .all(|e| e.key.is_some() && e.value.is_known()),
            Self::Object { .. } | Self::Parsed { .. } => true,
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
                fields: Some(entries),
                ..
            } => entries.iter().map(|e| e.value.len() + 16).sum(),
            Self::Object { .. } | Self::Parsed { .. } | Self::Null => 0,
        }
    }

    /// Sets a key of a map, or an item of a list. A key that is not known may be any of those that are
    /// there: none of them is known from then on.
    pub fn insert(&mut self, key: Option<String>, value: Self, line: usize) {
        match (&mut *self, key) {
            (Self::Map(entries), _) if entries.len() >= MAX_ENTRIES => {
                entries.clear();
                let value = Self::Text(Text::unknown(format!("one of {MAX_ENTRIES} entries")));
                let key = None;
                entries.push(Entry { key, value, line });
            }
            (Self::Map(entries), Some(key)) => {
                entries.retain(|e| e.key.as_ref() != Some(&key));
                let key = Some(key);
                entries.push(Entry { key, value, line });
            }
            (Self::Map(entries), None) => {
                for entry in entries.iter_mut() {
                    entry.value = value.laid_over(entry.key.as_deref().unwrap_or("a key"));
                }
                let key = None;
                entries.push(Entry { key, value, line });
            }
            (Self::List(items), key) => {
                let at = key.and_then(|key| key.parse::<usize>().ok());
                match at.and_then(|at| items.get_mut(at)) {
                    Some(item) => *item = value,
                    None => *self = value.laid_over("an item"),
                }
            }
            (Self::Text(text), _) if text.value().is_none() => {}
            (Self::Text(_) | Self::Object { .. } | Self::Parsed { .. } | Self::Null, _) => {
                *self = value.laid_over("a value");
            }
        }
    }

    /// What is left of `key` when something unknown, this value, was laid over it.
    fn laid_over(&self, key: &str) -> Self {
        let by = self.to_text().source;
        Self::Text(Text::unknown(format!(
            "{key}, which may be replaced by {by}"
        )))
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
                            let [key, value] = &pair[..] else {
                                self.insert(None, Self::List(pair), 0);
                                continue;
                            };
                            self.insert(key.to_text().value(), value.clone(), 0);
                        }
                        pair @ Self::Map(_) => self.merge(pair),
                        other => self.insert(None, other, 0),
                    }
                }
            }
            other => self.insert(None, other, 0),
        }
    }

    /// An entry of a map or list; a map that may have it, under a key that is not known, answers that
    /// it is not known.
    pub fn get(&self, key: &str) -> Option<Self> {
        match self {
            Self::Map(entries) => {
                let found = entries.iter().find(|e| e.key.as_deref() == Some(key));
                let hidden = || entries.iter().rfind(|e| e.key.is_none());
                found
                    .map(|e| e.value.clone())
                    .or_else(|| hidden().map(|e| e.value.laid_over(key)))
            }
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
            Self::Object { .. } | Self::Parsed { .. } | Self::Null => return None,
        })
    }
}
