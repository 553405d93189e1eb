//! `convert-spark FILE`.

use std::path::PathBuf;

use kol_common::KolError;
use serde_json::json;

use crate::Context;
use crate::convert::{Settings, find, write};

/// Arguments of `kol-client convert-spark`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// spark-submit line, properties file, PySpark script or compose file; several may be given, later
    /// ones count more.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

/// Prints a job spec; what has no meaning here stands below it with the reason.
///
/// # Errors
/// A file cannot be read, or none holds a setting.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let mut settings = Settings::new();
    for file in &args.files {
        let text = std::fs::read_to_string(file).map_err(|e| {
            KolError::user("INPUT_FILE", format!("cannot read {}: {e}", file.display()))
        })?;
        settings.extend(find(&text));
    }
    if settings.is_empty() {
        let error = KolError::user("NO_SETTINGS", "no setting of a Spark job was found").help(
            "Give a spark-submit line, a properties file, a PySpark script or a compose file.",
        );
        return Err(error.into());
    }
    let toml = write(&settings);
    if ctx.json() {
        println!("{}", json!({"spec_toml": toml, "settings": settings}));
    } else {
        print!("{toml}");
    }
    Ok(())
}
