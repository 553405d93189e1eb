//! `schema`.

use kol_common::KolError;
use kol_common::job::reference;

use crate::print;

/// Arguments of `kol-client schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the page for people in place of the schema for editors, Markdown.
    #[arg(long)]
    markdown: bool,
}

/// Prints what can stand in a job spec.
///
/// # Errors
/// Standard output cannot be written.
pub fn run(args: &Args) -> anyhow::Result<()> {
    if args.markdown {
        return Ok(print::text(&reference::page()?)?);
    }
    let schema = serde_json::to_string_pretty(&reference::schema()?);
    let schema = schema.map_err(|e| KolError::internal("SPEC_ENCODING", e.to_string()))?;
    Ok(print::line(&schema)?)
}
