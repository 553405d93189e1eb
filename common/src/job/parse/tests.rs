use proptest::prelude::*;

use super::*;
use crate::Millis;
use crate::event::{Field, UsernameCase};
use crate::job::{Counters, Flip, OnDataLoss, Profile, ScoringSpec, SourceSpec, StartingOffsets};

fn ok(text: &str) -> JobSpec {
    parse(text, "job.toml")
        .unwrap_or_else(|e| panic!("{e}"))
        .spec
}

fn errors(text: &str) -> String {
    parse(text, "job.toml").unwrap_err().to_string()
}

/// What is wrong with a spec that has this `[sink]`; empty when nothing is.
pub(super) fn problems_of_sink(sink: &str) -> String {
    let spec = format!("name = \"kol\"\n[sink]\n{sink}");
    parse(&spec, "t").map_or_else(|e| e.to_string(), |_| String::new())
}

#[test]
fn a_name_alone_gives_every_default() {
    let spec = ok("name = \"kol\"");
    assert_eq!(spec.source, SourceSpec::default());
    let defaults = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    assert_eq!(spec.scoring, defaults);
    assert_eq!(spec.scoring.window, Millis(86_400_000));
    assert_eq!(spec.scoring.retire_after, Millis(3 * 86_400_000));
    assert_eq!(spec.scoring.idle_timeout, None);
}

#[test]
fn windows_follow_the_counters() {
    let spec = ok("name = \"kol\"\n[scoring]\ncounters = \"delta\"");
    assert_eq!(
        (spec.scoring.window, spec.scoring.slide),
        (Millis(300_000), Millis(60_000))
    );
    assert_eq!(spec.scoring.idle_timeout, Some(Millis(60_000)));
    assert_eq!(spec.scoring.retire_after, Millis(3_600_000));
    let spark = ok("name = \"kol\"\n[scoring]\nprofile = \"spark-compat\"");
    assert_eq!(spark.scoring.counters, Counters::Delta);
}

#[test]
fn a_ranking_flips_when_caught_up_unless_the_spec_says_at_once() {
    let flip = |line: &str| ok(&format!("name = \"kol\"\n[sink]\n{line}")).sink.flip;
    assert_eq!(flip(""), Flip::WhenCaughtUp);
    assert_eq!(flip("flip = \"at-once\""), Flip::AtOnce);
    let wrong = errors("name = \"kol\"\n[sink]\nflip = \"now\"");
    assert!(wrong.contains("at-once"), "{wrong}");
}

const EVERY_KEY: &str = r#"
    name = "kol-trending"
    [source]
    bootstrap = "a:9092,b:9092"
    topics = ["kol.videos.raw", "kol-profiles-raw"]
    group_id = "g"
    starting_offsets = { partitions = { "0" = 123, "7" = 1 } }
    on_data_loss = "fail"
    max_rate_per_partition = 1_000
    dead_letter = "kol.dead"
    properties = { "fetch.wait.max.ms" = 50, "sasl.password" = "env:KOL_SECRET_KAFKA" }
    max_ahead = "1h"
    shape = "youtube-api"
    explode = "items"
    username_case = "lower"
    fields = { likes = ["a.b", "items[0].c"], username = "who" }
    [scoring]
    window = "2h"
    slide = "10m"
    idle_timeout = "5m"
    platforms = ["youtube", "instagram"]
    weights = { personal = 1, market = 0.5, momentum = 0 }
    labels = { viral = 90 }
    [sink]
    url = "rediss://user@redis:6380/2"
    password = "file:redis"
    ttl = "30d"
    history = "2d"
    legacy_hashes = true
    [checkpoint]
    location = "file:///srv/kol"
    interval = "5s"
    timeout = "2m"
    min_pause = "500ms"
    max_failures = 5
    retain = 10
    retain_minutes = 5
    retain_hours = 6
    [alerts]
    topic = "kol-alerts"
    webhook = "https://hooks.example/kol"
    webhook_token = "env:KOL_SECRET_HOOK"
    webhook_ca = "file:hook.pem"
    [[alerts.rules]]
    name = "viral"
    label = "Viral"
    platform = "youtube"
    silence = "2h"
    [[alerts.rules]]
    name = "fast"
    velocity_above = 1e3
    [[alerts.rules]]
    name = "spike"
    growth_above = 5
    [[alerts.rules]]
    name = "high"
    score_above = 99.5
    [[alerts.rules]]
    name = "top"
    rank_at_most = 10
    [[alerts.rules]]
    name = "climber"
    rank_rises = 50
    within = "2h"
