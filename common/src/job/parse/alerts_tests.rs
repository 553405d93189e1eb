//! Rules for alerts in a spec: what is read, and what is refused.

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
        let what = format!("alerts.{key}: must be a reference: env:KOL_SECRET_NAME or file:NAME");
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
fn a_rule_about_ranks_counts_places_over_a_time_of_which_rankings_are_kept() {
    let spec = |sink: &str, rule: &str| {
        format!(
            "name = \"a\"\n[sink]\n{sink}\n[alerts]\ntopic = \"t\"\n[[alerts.rules]]\nname = \"r\"\n{rule}\n"
        )
    };
    let rule = |text: &str| {
        let spec = parse(&spec("history = \"1d\"", text), "a").unwrap().spec;
        spec.alerts.rules[0].when
    };
    let rises = |within: u64| Condition::RankRises {
        places: 50,
        within: Millis(within),
    };
    assert_eq!(rule("rank_at_most = 10"), Condition::RankAtMost(10));
    assert_eq!(rule("rank_rises = 50"), rises(3_600_000), "an hour");
    assert_eq!(rule("rank_rises = 50\nwithin = \"1d\""), rises(86_400_000));
    for (sink, rule, what) in [
        (
            "",
            "rank_at_most = 0",
            "rank_at_most: write a number from 1 to 1000",
        ),
        (
            "",
            "rank_rises = 1001",
            "rank_rises: write a number from 1 to 1000",
        ),
        ("", "rank_at_most = 3\nrank_rises = 3", "no second one"),
        (
            "",
            "rank_at_most = 3\nwithin = \"1h\"",
            "goes with rank_rises",
        ),
        ("", "rank_rises = 3\nwithin = \"59s\"", "too short"),
        (
            "history = \"2h\"",
            "rank_rises = 3\nwithin = \"3h\"",
            "longer than sink.history",
        ),
        ("history = \"off\"", "rank_rises = 3", "sink.history is off"),
    ] {
        let found = problems(&spec(sink, rule));
        let is_said = found.iter().any(|(_, said)| said.contains(what));
        assert!(is_said, "{what}: {found:?}");
    }
}

#[test]
fn a_spec_without_alerts_is_written_as_a_version_before_them_reads_it() {
    let spec = parse("name = \"a\"", "a").unwrap().spec;
    let json = serde_json::to_string(&spec).unwrap();
    assert!(!json.contains("alerts"), "{json}");
}
