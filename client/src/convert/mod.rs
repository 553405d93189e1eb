//! From what a Spark job was started with to a job spec. Files are parsed, never run, and are input
//! like any other: bounded, and free to be broken.
//!
//! | file | does |
//! |---|---|
//! | `front` | one front-end for each language: what a file says |
//! | `syntax` | what Python and Scala have in common |
//! | `eval` | follows names, defaults and environment look-ups to texts |
//! | `find` | streams, Redis connections and settings in sources |
//! | `model` | settings with their origin: what all of these answer |
//! | `names` | environment variables that say something about a job |
//! | `secrets` | what must not be written or said |
//! | `spec` | writes the job spec, and says what became of every setting |

mod eval;
mod find;
mod front;
mod kinds;
mod model;
mod names;
mod secrets;
mod spec;
mod syntax;
#[cfg(test)]
mod tests;

use kol_common::KolError;

use model::Facts;
pub use spec::Converted;
use syntax::Program;

/// Largest file, bytes.
pub const MAX_FILE: usize = 1 << 20;
/// Most files of one conversion.
pub const MAX_FILES: usize = 64;
/// Sources may nest deeply; what is walked recursively is bounded for this stack.
const STACK: usize = 256 << 20;

/// A file to convert.
#[derive(Clone, Debug)]
pub struct Input {
    /// Its name, as messages show it; the extension says what it is.
    pub name: String,
    /// Its text, as it was read.
    pub text: String,
}

/// Converts the files of one job. `streams` are the numbers of those to take, from 1; all if empty.
///
/// # Errors
/// Nothing of a Spark job was found, a file is too large, or its streams belong to several clusters.
pub fn convert(inputs: &[Input], streams: &[usize]) -> Result<Converted, KolError> {
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .name("convert".into())
            .stack_size(STACK)
            .spawn_scoped(scope, || convert_all(inputs, streams))
            .map_err(|e| KolError::internal("CONVERT", format!("cannot start a thread: {e}")))?;
        worker.join().unwrap_or_else(|_| {
            Err(KolError::internal(
                "CONVERT",
                "the conversion panicked: this is a bug",
            ))
        })
    })
}

fn convert_all(inputs: &[Input], streams: &[usize]) -> Result<Converted, KolError> {
    if inputs.len() > MAX_FILES {
        let what = format!("more than {MAX_FILES} files");
        return Err(KolError::user("TOO_MANY_FILES", what).help("Give the files of the job only."));
    }
    let mut facts = Facts::default();
    let mut programs: Vec<Program> = Vec::new();
    for input in inputs {
        let name = input.name.rsplit('/').next().unwrap_or_default();
        if matches!(
            kinds::kind(&input.name, &input.text),
            kinds::Kind::Python | kinds::Kind::Scala
        ) {
            facts.sources.push(name.to_owned());
        }
        facts.files.push(name.to_owned());
    }
    for input in inputs {
        if input.text.len() > MAX_FILE {
            let what = format!("{} is larger than {} KiB", input.name, MAX_FILE >> 10);
            return Err(
                KolError::user("FILE_TOO_LARGE", what).help("Give the files of the job only.")
            );
        }
        read(input, &mut facts, &mut programs)?;
    }
    find::commands::commands(&programs, &mut facts);
    facts.start();
    find::find(&programs, &mut facts);
    if facts.is_empty() {
        let message = match facts.notes.first() {
            Some(_) => format!(
                "no setting of a Spark job was found:\n{}",
                facts.notes.join("\n")
            ),
            None => "no setting of a Spark job was found".to_owned(),
        };
        return Err(KolError::user("NO_SETTINGS", message).help(
            "Give a PySpark or Scala source, a spark-submit line, a properties file, a compose file or a \
             SparkApplication.",
        ));
    }
    spec::write(&facts, streams)
}

fn read(input: &Input, facts: &mut Facts, programs: &mut Vec<Program>) -> Result<(), KolError> {
    let (name, text) = (
        input.name.as_str(),
        input.text.trim_start_matches('\u{feff}'),
    );
    let too_long = || {
        let what = format!("{name} takes too long to parse");
        KolError::user("FILE_TOO_COMPLEX", what).help("Give the part of it that sets the job up.")
    };
    let program = match kinds::kind(name, text) {
        kinds::Kind::Python if text.contains("%run") => {
            front::python::read(name, &front::notebook::plain(text)).ok_or_else(too_long)?
        }
        kinds::Kind::Python => front::python::read(name, text).ok_or_else(too_long)?,
        kinds::Kind::Notebook => match front::notebook::source(text) {
            Some((source, true)) => front::scala::read(name, &source).ok_or_else(too_long)?,
            Some((source, false)) => front::python::read(name, &source).ok_or_else(too_long)?,
            None => {
                facts.note(format!(
                    "{name}: this is no notebook: what it says is not read"
                ));
                return Ok(());
            }
        },
        kinds::Kind::Other => {
            facts.note(format!(
                "{name}: files of this kind are not read: what it says is not carried over"
            ));
            return Ok(());
        }
        kinds::Kind::Scala => front::scala::read(name, text).ok_or_else(too_long)?,
        kinds::Kind::Shell => {
            let is_read = front::shell::read(name, text, 1, facts);
            facts.set_outside(name);
            return is_read.then_some(()).ok_or_else(too_long);
        }
        kinds::Kind::Properties => {
            front::java_properties::read(name, text, facts);
            facts.set_outside(name);
            return Ok(());
        }
        kinds::Kind::Yaml => {
            return front::yaml::read(name, text, facts).map_err(|(line, why)| {
                KolError::user(
                    "FILE_UNREADABLE",
                    format!("{name}:{line}: this is not YAML: {why}"),
                )
                .help("Give the file as it is after templates were filled in.")
            });
        }
    };
    if let Some(line) = program.broken_at {
        facts.note(format!(
            "{name}:{line}: this could not be read; what stands near it may be missing"
        ));
    }
    programs.push(program);
    Ok(())
}