"#;

#[test]
fn every_key_is_read() {
    let spec = ok(EVERY_KEY);
    assert_eq!(spec.source.on_data_loss(), OnDataLoss::Fail);
    assert!(matches!(spec.source.starting_offsets(), StartingOffsets::Partitions(p) if p[&7] == 1));
    let source = spec.source.kafka();
    assert_eq!(source.properties["fetch.wait.max.ms"], "50");
    assert_eq!(source.max_ahead, Millis(3_600_000));
    assert_eq!(source.explode, Some("items".parse().unwrap()));
    assert_eq!(source.username_case, UsernameCase::Lower);
    let paths =
        |field| -> Vec<String> { source.paths(field).into_iter().map(String::from).collect() };
    assert_eq!(paths(Field::Likes), ["a.b", "items[0].c"]);
    assert_eq!(paths(Field::Username), ["who"]);
    assert_eq!(
        paths(Field::Views),
        ["statistics.viewCount"],
        "of the shape"
    );
    assert_eq!(paths(Field::Platform), ["platform"], "the default");
    assert_eq!(spec.scoring.default_platform, "youtube", "of the shape");
    assert_eq!(spec.scoring.platforms, ["youtube", "instagram"]);
    assert_eq!(spec.scoring.retire_after, Millis(6 * 3_600_000));
    assert_eq!(spec.scoring.weights.market, 0.5);
    assert_eq!(
        (spec.scoring.labels.viral, spec.scoring.labels.hot),
        (90.0, 60.0)
    );
    assert!(spec.sink.legacy_hashes);
    assert_eq!(spec.sink.history, Some(Millis(2 * 86_400_000)));
    let checkpoint = &spec.checkpoint;
    assert_eq!(checkpoint.timeout, Millis(120_000));
    assert_eq!((checkpoint.max_failures, checkpoint.retain), (5, 10));
    let again: JobSpec = serde_json::from_str(&serde_json::to_string(&spec).unwrap()).unwrap();
    assert_eq!(again, spec, "the spec travels as JSON");
}

#[test]
fn a_spec_with_ten_mistakes_lists_all_ten_with_their_lines() {
    let text = r#"name = "kol trending"
[source]
bootstrap = "localhost"
topics = []
starting_offsets = "newest"
topic = "x"
[source.properties]
"plugin.library.paths" = "/tmp/x.so"
"sasl.password" = "hunter2"
[scoring]
slide = "7h"
half_life = 3
[sink]
url = "redis://user:hunter2@localhost"
flush_interval = "1ms"
"#;
    let found = parse(text, "job.toml").unwrap_err();
    let lines: Vec<_> = found.problems.iter().map(|p| p.line).collect();
    let expected = [1, 3, 4, 5, 6, 8, 9, 11, 12, 14, 15].map(Some);
    assert_eq!(lines, expected, "{found}");
    let text = found.to_string();
    assert!(text.contains("job.toml:6: source.topic: unknown key; did you mean `topics`?"));
    assert!(
        text.contains("7h does not divide the window 1day; try 6h"),
        "{text}"
    );
    assert!(!text.contains("hunter2"));
}

#[test]
fn mistakes_in_the_names_of_fields_are_all_listed() {
    let text = r#"name = "a"
[source]
shape = "tiktok"
explode = "items["
username_case = "upper"
max_ahead = "30d"
[source.fields]
likes = ["a..b", "c[x]"]
like = "x"
views = []
shares = 3
comments = ["1", "2", "3", "4", "5", "6", "7", "8", "9"]
"#;
    let found = parse(text, "job.toml").unwrap_err();
    let lines: Vec<_> = found.problems.iter().map(|p| p.line).collect();
    let expected = [3, 4, 5, 6, 8, 8, 9, 10, 11, 12].map(Some);
    assert_eq!(lines, expected, "{found}");
    let text = found.to_string();
    assert!(
        text.contains("tiktok-api, tiktok-apify, instagram-apify"),
        "{text}"
    );
    assert!(text.contains("did you mean `likes`?"), "{text}");
    assert!(text.contains("a list of them, found integer"), "{text}");
}

