//! Maps and arguments over which something is laid that only the run knows.

use super::{converted, pyspark, requests, spec};

fn job(before: &str, topic: &str) -> String {
    let options =
        format!(".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", {topic})");
    pyspark(before, &options)
}

#[test]
fn a_map_under_something_unknown_keeps_no_value() {
    for (before, topic) in [
        ("c = {**base, **yaml.safe_load(f)}", "c[\"in\"]"),
        ("c = base | tomllib.load(f)", "c[\"in\"]"),
        ("c = dict(base, **load())", "c.get(\"in\", \"other\")"),
        ("c = base\nc |= load()", "c[\"in\"]"),
        ("c = {**base}\nc.update(parser[\"kafka\"])", "c[\"in\"]"),
        ("c = {**base}\nc.update(**load())", "c.get(\"in\")"),
        ("c = {**base}\nc[load()] = \"x\"", "c[\"in\"]"),
        (
            "c = {**base}\nfor k in os.environ:\n    c[k] = os.environ[k]",
            "c[\"in\"]",
        ),
        ("c = {**base}\nc.setdefault(load(), \"x\")", "c[\"out\"]"),
        ("c = {**load()}", "c.get(\"in\", \"other\")"),
        (
            "c = {}\nif x:\n    c[\"out\"] = \"x\"",
            "c.get(\"out\", \"y\")",
        ),
        (
            "c = {}\nif x:\n    c.setdefault(\"out\", \"x\")",
            "c.get(\"out\", \"y\")",
        ),
        ("c = {\"k\": base}\nc.update(load())", "c[\"k\"][\"in\"]"),
        ("c = [\"a\"]\nc[n] = \"b\"", "c[0]"),
    ] {
        let job = job(&format!("base = {{\"in\": \"dev\"}}\n{before}"), topic);
        requests(&converted(&[("job.py", &job)]), "topics", "FILL-IN");
    }
    for (before, topic) in [
        ("c = {**load(), **base}", "c[\"in\"]"),
        (
            "c = load()\nc = {**c, \"in\": \"dev\"}",
            "c.get(\"in\", \"other\")",
        ),
        (
            "c = {**base}\nc.update(load())\nc[\"in\"] = \"dev\"",
            "c[\"in\"]",
        ),
        ("c = [\"a\"]\nc[0] = \"dev\"", "c[0]"),
    ] {
        let job = job(&format!("base = {{\"in\": \"dev\"}}\n{before}"), topic);
        assert_eq!(
            spec(&[("job.py", &job)]).source.topics(),
            ["dev"],
            "{before}"
        );
    }
}

#[test]
fn a_map_of_scala_under_something_unknown_keeps_no_value() {
    for (map, topic) in [
        ("base ++ load(args(0))", "m(\"in\")"),
        ("base ++ load()", "m.getOrElse(\"in\", \"other\")"),
        ("base + (key -> \"x\")", "m(\"in\")"),
        (
            "Map(\"a\" -> \"b\") ++ load()",
            "m.getOrElse(\"in\", \"other\")",
        ),
    ] {
        let job = format!(
            "object J {{ val base = Map(\"in\" -> \"dev\")\n val m = {map}\n val d = spark.readStream.format(\"kafka\")\
             .option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", {topic}).load() }}"
        );
        requests(&converted(&[("J.scala", &job)]), "topics", "FILL-IN");
    }
}

#[test]
fn arguments_that_only_the_run_knows_leave_no_default() {
    for (call, is) in [
        ("read(**load())", None),
        ("read(*load())", None),
        ("read(**load(), topic=\"given\")", Some("given")),
        ("read(*[\"given\"])", Some("given")),
    ] {
        let job = format!(
            "def read(topic=\"dev\"):\n    return spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\")\
             .option(\"subscribe\", topic).load()\n{call}\n"
        );
        let files = [("job.py", &job[..])];
        match is {
            Some(is) => assert_eq!(spec(&files).source.topics(), [is], "{call}"),
            None => requests(&converted(&files), "topics", "load()"),
        }
    }
}

#[test]
fn options_that_an_unknown_map_may_set_again_are_requested() {
    let job = |options: &str| {
        format!(
            "df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\"){options}.load()\n"
        )
    };
    for options in [".options(**load())", ".option(load(), \"x\")"] {
        let open = converted(&[("job.py", &job(options))]);
        requests(&open, "topics", "may set again");
        requests(&open, "bootstrap", "may set again");
    }
    let after = job(".options(**load()).option(\"subscribe\", \"later\")");
    let open = converted(&[("job.py", &after)]);
    assert!(
        open.spec_toml.contains("topics = [\"later\"]"),
        "{}",
        open.spec_toml
    );
}
