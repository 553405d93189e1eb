//! `check FILE`.

use std::path::PathBuf;
use std::time::Duration;

use kol_common::KolError;
use kol_common::job::{Counters, JobSpec, SinkSpec, parse};
use kol_common::kafka::{client_config, consumer, failure};
use kol_common::redis::{connect, eviction, rights_problem, server_info, version};
use kol_common::secrets::Secrets;
use kol_common::view::problem_json;
use rdkafka::consumer::Consumer as _;
use serde_json::{Value, json};

use crate::Context;
use crate::input::cluster::Cluster;
use crate::input::newest::{self, End};
use crate::input::split;
use crate::input::survey::{Survey, Tally};
use crate::print;

/// Longest time for one request to the broker.
const ANSWER: Duration = Duration::from_secs(5);

/// Arguments of `kol-client check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job spec, TOML. `source.shape` may be tiktok-api, tiktok-apify, instagram-apify,
    /// youtube-api, yt-dlp or youtube-trending; `[source.fields]` names other fields.
    file: PathBuf,
    /// Change a key of the spec; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::key_value)]
    sets: Vec<(String, String)>,
    /// Also connect to Kafka and Redis, and look at the topics and their newest records.
    #[arg(long)]
    connect: bool,
    /// Also print the spec as it will run, with every default filled in and what each key is for. Secrets stay references.
    #[arg(long, alias = "defaults")]
    show: bool,
    /// Folder of `file:` secrets.
    #[arg(long, env = "KOL_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
}

/// So many of a topic's newest records are looked at.
const SURVEYED: u64 = 100;

/// One thing that was checked.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(super) what: String,
    pub(super) outcome: Result<String, KolError>,
    /// What its owner should know although it works.
    warnings: Vec<String>,
}

impl Finding {
    pub(crate) fn new(what: String, outcome: Result<String, KolError>) -> Self {
        Self {
            what,
            outcome,
            warnings: Vec::new(),
        }
    }
}

/// Prints what is right and wrong with the spec, and with what it needs.
///
/// # Errors
/// The spec is wrong, or something that it needs does not exist or cannot be reached.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let text = crate::input::spec::read_spec(&args.file, &args.sets)?;
    let origin = args.file.display().to_string();
    let parsed = parse(&text, &origin).map_err(KolError::from)?;
    let well_formed = format!("job {} is well formed", parsed.spec.name);
    let mut findings = vec![Finding::new(format!("spec {origin}"), Ok(well_formed))];
    if args.connect {
        findings.extend(reach(parsed.spec.clone(), Secrets::new(args.secrets_dir)).await);
    }
    let found = findings.iter().flat_map(|f| &f.warnings);
    let warnings: Vec<String> = parsed.warnings.iter().chain(found).cloned().collect();
    if ctx.json() {
        let spec = args
            .show
            .then(|| serde_json::to_value(&parsed.spec))
            .transpose()?;
        print::json(&as_json(&findings, &warnings, spec))?;
    } else if args.show {
        print::text(&with_spec(&as_text(&findings, &warnings), &parsed.spec)?)?;
    } else {
        print::text(&as_text(&findings, &warnings))?;
    }
    match findings.into_iter().find_map(|f| f.outcome.err()) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

pub(crate) fn as_text(findings: &[Finding], warnings: &[String]) -> String {
    let findings = findings.iter().map(|finding| match &finding.outcome {
        Ok(text) => format!("ok       {}: {text}", finding.what),
        Err(error) => format!("problem  {}: {error}", finding.what),
    });
    let warnings = warnings.iter().map(|warning| format!("warning  {warning}"));
    let all = findings.chain(warnings);
    all.map(|text| print::paragraph(&text) + "\n").collect()
}

pub(crate) fn as_json(findings: &[Finding], warnings: &[String], spec: Option<Value>) -> Value {
    let views = findings.iter().map(|f| match &f.outcome {
        Ok(text) => json!({"what": f.what, "ok": true, "found": text, "problem": null}),
        Err(e) => {
            let problem = problem_json(&e.to_info());
            json!({"what": f.what, "ok": false, "found": e.to_string(), "problem": problem})
        }
    });
    json!({"findings": Value::from_iter(views), "warnings": warnings, "spec": spec})
}

