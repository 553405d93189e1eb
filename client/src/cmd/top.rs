//! `top`: the live ranking.

use std::io::IsTerminal as _;
use std::time::Duration;

use kol_common::job::{JobSpec, KeyTemplates, SinkSpec};
use kol_common::proto::ListJobsRequest;
use kol_common::redis::ranking::{self, Members, Ranked};
use kol_common::redis::{RedisConnection, classify, connect};
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis};
use serde_json::{Value, json};

use crate::Context;
use crate::print;
use crate::render::top::{Screen, table};

/// How often the ranking is read.
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of `kol-client top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Platform.
    #[arg(long, default_value = "tiktok")]
    platform: String,
    /// Number of creators.
    #[arg(short, default_value_t = 10)]
    n: u64,
    /// Redis to read; that of the newest job when left out.
    #[arg(long, env = "KOL_REDIS", hide_env_values = true)]
    redis: Option<String>,
    /// Folder of `file:` secrets, when the job's Redis needs a password from there.
    #[arg(long, env = "KOL_SECRETS_DIR")]
    secrets_dir: Option<std::path::PathBuf>,
    /// Print the ranking every second where output is not a terminal.
    #[arg(long)]
    follow: bool,
}

/// Redraws in place on a terminal until `q` or Ctrl-C; elsewhere prints once, or every second.
///
/// # Errors
/// No job says which Redis to read, or it cannot be reached.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let sink = sink_of(&args, ctx).await?;
    let secrets = Secrets::new(args.secrets_dir.clone());
    let mut open = connect(&sink, &secrets).await?;
    if ctx.json() {
        let rows = read(&mut open, &sink.keys, &args).await?;
        print::json(&Value::from_iter(rows.iter().map(as_json)))?;
        return Ok(());
    }
    if !std::io::stdout().is_terminal() {
        loop {
            print::text(&table(&read(&mut open, &sink.keys, &args).await?))?;
            if !args.follow {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
        }
    }
    let mut screen = Screen::open()?;
    loop {
        let rows = read(&mut open, &sink.keys, &args).await?;
        let title = format!("Trending on {} at {}", args.platform, Millis::now().iso());
        screen.draw(&title, &rows)?;
        if screen.wait_or_quit(EVERY).await? {
            return Ok(());
        }
    }
}

async fn sink_of(args: &Args, ctx: &Context) -> anyhow::Result<SinkSpec> {
    if let Some(url) = &args.redis {
        return Ok(SinkSpec {
            url: url.clone(),
            ..SinkSpec::default()
        });
    }
    let jobs = ctx.jobs().await?.list_jobs(ListJobsRequest {}).await?;
    let newest = jobs.into_inner().jobs.into_iter().next().ok_or_else(|| {
        KolError::user("JOB_NOT_FOUND", "no job was submitted yet")
            .help("Give --redis (or KOL_REDIS) to read a Redis directly.")
    })?;
    let spec: JobSpec = serde_json::from_str(&newest.spec_json)
        .map_err(|e| KolError::internal("SPEC_ENCODING", e.to_string()))?;
    Ok(spec.sink)
}

/// The first `n` of the ranking with what their hashes show.
async fn read(
    open: &mut RedisConnection,
    keys: &KeyTemplates,
    args: &Args,
) -> Result<Vec<Ranked>, KolError> {
    let fail = |e: redis::RedisError| classify(&e);
    let key = keys.ranking_key(&args.platform);
    let members = ranking::members(&key, 0, Some(args.n));
    let members: Members = members.query_async(open).await.map_err(fail)?;
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let hashes = members
        .iter()
        .map(|(kol, _)| keys.hash_key(&args.platform, kol));
    let fields = ranking::fields(hashes).query_async(open).await;
    Ok(ranking::rows(0, members, fields.map_err(fail)?))
}

fn as_json(row: &Ranked) -> Value {
    json!({
        "rank": row.place, "kol": row.kol, "score": row.score, "label": row.label,
        "velocity": row.velocity, "momentum": row.momentum, "total_engagement": row.engagement,
        "updated_ms": row.updated.map(|t| t.0),
    })
}
