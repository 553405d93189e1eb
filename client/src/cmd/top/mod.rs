//! `top`: the live ranking.
//!
//! | file | does |
//! |---|---|
//! | `view` | what is shown, by what was read and which keys were pressed: a machine |
//! | `sources` | reads the ranking from Redis and the job from the master, again and again |

mod sources;
mod view;

use std::io::IsTerminal as _;

use kol_common::actor::Group;
use kol_common::job::{JobSpec, SinkSpec};
use kol_common::proto::JobStatus;
use kol_common::redis::ranking::Ranked;
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

pub(crate) use self::sources::Ranking;
use self::sources::{EVERY, News, Source, Wanted};
use self::view::View;
use super::chosen;
use crate::Context;
use crate::complete;
use crate::print;
use crate::render::top::{Key, Screen, table};

/// News that may wait to be drawn.
const WAITING: usize = 16;
/// Creators that are read for a terminal, which scrolls, and for a file.
const ON_A_TERMINAL: u64 = 100;
const ELSEWHERE: u64 = 10;

/// Arguments of `kol-client top`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name; when left out the only one that runs, or the newest where none does.
    #[arg(add = complete::jobs())]
    job: Option<String>,
    /// The same, as `explain` has it.
    #[arg(long = "job", hide = true, value_name = "JOB", conflicts_with = "job", add = complete::jobs())]
    named: Option<String>,
    /// Platform whose ranking is shown; the job's default platform when left out.
    #[arg(long, add = complete::platforms())]
    platform: Option<String>,
    /// Number of creators [default: 100 on a terminal, which scrolls, otherwise 10].
    #[arg(short, value_parser = clap::value_parser!(u64).range(1..))]
    n: Option<u64>,
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
/// No job, or several, say which Redis to read. Printed once: it cannot be reached.
pub async fn run(mut args: Args, ctx: &Context) -> anyhow::Result<()> {
    args.job = args.job.or(args.named.take());
    let job = job_of(&args, ctx).await?;
    let wanted = wanted(&args, job.as_ref())?;
    let on_terminal = std::io::stdout().is_terminal() && !ctx.json();
    let most = args.n.unwrap_or(if on_terminal {
        ON_A_TERMINAL
    } else {
        ELSEWHERE
    });
    let mut source = Source::new(Secrets::new(args.secrets_dir.clone()), most);
    if on_terminal {
        return on_the_terminal(args, ctx, job, wanted, source).await;
    }
    if ctx.json() {
        let ranking = source.read(&wanted).await?;
        let rows = ranking
            .rows
            .iter()
            .map(|row| as_json(job.as_ref(), &ranking, row));
        return Ok(print::json(&Value::from_iter(rows))?);
    }
    if !args.follow {
        return Ok(print::text(&as_text(&source.read(&wanted).await?))?);
    }
    let mut is_away = false;
    loop {
        match source.read(&wanted).await {
            Ok(ranking) => {
                is_away = false;
                print::text(&as_text(&ranking))?;
            }
            Err(error) if is_away && error.retryable => {}
            Err(error) if error.retryable => {
                is_away = true;
                print::note(&error.to_string());
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The job, unless only a Redis is to be read.
async fn job_of(args: &Args, ctx: &Context) -> anyhow::Result<Option<JobStatus>> {
    if args.redis.is_some() && args.job.is_none() {
        return Ok(None);
    }
    chosen::status(ctx, args.job.as_deref()).await.map(Some)
}

/// Where the ranking is, and which one.
///
/// # Errors
/// The spec of the job is one of another version.
fn wanted(args: &Args, job: Option<&JobStatus>) -> Result<Wanted, KolError> {
    let spec: Option<JobSpec> = job
        .map(|job| serde_json::from_str(&job.spec_json))
        .transpose()
        .map_err(|e| KolError::internal("SPEC_ENCODING", e.to_string()))?;
    let default = spec
        .as_ref()
        .map_or("tiktok", |s| &s.scoring.default_platform);
    let platform = args.platform.as_deref().unwrap_or(default).to_owned();
    let sink = spec.map(|spec| spec.sink).unwrap_or_default();
    let sink = match &args.redis {
        // Its login is part of the URL.
        Some(url) => SinkSpec {
            url: url.clone(),
            keys: sink.keys,
            ..SinkSpec::default()
        },
        None => sink,
    };
    Ok(Wanted { sink, platform })
}

async fn on_the_terminal(
    args: Args,
    ctx: &Context,
    job: Option<JobStatus>,
    wanted: Wanted,
    source: Source,
) -> anyhow::Result<()> {
    let tasks = Group::new("top");
    let mut view = View::new(wanted.platform.clone());
    let (news, mut new) = mpsc::channel(WAITING);
    if let Some(job) = job {
        let following = sources::follow(ctx.clone(), args.job.clone(), job.job_id.clone());
        let _runs_by_itself = tasks.spawn("job", following.until_closed(news.clone()));
        view.job(Millis::now(), Ok(job));
    }
    let (want, wants) = watch::channel(wanted);
    let _runs_by_itself = tasks.spawn("ranking", source.until_closed(wants, news));
    let mut screen = Screen::open()?;
    let mut keys = screen.keys(&tasks);
    loop {
        let page = screen.draw(&view.shown(Millis::now()))?;
        tokio::select! {
            biased;
            key = keys.recv() => match key {
                Some(Key::Move(key)) => view.key(key, page),
                Some(Key::Redraw) => {}
                Some(Key::Quit) | None => return Ok(()),
            },
            arrived = new.recv() => match arrived {
                Some(News::Job(job)) => {
                    if let Ok(job) = &job {
                        let sink = self::wanted(&args, Some(job))?.sink;
                        want.send_if_modified(|want| replace(&mut want.sink, sink));
                    }
                    view.job(Millis::now(), job.map(|job| *job));
                }
                Some(News::Ranking(ranking)) => view.ranking(Millis::now(), ranking),
                None => return Ok(()),
            },
            () = tokio::time::sleep(EVERY) => {}
        }
        let platform = view.platform().to_owned();
        want.send_if_modified(|want| replace(&mut want.platform, platform));
    }
}

/// Whether a value is another one now.
fn replace<T: PartialEq>(value: &mut T, by: T) -> bool {
    let is_other = *value != by;
    *value = by;
    is_other
}

fn as_text(ranking: &Ranking) -> String {
    if ranking.rows.is_empty() {
        return format!("{}\n", print::visible(&ranking.why_empty()));
    }
    table(&ranking.rows)
}

/// Numbers under the names that `explain` has for them.
pub(crate) fn as_json(job: Option<&JobStatus>, ranking: &Ranking, row: &Ranked) -> Value {
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
    json!({
        "job": job.map(|job| &job.name),
        "job_id": job.map(|job| &job.job_id),
        "platform": ranking.platform,
        "rank": row.place,
        "kol": row.kol,
        "trending_score": row.score,
        "trending_label": row.label,
        "velocity": number(&row.velocity),
        "momentum": number(&row.momentum),
        "total_engagement": number(&row.engagement),
        "event_count": row.events.parse::<u64>().ok(),
        "updated_ms": row.updated.map(|t| t.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_numbers_under_the_names_of_explain_and_what_is_not_there_is_null() {
        let job = JobStatus {
            name: "kol".into(),
            job_id: "job_1".into(),
            ..JobStatus::default()
        };
        let ranking = Ranking {
            platform: "tiktok".into(),
            ..Ranking::default()
        };
        let row = Ranked {
            place: 1,
            kol: "mia".into(),
            score: 84.127_56,
            label: "Viral".into(),
            velocity: "23.77".into(),
            momentum: "-0.68".into(),
            engagement: "34233".into(),
            events: "35".into(),
            updated: Some(Millis(5)),
        };
        let expected = json!({
            "job": "kol", "job_id": "job_1", "platform": "tiktok", "rank": 1, "kol": "mia",
            "trending_score": 84.127_56, "trending_label": "Viral", "velocity": 23.77, "momentum": -0.68,
            "total_engagement": 34233.0, "event_count": 35, "updated_ms": 5,
        });
        assert_eq!(as_json(Some(&job), &ranking, &row), expected);
        let gone = as_json(None, &ranking, &Ranked::default());
        for name in [
            "job",
            "velocity",
            "total_engagement",
            "event_count",
            "updated_ms",
        ] {
            assert_eq!(gone[name], Value::Null, "{name}");
        }
    }

    #[test]
    fn the_platform_is_the_default_one_of_the_job_unless_one_is_named() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let text = "name = \"a\"\n[scoring]\ndefault_platform = \"youtube\"";
        let spec = kol_common::job::parse(text, "a.toml").unwrap().spec;
        let job = JobStatus {
            spec_json: serde_json::to_string(&spec).unwrap(),
            ..JobStatus::default()
        };
        let platform = |line: &str, job: Option<&JobStatus>| {
            let args = Line::parse_from(line.split(' ')).args;
            wanted(&args, job).unwrap().platform
        };
        assert_eq!(platform("top", Some(&job)), "youtube");
        assert_eq!(platform("top --platform x", Some(&job)), "x");
        assert_eq!(platform("top", None), "tiktok");
    }
}
