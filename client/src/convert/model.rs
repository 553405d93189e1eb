//! What all front-ends answer: settings with their origin.

use std::collections::{BTreeMap, BTreeSet};

use super::secrets::{of_setting, shown};

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// File, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// It is known.
    Known(String),
    /// It is computed by this expression.
    Unknown(String),
}

/// A text that may be known only in parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text {
    /// Its parts, in order.
    pub pieces: Vec<Piece>,
    /// The expression that it is the value of, for messages.
    pub source: String,
    /// It may be any number of words: what a shell expands without quotes.
    pub splits: bool,
}

impl Text {
    /// A text that is known.
    pub fn known(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            source: text.clone(),
            pieces: vec![Piece::Known(text)],
            splits: false,
        }
    }

    /// A text that only the run knows.
    pub fn unknown(source: impl Into<String>) -> Self {
        let source = source.into();
        Self {
            pieces: vec![Piece::Unknown(source.clone())],
            source,
            splits: false,
        }
    }

    /// Words that only the run knows, any number of them.
    pub fn words(source: impl Into<String>) -> Self {
        Self {
            splits: true,
            ..Self::unknown(source)
        }
    }

    /// What is known of its beginning.
    pub fn head(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Known(text)) => text,
            _ => "",
        }
    }

    /// Both sides of the first `at`, if what stands before it is known.
    pub fn split(&self, at: char) -> Option<(String, Self)> {
        let (key, value) = self.head().split_once(at)?;
        let rest = self.pieces.get(1..).unwrap_or_default();
        let mut pieces = Vec::new();
        if !value.is_empty() || rest.is_empty() {
            pieces.push(Piece::Known(value.to_owned()));
        }
        pieces.extend(rest.iter().cloned());
        let source = self.source.split_once(at).map_or("", |(_, v)| v).to_owned();
        let splits = false;
        let value = Self {
            pieces,
            source,
            splits,
        };
        Some((key.to_owned(), value))
    }

    /// Itself; not known where a template has a hole: `{{ … }}`.
    pub fn filled(mut self) -> Self {
        let mut pieces = Vec::new();
        for piece in self.pieces {
            let Piece::Known(text) = &piece else {
                pieces.push(piece);
                continue;
            };
            let mut rest = text.as_str();
            while let Some((before, inside)) = rest.split_once("{{") {
                let (inside, after) = inside.split_once("}}").unwrap_or((inside, ""));
                pieces.push(Piece::Known(before.to_owned()));
                pieces.push(Piece::Unknown(format!("{{{{{inside}}}}}")));
                rest = after;
            }
            pieces.push(Piece::Known(rest.to_owned()));
        }
        self.pieces = pieces;
        self
    }

    /// The text, if all of it is known.
    pub fn value(&self) -> Option<String> {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Known(text) => Some(text.as_str()),
                Piece::Unknown(_) => None,
            })
            .collect()
    }

    /// What is known of it, with a NUL for each part that only the run knows.
    pub fn with_gaps(&self) -> String {
        let known = self.pieces.iter().map(|piece| match piece {
            Piece::Known(text) => text.as_str(),
            Piece::Unknown(_) => "\0",
        });
        known.collect()
    }

    /// Whether it reads as a number.
    pub fn is_number(&self) -> bool {
        let is_digit = |b: u8| b.is_ascii_digit() || b == b'.';
        self.value()
            .is_some_and(|v| !v.is_empty() && v.bytes().all(is_digit))
    }

    /// The first expression in it that only the run knows.
    pub fn first_unknown(&self) -> Option<&str> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Known(_) => None,
            Piece::Unknown(expression) => Some(expression.as_str()),
        })
    }

    /// What a person has to find out, without secrets and on one line.
    pub fn question(&self) -> String {
        shown(&self.source)
    }

    /// Keeps memory bounded while texts are put together.
    pub fn len(&self) -> usize {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Known(text) | Piece::Unknown(text) => text.len(),
            })
            .sum()
    }

    /// Whether it has no characters.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A setting of the old job.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Name as Spark, Kafka or Redis spells it.
    pub key: String,
    /// Its value, or the expression that gives it.
    pub value: Text,
    /// Where it stands.
    pub origin: Origin,
    /// What was assumed to get the value: defaults that were taken.
    pub notes: Vec<String>,
}

/// Settings by key; the last one given counts.
pub type Settings = BTreeMap<String, Setting>;

/// A stream that the old job reads from Kafka.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Where it stands.
    pub origin: Origin,
    /// The options of its reader.
    pub options: Settings,
    /// Its format, as far as it is known.
    pub format: Option<Text>,
    /// Options whose names are not known.
    pub unnamed: Vec<Origin>,
}

