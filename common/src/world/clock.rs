//! The wall clock. What measures a length of time uses `tokio::time::Instant`, which is virtual in a
//! simulation by itself.

use std::time::{SystemTime, UNIX_EPOCH};

use super::current::{Clock, ThisMachine, current};
use crate::time::Millis;

impl Millis {
    /// The wall clock. Only drivers and I/O may read it; machines get the time as an argument.
    pub fn now() -> Self {
        current().now()
    }
}

impl Clock for ThisMachine {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Millis {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Millis::from(since)
    }
}
