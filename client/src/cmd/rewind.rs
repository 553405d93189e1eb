//! `rewind JOB`.

use std::time::Duration;

use kol_common::Millis;
use kol_common::event::parse_time;
use kol_common::proto::RewindRequest;
use kol_common::proto::rewind_request::To;

use super::submit;
use crate::Context;
use crate::complete;

/// Arguments of `kol-client rewind`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name.
    #[arg(add = complete::jobs())]
    job: String,
    #[command(flatten)]
    to: Target,
    /// Show its rankings while they grow, whatever sink.flip is; by default the rankings before stay
    /// until the job has caught up.
    #[arg(long)]
    at_once: bool,
    /// Wait until the job runs.
    #[arg(long)]
    wait: bool,
    /// How long to wait.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// The point to restart from: exactly one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// A checkpoint that is kept; `checkpoints JOB` lists them.
    #[arg(long, value_name = "N")]
    to_epoch: Option<u64>,
    /// The newest checkpoint that is kept of before this time (ISO 8601); without one, the first record of each partition at
    /// or after it, without state.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to_timestamp: Option<Millis>,
    /// The oldest record of each partition, without state.
    #[arg(long)]
    to_earliest: bool,
}

fn time(text: &str) -> Result<Millis, String> {
    let wrong = || format!("`{text}` is not a time like 2025-07-01T08:00:00Z");
    parse_time(text).ok_or_else(wrong)
}

/// Ends the job at once, and restarts it from an earlier point under a new id and generation.
///
/// # Errors
/// No such job, no such epoch; the wait times out.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let to = match (args.to.to_epoch, args.to.to_timestamp) {
        (Some(epoch), _) => To::Epoch(epoch),
        (None, Some(time)) => To::TimestampMs(time.0),
        (None, None) => To::Earliest(args.to.to_earliest),
    };
    let request = RewindRequest {
        job: args.job,
        to: Some(to),
        at_once: args.at_once,
    };
    let reply = ctx.jobs().await?.rewind(request).await?.into_inner();
    let wait = args.wait.then_some(args.timeout);
    submit::report(ctx, &reply, wait).await
}