impl Stream {
    /// Sets options whose names are not known: any of those set before may be another one now.
    pub fn set_unnamed(&mut self, origin: Origin) {
        for setting in self.options.values_mut() {
            let ask = format!("{}, which {origin} may set again", setting.key);
            setting.value = Text::unknown(ask);
        }
        self.unnamed.push(origin);
    }

    /// Sets an option. One that is set in a branch differently from before depends on what only the run
    /// knows; of one that only a branch sets, `say` says so.
    pub fn set(&mut self, mut setting: Setting, in_branch: bool, say: bool) {
        let key = setting.key.to_lowercase();
        let Setting {
            key: name, origin, ..
        } = &setting;
        match self.options.get(&key) {
            Some(before) if in_branch && before.value != setting.value => {
                let lines = match before.origin.line == origin.line {
                    true => format!("in branches of line {}", origin.line),
                    false => format!("in lines {} and {}", before.origin.line, origin.line),
                };
                let question = format!("{name}, which {} sets differently {lines}", origin.file);
                setting.value = Text::unknown(question);
            }
            None if say => {
                let note = format!("{origin}: {name} is set in a branch only: it is taken as set");
                setting.notes.push(note);
            }
            _ => {}
        }
        self.options.insert(key, setting);
    }
}

/// A Redis that the old job connects to.
#[derive(Clone, Debug)]
pub struct RedisUse {
    /// Where it stands.
    pub origin: Origin,
    /// `host`, `port`, `db`, `username`, `password`, `ssl` or `url`.
    pub options: Settings,
}

/// Everything that was found in the files.
#[derive(Debug, Default)]
pub struct Facts {
    /// Settings of Spark: `spark.…`.
    pub spark: Settings,
    /// Environment of the old job.
    pub environment: Settings,
    /// Defaults of environment look-ups in sources.
    pub lookups: Settings,
    /// Arguments that the application was started with.
    pub arguments: Vec<Text>,
    /// Name of a Kubernetes object.
    pub object_name: Option<Setting>,
    /// Name that the source gives the application.
    pub app_name: Option<Setting>,
    /// Streams in the order of the files.
    pub streams: Vec<Stream>,
    /// Redis connections in the order of the files.
    pub redis: Vec<RedisUse>,
    /// Databases that clients of Redis select.
    pub selected: Vec<Setting>,
    /// Passwords that clients of Redis log in with after they are made.
    pub logins: Vec<Setting>,
    /// What the old job does to columns and keys, and what does that here.
    pub habits: Vec<Habit>,
    /// `checkpointLocation` of queries.
    pub checkpoints: Vec<Setting>,
    /// Windows, watermarks, triggers and the like.
    pub timing: Vec<Setting>,
    /// What people should know, with file and line.
    pub notes: Vec<String>,
    /// Names of all files, without folders.
    pub files: Vec<String>,
    /// Names of the sources among the files, without folders.
    pub sources: Vec<String>,
    /// The environment around containers: what scripts and `.env` files set.
    pub outside: BTreeMap<String, Text>,
    /// What containers set, with the one that did.
    pub containers: BTreeMap<String, (String, Text)>,
    /// What ConfigMaps hold, by `name/key`.
    pub config_maps: BTreeMap<String, Text>,
    /// Commands that start Spark.
    pub commands: Vec<Command>,
}

/// Something that the old job does and that no setting here repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Habit {
    /// What it does, on one line.
    pub what: String,
    /// What does that here.
    pub here: String,
    /// Where it stands.
    pub origin: Origin,
}

/// A command that starts Spark.
#[derive(Clone, Debug)]
pub struct Command {
    /// Where it stands.
    pub origin: Origin,
    /// What it sets, in its order.
    pub settings: Vec<(String, Text)>,
    /// What it starts, and its arguments.
    pub application: Option<(Text, Vec<Text>)>,
}

impl Facts {
    /// Notes something, once.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// What must not be said, wherever it is quoted.
    pub fn secrets(&self) -> BTreeSet<String> {
        let streams = self.streams.iter().flat_map(|s| s.options.values());
        let redis = self.redis.iter().flat_map(|r| r.options.values());
        let own = [&self.spark, &self.environment, &self.lookups];
        let all = own.into_iter().flat_map(Settings::values);
        all.chain(streams)
            .chain(redis)
            .chain(&self.logins)
            .flat_map(|setting| of_setting(&setting.key, &setting.value.with_gaps()))
            .collect()
    }

    /// Whether nothing of a Spark job was found.
    pub fn is_empty(&self) -> bool {
        self.spark.is_empty()
            && self.streams.is_empty()
            && self.redis.is_empty()
            && self.checkpoints.is_empty()
            && self.app_name.is_none()
            && self.object_name.is_none()
            && super::names::all().all(|name| {
                !self.environment.contains_key(name) && !self.lookups.contains_key(name)
            })
    }
}
