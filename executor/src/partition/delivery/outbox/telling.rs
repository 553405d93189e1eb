//! The alerts of a partition: its rules are looked at with each flush, and what comes of them is delivered from its claim on.

use kol_common::KolError;

use super::Outbox;
use crate::alerts::{Alerts, Following};
use crate::partition::delivery::watch::Watch;
use crate::sink::{Fence, Noted};

/// See the module; nothing of a job without rules.
#[derive(Debug, Default)]
pub(super) struct Telling {
    alerts: Option<Alerts>,
    /// From the claim on.
    following: Option<Following>,
}

impl Telling {
    /// The partition is this executor's: whatever waits, also from before, is delivered.
    pub(super) fn follow(&mut self, fence: &Fence) {
        if let (Some(alerts), None) = (&self.alerts, &self.following) {
            self.following = Some(alerts.follow(&fence.key));
        }
    }

    /// A flush noted these.
    pub(super) fn noted(&self, noted: &Noted) {
        if let Some(alerts) = &self.alerts {
            alerts.noted(noted);
        }
    }
}

impl Outbox {
    /// Has the job's rules looked at, and what comes of them delivered by these.
    #[must_use]
    pub fn with_alerts(mut self, alerts: Option<Alerts>) -> Self {
        if alerts.is_some() {
            let watch = Watch::of(&self.assignment.spec, &self.fence.key);
            self.fill.watch(watch);
        }
        self.telling.alerts = alerts;
        self
    }

    /// Why alerts do not arrive, if so.
    pub fn alerts_problem(&self) -> Option<KolError> {
        self.telling.alerts.as_ref()?.problem()
    }
}
