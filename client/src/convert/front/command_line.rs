//! The words of a `spark-submit` command.

use std::collections::BTreeMap;

use crate::convert::model::{Command, Facts, Origin, Text};

/// Options with a setting of the same meaning.
const SETTINGS: [(&str, &str); 9] = [
    ("--num-executors", "spark.executor.instances"),
    ("--executor-memory", "spark.executor.memory"),
    ("--executor-cores", "spark.executor.cores"),
    ("--total-executor-cores", "spark.cores.max"),
    ("--driver-memory", "spark.driver.memory"),
    ("--driver-cores", "spark.driver.cores"),
    ("--name", "spark.app.name"),
    ("--master", "spark.master"),
    ("--queue", "spark.yarn.queue"),
];

/// Options without a value.
const ALONE: [&str; 6] = [
    "--verbose",
    "-v",
    "--supervise",
    "--help",
    "-h",
    "--version",
];

/// Programs that take these options.
const PROGRAMS: [&str; 6] = [
    "spark-submit",
    "spark-submit.sh",
    "spark2-submit",
    "spark3-submit",
    "pyspark",
    "spark-shell",
];

/// Keeps what a command says if it starts a Spark job somewhere in its words.
pub fn read(words: &[Text], origin: &Origin, facts: &mut Facts) {
    let program = words.iter().position(|word| {
        word.value().is_some_and(|word| {
            let name = word.rsplit('/').next().unwrap_or_default();
            PROGRAMS.contains(&name)
        })
    });
    let Some(program) = program else { return };
    variables(&words[..program], origin, facts);
    options(&words[program + 1..], origin, facts);
}

/// `env X=1`, `docker run -e X=1` before the program.
fn variables(words: &[Text], origin: &Origin, facts: &mut Facts) {
    for word in words {
        if let Some((name, value)) = split(word, '=') {
            let name = name.strip_prefix("--env=").unwrap_or(&name).to_owned();
            facts.property(&name, value, origin.clone());
        }
    }
}

/// Options up to the application, and then its arguments.
fn options(words: &[Text], origin: &Origin, facts: &mut Facts) {
    let mut words = words.iter();
    let mut command = Command {
        origin: origin.clone(),
        settings: Vec::new(),
        application: None,
    };
    while let Some(word) = words.next() {
        let Some(text) = word.value() else {
            // `--conf "$X"=…` does not begin with a known text: options can follow.
            if let Some((_, value)) = split(word, '=').filter(|(f, _)| f == "--conf") {
                command.settings.extend(conf(&value));
            }
            continue;
        };
        if !text.starts_with('-') {
            command.application = Some((word.clone(), words.cloned().collect()));
            break;
        }
        if ALONE.contains(&text.as_str()) {
            continue;
        }
        let (flag, own) = match text.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(Text::known(value))),
            None => (text, None),
        };
        let Some(value) = own.or_else(|| words.next().cloned()) else {
            break;
        };
        if matches!(flag.as_str(), "--conf" | "-c") {
            command.settings.extend(conf(&value));
        } else if flag == "--properties-file" {
            let note = format!(
                "{origin}: give the file of --properties-file as well: {}",
                value.question()
            );
            facts.note(note);
        } else if let Some((_, key)) = SETTINGS.iter().find(|(name, _)| *name == flag) {
            command.settings.push(((*key).to_owned(), value));
        }
    }
    facts.commands.push(command);
}

fn conf(pair: &Text) -> Option<(String, Text)> {
    split(pair, '=').map(|(key, value)| (key.trim().to_owned(), value))
}

impl Facts {
    /// Keeps what the commands found so far set. Of several, those count that start one of the sources given;
    /// what they say differently is not known.
    pub fn start(&mut self) {
        let all = std::mem::take(&mut self.commands);
        let is_given = |command: &Command| {
            let application = command.application.as_ref();
            let name = application.and_then(|(name, _)| name.value());
            let name = name.as_deref().and_then(|name| name.rsplit('/').next());
            name.is_some_and(|name| self.sources.iter().any(|source| source == name))
        };
        let (given, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_given);
        let (chosen, left_out) = match given.is_empty() {
            true => (others, Vec::new()),
            false => (given, others),
        };
        for Command { origin, .. } in left_out {
            self.note(format!(
                "{origin}: this command starts none of the files given: it is left out"
            ));
        }
        let differ = |what: &str, at: &Origin, other: &Origin| {
            Text::unknown(format!(
                "{what}, which the commands in {at} and {other} give differently"
            ))
        };
        // Once something is not known it stays so.
        let mut set: BTreeMap<&str, (Text, &Origin)> = BTreeMap::new();
        for Command {
            origin, settings, ..
        } in &chosen
        {
            // The last one of a command counts.
            let own: BTreeMap<&str, &Text> =
                settings.iter().map(|(k, v)| (k.as_str(), v)).collect();
            for (key, value) in own {
                let (known, at) = set.entry(key).or_insert_with(|| (value.clone(), origin));
                if known != value {
                    *known = differ(key, at, origin);
                }
            }
        }
        for (key, (value, origin)) in set {
            self.property(key, value, origin.clone());
        }
        let mut arguments: Option<(Vec<Text>, &Origin)> = None;
        for Command {
            origin,
            application,
            ..
        } in &chosen
        {
            let Some((_, own)) = application else {
                continue;
            };
            let Some((known, at)) = &mut arguments else {
                arguments = Some((own.clone(), origin));
                continue;
            };
            known.resize_with(known.len().max(own.len()), Text::default);
            for (number, argument) in known.iter_mut().enumerate() {
                if own.get(number) != Some(argument) {
                    *argument = differ(&format!("argument {}", number + 1), at, origin);
                }
            }
        }
        if let Some((arguments, _)) = arguments {
            self.arguments = arguments;
        }
    }

    /// Keeps what a file that is no container's has set.
    pub fn set_outside(&mut self, file: &str) {
        let own = self
            .environment
            .iter()
            .filter(|(_, s)| s.origin.file == file);
        let own = own.map(|(name, setting)| (name.clone(), setting.value.clone()));
        self.outside.extend(own);
    }
}

/// Splits a text whose beginning is known.
pub fn split(text: &Text, at: char) -> Option<(String, Text)> {
    use crate::convert::model::Piece;
    let (first, rest) = text.pieces.split_first()?;
    let Piece::Known(first) = first else {
        return None;
    };
    let (key, value) = first.split_once(at)?;
    let mut pieces = Vec::new();
    if !value.is_empty() || rest.is_empty() {
        pieces.push(Piece::Known(value.to_owned()));
    }
    pieces.extend(rest.iter().cloned());
    let source = text.source.split_once(at).map_or("", |(_, v)| v).to_owned();
    Some((key.to_owned(), Text { pieces, source }))
}
