//! Specs between versions: masters send them as JSON to executors, which refuse keys that they do not know.

use serde_json::Value;

use super::JobSpec;

/// As the version before this one sent it.
const PREVIOUS: &str = include_str!("previous_spec.json");

#[test]
fn a_spec_that_uses_nothing_new_is_the_same_for_the_previous_version() {
    let read: JobSpec = serde_json::from_str(PREVIOUS).unwrap();
    let sent = serde_json::to_value(&read).unwrap();
    let previous: Value = serde_json::from_str(PREVIOUS).unwrap();
    assert_eq!(
        sent, previous,
        "a new key must not be written while it has its default value"
    );
}
