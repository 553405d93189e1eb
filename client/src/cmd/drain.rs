//! `drain EXECUTOR`.

use kol_common::proto::DrainRequest;
use kol_common::view;

use crate::Context;
use crate::{complete, print, render};

/// Arguments of `kol-client drain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Id of the executor, or its host if no other one is there; `executors` lists them.
    #[arg(add = complete::executors())]
    executor: String,
    /// It may have partitions again.
    #[arg(long)]
    cancel: bool,
}

/// Moves all partitions of an executor to others, and gives it none until that is cancelled. It keeps those that no
/// other can have. `executors` shows when it is drained.
///
/// # Errors
/// There is no such executor.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let request = DrainRequest {
        executor: args.executor,
        cancel: args.cancel,
    };
    let status = ctx.jobs().await?.drain_executor(request).await?;
    let status = status.into_inner();
    if ctx.json() {
        print::json(&view::executor_json(&status))?;
    } else {
        print::text(&render::cluster::executors(&[status]))?;
    }
    Ok(())
}
