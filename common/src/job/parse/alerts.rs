//! The alerts of a spec: keys, and whether they make sense together.

use std::collections::BTreeSet;

use super::names::{is_name, is_platform};
use super::place::check_reference;
use super::reader::{Problems, Section, finite};
use crate::Millis;
use crate::job::alerts::webhook_host;
use crate::job::{AlertRule, AlertsSpec, Condition, JobSpec, Label, SecretRef};

/// Most rules of a job: each is looked at for every creator that is sent to Redis.
const MOST_RULES: usize = 32;
/// Longest name of a rule.
const NAME: usize = 64;
/// Longest URL of a webhook.
const URL: usize = 2_048;
/// Event time in which a rule raises one alert about a creator, unless it says otherwise.
const SILENCE: Millis = Millis(3_600_000);
const DAY: Millis = Millis(86_400_000);

pub(super) fn alerts(s: &Section<'_, '_>) -> AlertsSpec {
    let spec = AlertsSpec {
        topic: s.text("topic"),
        webhook: s.text("webhook"),
        webhook_token: s.text("webhook_token").map(SecretRef),
        webhook_ca: s.text("webhook_ca").map(SecretRef),
        rules: rules(s),
    };
    s.end();
    spec
}

fn rules(s: &Section<'_, '_>) -> Vec<AlertRule> {
    let mut names = BTreeSet::new();
    let mut rules = Vec::new();
    for (at, section) in s.sections("rules") {
        let rule = rule(at, &section);
        section.end();
        let Some(rule) = rule else { continue };
        if !names.insert(rule.name.clone()) {
            section.problem(at, "name", format!("two rules are called `{}`", rule.name));
        }
        rules.push(rule);
    }
    rules
}

/// A rule that begins at this place; `None` if it lacks what it needs.
fn rule(at: usize, s: &Section<'_, '_>) -> Option<AlertRule> {
    let name = s.text("name");
    let labels = Label::ALL.map(|label| (label.as_str(), label));
    let above = |key: &'static str, of: fn(f64) -> Condition| {
        s.value(key, |value| {
            let number = finite(value)?;
            let fits = number >= 0.0;
            fits.then(|| of(number))
                .ok_or_else(|| "write a number from 0 on".to_owned())
        })
    };
    let conditions = [
        s.choice("label", &labels).map(Condition::Label),
        above("velocity_above", Condition::VelocityAbove),
        above("growth_above", Condition::GrowthAbove),
        above("score_above", Condition::ScoreAbove),
    ];
    let platform = s.text("platform");
    let silence = s.duration("silence").unwrap_or(SILENCE);
    let mut given = conditions.into_iter().flatten();
    let when = given.next();
    if when.is_none() || given.next().is_some() {
        let what =
            "needs one of label, velocity_above, growth_above and score_above, and no second one";
        s.problem(at, "", what);
    }
    match &name {
        None => s.problem(at, "name", "missing: every rule needs a name"),
        Some(name) if !is_name(name, NAME) => {
            let what = format!("use 1 to {NAME} letters, digits, `-`, `_` and `.`");
            s.problem(at, "name", what);
        }
        Some(_) => {}
    }
    Some(AlertRule {
        name: name?,
        when: when?,
        platform,
        silence,
    })
}

/// Notes what does not fit the rest of the spec.
pub(super) fn check(spec: &JobSpec, problems: &Problems) {
    let alerts = &spec.alerts;
    if alerts.is_empty() {
        return;
    }
    let problem = |key: &str, what: String| problems.of_key(&format!("alerts.{key}"), what);
    if alerts.rules.is_empty() {
        problem(
            "rules",
            "name at least one rule, as [[alerts.rules]]".into(),
        );
    }
    if alerts.rules.len() > MOST_RULES {
        problem("rules", format!("more than {MOST_RULES} rules"));
    }
    if alerts.topic.is_none() && alerts.webhook.is_none() {
        problem("topic", "missing: name a topic, a webhook, or both".into());
    }
    if let Some(topic) = &alerts.topic {
        let source = spec.source.kafka();
        if !is_name(topic, 249) {
            problem(
                "topic",
                format!("`{topic}` is not a topic name: letters, digits, `.`, `_` and `-`"),
            );
        }
        if source.topics.contains(topic) || source.dead_letter.as_ref() == Some(topic) {
            problem(
                "topic",
                "must be a topic of its own: the job reads it, or writes dead letters to it".into(),
            );
        }
    }
    webhook(alerts, &problem);
    for rule in &alerts.rules {
        if rule.silence > spec.scoring.retire_after {
            let what = format!(
                "{} of rule `{}` is longer than scoring.retire_after: a creator that has left is forgotten",
                in_days(rule.silence),
                rule.name
            );
            problems.of_item("alerts.rules", &rule.name, "silence", what);
        }
        if let Some(platform) = &rule.platform
            && !is_platform(platform)
        {
            let what = format!(
                "of rule `{}`: use 1 to 64 lower-case letters, no `:`, no spaces around them",
                rule.name
            );
            problems.of_item("alerts.rules", &rule.name, "platform", what);
        }
    }
}

