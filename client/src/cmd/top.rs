//! `top`: the live ranking.

use std::io::IsTerminal as _;
use std::time::Duration;

use kol_common::job::{JobSpec, KeyTemplates, SinkSpec};
use kol_common::redis::ranking::{self, Members, Ranked};
use kol_common::redis::{RedisConnection, classify, connect};
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis};
use serde_json::{Value, json};

use super::chosen;
use crate::Context;
use crate::print;
use crate::render::top::{Screen, table};

/// How often the ranking is read.
const EVERY: Duration = Duration::from_secs(1);

/// Arguments of `kol-client top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name; when left out the only one that runs, or the newest where none does.
    job: Option<String>,
    /// Platform whose ranking is shown.
    #[arg(long, default_value = "tiktok")]
    platform: String,
    /// Number of creators.
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    n: u64,
    /// Redis to read; that of the job when left out.
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
/// No job, or several, say which Redis to read, or it cannot be reached.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let (job, sink) = sink_of(&args, ctx).await?;
    let secrets = Secrets::new(args.secrets_dir.clone());
    let mut open = connect(&sink, &secrets).await?;
    if ctx.json() {
        let rows = read(&mut open, &sink.keys, &args).await?;
        let rows = rows.iter().map(|row| as_json(job.as_deref(), row));
        print::json(&Value::from_iter(rows))?;
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
        screen.draw(&title(job.as_deref(), &args.platform, Millis::now()), &rows)?;
        if screen.wait_or_quit(EVERY).await? {
            return Ok(());
        }
    }
}

/// The job's name, where a job says it, and the Redis to read.
async fn sink_of(args: &Args, ctx: &Context) -> anyhow::Result<(Option<String>, SinkSpec)> {
    if let (Some(url), None) = (&args.redis, &args.job) {
        let sink = SinkSpec {
            url: url.clone(),
            ..SinkSpec::default()
        };
        return Ok((None, sink));
    }
    let job = chosen::status(ctx, args.job.as_deref()).await?;
    let spec: JobSpec = serde_json::from_str(&job.spec_json)
        .map_err(|e| KolError::internal("SPEC_ENCODING", e.to_string()))?;
    let sink = match &args.redis {
        // Its login is part of the URL.
        Some(url) => SinkSpec {
            url: url.clone(),
            keys: spec.sink.keys,
            ..SinkSpec::default()
        },
        None => spec.sink,
    };
    Ok((Some(job.name), sink))
}

fn title(job: Option<&str>, platform: &str, now: Millis) -> String {
    let of = job.map_or_else(String::new, |job| format!("{job}: "));
    format!("{of}trending on {platform} at {}", now.iso())
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

fn as_json(job: Option<&str>, row: &Ranked) -> Value {
    json!({
        "job": job, "rank": row.place, "kol": row.kol, "score": row.score, "label": row.label,
        "velocity": row.velocity, "momentum": row.momentum, "total_engagement": row.engagement,
        "updated_ms": row.updated.map(|t| t.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_and_the_json_name_the_job() {
        let now = Millis(0);
        let title = title(Some("kol"), "tiktok", now);
        assert_eq!(title, "kol: trending on tiktok at 1970-01-01T00:00:00.000Z");
        assert_eq!(as_json(Some("kol"), &Ranked::default())["job"], "kol");
        assert_eq!(as_json(None, &Ranked::default())["job"], Value::Null);
    }
}