#[test]
fn constants_of_which_no_score_can_be_made_are_refused() {
    for line in [
        "weights.personal = 1e308",
        "weights.market = -1e308",
        "curve.steepness = 1e300",
        "momentum.max = 1e307",
        "floors.market = 1e-300",
        "floors.baseline = 0",
        "default_platform = \"a:b\"",
        "default_platform = \"youtube \"",
        "platforms = [\"youtube\", \"YouTube\"]",
    ] {
        let key = line.split(" =").next().unwrap();
        let found = errors(&format!("name = \"a\"\n[scoring]\n{line}"));
        assert!(found.contains(&format!("scoring.{key}")), "{line}: {found}");
    }
}

#[test]
fn jobs_with_their_name_in_each_key_write_different_keys() {
    let templates = [
        "ranking",
        "hash",
        "legacy_hash",
        "last_update",
        "last_event",
    ];
    let lines = templates.map(|key| format!("{key} = \"{{job}}:{key}:{{platform}}:{{kol}}\""));
    let keys = |job: &str| {
        let spec = ok(&format!(
            "name = \"{job}\"\n[sink.keys]\n{}",
            lines.join("\n")
        ));
        spec.sink.keys
    };
    let a = keys("a");
    assert_eq!(a.hash_key("x", "y"), "a:hash:x:y");
    assert!(a.ranking_key("x").starts_with("a:ranking:x"));
    assert_eq!(a.legacy_key("y"), "a:legacy_hash:{platform}:y");
    assert!(a.last_update.starts_with("a:") && a.last_event.starts_with("a:"));
    assert_eq!(a.fence, keys("b").fence, "executors fill it in");
}

#[test]
fn a_spec_that_was_stored_before_records_had_shapes_is_read() {
    let mut stored = serde_json::to_value(ok("name = \"a\"")).unwrap();
    let source = stored["source"].as_object_mut().unwrap();
    for new in ["max_ahead", "shape", "fields", "explode", "username_case"] {
        source.remove(new).unwrap();
    }
    let read: JobSpec = serde_json::from_value(stored).unwrap();
    assert_eq!(read, ok("name = \"a\""));
}

#[test]
fn a_half_life_that_baselines_cannot_be_computed_with_is_refused() {
    let spec = |half_life: &str| {
        format!("name = \"a\"\n[scoring]\nlateness = \"7d\"\nhalf_life = \"{half_life}\"")
    };
    assert!(errors(&spec("1ms")).contains("scoring.half_life: is too short"));
    ok(&spec("1h"));
}

#[test]
fn what_is_not_toml_is_one_problem_with_its_line() {
    assert!(errors("name = \"a\"\n= 3").starts_with("job.toml:2: not TOML"));
    assert!(errors("").contains("name: missing"));
}

#[test]
fn a_wrong_type_is_named_and_an_unknown_table_refused() {
    assert!(errors("name = 3").contains("expected a text, found integer"));
    assert!(errors("name=\"a\"\n[sinks]\nurl=\"x\"").contains("did you mean `sink`?"));
}

#[test]
fn keys_can_be_set_on_the_command_line_but_no_secrets() {
    let set = |k: &str, v: &str| {
        let sets = [(k.to_owned(), v.to_owned())];
        with_overrides("name = \"a\"\n[scoring]\nwindow = \"1h\"", &sets)
    };
    let spec = ok(&set("scoring.slide", "30m").unwrap());
    assert_eq!(spec.scoring.slide, Millis(1_800_000));
    let spec = ok(&set("source.topics", "[\"x\"]").unwrap());
    assert_eq!(spec.source.topics(), ["x"]);
    let spec = ok(&set("source.properties.fetch.wait.max.ms", "5").unwrap());
    assert_eq!(spec.source.kafka().properties["fetch.wait.max.ms"], "5");
    assert_eq!(set("sink.password", "x").unwrap_err().code, "SET_SECRET");
    assert_eq!(set("name.x", "1").unwrap_err().code, "SET");
    let deep = format!("scoring{}", ".x".repeat(100_000));
    assert_eq!(set(&deep, "1").unwrap_err().code, "SET");
}

