//! `autoscale-advice [JOB]`.

use kol_common::KolError;
use kol_common::proto::JobRef;
use kol_common::view;

use super::chosen;
use crate::Context;
use crate::complete;
use crate::print;
use crate::render;

/// Arguments of `kol-client autoscale-advice`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name; when left out the only one that runs, or the newest where none does.
    #[arg(add = complete::jobs())]
    job: Option<String>,
}

/// Prints how many executors the job wants, and why.
///
/// # Errors
/// No such job, or it is over.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let job = chosen::name(ctx, args.job).await?;
    let request = JobRef { job };
    let status = ctx.jobs().await?.get_job(request).await?.into_inner();
    let Some(advice) = &status.scaling else {
        let what = "how many executors it wants is not known";
        let unknown = KolError::external("SCALING_UNKNOWN", what).job(&status.name);
        return Err(unknown
            .help("It is over, it began less than a second ago, or the master that answers does not lead or has begun to a few \
                 seconds ago: executors may still return to it.")
            .into());
    };
    if ctx.json() {
        print::json(&view::scaling_json(advice))?;
    } else {
        print::text(&render::job::scaling(advice))?;
    }
    Ok(())
}
