//! `stop JOB`.

use kol_common::proto::StopRequest;
use kol_common::view;
use serde_json::json;

use super::savepoint::PATIENCE;
use crate::{Context, print, render};

/// Arguments of `kol-client stop`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name.
    job: String,
    /// Finish what was read: always done, for scripts that say so (`cancel` ends at once).
    #[arg(long)]
    drain: bool,
    /// Take a savepoint first; if that fails, the job runs on.
    #[arg(long)]
    savepoint: bool,
    /// Location below which the savepoint goes, as file:///PATH or s3://BUCKET/PATH; by default the
    /// job's own.
    #[arg(long, value_name = "LOCATION", requires = "savepoint")]
    to: Option<String>,
}

/// Stops the job: no more input, everything confirmed by Redis, a last checkpoint.
///
/// # Errors
/// No such job; the savepoint failed: then the job runs on.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let request = StopRequest {
        job: args.job,
        savepoint: args.savepoint,
        location: args.to.unwrap_or_default(),
    };
    let mut jobs = ctx.jobs_within(PATIENCE).await?;
    let reply = jobs.stop_job(request).await?.into_inner();
    let status = reply.status.unwrap_or_default();
    if ctx.json() {
        let mut view = view::job_json(&status);
        view["savepoint"] = json!(reply.savepoint.as_ref().map(view::savepoint_json));
        print::json(&view)?;
    } else {
        print::text(&render::job::state(&status))?;
        if let Some(savepoint) = &reply.savepoint {
            print::line(&render::checkpoint::savepoint(savepoint))?;
        }
    }
    Ok(())
}
