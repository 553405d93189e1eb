//! The key `source.rekey`.

use crate::Millis;
use crate::job::{RekeySpec, parse};

fn spec(source: &str) -> String {
    format!("name = \"kol\"\n[source]\ntopics = [\"raw\"]\n{source}\n")
}

fn read(source: &str) -> Option<RekeySpec> {
    let spec = parse(&spec(source), "t").unwrap_or_else(|e| panic!("{e}"));
    spec.spec.source.kafka().rekey.clone()
}

#[test]
fn true_is_a_table_of_defaults_and_false_is_none() {
    assert_eq!(read(""), None);
    assert_eq!(read("rekey = false"), None);
    assert_eq!(read("rekey = true"), Some(RekeySpec::default()));
    assert_eq!(read("rekey = {}"), Some(RekeySpec::default()));
    let all = read("rekey = { partitions = 8, topic = \"x\", retention = \"1h\" }");
    let expected = RekeySpec {
        partitions: 8,
        topic: Some("x".into()),
        retention: Millis(3_600_000),
    };
    assert_eq!(all, Some(expected));
}

#[test]
fn an_internal_topic_is_named_after_the_job() {
    let name = |source: &str| {
        let read = parse(&spec(source), "t").unwrap().spec;
        read.rekey().map(|(_, topic)| topic)
    };
    assert_eq!(name("rekey = true").as_deref(), Some("kol-rekey.kol"));
    assert_eq!(name("rekey = { topic = \"x\" }").as_deref(), Some("x"));
    assert_eq!(name(""), None);
}

#[test]
fn a_spec_without_the_stage_is_written_as_before() {
    let read = parse(&spec("rekey = false"), "t").unwrap().spec;
    let stored = serde_json::to_value(&read).unwrap();
    assert!(stored["source"].get("rekey").is_none(), "{stored}");
}

#[test]
fn what_the_stage_cannot_do_is_refused_with_the_line_of_its_key() {
    for (source, key, why) in [
        ("rekey = 3", "rekey", "expected true, false or a table"),
        (
            "rekey = { partitions = 0 }",
            "rekey.partitions",
            "from 1 to 10000",
        ),
        (
            "rekey = { partitions = 10001 }",
            "rekey.partitions",
            "from 1 to 10000",
        ),
        (
            "rekey = { retention = \"59m\" }",
            "rekey.retention",
            "is not between 1h",
        ),
        ("rekey = { topic = \"a b\" }", "rekey.topic", "topic name"),
        (
            "rekey = { topic = \"raw\" }",
            "rekey.topic",
            "reads or writes already",
        ),
        (
            "rekey = { topic = \"dead\" }\ndead_letter = \"dead\"",
            "rekey.topic",
            "reads or writes already",
        ),
        (
            "rekey = { topic = \"told\" }\n[alerts]\ntopic = \"told\"",
            "rekey.topic",
            "reads or writes already",
        ),
        (
            "rekey = true\nexplode = \"lines\"",
            "rekey",
            "source.explode",
        ),
        (
            "rekey = { align = \"1m\" }",
            "rekey.align",
            "is not there yet",
        ),
        (
            "rekey = { by = \"username\" }",
            "rekey.by",
            "is not there yet",
        ),
        (
            "rekey = { partition = 3 }",
            "rekey.partition",
            "did you mean `partitions`?",
        ),
    ] {
        let errors = parse(&spec(source), "t").unwrap_err();
        let key = format!("source.{key}");
        let of_key = errors.problems.iter().find(|p| p.key == key);
        let of_key = of_key.unwrap_or_else(|| panic!("{source}: {errors}"));
        assert!(of_key.message.contains(why), "{source}: {errors}");
        assert_eq!(of_key.line, Some(4), "{source}");
    }
}
