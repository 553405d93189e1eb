//! `rollback JOB`.

use std::time::Duration;

use kol_common::proto::JobRef;

use super::submit;
use crate::Context;
use crate::complete;

/// Arguments of `kol-client rollback`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name.
    #[arg(add = complete::jobs())]
    job: String,
    /// Wait until the job runs.
    #[arg(long)]
    wait: bool,
    /// How long to wait.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Ends the job, and restarts the one that had its name before, with its spec. The state is kept where
/// it fits that spec; otherwise that job resumes from its own last checkpoint.
///
/// # Errors
/// No such job, or none before it; the wait times out.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let request = JobRef { job: args.job };
    let reply = ctx.jobs().await?.rollback(request).await?.into_inner();
    let wait = args.wait.then_some(args.timeout);
    submit::report(ctx, &reply, wait).await
}
