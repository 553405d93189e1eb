//! `executors`.

use kol_common::proto::ListExecutorsRequest;
use kol_common::view;
use serde_json::Value;

use crate::Context;
use crate::print;
use crate::render;

/// `kol-client executors` has no arguments of its own.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints all executors that the master knows.
///
/// # Errors
/// The master cannot be reached.
pub async fn run(_args: Args, ctx: &Context) -> anyhow::Result<()> {
    let reply = ctx
        .jobs()
        .await?
        .list_executors(ListExecutorsRequest {})
        .await?;
    let executors = reply.into_inner().executors;
    if ctx.json() {
        let views = executors.iter().map(view::executor_json);
        print::json(&Value::from_iter(views))?;
    } else {
        print::text(&render::cluster::executors(&executors))?;
    }
    Ok(())
}
