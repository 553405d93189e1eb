//! Lists, dictionaries and readers that change after they were made.

use kol_common::job::{OnDataLoss, StartingOffsets};

use super::{converted, pyspark, requests, spec};

fn with_topics(before: &str) -> String {
    pyspark(
        before,
        ".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \",\".join(t))",
    )
}

fn with_options(change: &str) -> String {
    format!(
        "o = {{\"kafka.bootstrap.servers\": \"k:9092\", \"subscribe\": \"t\", \"failOnDataLoss\": \"false\"}}\n{change}\n\
         df = spark.readStream.format(\"kafka\").options(**o).load()\n"
    )
}

#[test]
fn a_list_grows() {
    for (change, is) in [
        ("t.append(\"b\")", Some("a,b")),
        ("t.extend([\"b\", \"c\"])", Some("a,b,c")),
        ("t += [\"b\"]", Some("a,b")),
        ("t.insert(0, \"b\")", None),
        ("t.remove(\"a\")", None),
        ("if x:\n    t.append(\"b\")", None),
    ] {
        let job = with_topics(&format!("t = [\"a\"]\n{change}"));
        let files = [("job.py", &job[..])];
        match is {
            Some(is) => assert_eq!(spec(&files).source.topics().join(","), is, "{change}"),
            None => requests(&converted(&files), "topics", "join(t)"),
        }
    }
}

#[test]
fn a_dictionary_loses_and_gets_entries() {
    let read = |change: &str| {
        let job = with_options(change);
        let spec = spec(&[("job.py", &job)]);
        let source = spec.source.kafka();
        (source.on_data_loss, spec.source.starting_offsets().clone())
    };
    use OnDataLoss::{Continue, Fail};
    use StartingOffsets::{Earliest, Latest};
    for (change, is) in [
        ("", (Continue, Latest)),
        ("o.pop(\"failOnDataLoss\")", (Fail, Latest)),
        ("o.pop(\"failOnDataLoss\", None)", (Fail, Latest)),
        ("del o[\"failOnDataLoss\"]", (Fail, Latest)),
        (
            "o.setdefault(\"failOnDataLoss\", \"true\")",
            (Continue, Latest),
        ),
        (
            "o.setdefault(\"startingOffsets\", \"earliest\")",
            (Continue, Earliest),
        ),
        (
            "o.update(startingOffsets=\"earliest\", failOnDataLoss=\"true\")",
            (Fail, Earliest),
        ),
        (
            "o.update({\"startingOffsets\": \"earliest\"})",
            (Continue, Earliest),
        ),
    ] {
        assert_eq!(read(change), is, "{change}");
    }
    for change in ["o.clear()", "if x:\n    o.popitem()"] {
        let open = converted(&[("job.py", &with_options(change))]);
        requests(&open, "topics", "topic names");
        requests(&open, "starting_offsets", "only the run knows");
    }
}

#[test]
fn a_map_of_scala_changes() {
    let job = |change: &str| {
        format!(
            "object J {{\n val o = scala.collection.mutable.Map(\"kafka.bootstrap.servers\" -> \"k:9092\", \"subscribe\" -> \"t\")\n \
             {change}\n val d = spark.readStream.format(\"kafka\").options(o).load()\n}}\n"
        )
    };
    for change in [
        "o += (\"startingOffsets\" -> \"earliest\")",
        "o(\"startingOffsets\") = \"earliest\"",
        "o.put(\"startingOffsets\", \"earliest\")",
        "o.update(\"startingOffsets\", \"earliest\")",
        "o ++= Map(\"startingOffsets\" -> \"earliest\")",
    ] {
        let spec = spec(&[("J.scala", &job(change))]);
        let start = spec.source.starting_offsets();
        assert_eq!(start, &StartingOffsets::Earliest, "{change}");
    }
    let lost = converted(&[("J.scala", &job("o -= \"subscribe\""))]);
    requests(&lost, "topics", "topic names");
}

#[test]
fn a_global_name_that_a_function_sets_is_requested() {
    let job = with_topics("t = [\"a\"]\ndef setup():\n    global t\n    t = [\"b\"]\nsetup()");
    requests(&converted(&[("job.py", &job)]), "topics", "join(t)");
}

#[test]
fn named_arguments_that_a_function_passes_on_are_followed() {
    let job = "def read(topic, **more):\n    base = {\"kafka.bootstrap.servers\": \"k:9092\", \"subscribe\": topic}\n    base.update(more)\n    \
               return spark.readStream.format(\"kafka\").options(**base).load()\n\
               df = read(\"t\", startingOffsets=\"earliest\", failOnDataLoss=\"false\")\n";
    let spec = spec(&[("job.py", job)]);
    assert_eq!(spec.source.topics(), ["t"]);
    assert_eq!(spec.source.starting_offsets(), &StartingOffsets::Earliest);
    assert_eq!(spec.source.kafka().on_data_loss, OnDataLoss::Continue);
}

#[test]
fn variables_that_a_source_sets_for_itself_are_read() {
    let job = "os.environ.update({\"A\": \"a\"})\nos.environ.update(B=\"b\")\nt = [os.environ[\"A\"], os.environ[\"B\"]]";
    let spec = spec(&[("job.py", &with_topics(job))]);
    assert_eq!(spec.source.topics(), ["a", "b"]);
}

#[test]
fn a_redis_whose_database_stands_elsewhere_is_that_one() {
    let python = |redis: &str| with_topics(&format!("t = [\"t\"]\nr = {redis}"));
    for (redis, url) in [
        (
            "redis.from_url(\"redis://h:6380?db=2\")",
            "redis://h:6380/2",
        ),
        (
            "redis.from_url(\"redis://h:6380/1?db=2\")",
            "redis://h:6380/2",
        ),
        (
            "redis.from_url(\"redis://h:6380\", db=3)",
            "redis://h:6380/3",
        ),
        (
            "redis.from_url(\"redis://h:6380/1\", db=3)",
            "redis://h:6380/1",
        ),
    ] {
        assert_eq!(spec(&[("job.py", &python(redis))]).sink.url, url, "{redis}");
    }
    let scala = |jedis: &str| {
        format!(
            "object J {{ {jedis}\n val d = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\").load() }}"
        )
    };
    for (jedis, url) in [
        ("val j = new Jedis(\"h\", 6380, true)", "rediss://h:6380/0"),
        (
            "val j = new Jedis(\"h\", 6380)\n j.select(3)",
            "redis://h:6380/3",
        ),
    ] {
        assert_eq!(spec(&[("J.scala", &scala(jedis))]).sink.url, url, "{jedis}");
    }
}
