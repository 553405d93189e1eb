//! `health [URL]`.

use kol_common::net::check_health;

use crate::{Context, print};

/// Arguments of `kol-client health`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The page /healthz (the process lives) or /readyz (it is ready) of kol-master or kol-executor. With https, --tls
    /// names a folder with ca.crt.
    #[arg(env = "KOL_HEALTH", default_value = "http://127.0.0.1:4040/healthz")]
    url: String,
}

/// Queries a process whether it is well: for health checks of containers, whose image has no other program for it.
///
/// # Errors
/// It is not, or does not answer.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    check_health(&args.url, ctx.tls.as_deref()).await?;
    if ctx.json() {
        return Ok(print::json(&serde_json::json!({ "healthy": true }))?);
    }
    Ok(print::line("ok")?)
}