/// A spec file: what was found is in its comments.
fn with_spec(findings: &str, spec: &JobSpec) -> Result<String, KolError> {
    let comments: String = findings.lines().map(|line| format!("# {line}\n")).collect();
    Ok(format!("{comments}{}", spec.to_toml()?))
}

async fn reach(spec: JobSpec, secrets: Secrets) -> Vec<Finding> {
    let redis = reach_redis(&spec, &secrets).await;
    let mut findings = reach_kafka(spec, secrets, Depth::Records).await;
    findings.push(redis);
    findings
}

/// How far a look at Kafka goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Whether it answers, and has the topics.
    Topics,
    /// Also what their newest records are made of.
    Records,
}

/// What is found at the Kafka of a job.
pub(super) async fn reach_kafka(spec: JobSpec, secrets: Secrets, depth: Depth) -> Vec<Finding> {
    let found = tokio::task::spawn_blocking(move || look_at_kafka(&spec, &secrets, depth)).await;
    found.unwrap_or_else(|e| {
        let error = KolError::internal("CHECK", e.to_string());
        vec![Finding::new("Kafka".into(), Err(error))]
    })
}

/// What is found at the Redis of a job.
pub(super) async fn reach_redis(spec: &JobSpec, secrets: &Secrets) -> Finding {
    let what = format!("Redis {}", spec.sink.url);
    match look_at_redis(&spec.sink, secrets).await {
        Ok((found, evicts)) => {
            let mut finding = Finding::new(what, Ok(found));
            finding.warnings.extend(evicts.map(|e| e.to_string()));
            finding
        }
        Err(error) => Finding::new(what, Err(error)),
    }
}

/// What a Redis is, and whether it may evict rankings.
///
/// # Errors
/// A job cannot run with it.
async fn look_at_redis(
    sink: &SinkSpec,
    secrets: &Secrets,
) -> Result<(String, Option<KolError>), KolError> {
    let mut open = connect(sink, secrets).await?;
    if let Some(lacking) = rights_problem(sink, &mut open).await? {
        return Err(lacking);
    }
    let info = server_info(&mut open).await?;
    let found = format!("answers, version {}", version(&info)?);
    Ok((found, eviction(&mut open, sink.ttl.is_some()).await?))
}

fn look_at_kafka(spec: &JobSpec, secrets: &Secrets, depth: Depth) -> Vec<Finding> {
    let source = spec.source.kafka();
    let what = format!("Kafka {}", source.bootstrap);
    let client = client_config(source, secrets, "kol-client-check").and_then(consumer);
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![Finding::new(what, Err(error))],
    };
    let reached = client
        .fetch_metadata(None, ANSWER)
        .map_err(|e| failure(&client, &e));
    let metadata = match reached {
        Ok(metadata) => metadata,
        Err(error) => return vec![Finding::new(what, Err(error))],
    };
    let brokers = format!("{} brokers", metadata.brokers().len());
    let mut findings = vec![Finding::new(what, Ok(brokers))];
    let written = source.dead_letter.iter().chain(&spec.alerts.topic);
    for topic in source.topics.iter().chain(written) {
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        let missing = || {
            KolError::user("TOPIC_NOT_FOUND", "there is no such topic")
                .help("Create it, or correct source.topics, source.dead_letter or alerts.topic.")
        };
        let partitions = found.map(|t| format!("{} partitions", t.partitions().len()));
        let is_read = partitions.is_some() && source.topics.contains(topic);
        findings.push(Finding::new(
            format!("topic {topic}"),
            partitions.ok_or_else(missing),
        ));
        if is_read && depth == Depth::Records {
            findings.extend(look_into(spec, topic, secrets));
        }
    }
    findings
}

