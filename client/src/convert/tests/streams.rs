//! Several streams, and where they start.

use std::collections::BTreeMap;

use kol_common::job::StartingOffsets;

use super::{converted, pyspark, requests, spec};
use crate::convert::{Input, convert};

fn stream(servers: &str, topic: &str) -> String {
    format!(
        "df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"{servers}\").option(\"subscribe\", \"{topic}\").load()\n"
    )
}

fn starting(offsets: &str) -> String {
    pyspark(
        "",
        &format!(
            ".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"test\").option(\"startingOffsets\", {offsets})"
        ),
    )
}

#[test]
fn streams_of_one_cluster_are_one_job() {
    let text = stream("a:9092,b:9092", "one") + &stream("b:9092, a:9092", "two");
    let converted = converted(&[("job.py", &text)]);
    assert!(
        converted.spec_toml.contains("topics = [\"one\", \"two\"]"),
        "{}",
        converted.spec_toml
    );
    assert_eq!(converted.streams.len(), 2);
    assert!(
        converted
            .notes
            .iter()
            .any(|n| n.contains("stream 2: job.py:2 reads two")),
        "{:?}",
        converted.notes
    );
}

#[test]
fn streams_of_two_clusters_are_listed_and_one_must_be_chosen() {
    let text = stream("a:9092", "one") + &stream("b:9092", "two");
    let input = [Input {
        name: "job.py".into(),
        text,
    }];
    let error = convert(&input, &[]).unwrap_err();
    assert_eq!(error.code, "SEVERAL_STREAMS");
    for word in [
        "stream 1: job.py:1 reads one from a:9092",
        "stream 2: job.py:2 reads two from b:9092",
        "--stream N",
    ] {
        assert!(error.to_string().contains(word), "{word} in {error}");
    }
    let second = convert(&input, &[2]).unwrap();
    assert!(
        second.spec_toml.contains("topics = [\"two\"]"),
        "{}",
        second.spec_toml
    );
    assert!(
        second.spec_toml.contains("bootstrap = \"b:9092\""),
        "{}",
        second.spec_toml
    );
    assert_eq!(convert(&input, &[3]).unwrap_err().code, "NO_SUCH_STREAM");
    assert_eq!(convert(&input, &[0]).unwrap_err().code, "NO_SUCH_STREAM");
}

#[test]
fn what_is_no_stream_of_kafka_is_not_read() {
    let text = stream("k:9092", "t")
        + "r = spark.readStream.format(\"rate\").load()\n\
           b = spark.read.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"b:9092\").option(\"subscribe\", \"batch\").load()\n\
           f = spark.readStream.schema(s).json(\"/data\")\n";
    let converted = converted(&[("job.py", &text)]);
    assert!(
        converted.spec_toml.contains("topics = [\"t\"]"),
        "{}",
        converted.spec_toml
    );
    for said in [
        "job.py:2: this stream is not of Kafka but of rate",
        "job.py:4: this readStream does not lead to a load()",
    ] {
        assert!(
            converted.notes.iter().any(|n| n.contains(said)),
            "{said} in {:?}",
            converted.notes
        );
    }
}

#[test]
fn offsets_that_a_spec_can_say_are_translated() {
    let at = |all: &[(u32, u64)]| {
        StartingOffsets::Partitions(all.iter().copied().collect::<BTreeMap<_, _>>())
    };
    for (offsets, is) in [
        ("\"earliest\"", StartingOffsets::Earliest),
        ("\"LATEST\"", StartingOffsets::Latest),
        ("\"\"\"{\"test\":{\"0\":20}}\"\"\"", at(&[(0, 20)])),
        ("'{\"test\":{\"0\":20,\"1\":-2}}'", at(&[(0, 20)])),
        (
            "\"\"\" { \"test\" : { \"0\" : 20, \"1\" : 7 } } \"\"\"",
            at(&[(0, 20), (1, 7)]),
        ),
        (
            "'{\"test\":{\"0\":-2,\"1\":-2}}'",
            StartingOffsets::Earliest,
        ),
        ("'{\"test\":{\"0\":-1,\"1\":-1}}'", StartingOffsets::Latest),
        ("json.dumps({\"test\": {\"0\": 20}})", at(&[(0, 20)])),
        (
            "json.dumps({\"test\": {\"0\": -2}})",
            StartingOffsets::Earliest,
        ),
    ] {
        assert_eq!(
            spec(&[("job.py", &starting(offsets))])
                .source
                .starting_offsets(),
            &is,
            "{offsets}"
        );
    }
    let job = starting("\"latest\"")
        .replace("startingOffsets", "startingTimestamp")
        .replace("\"latest\"", "\"1700000000000\"");
    let spec = spec(&[("job.py", &job)]);
    assert_eq!(
        spec.source.starting_offsets(),
        &StartingOffsets::Timestamp(kol_common::Millis(1_700_000_000_000))
    );
}

#[test]
fn offsets_that_a_spec_cannot_say_are_refused_with_the_reason() {
    for (offsets, why) in [
        ("\"\"\"{\"test\":{\"0\":-20}}\"\"\"", "-20 is not an offset"),
        (
            "'{\"test\":{\"0\":5,\"1\":-1}}'",
            "cannot start some partitions at the newest",
        ),
        ("'{\"other\":{\"0\":5}}'", "other is not one of the topics"),
        ("'{\"test\":{}}'", "names no partition"),
        ("'{\"test\":{\"0\":1.5}}'", "not what Spark accepts"),
        ("'somewhere'", "not what Spark accepts"),
        ("offsets", "offsets"),
    ] {
        requests(
            &converted(&[("job.py", &starting(offsets))]),
            "starting_offsets",
            why,
        );
    }
}

#[test]
fn offsets_of_a_topic_put_it_first() {
    let job = starting("'{\"a\":{\"0\":-2},\"b\":{\"0\":5}}'")
        .replace("\"subscribe\", \"test\"", "\"subscribe\", \"a,b\"");
    let spec = spec(&[("job.py", &job)]);
    assert_eq!(spec.source.topics(), ["b", "a"]);
    assert_eq!(
        spec.source.starting_offsets(),
        &StartingOffsets::Partitions([(0, 5)].into())
    );
}

#[test]
fn topics_that_only_a_pattern_or_partitions_name_are_requested() {
    let job = stream("k:9092", "kol.*").replace("subscribe", "subscribePattern");
    requests(&converted(&[("job.py", &job)]), "topics", "kol.*");
    let job = "df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"assign\", '{\"t\":[0]}').load()\n";
    requests(&converted(&[("job.py", job)]), "topics", "all partitions");
}

#[test]
fn brokers_are_cleaned_or_requested() {
    let job = stream(" PLAINTEXT://a:9092, b:9093 ", "t");
    assert_eq!(
        spec(&[("job.py", &job)]).source.kafka().bootstrap,
        "a:9092,b:9093"
    );
    for wrong in ["kafka", "kafka:", "kafka:99999", ""] {
        requests(
            &converted(&[("job.py", &stream(wrong, "t"))]),
            "bootstrap",
            "host:port",
        );
    }
}
