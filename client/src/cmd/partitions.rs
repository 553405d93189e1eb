//! `partitions [JOB]`.

use kol_common::proto::JobRef;
use kol_common::view;
use serde_json::Value;

use super::chosen;
use crate::Context;
use crate::complete;
use crate::print;
use crate::render;

/// Arguments of `kol-client partitions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name; when left out the only one that runs, or the newest where none does.
    #[arg(add = complete::jobs())]
    job: Option<String>,
    /// Show why each partition is where it is, and what would make it move.
    #[arg(long)]
    why: bool,
}

/// Prints what the owner of each partition reports.
///
/// # Errors
/// No such job.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let job = chosen::name(ctx, args.job).await?;
    let request = JobRef { job };
    let status = ctx.jobs().await?.get_job(request).await?.into_inner();
    if ctx.json() {
        let views = status.partitions.iter().map(view::partition_json);
        print::json(&Value::from_iter(views))?;
    } else if args.why {
        print::text(&render::cluster::placements(
            &status.partitions,
            status.wall_ms,
        ))?;
    } else {
        print::text(&render::cluster::partitions(&status.partitions))?;
    }
    Ok(())
}
