//! How two specs differ, and whether two jobs would write the same keys.

use kol_common::Millis;
use kol_common::job::{JobSpec, SinkSpec};
use serde_json::Value;

/// Keys whose numbers are milliseconds: shown as `24h`.
const TIMES: [&str; 12] = [
    "window",
    "slide",
    "lateness",
    "idle_timeout",
    "half_life",
    "entity_ttl",
    "retire_after",
    "flush_interval",
    "max_staleness",
    "ttl",
    "history",
    "interval",
];

/// Every key in which `new` differs from `old`, in words; empty when they are the same.
pub fn differences(old: &JobSpec, new: &JobSpec) -> Vec<String> {
    let mut found = Vec::new();
    let value = |spec| serde_json::to_value(spec).unwrap_or_default();
    walk("", &value(old), &value(new), &mut found);
    found
}

fn walk(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    if old == new {
        return;
    }
    let (Value::Object(a), Value::Object(b)) = (old, new) else {
        let (was, is) = (shown(path, old), shown(path, new));
        found.push(format!("{path} was {was} and is now {is}"));
        return;
    };
    let added = b.keys().filter(|key| !a.contains_key(*key));
    for key in a.keys().chain(added) {
        let below = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        let of = |side: &serde_json::Map<String, Value>| side.get(key).cloned().unwrap_or_default();
        walk(&below, &of(a), &of(b), found);
    }
}

fn shown(path: &str, value: &Value) -> String {
    let key = path.rsplit('.').next().unwrap_or_default();
    match value.as_u64() {
        Some(ms) if TIMES.contains(&key) => Millis(ms).to_string(),
        _ if value.is_null() => "not set".to_owned(),
        _ => value.to_string(),
    }
}

/// A key template that both jobs would write to in the same Redis, as rendered for their names, as far as the
/// spelling of their URLs shows; what it does not show, the owner records in Redis do.
pub fn shared_key(a: &JobSpec, b: &JobSpec) -> Option<String> {
    let url = |sink: &SinkSpec| sink.url.trim_end_matches('/').to_owned();
    if url(&a.sink) != url(&b.sink) {
        return None;
    }
    shared_template(a, b)
}

/// A key template that both jobs would write to if they had the same Redis.
pub fn shared_template(a: &JobSpec, b: &JobSpec) -> Option<String> {
    let theirs = b.sink.written_templates(&b.name);
    let mut ours = a.sink.written_templates(&a.name).into_iter();
    ours.find(|key| theirs.contains(key))
}

#[cfg(test)]
mod tests {
    use kol_common::job::SourceSpec;

    use super::*;
    use crate::testing::spec;

    #[test]
    fn a_difference_names_its_key_and_shows_times_as_people_write_them() {
        let (old, mut new) = (spec("a"), spec("a"));
        assert!(differences(&old, &new).is_empty());
        new.scoring.window = Millis(300_000);
        let SourceSpec::Kafka(source) = &mut new.source;
        source
            .properties
            .insert("fetch.min.bytes".into(), "1".into());
        assert_eq!(
            differences(&old, &new),
            [
                "source.properties.fetch.min.bytes was not set and is now \"1\"",
                "scoring.window was 1day and is now 5m",
            ]
        );
    }

    #[test]
    fn two_jobs_share_keys_unless_their_templates_or_their_redis_differ() {
        let (a, mut b) = (spec("a"), spec("b"));
        assert_eq!(
            shared_key(&a, &b),
            Some("ranking:{platform}:trending".into())
        );
        for template in [
            &mut b.sink.keys.ranking,
            &mut b.sink.keys.hash,
            &mut b.sink.keys.last_update,
            &mut b.sink.keys.last_event,
        ] {
            *template = format!("{{job}}:{template}");
        }
        assert_eq!(shared_key(&a, &b), None);
        let mut elsewhere = spec("c");
        elsewhere.sink.url = "redis://elsewhere:6379/0".into();
        assert_eq!(shared_key(&a, &elsewhere), None);
    }
}
