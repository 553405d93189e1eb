//! The spec while it is written: lines, comments, and notes for the person who converts.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::convert::model::{Origin, Setting, Text};
use crate::convert::secrets::{shown, without};

/// A job spec, and what people should know about it.
#[derive(Clone, Debug, Serialize)]
pub struct Converted {
    /// The spec as TOML with comments.
    pub spec_toml: String,
    /// Notes with file and line: what was assumed, what is to be filled in.
    pub notes: Vec<String>,
    /// The streams of the old job.
    pub streams: Vec<String>,
    /// Values that are to be filled in.
    pub fill_in: usize,
}

/// What a value that is to be filled in begins with; a check refuses it.
const FILL_IN: &str = "FILL-IN: ";

/// A spec that is being written.
pub struct Draft {
    out: String,
    notes: Vec<String>,
    fill_in: usize,
}

/// What stands in the place of a value of the spec.
pub enum Filling {
    /// The value, as the old job has it.
    Known(String),
    /// A person has to find it out: what is missing.
    Missing(String),
}

impl Filling {
    /// The value of a text, or its expression as a question.
    pub fn of(text: &Text) -> Self {
        match text.value() {
            Some(value) => Self::Known(value.trim().to_owned()),
            None => Self::Missing(text.question()),
        }
    }
}

impl Draft {
    /// Begins with notes that there are already.
    pub fn new(notes: Vec<String>) -> Self {
        Self {
            out: String::new(),
            notes,
            fill_in: 0,
        }
    }

    /// A line of the spec.
    pub fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// A comment; texts of the old job in it are shown without line breaks and logins.
    pub fn comment(&mut self, text: &str) {
        let text: String = text
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        self.line(&format!("# {text}"));
    }

    /// A note for the person who converts.
    pub fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// Says something both in the spec and to the person who converts.
    pub fn say(&mut self, text: &str) {
        self.comment(text);
        self.note(text.to_owned());
    }

    /// What was assumed to know a setting.
    pub fn assumed(&mut self, setting: &Setting) {
        for note in &setting.notes {
            self.say(note);
        }
    }

    /// `key = "value"`.
    pub fn text(&mut self, key: &str, value: &str) {
        self.line(&format!("{key} = {}", quoted(value)));
    }

    /// A key that a person has to fill in.
    pub fn missing(&mut self, key: &str, question: &str, origin: Option<&Origin>) {
        self.fill_in += 1;
        let question = self.noted(key, question, origin);
        self.text(key, &question);
    }

    /// A key with a list that a person has to fill in.
    pub fn missing_list(&mut self, key: &str, question: &str, origin: Option<&Origin>) {
        self.fill_in += 1;
        let question = self.noted(key, question, origin);
        self.line(&format!("{key} = [{}]", quoted(&question)));
    }

    fn noted(&mut self, key: &str, question: &str, origin: Option<&Origin>) -> String {
        let question = shown(question);
        let at = origin.map_or_else(String::new, |origin| format!("{origin}: "));
        self.note(format!("{at}{key} is not known: fill it in ({question})"));
        format!("{FILL_IN}{question}")
    }

    /// A key with its value, or with the question.
    pub fn fill(&mut self, key: &str, filling: &Filling, origin: Option<&Origin>) {
        match filling {
            Filling::Known(value) => self.text(key, value),
            Filling::Missing(question) => self.missing(key, question, origin),
        }
    }

    /// Takes secrets out of notes, comments and questions, wherever they were quoted from.
    pub fn without(&mut self, secrets: &BTreeSet<String>) {
        for note in &mut self.notes {
            *note = without(note, secrets);
        }
        let lines = self.out.lines().map(|line| {
            let said = match line.starts_with('#') {
                true => Some(0),
                false => line.find(FILL_IN),
            };
            let (value, said) = line.split_at(said.unwrap_or(line.len()));
            format!("{value}{}\n", without(said, secrets))
        });
        self.out = lines.collect();
    }

    /// The whole spec. It is held against the parser, so that a mistake is said here and not by `check`.
    pub fn end(mut self) -> Converted {
        if self.fill_in == 0
            && let Err(problems) = kol_common::job::parse(&self.out, "the new spec")
        {
            self.notes
                .push(format!("a check will refuse this:\n{problems}"));
        }
        Converted {
            spec_toml: self.out,
            notes: self.notes,
            streams: Vec::new(),
            fill_in: self.fill_in,
        }
    }
}

/// A TOML text.
pub fn quoted(value: &str) -> String {
    toml::Value::String(value.to_owned()).to_string()
}
