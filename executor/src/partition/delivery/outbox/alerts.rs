//! The outbox of a job with rules for alerts.

use kol_common::KolError;

use super::Outbox;
use crate::alerts::Alerts;
use crate::partition::delivery::telling::Telling;
use crate::partition::delivery::watch::Watch;

impl Outbox {
    /// Has the job's rules looked at, and what comes of them delivered by these.
    #[must_use]
    pub fn with_alerts(mut self, alerts: Option<Alerts>) -> Self {
        self.telling = Telling::new(alerts);
        if self.telling.has_rules() {
            let watch = Watch::of(&self.assignment.spec, &self.fence.key);
            self.fill.watch(watch);
        }
        self
    }

    /// Why alerts do not arrive, if so.
    pub fn alerts_problems(&self) -> Vec<KolError> {
        self.telling.problems()
    }
}