/// Whole days as people write them: not in months, whose length nobody expects.
fn in_days(length: Millis) -> String {
    match length.0 % DAY.0 {
        0 => format!("{}d", length.0 / DAY.0),
        _ => length.to_string(),
    }
}

fn webhook(alerts: &AlertsSpec, problem: &impl Fn(&str, String)) {
    let Some(url) = &alerts.webhook else {
        for (key, reference) in [
            ("webhook_token", &alerts.webhook_token),
            ("webhook_ca", &alerts.webhook_ca),
        ] {
            if reference.is_some() {
                problem(key, "there is no alerts.webhook".into());
            }
        }
        return;
    };
    if url.len() > URL {
        problem("webhook", format!("longer than {URL} bytes"));
    } else if let Err(why) = webhook_host(url) {
        problem("webhook", why);
    }
    if alerts.webhook_token.is_none() {
        let what =
            "missing: a webhook needs a secret, whose list of hosts says where may be posted";
        problem("webhook_token", what.into());
    }
    for (key, reference) in [
        ("webhook_token", &alerts.webhook_token),
        ("webhook_ca", &alerts.webhook_ca),
    ] {
        let Some(SecretRef(text)) = reference else {
            continue;
        };
        if text.len() > 255 {
            problem(key, "longer than 255 bytes".into());
        }
        if let Err(why) = check_reference(text) {
            problem(key, why.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Millis;
    use crate::job::{Condition, Label, parse};

    const GOOD: &str = "name = \"a\"\n[alerts]\ntopic = \"kol-alerts\"\n\
        webhook = \"https://hooks.example/kol\"\nwebhook_token = \"env:KOL_SECRET_HOOK\"\n\
        [[alerts.rules]]\nname = \"viral\"\nlabel = \"Viral\"\nplatform = \"tiktok\"\n\
        [[alerts.rules]]\nname = \"fast\"\nvelocity_above = 1_000\nsilence = \"10m\"\n";

    /// What is wrong with a spec, each with its line.
    fn problems(text: &str) -> Vec<(Option<usize>, String)> {
        let errors = parse(text, "a.toml").unwrap_err();
        let problems = errors.problems.into_iter();
        problems
            .map(|p| (p.line, format!("{}: {}", p.key, p.message)))
            .collect()
    }

    #[test]
    fn rules_are_read_in_their_order_with_their_defaults() {
        let spec = parse(GOOD, "a").unwrap().spec.alerts;
        let [viral, fast] = &spec.rules[..] else {
            panic!("{spec:?}");
        };
        assert_eq!(
            (viral.when, viral.silence),
            (Condition::Label(Label::Viral), Millis(3_600_000))
        );
        assert_eq!(
            (fast.when, fast.silence),
            (Condition::VelocityAbove(1_000.0), Millis(600_000))
        );
        let names = |platform: &str| -> Vec<String> {
            let names = spec.rules_of(platform).map(|rule| rule.name.clone());
            names.collect()
        };
        assert_eq!(
            (names("tiktok"), names("youtube")),
            (vec!["viral".into(), "fast".into()], vec!["fast".to_owned()])
        );
        assert!(parse("name = \"a\"", "a").unwrap().spec.alerts.is_empty());
    }

    #[test]
    fn each_mistake_in_the_rules_is_listed_with_the_line_of_its_rule() {
        let text = "name = \"a\"\n[alerts]\ntopic = \"t\"\n\
            [[alerts.rules]]\nname = \"x y\"\nlabel = \"Cold\"\n\
            [[alerts.rules]]\nname = \"two\"\nlabel = \"Hot\"\nscore_above = 3\n\
            [[alerts.rules]]\nvelocity_above = -1\n\
            [[alerts.rules]]\nname = \"b\"\nlabel = \"Hot\"\nsilense = \"1h\"\n\
            [[alerts.rules]]\nname = \"b\"\nlabel = \"Hot\"\n";
        let found = problems(text);
        let has = |line: usize, what: &str| {
            assert!(
                found
                    .iter()
                    .any(|(l, p)| *l == Some(line) && p.contains(what)),
                "{line} {what}: {found:#?}"
            );
        };
        has(4, "alerts.rules.name: use 1 to 64 letters");
        has(
            6,
            "alerts.rules.label: `Cold` is not one of: Normal, Warm, Hot, Viral",
        );
        has(7, "no second one");
        has(11, "alerts.rules.name: missing");
        has(12, "alerts.rules.velocity_above: write a number from 0 on");
        has(
            16,
            "alerts.rules.silense: unknown key; did you mean `silence`?",
        );
        has(17, "two rules are called `b`");
    }

    #[test]
    fn alerts_that_could_go_nowhere_or_where_they_must_not_are_refused() {
        for (from, to, what) in [
            (
                "topic = \"kol-alerts\"\nwebhook = \"https://hooks.example/kol\"\nwebhook_token = \"env:KOL_SECRET_HOOK\"\n",
                "",
                "name a topic, a webhook, or both",
            ),
            (
                "topic = \"kol-alerts\"",
                "topic = \"kol.videos.raw\"",
                "a topic of its own",
            ),
            (
                "topic = \"kol-alerts\"",
                "topic = \"a b\"",
                "is not a topic name",
            ),
            ("https://hooks", "http://hooks", "is not encrypted"),
            (
                "webhook_token = \"env:KOL_SECRET_HOOK\"\n",
                "",
                "alerts.webhook_token: missing",
            ),
            (
                "webhook = \"https://hooks.example/kol\"\n",
                "",
                "there is no alerts.webhook",
            ),
            (
                "silence = \"10m\"",
                "silence = \"300d\"",
                "longer than scoring.retire_after",
            ),
            (
                "platform = \"tiktok\"",
                "platform = \"TikTok\"",
                "lower-case",
            ),
        ] {
            let spec = GOOD.replace(
                "[alerts]",
                "[source]\ntopics = [\"kol.videos.raw\"]\n[alerts]",
            );
            assert!(parse(&spec, "a").is_ok());
            let changed = spec.replace(from, to);
            assert_ne!(changed, spec, "{from}");
            let found = problems(&changed);
            assert!(
                found.iter().any(|(_, p)| p.contains(what)),
                "{what}: {found:?}"
            );
        }
        let none = problems("name = \"a\"\n[alerts]\ntopic = \"t\"\n");
        assert!(none[0].1.contains("at least one rule"), "{none:?}");
        let rule = |n: usize| format!("[[alerts.rules]]\nname = \"r{n}\"\nlabel = \"Hot\"\n");
        let many: String = (0..33).map(rule).collect();
        let many = problems(&format!("name = \"a\"\n[alerts]\ntopic = \"t\"\n{many}"));
        assert!(many[0].1.contains("more than 32 rules"), "{many:?}");
    }

    #[test]
    fn a_secret_of_a_webhook_in_the_clear_is_refused_with_its_line_and_not_shown() {
        for (key, reference) in [
            ("webhook_token", "env:KOL_SECRET_HOOK"),
            ("webhook_ca", "file:ca.pem"),
        ] {
            let with_ca = GOOD.replace(
                "[[alerts.rules]]\nname = \"viral\"",
                "webhook_ca = \"file:ca.pem\"\n[[alerts.rules]]\nname = \"viral\"",
            );
            assert!(parse(&with_ca, "a").is_ok());
            let found = problems(&with_ca.replace(reference, "s3cret-in-the-clear"));
            let line = with_ca.lines().position(|line| line.starts_with(key));
            let what =
                format!("alerts.{key}: must be a reference: env:KOL_SECRET_NAME or file:NAME");
            assert_eq!(found, [(line.map(|line| line + 1), what)]);
        }
    }

    #[test]
    fn a_silence_that_is_too_long_is_named_as_it_is_written_with_the_line_of_its_key() {
        let found = problems(&GOOD.replace("silence = \"10m\"", "silence = \"90d\""));
        let line = 1 + GOOD
            .lines()
            .position(|line| line.starts_with("silence"))
            .unwrap();
        let [(at, what)] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(*at, Some(line), "{what}");
        assert!(what.contains("90d of rule `fast` is longer"), "{what}");
    }

    #[test]
    fn a_spec_without_alerts_is_written_as_a_version_before_them_reads_it() {
        let spec = parse("name = \"a\"", "a").unwrap().spec;
        let json = serde_json::to_string(&spec).unwrap();
        assert!(!json.contains("alerts"), "{json}");
    }
}
