//! `convert-spark FILE`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use kol_common::KolError;
use serde_json::json;

use crate::Context;
use crate::convert::{Input, MAX_FILE, convert};

/// Arguments of `kol-client convert-spark`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// PySpark or Scala source, spark-submit line, properties file, compose file or SparkApplication;
    /// several may be given, later ones count more.
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
    let inputs = args.files.iter().map(|file| read(file));
    let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
    let converted = convert(&inputs, &args.streams)?;
    if ctx.json() {
        println!("{}", json!(converted));
        return Ok(());
    }
    print!("{}", converted.spec_toml);
    for note in &converted.notes {
        eprintln!("{note}");
    }
    match converted.fill_in {
        0 => {}
        1 => eprintln!("1 value is to be filled in: look for FILL-IN"),
        n => eprintln!("{n} values are to be filled in: look for FILL-IN"),
    }
    Ok(())
}

/// Reads at most one byte more than is allowed, so that what is too large is noticed.
fn read(file: &Path) -> Result<Input, KolError> {
    let failed = |e: std::io::Error| {
        KolError::user("INPUT_FILE", format!("cannot read {}: {e}", file.display()))
    };
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    opened
        .take(MAX_FILE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    Ok(Input {
        name: file.display().to_string(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
    })
}
