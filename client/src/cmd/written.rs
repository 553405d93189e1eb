//! What `replay` and `generate` print of the records that they wrote.

use std::time::Duration;

use serde_json::{Value, json};

/// Records that were written to a topic, and how many events of each reason cannot be used.
pub(crate) fn written_json(
    records: u64,
    usable: u64,
    took: Duration,
    rejected: &[(&str, usize)],
) -> Value {
    let seconds = took.as_secs_f64();
    let rejected = rejected.iter();
    let rejected = rejected.map(|(reason, count)| json!({"reason": reason, "records": count}));
    json!({
        "records": records,
        "usable": usable,
        "seconds": seconds,
        "records_per_second": records as f64 / seconds.max(1e-9),
        "rejected": Value::from_iter(rejected),
    })
}
