//! `convert-spark FILE`.

use std::path::{Path, PathBuf};

use kol_common::KolError;
use serde_json::json;

use crate::Context;
use crate::convert::{Input, MAX_FILE, MAX_FILES, convert};
use crate::input::spec::read_whole;
use crate::print;

/// Arguments of `kol-client convert-spark`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// PySpark or Scala source, notebook, Airflow's DAG, spark-submit line, properties file, compose file or
    /// SparkApplication; several may be given, later ones count more.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Take only this stream of a job that reads several, counted from 1; may be repeated.
    #[arg(long = "stream", value_name = "N")]
    streams: Vec<usize>,
}

/// Prints a job spec; what has no meaning here stands below it with the reason. Notes go to stderr.
///
/// # Errors
/// A file cannot be read, none holds a setting, or the streams belong to several clusters.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    // No more are read than are converted, and one that says that they are too many.
    let inputs = args.files.iter().take(MAX_FILES + 1).map(|file| read(file));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let converted = convert(&inputs, &args.streams)?;
    if ctx.json() {
        print::json(&json!(converted))?;
        return Ok(());
    }
    print::text(&converted.spec_toml)?;
    for note in &converted.notes {
        print::note(note);
    }
    match converted.fill_in {
        0 => {}
        1 => print::note("1 value is to be filled in: look for FILL-IN"),
        n => print::note(&format!("{n} values are to be filled in: look for FILL-IN")),
    }
    Ok(())
}

fn read(file: &Path) -> Result<Input, KolError> {
    let bytes = read_whole(file, MAX_FILE, "INPUT_FILE")?;
    Ok(Input {
        name: file.display().to_string(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}
