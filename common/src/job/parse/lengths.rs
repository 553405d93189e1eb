//! How long the texts of a spec may be: they are kept, sent, logged and shown, for every job.

use super::reader::Problems;
use crate::job::JobSpec;

/// Longest list of addresses, and URL.
const ADDRESSES: usize = 8_192;
/// Most topics of a job.
const TOPICS: usize = 1_000;
/// Longest name that another system gives its own rules for.
const NAME: usize = 255;
/// Longest template of a key.
const KEY: usize = 512;
/// Longest value of a property: a chain of certificates.
const VALUE: usize = 65_536;
/// Longest URL of a place for state files.
const LOCATION: usize = 1_024;

/// Notes a problem for each text that is too long, and for too many topics.
pub(super) fn check(spec: &JobSpec, problems: &Problems) {
    let (source, sink) = (spec.source.kafka(), &spec.sink);
    let keys = &sink.keys;
    let texts = [
        ("source.bootstrap", &source.bootstrap, ADDRESSES),
        ("source.group_id", &source.group_id, NAME),
        ("sink.url", &sink.url, ADDRESSES),
        ("sink.keys.ranking", &keys.ranking, KEY),
        ("sink.keys.hash", &keys.hash, KEY),
        ("sink.keys.legacy_hash", &keys.legacy_hash, KEY),
        ("sink.keys.fence", &keys.fence, KEY),
        ("sink.keys.last_update", &keys.last_update, KEY),
        ("sink.keys.last_event", &keys.last_event, KEY),
        ("checkpoint.location", &spec.checkpoint.location, LOCATION),
    ];
    for (key, text, most) in texts {
        at_most(key, text, most, problems);
    }
    for (key, reference, _) in sink.references() {
        at_most(key, &reference.0, NAME, problems);
    }
    let login = sink.sentinel.username.as_deref().unwrap_or_default();
    at_most("sink.sentinel.username", login, NAME, problems);
    for (key, value) in &source.properties {
        at_most(&format!("source.properties.{key}"), value, VALUE, problems);
    }
    if source.topics.len() > TOPICS {
        problems.of_key("source.topics", format!("more than {TOPICS} topics"));
    }
}

fn at_most(key: &str, text: &str, most: usize, problems: &Problems) {
    if text.len() > most {
        problems.of_key(key, format!("longer than {most} bytes"));
    }
}

#[cfg(test)]
mod tests {
    use crate::job::parse;

    #[test]
    fn a_text_that_is_longer_than_anybody_needs_is_refused_by_its_key() {
        let long = "x".repeat(70_000);
        for (toml, key) in [
            (
                format!("[source]\nbootstrap = \"{long}:1\""),
                "source.bootstrap",
            ),
            (
                format!("[source]\nbootstrap = \"k:1\"\ngroup_id = \"{long}\""),
                "source.group_id",
            ),
            (
                format!("[source.properties]\n\"client.rack\" = \"{long}\""),
                "source.properties.client.rack",
            ),
            (
                format!("[sink]\nurl = \"redis://h\"\npassword = \"file:{long}\""),
                "sink.password",
            ),
            (
                format!("[sink.keys]\nlast_update = \"{long}\""),
                "sink.keys.last_update",
            ),
            (
                format!("[checkpoint]\nlocation = \"file:///{long}\""),
                "checkpoint.location",
            ),
        ] {
            let errors = parse(&format!("name = \"x\"\n{toml}\n"), "t").unwrap_err();
            let of_key = errors.problems.iter().find(|p| p.key == key);
            let why = of_key.map(|p| p.message.as_str()).unwrap_or_default();
            assert!(why.starts_with("longer than"), "{key}: {why}");
        }
        let topics: Vec<String> = (0..1_001).map(|n| format!("t{n}")).collect();
        let toml = format!("name = \"x\"\n[source]\ntopics = {topics:?}\n");
        let errors = parse(&toml, "t").unwrap_err().to_string();
        assert!(errors.contains("more than 1000 topics"), "{errors}");
    }
}
