//! How the supervisor leaves, and what it waits for meanwhile.

use kol_common::proto;
use kol_common::proto::executor_message::Body;

use super::driver::Supervisor;
use super::machine::Event;

/// Partitions that a line names.
const NAMED: usize = 5;

impl Supervisor {
    /// After SIGTERM: the master takes the partitions back one by one; without a master they drain
    /// by themselves.
    pub(super) fn leave(&mut self) {
        tracing::info!(
            code = "LEAVING",
            partitions = self.partitions.len(),
            "leaving: giving partitions back"
        );
        self.decide(Event::Leave);
        if self.master.is_some() {
            self.send_leaving();
        } else {
            self.drain_all();
        }
    }

    pub(super) fn drain_all(&self) {
        for key in self.machine.keys() {
            self.drain(key);
        }
    }

    pub(super) fn send_leaving(&mut self) {
        self.send(Body::Leaving(proto::Leaving {
            drain_timeout_ms: self.options.drain_timeout.as_millis() as u64,
        }));
    }

    /// The partitions that are still here, for people.
    pub(super) fn left(&self) -> String {
        let named = self.machine.keys().take(NAMED);
        let named: Vec<String> = named.map(|(_, partition)| partition.to_string()).collect();
        let more = self.machine.keys().count().saturating_sub(NAMED);
        match more {
            0 => named.join(", "),
            _ => format!("{} and {more} more", named.join(", ")),
        }
    }
}
