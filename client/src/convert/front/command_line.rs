//! The words of a `spark-submit` command.

use crate::convert::model::{Facts, Origin, Text};

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
pub fn options(words: &[Text], origin: &Origin, facts: &mut Facts) {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some(text) = word.value() else {
            // `--conf "$X"=…` does not begin with a known text: options can follow.
            if let Some((_, value)) = split(word, '=').filter(|(f, _)| f == "--conf") {
                conf(&value, origin, facts);
            }
            continue;
        };
        if !text.starts_with('-') {
            facts.arguments = words.cloned().collect();
            return;
        }
        if ALONE.contains(&text.as_str()) {
            continue;
        }
        let (flag, own) = match text.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(Text::known(value))),
            None => (text, None),
        };
        let Some(value) = own.or_else(|| words.next().cloned()) else {
            return;
        };
        if matches!(flag.as_str(), "--conf" | "-c") {
            conf(&value, origin, facts);
        } else if flag == "--properties-file" {
            let note = format!(
                "{origin}: give the file of --properties-file as well: {}",
                value.question()
            );
            facts.note(note);
        } else if let Some((_, key)) = SETTINGS.iter().find(|(name, _)| *name == flag) {
            facts.property(key, value, origin.clone());
        }
    }
}

fn conf(pair: &Text, origin: &Origin, facts: &mut Facts) {
    if let Some((key, value)) = split(pair, '=') {
        facts.property(key.trim(), value, origin.clone());
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
