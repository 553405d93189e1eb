//! The alerts of a partition: its rules are looked at with each flush, and what comes of them is delivered from its claim on.

use kol_common::KolError;

use crate::alerts::{Alerts, Following};
use crate::sink::{Fence, Noted};

/// See the module; nothing of a job without rules.
#[derive(Debug, Default)]
pub struct Telling {
    alerts: Option<Alerts>,
    /// From the claim on.
    following: Option<Following>,
}

impl Telling {
    /// Delivered by these, if the job has rules.
    pub fn new(alerts: Option<Alerts>) -> Self {
        Self {
            alerts,
            following: None,
        }
    }

    /// Whether the job has rules.
    pub fn has_rules(&self) -> bool {
        self.alerts.is_some()
    }

    /// The partition is this executor's: whatever waits, also from before, is delivered.
    pub fn follow(&mut self, fence: &Fence) {
        if let (Some(alerts), None) = (&self.alerts, &self.following) {
            self.following = Some(alerts.follow(&fence.key));
        }
    }

    /// A flush noted these.
    pub fn noted(&self, noted: &Noted) {
        if let Some(alerts) = &self.alerts {
            alerts.noted(noted);
        }
    }

    /// Why alerts do not arrive, if so.
    pub fn problems(&self) -> Vec<KolError> {
        self.alerts
            .as_ref()
            .map(Alerts::problems)
            .unwrap_or_default()
    }
}
