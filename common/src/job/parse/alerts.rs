//! The alerts of a spec: keys, and whether they make sense together.

use std::collections::BTreeSet;

use super::names::{is_name, is_platform};
use super::place::check_reference;
use super::reader::{Problems, Section, finite, whole};
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
/// Over which time places are counted, unless a rule says otherwise.
const WITHIN: Millis = Millis(3_600_000);
/// The shortest such time: no ranking is kept more often.
const LEAST_WITHIN: Millis = Millis(60_000);
/// Creators of a ranking that is kept: of others it is not known what place they had.
const MOST_PLACES: u64 = 1_000;
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
    let count = |key: &'static str| {
        s.value(key, |value| {
            let number = whole(value)?;
            let fits = (1..=MOST_PLACES).contains(&number);
            fits.then_some(number)
                .ok_or_else(|| format!("write a number from 1 to {MOST_PLACES}"))
        })
    };
    let within = s.duration("within");
    let rises = count("rank_rises");
    if within.is_some() && rises.is_none() {
        s.problem(at, "within", "goes with rank_rises");
    }
    let conditions = [
        s.choice("label", &labels).map(Condition::Label),
        above("velocity_above", Condition::VelocityAbove),
        above("growth_above", Condition::GrowthAbove),
        above("score_above", Condition::ScoreAbove),
        count("rank_at_most").map(Condition::RankAtMost),
        rises.map(|places| Condition::RankRises {
            places,
            within: within.unwrap_or(WITHIN),
        }),
    ];
    let platform = s.text("platform");
    let silence = s.duration("silence").unwrap_or(SILENCE);
    let mut given = conditions.into_iter().flatten();
    let when = given.next();
    if when.is_none() || given.next().is_some() {
        let what = "needs one of label, velocity_above, growth_above, score_above, rank_at_most and rank_rises, and no second one";
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
        history(spec, rule, problems);
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

/// A rule about places gained needs a ranking that was kept.
fn history(spec: &JobSpec, rule: &AlertRule, problems: &Problems) {
    let Condition::RankRises { within, .. } = rule.when else {
        return;
    };
    let problem = |key: &str, what: String| {
        let what = format!("of rule `{}`: {what}", rule.name);
        problems.of_item("alerts.rules", &rule.name, key, what);
    };
    match spec.sink.history {
        None => problem(
            "rank_rises",
            "compares with rankings that are kept, and sink.history is off".into(),
        ),
        Some(_) if within < LEAST_WITHIN => problem(
            "within",
            format!("{within} is too short: rankings are kept once a minute at most"),
        ),
        Some(kept) if within > kept => problem(
            "within",
            format!(
                "{} is longer than sink.history, {}",
                in_days(within),
                in_days(kept)
            ),
        ),
        Some(_) => {}
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
#[path = "alerts_tests.rs"]
mod tests;
