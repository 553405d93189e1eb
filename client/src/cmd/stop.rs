//! `stop JOB`.

use std::time::Duration;

use kol_common::proto::{JobState, JobStatus, Savepoint, StopRequest};
use kol_common::view;
use serde_json::{Value, json};

use super::savepoint::PATIENCE;
use super::status::{self, Until};
use crate::exit::Ended;
use crate::{Context, complete, print, render};

/// Arguments of `kol-client stop`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name.
    #[arg(add = complete::jobs())]
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
    /// Wait until the job is over: all of its partitions have confirmed the last checkpoint.
    #[arg(long)]
    wait: bool,
    /// How long to wait.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Stops the job: no more input, everything confirmed by Redis, a last checkpoint.
///
/// # Errors
/// No such job; the savepoint failed: then the job runs on; the wait times out.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let request = StopRequest {
        job: args.job,
        savepoint: args.savepoint,
        location: args.to.unwrap_or_default(),
    };
    let mut jobs = ctx.jobs_within(PATIENCE).await?;
    let reply = jobs.stop_job(request).await?.into_inner();
    let mut status = reply.status.unwrap_or_default();
    if args.wait {
        status = status::wait(ctx, &status.job_id, Until::Stopped, args.timeout).await?;
        if status.state() == JobState::Failed {
            return Err(Ended::JobFailed(status::with_reason(&status)).into());
        }
    }
    if ctx.json() {
        print::json(&as_json(&status, reply.savepoint.as_ref()))?;
    } else {
        print::text(&render::job::state(&status))?;
        if let Some(savepoint) = &reply.savepoint {
            print::line(&render::checkpoint::savepoint(savepoint))?;
        }
    }
    Ok(())
}

pub(crate) fn as_json(status: &JobStatus, savepoint: Option<&Savepoint>) -> Value {
    let mut view = view::job_json(status);
    view["savepoint"] = json!(savepoint.map(view::savepoint_json));
    view
}
