//! `checkpoints [JOB]`.

use kol_common::proto::{JobRef, ListCheckpointsReply};
use kol_common::view;
use serde_json::{Value, json};

use super::chosen;
use crate::Context;
use crate::complete;
use crate::print;
use crate::render;

/// Arguments of `kol-client checkpoints`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name; when left out the only one that runs, or the newest where none does.
    #[arg(add = complete::jobs())]
    job: Option<String>,
}

/// Prints the kept checkpoints, what each one cost, and the savepoints.
///
/// # Errors
/// No such job.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let job = chosen::name(ctx, args.job).await?;
    let request = JobRef { job };
    let mut jobs = ctx.jobs().await?;
    let kept = jobs.list_checkpoints(request).await?.into_inner();
    if ctx.json() {
        print::json(&as_json(&kept))?;
    } else {
        print::text(&render::checkpoint::list(&kept))?;
    }
    Ok(())
}

pub(crate) fn as_json(kept: &ListCheckpointsReply) -> Value {
    let checkpoints = kept.checkpoints.iter().map(view::checkpoint_json);
    let savepoints = kept.savepoints.iter().map(view::savepoint_json);
    json!({
        "location": kept.location,
        "checkpoints": Value::from_iter(checkpoints),
        "savepoints": Value::from_iter(savepoints),
    })
}
