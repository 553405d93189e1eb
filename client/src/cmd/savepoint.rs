//! `savepoint JOB`.

use std::time::Duration;

use kol_common::proto::{SavepointRef, SavepointRequest};
use kol_common::view;

use crate::print::visible;
use crate::{Context, complete, print, render};

/// Longest wait for a savepoint: the master gives up sooner, by `checkpoint.timeout`.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// Arguments of `kol-client savepoint`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name.
    #[arg(required_unless_present = "delete", add = complete::jobs())]
    job: Option<String>,
    /// Location below which the savepoint goes, as file:///PATH or s3://BUCKET/PATH; by default the
    /// job's own.
    #[arg(long, value_name = "LOCATION")]
    to: Option<String>,
    /// Delete this savepoint and its files instead.
    #[arg(long, value_name = "SAVEPOINT", conflicts_with_all = ["job", "to"])]
    delete: Option<String>,
}

/// Writes the whole state of a running job to a folder of its own, and prints where.
///
/// # Errors
/// No such job or savepoint; it does not run; the savepoint failed.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let mut jobs = ctx.jobs_within(PATIENCE).await?;
    let (savepoint, deleted) = match args.delete {
        Some(savepoint) => {
            let request = SavepointRef { savepoint };
            (jobs.delete_savepoint(request).await?.into_inner(), true)
        }
        None => {
            let request = SavepointRequest {
                job: args.job.unwrap_or_default(),
                location: args.to.unwrap_or_default(),
            };
            (jobs.take_savepoint(request).await?.into_inner(), false)
        }
    };
    if ctx.json() {
        print::json(&view::savepoint_json(&savepoint))?;
    } else if deleted {
        let line = format!("deleted {} in {}", savepoint.id, savepoint.location);
        print::line(&visible(&line))?;
    } else {
        print::line(&render::checkpoint::savepoint(&savepoint))?;
    }
    Ok(())
}
