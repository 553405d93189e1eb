//! `alerts test FILE`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kol_common::alerts::{Alert, Way, ways};
use kol_common::job::{JobSpec, parse};
use kol_common::kafka::Ends;
use kol_common::secrets::Secrets;
use kol_common::view::problem_json;
use kol_common::{KolError, Millis};
use serde_json::{Value, json};

use crate::{Context, print};

/// How long the client of Kafka may take to end.
const END: Duration = Duration::from_secs(5);

/// Arguments of `kol-client alerts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Send an alert for each rule of a job spec to where its alerts go. It is marked as a test, and nothing else happens.
    Test(Test),
}

#[derive(Debug, clap::Args)]
struct Test {
    /// The job spec, TOML.
    file: PathBuf,
    /// Change a key of the spec; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::key_value)]
    sets: Vec<(String, String)>,
    /// Only this rule; may be repeated.
    #[arg(long = "rule", value_name = "NAME")]
    rules: Vec<String>,
    /// Send nothing, and print what would be sent.
    #[arg(long)]
    dry_run: bool,
    /// Folder of `file:` secrets.
    #[arg(long, env = "KOL_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
}

/// What became of a test alert at one destination.
pub(crate) struct Sent {
    pub(crate) to: String,
    pub(crate) alert: Alert,
    /// `None`: it was not sent.
    pub(crate) outcome: Option<Result<(), KolError>>,
}

/// Sends alerts that are marked as tests.
///
/// # Errors
/// The spec is wrong or has no such rule, or one did not arrive.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let What::Test(test) = args.what;
    let text = crate::input::spec::read_spec(&test.file, &test.sets)?;
    let origin = test.file.display().to_string();
    let spec = parse(&text, &origin).map_err(KolError::from)?.spec;
    let alerts = alerts_of(&spec, &test.rules, Millis::now())?;
    let ends = Ends::default();
    let ways = ways(&Arc::new(spec), &Secrets::new(test.secrets_dir), &ends);
    let sent = if test.dry_run {
        let both = alerts.iter().flat_map(|alert| {
            let of = |way: &Arc<dyn Way>| Sent {
                to: way.name(),
                alert: alert.clone(),
                outcome: None,
            };
            ways.iter().map(of)
        });
        both.collect()
    } else {
        send(&ways, &alerts).await?
    };
    let _in_time = ends.wait(END).await;
    if ctx.json() {
        print::json(&Value::from_iter(sent.iter().map(as_json)))?;
    } else {
        print::text(&sent.iter().map(as_text).collect::<String>())?;
    }
    match sent.into_iter().find_map(|sent| sent.outcome?.err()) {
        Some(error) => Err(error.into()),
        None => Ok(()),
    }
}

/// A test alert for each of these rules; for all without any.
///
/// # Errors
/// There is none.
fn alerts_of(spec: &JobSpec, named: &[String], now: Millis) -> Result<Vec<Alert>, KolError> {
    let rules = &spec.alerts.rules;
    let unknown = named
        .iter()
        .find(|name| rules.iter().all(|rule| rule.name != **name));
    if let Some(unknown) = unknown {
        let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
        let what = format!("the spec has no rule `{unknown}`");
        return Err(
            KolError::user("ALERT_RULE", what).help(format!("It has: {}.", names.join(", ")))
        );
    }
    if rules.is_empty() {
        return Err(
            KolError::user("ALERT_RULE", "the spec has no rule for alerts")
                .help("Add [[alerts.rules]]: see docs/alerts.md."),
        );
    }
    let wanted = rules
        .iter()
        .filter(|rule| named.is_empty() || named.contains(&rule.name));
    Ok(wanted.map(|rule| Alert::test(spec, rule, now)).collect())
}

