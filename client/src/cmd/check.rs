//! `check FILE`.

use std::path::PathBuf;
use std::time::Duration;

use kol_common::KolError;
use kol_common::job::{JobSpec, parse};
use kol_common::kafka::{classify, client_config, consumer};
use kol_common::secrets::Secrets;
use rdkafka::consumer::Consumer as _;
use serde_json::json;

use crate::Context;

/// Longest time for one question to the broker.
const ANSWER: Duration = Duration::from_secs(5);

/// Flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job spec, TOML.
    file: PathBuf,
    /// Change a key of the spec; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::key_value)]
    sets: Vec<(String, String)>,
    /// Also reach for Kafka, the topics and Redis.
    #[arg(long)]
    connect: bool,
    /// Folder of `file:` secrets.
    #[arg(long, env = "KOL_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
}

/// One thing that was looked at.
struct Finding {
    what: String,
    outcome: Result<String, KolError>,
}

/// Runs the command.
///
/// # Errors
/// The spec is wrong, or something it needs is not there.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let text = super::submit::read_spec(&args.file, &args.sets)?;
    let origin = args.file.display().to_string();
    let parsed = parse(&text, &origin).map_err(KolError::from)?;
    let mut findings = vec![Finding {
        what: format!("spec {origin}"),
        outcome: Ok(format!("job {} is well formed", parsed.spec.name)),
    }];
    if args.connect {
        findings.extend(reach(parsed.spec, Secrets::new(args.secrets_dir)).await);
    }
    if ctx.json() {
        let views: Vec<_> = findings
            .iter()
            .map(|f| match &f.outcome {
                Ok(text) => json!({"what": f.what, "ok": true, "found": text}),
                Err(e) => json!({"what": f.what, "ok": false, "found": e.to_string()}),
            })
            .collect();
        println!(
            "{}",
            json!({"findings": views, "warnings": parsed.warnings})
        );
    } else {
        for finding in &findings {
            match &finding.outcome {
                Ok(text) => println!("ok       {}: {text}", finding.what),
                Err(error) => println!("problem  {}: {error}", finding.what),
            }
        }
        for warning in &parsed.warnings {
            println!("warning  {warning}");
        }
    }
    match findings.into_iter().find_map(|f| f.outcome.err()) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

async fn reach(spec: JobSpec, secrets: Secrets) -> Vec<Finding> {
    let redis = Finding {
        what: format!("Redis {}", spec.sink.url),
        outcome: reach_redis(&spec, &secrets).await,
    };
    let kafka = tokio::task::spawn_blocking(move || reach_kafka(&spec, &secrets)).await;
    let mut findings = kafka.unwrap_or_else(|e| {
        vec![Finding {
            what: "Kafka".into(),
            outcome: Err(KolError::internal("CHECK", e.to_string())),
        }]
    });
    findings.push(redis);
    findings
}

async fn reach_redis(spec: &JobSpec, secrets: &Secrets) -> Result<String, KolError> {
    let mut open = kol_common::redis::connect(&spec.sink, secrets).await?;
    let info: String = redis::cmd("INFO")
        .arg("server")
        .query_async(&mut open)
        .await
        .map_err(|e| kol_common::redis::classify(&e))?;
    let version = info
        .lines()
        .find_map(|line| line.strip_prefix("redis_version:"))
        .unwrap_or("unknown");
    Ok(format!("answers, version {}", version.trim()))
}

fn reach_kafka(spec: &JobSpec, secrets: &Secrets) -> Vec<Finding> {
    let source = spec.source.kafka();
    let what = format!("Kafka {}", source.bootstrap);
    let client = client_config(source, secrets, "kol-client-check").and_then(consumer);
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            return vec![Finding {
                what,
                outcome: Err(error),
            }];
        }
    };
    let reached = client
        .fetch_metadata(None, ANSWER)
        .map_err(|e| classify(&e));
    let metadata = match reached {
        Ok(metadata) => metadata,
        Err(error) => {
            return vec![Finding {
                what,
                outcome: Err(error),
            }];
        }
    };
    let mut findings = vec![Finding {
        what,
        outcome: Ok(format!("{} brokers", metadata.brokers().len())),
    }];
    for topic in source.topics.iter().chain(&source.dead_letter) {
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        let missing = || {
            KolError::user("TOPIC_NOT_FOUND", "there is no such topic")
                .help("Create it, or mend source.topics or source.dead_letter.")
        };
        findings.push(Finding {
            what: format!("topic {topic}"),
            outcome: found
                .map(|t| format!("{} partitions", t.partitions().len()))
                .ok_or_else(missing),
        });
    }
    findings
}