proptest! {
    #[test]
    fn no_text_crashes_the_parser(text in "\\PC{0,200}") {
        let _any = parse(&text, "x");
    }

    #[test]
    fn no_value_crashes_the_parser(
        key in prop::sample::select(vec![
            "window", "slide", "lateness", "half_life", "retire_after", "entity_ttl", "idle_timeout",
        ]),
        value in prop::sample::select(vec![
            "\"0s\"", "\"1ns\"", "\"999999999d\"", "\"18446744073709551615s\"", "-1", "nan", "[]",
            "{}", "\"off\"", "true", "1e400", "0x10", "2025-01-01",
        ]),
    ) {
        let _any = parse(&format!("name = \"a\"\n[scoring]\n{key} = {value}"), "x");
    }
}

#[test]
fn what_is_still_to_be_filled_in_is_refused_wherever_it_stands() {
    let open = "\"FILL-IN: config[x]\"";
    for (key, value) in [
        ("name", open.to_owned()),
        ("source.bootstrap", open.to_owned()),
        ("source.topics", format!("[{open}]")),
        ("source.group_id", open.to_owned()),
        ("source.starting_offsets", open.to_owned()),
        ("source.on_data_loss", open.to_owned()),
        ("source.properties.\"sasl.username\"", open.to_owned()),
        ("sink.url", open.to_owned()),
        ("checkpoint.location", open.to_owned()),
        ("scoring.window", open.to_owned()),
    ] {
        let name = if key == "name" { "" } else { "name = \"a\"\n" };
        let errors = parse(&format!("{name}{key} = {value}\n"), "x").unwrap_err();
        let said = errors.to_string();
        assert!(
            said.contains("still to be filled in: FILL-IN: config[x]"),
            "{key}: {said}"
        );
    }
}

#[test]
fn the_job_specs_that_are_shipped_parse_without_a_warning() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/jobs");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = parse(&text, &path.display().to_string()).unwrap_or_else(|e| panic!("{e}"));
        assert!(parsed.warnings.is_empty(), "{:?}", parsed.warnings);
        names.push(parsed.spec.name);
    }
    names.sort();
    assert_eq!(names, ["kol-realtime", "kol-spark-compat", "kol-trending"]);
}

#[test]
fn a_spec_that_is_written_with_its_defaults_is_read_as_the_same_spec() {
    const OTHERS: &str = r#"
        name = "kol"
        [source]
        starting_offsets = { timestamp = "2026-11-26T05:00:00.020Z" }
        explode = "lines"
        dead_letter_late = true
        [scoring]
        counters = "delta"
        idle_timeout = "off"
        momentum = { min = -1e-7, max = 1e5 }
        [sink]
        url = "rediss+sentinel://a:26379,b:26379/main"
        flip = "at-once"
        tls = { ca = "file:ca.pem", cert = "file:c.pem", key = "file:k.pem" }
        sentinel = { username = "u\"'\\", password = "env:KOL_SECRET_S" }
        keys = { ranking = "a:{platform}", hash = "h:{platform}:{kol}" }
    "#;
    const REKEYED: &str = r#"
        name = "kol"
        [source]
        rekey = { partitions = 7, topic = "kol-inner", retention = "2d" }
    "#;
    const REKEYED_BY_DEFAULTS: &str = "name = \"kol\"\n[source]\nrekey = true";
    for text in [
        "name = \"kol\"",
        EVERY_KEY,
        OTHERS,
        REKEYED,
        REKEYED_BY_DEFAULTS,
    ] {
        let spec = ok(text);
        let written = spec.to_toml().unwrap();
        assert_eq!(ok(&written), spec, "{written}");
        assert_eq!(ok(&written).to_toml().unwrap(), written);
    }
    let written = ok("name = \"kol\"").to_toml().unwrap();
    for line in [
        "window = \"1day\"",
        "ttl = \"off\"",
        "retain = 3",
        "viral = 80.0",
    ] {
        assert!(written.lines().any(|l| l == line), "{line}: {written}");
    }
}
