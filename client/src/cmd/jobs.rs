//! `jobs`.

use kol_common::proto::ListJobsRequest;
use kol_common::view;
use serde_json::Value;

use crate::Context;
use crate::print;
use crate::render;

/// `kol-client jobs` has no arguments of its own.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints all jobs that the master knows.
///
/// # Errors
/// The master cannot be reached.
pub async fn run(_args: Args, ctx: &Context) -> anyhow::Result<()> {
    let reply = ctx.jobs().await?.list_jobs(ListJobsRequest {}).await?;
    let jobs = reply.into_inner().jobs;
    if ctx.json() {
        print::json(&Value::from_iter(jobs.iter().map(view::job_json)))?;
    } else {
        print::text(&render::job::list(&jobs))?;
    }
    Ok(())
}
