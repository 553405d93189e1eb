//! `doctor [JOB]`: what is wrong, in the order in which to mend it. `looks` sees, `judge` decides.

mod area;
mod evidence;
mod judge;
mod looks;
mod rows;
mod text;

use std::path::{Path, PathBuf};

use kol_common::KolError;
use kol_common::job::{JobSpec, parse};
use kol_common::secrets::Secrets;

use crate::Context;
use crate::complete;
use crate::exit::Ended;
use crate::input::spec::read_spec;
use crate::print;

/// Arguments of `kol-client doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name; when left out the newest that run or failed and were not submitted again, sixteen at most.
    #[arg(add = complete::jobs())]
    job: Option<String>,
    /// A job spec, whose Kafka, Redis and checkpoint root are looked at from here while no master knows the job.
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Folder of `file:` secrets, for looks at Kafka and Redis from here.
    #[arg(long, env = "KOL_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
}

/// Looks at masters, executors, checkpoint root, Kafka, Redis, clocks, versions and jobs, and prints what is wrong.
///
/// # Errors
/// Something is wrong; or the spec is, or there is no such job.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let wanted = looks::Wanted {
        job: args.job,
        spec: args.spec.as_deref().map(read).transpose()?,
        secrets: Secrets::new(args.secrets_dir),
    };
    let found = judge::diagnose(&looks::gather(ctx, wanted).await?);
    if ctx.json() {
        print::json(&text::as_json(&found))?;
    } else {
        print::text(&text::as_text(&found))?;
    }
    match found.troubles.first() {
        Some(first) => Err(Ended::Unwell(unwell(found.troubles.len(), &first.error.code)).into()),
        None => Ok(()),
    }
}

fn read(file: &Path) -> Result<JobSpec, KolError> {
    let text = read_spec(file, &[])?;
    let parsed = parse(&text, &file.display().to_string());
    Ok(parsed.map_err(KolError::from)?.spec)
}

fn unwell(count: usize, first: &str) -> String {
    match count {
        1 => format!("one thing is wrong: {first}"),
        count => format!("{count} things are wrong; begin with {first}"),
    }
}

#[cfg(test)]
pub(crate) fn sample_json(problem: KolError) -> serde_json::Value {
    text::as_json(&judge::sample(problem))
}