/// What the newest records of a topic are made of; nothing where it has none.
fn look_into(spec: &JobSpec, topic: &str, secrets: &Secrets) -> Option<Finding> {
    let platform = spec.scoring.default_platform.clone();
    let cluster = Cluster::new(spec.source.kafka().clone(), platform, secrets.clone());
    let what = format!("records of {topic}");
    let samples = match newest::read(&cluster, topic, End::End, 1, SURVEYED) {
        Ok(samples) => samples,
        Err(error) => return Some(Finding::new(what, Err(error))),
    };
    let mut survey = Survey::new(&cluster);
    for sample in &samples {
        let place = format!("{topic}/{}/{}", sample.partition, sample.offset);
        survey.add(sample.value.as_deref(), &place);
    }
    if survey.tally.events == 0 {
        return None;
    }
    let mut finding = Finding::new(what, usable(&survey.tally));
    let cumulative = spec.scoring.counters == Counters::Cumulative;
    // A stage before the scores brings readings of one video together.
    let as_read = cumulative && spec.rekey().is_none();
    let split = as_read.then(|| split::warning(&cluster, &samples));
    let warnings = survey.warnings().into_iter().chain(split.flatten());
    let of_topic = |warning| format!("topic {topic}: {warning}");
    finding.warnings.extend(warnings.map(of_topic));
    if let Some(proposal) = survey.proposal() {
        let fits = if proposal.names_creator {
            "these lines fit its records better"
        } else {
            "name the creator's field in place of FILL-IN, then these lines fit its records"
        };
        let lines = proposal.lines;
        finding
            .warnings
            .push(format!("topic {topic}: {fits}:\n{lines}"));
    }
    Some(finding)
}

/// How many records can be used.
///
/// # Errors
/// Not one: a job would read all of them, and show nobody.
fn usable(tally: &Tally) -> Result<String, KolError> {
    if tally.usable > 0 {
        let found = format!(
            "{} of the newest {} can be used",
            tally.usable, tally.events
        );
        return Ok(found);
    }
    let reasons = tally.rejected().into_iter();
    let reasons = reasons.map(|(reject, count)| format!("{count} {}", reject.as_str()));
    let reasons: Vec<_> = reasons.collect();
    let what = format!(
        "none of the newest {} can be used ({})",
        tally.events,
        reasons.join(", ")
    );
    Err(KolError::user("NO_USABLE_RECORD", what)
        .help("The warnings of the check say why, and what to do."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(values: &[&str]) -> Tally {
        let mut survey = Survey::new(&Cluster::default());
        for value in values {
            survey.add(Some(value.as_bytes()), "t/0/0");
        }
        survey.tally
    }

    #[test]
    fn a_spec_with_its_defaults_is_a_spec_file_of_the_same_job() {
        let spec = parse(
            "name = \"kol\"\n[sink]\npassword = \"env:KOL_SECRET_REDIS\"",
            "a.toml",
        );
        let spec = spec.unwrap().spec;
        let warning = "two lines\nname = \"other\"".to_owned();
        let findings = [Finding::new("spec a.toml".into(), Ok("job kol".into()))];
        let text = with_spec(&as_text(&findings, &[warning]), &spec).unwrap();
        assert!(text.contains("window = \"1day\""), "{text}");
        assert!(
            text.contains("password = \"env:KOL_SECRET_REDIS\""),
            "{text}"
        );
        assert_eq!(parse(&text, "b.toml").unwrap().spec, spec, "{text}");
    }

    #[test]
    fn a_topic_without_a_usable_record_is_a_problem() {
        let (bad, good) = (r#"{"likes":1}"#, r#"{"username":"a"}"#);
        let error = usable(&tally(&[bad, bad, "no json"])).unwrap_err();
        assert_eq!(error.code, "NO_USABLE_RECORD");
        let expected = "none of the newest 3 can be used (2 no_username, 1 not_json)";
        assert_eq!(error.message, expected);
        let found = usable(&tally(&[bad, good]));
        assert_eq!(found.unwrap(), "1 of the newest 2 can be used");
    }
}