async fn send(ways: &[Arc<dyn Way>], alerts: &[Alert]) -> Result<Vec<Sent>, KolError> {
    let open = |way: &Arc<dyn Way>| Ok((way.name(), way.open()?));
    let open: Vec<_> = ways.iter().map(open).collect::<Result<_, KolError>>()?;
    let mut sent = Vec::new();
    for alert in alerts {
        for (to, destination) in &open {
            let outcome = destination.deliver(alert.clone()).await;
            sent.push(Sent {
                to: to.clone(),
                alert: alert.clone(),
                outcome: Some(outcome.map_err(|failure| failure.error)),
            });
        }
    }
    Ok(sent)
}

fn as_text(sent: &Sent) -> String {
    let (rule, to) = (&sent.alert.rule, &sent.to);
    let text = match &sent.outcome {
        None => format!(
            "would send  {rule} to {to}: {}",
            String::from_utf8_lossy(&sent.alert.json())
        ),
        Some(Ok(())) => format!("ok       {rule} to {to}: key {}", sent.alert.key),
        Some(Err(error)) => format!("problem  {rule} to {to}: {error}"),
    };
    print::paragraph(&text) + "\n"
}

pub(crate) fn as_json(sent: &Sent) -> Value {
    let (is_sent, problem) = match &sent.outcome {
        None => (false, Value::Null),
        Some(Ok(())) => (true, Value::Null),
        Some(Err(error)) => (false, problem_json(&error.to_info())),
    };
    json!({"rule": sent.alert.rule, "to": sent.to, "sent": is_sent, "problem": problem, "alert": sent.alert})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> JobSpec {
        let text = "name = \"kol\"\n[alerts]\ntopic = \"kol-alerts\"\nwebhook = \"https://hooks.example/x\"\n\
            webhook_token = \"file:hook\"\n[[alerts.rules]]\nname = \"viral\"\nlabel = \"Viral\"\n\
            [[alerts.rules]]\nname = \"fast\"\nvelocity_above = 10\nplatform = \"youtube\"\n";
        parse(text, "a").unwrap().spec
    }

    #[test]
    fn there_is_a_marked_alert_for_each_rule_with_a_key_of_its_own() {
        let at = |now| alerts_of(&spec(), &[], Millis(now)).unwrap();
        let (alerts, later) = (at(1_795_755_600_000), at(1_795_755_600_001));
        assert_eq!(alerts.len(), 2);
        assert!(alerts.iter().all(|alert| alert.test && alert.job == "kol"));
        assert_eq!(
            (alerts[0].platform.as_str(), alerts[1].platform.as_str()),
            ("tiktok", "youtube")
        );
        assert_ne!(alerts[0].key, alerts[1].key);
        assert_ne!(
            alerts[0].key, later[0].key,
            "each test is an alert of its own"
        );
    }

    #[test]
    fn a_rule_that_does_not_exist_is_named_with_those_that_do() {
        let error = alerts_of(&spec(), &["slow".into()], Millis(0)).unwrap_err();
        assert_eq!(error.code, "ALERT_RULE");
        assert!(error.help.contains("viral, fast"), "{error}");
        let none = parse("name = \"a\"", "a").unwrap().spec;
        assert_eq!(
            alerts_of(&none, &[], Millis(0)).unwrap_err().code,
            "ALERT_RULE"
        );
    }

    #[tokio::test]
    async fn what_was_not_taken_is_a_problem_of_its_destination() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("hook"), "t0ken").unwrap();
        let mut spec = spec();
        spec.alerts.topic = None;
        spec.alerts.webhook = Some("http://127.0.0.1:1/".into());
        let alerts = alerts_of(&spec, &["viral".into()], Millis(0)).unwrap();
        let secrets = Secrets::new(Some(dir.path().to_owned()));
        let ways = ways(&Arc::new(spec), &secrets, &Ends::default());
        let sent = send(&ways, &alerts).await.unwrap();
        let [one] = &sent[..] else {
            panic!("one rule, one destination")
        };
        assert!(as_text(one).starts_with("problem  viral to webhook at 127.0.0.1:1: "));
        assert_eq!(as_json(one)["problem"]["code"], "ALERT_WEBHOOK");
    }
}
