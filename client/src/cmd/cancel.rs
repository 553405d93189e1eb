//! `cancel JOB`.

use kol_common::proto::JobRef;
use kol_common::view;

use crate::Context;
use crate::complete;
use crate::print;

/// Arguments of `kol-client cancel`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name.
    #[arg(add = complete::jobs())]
    job: String,
}

/// Ends the job at once; what was not yet sent to Redis is dropped.
///
/// # Errors
/// No such job.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let request = JobRef { job: args.job };
    let status = ctx.jobs().await?.cancel_job(request).await?.into_inner();
    if ctx.json() {
        print::json(&view::job_json(&status))?;
    } else {
        print::text(&crate::render::job::state(&status))?;
    }
    Ok(())
}
