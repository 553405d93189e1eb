//! What waits for a destination, what fails there and what was lost: a machine without I/O. Rules:
//!
//! 1. A failure is a problem until an alert arrives, or none waits. It says how many wait.
//! 2. A destination that failed is tried again after a wait that doubles up to half a minute, with jitter.
//! 3. At most [`MOST_WAITING`] alerts of a partition wait. More are lost; that is said for a while after the last of them.
//! 4. The log has a line when that they fail begins and one when it ends, and one when alerts begin to be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::KolError;
use kol_common::retry::Backoff;
use tokio::time::Instant;

use crate::sink::MOST_WAITING;

/// The first wait after a failure, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long it is said that alerts were lost.
const SAID: Duration = Duration::from_secs(300);
/// Alerts wait, and do not arrive.
pub const FAILING: &str = "ALERTS_FAILING";
/// So many wait that more are lost.
pub const BEHIND: &str = "ALERTS_BEHIND";

/// See the module.
#[derive(Debug)]
pub struct Backlog {
    /// Name of the destination.
    name: String,
    /// How many wait, by partition.
    waiting: BTreeMap<String, u64>,
    failing: Option<KolError>,
    backoff: Backoff,
    /// How many were lost, and when the last of them was.
    lost: Option<(u64, Instant)>,
}

/// What the log should say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Begins,
    Ends,
}

impl Backlog {
    /// Nothing waits so far.
    pub fn new(name: String) -> Self {
        let (first, most) = WAITS;
        Self {
            name,
            waiting: BTreeMap::new(),
            failing: None,
            backoff: Backoff::new(first, most),
            lost: None,
        }
    }

    /// So many alerts of a partition wait.
    pub fn waits(&mut self, partition: &str, count: u64) -> Option<Line> {
        if count == 0 {
            self.waiting.remove(partition);
        } else {
            self.waiting.insert(partition.to_owned(), count);
        }
        self.ends_if(self.waiting.is_empty())
    }

    /// The partition is another executor's.
    pub fn forget(&mut self, partition: &str) -> Option<Line> {
        self.waits(partition, 0)
    }

    /// An alert arrived.
    pub fn arrived(&mut self) -> Option<Line> {
        self.backoff.succeeded();
        self.ends_if(true)
    }

    fn ends_if(&mut self, ends: bool) -> Option<Line> {
        let ended = ends && self.failing.take().is_some();
        ended.then_some(Line::Ends)
    }

    /// An alert did not arrive: how long to wait before the next.
    pub fn failed(&mut self, error: KolError) -> (Duration, Option<Line>) {
        let begins = self.failing.replace(error).is_none();
        (self.backoff.failed(), begins.then_some(Line::Begins))
    }

    /// So many alerts found no room.
    pub fn lost(&mut self, now: Instant, count: u64) -> Option<Line> {
        let before = self.lost.filter(|(_, at)| now < *at + SAID);
        let sum = before.map_or(0, |(sum, _)| sum) + count;
        self.lost = Some((sum, now));
        before.is_none().then_some(Line::Begins)
    }

    /// What an operator reads.
    pub fn problem(&self, now: Instant) -> Option<KolError> {
        let waiting: u64 = self.waiting.values().sum();
        let name = &self.name;
        let why = self.failing.as_ref().map(|error| format!(": {error}"));
        let why = why.unwrap_or_default();
        if let Some((lost, _)) = self.lost.filter(|(_, at)| now < *at + SAID) {
            let what = format!(
                "{lost} alerts for {name} were lost: {MOST_WAITING} of a partition wait already, {waiting} of this executor{why}"
            );
            return Some(KolError::external(BEHIND, what).help(
                "Mend the destination: what waits is sent then. Fewer alerts come of narrower rules, or a longer silence.",
            ));
        }
        self.failing.as_ref()?;
        let what = format!("{waiting} alerts wait for {name}{why}");
        Some(KolError::external(FAILING, what).help(
            "Mend the destination: they are sent again by themselves. Try it out with kol-client alerts test FILE.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> KolError {
        KolError::external("ALERT_WEBHOOK", "answered 503")
    }

    #[test]
    fn that_alerts_fail_is_said_until_one_arrives_or_none_waits() {
        let now = Instant::now();
        let mut backlog = Backlog::new("webhook at x:1".into());
        assert_eq!(backlog.waits("a", 3), None);
        assert_eq!(backlog.problem(now), None, "they are on their way");
        assert_eq!(backlog.failed(refused()).1, Some(Line::Begins));
        assert_eq!(backlog.failed(refused()).1, None);
        let problem = backlog.problem(now).unwrap();
        assert_eq!(problem.code, FAILING);
        assert!(
            problem.message.contains("3 alerts wait for webhook at x:1"),
            "{problem}"
        );
        assert!(problem.message.contains("answered 503"), "{problem}");
        assert_eq!(backlog.arrived(), Some(Line::Ends));
        assert_eq!(backlog.arrived(), None);
        assert_eq!(backlog.problem(now), None);

        backlog.failed(refused());
        assert_eq!(backlog.waits("b", 1), None);
        assert_eq!(backlog.forget("a"), None);
        assert_eq!(backlog.waits("b", 0), Some(Line::Ends));
        assert_eq!(backlog.problem(now), None);
    }

    #[test]
    fn a_destination_is_tried_again_after_waits_that_grow_to_half_a_minute() {
        let mut backlog = Backlog::new("topic t".into());
        let waits: Vec<Duration> = (0..10).map(|_| backlog.failed(refused()).0).collect();
        assert!(waits[0] <= Duration::from_secs(1), "{waits:?}");
        assert!(waits[9] >= Duration::from_secs(15), "{waits:?}");
        assert!(
            waits.iter().all(|wait| *wait <= Duration::from_secs(30)),
            "{waits:?}"
        );
        backlog.arrived();
        assert!(backlog.failed(refused()).0 <= Duration::from_secs(1));
    }

    #[test]
    fn that_alerts_were_lost_is_said_for_a_while_with_how_many() {
        let now = Instant::now();
        let mut backlog = Backlog::new("topic t".into());
        assert_eq!(backlog.lost(now, 2), Some(Line::Begins));
        assert_eq!(backlog.lost(now + SAID / 2, 3), None);
        let problem = backlog.problem(now + SAID).unwrap();
        assert_eq!(problem.code, BEHIND);
        assert!(
            problem
                .message
                .starts_with("5 alerts for topic t were lost"),
            "{problem}"
        );
        assert_eq!(backlog.problem(now + 2 * SAID), None);
        assert_eq!(backlog.lost(now + 2 * SAID, 1), Some(Line::Begins));
    }
}
