//! What waits for a destination, what fails there and what was lost: a machine without I/O. Rules:
//!
//! 1. A failure is a problem until an alert arrives and none is held back that failed, or none waits. It says how many wait.
//! 2. A destination that cannot be opened is a problem until it is open, whether alerts wait or not.
//! 3. At most [`MOST_WAITING`](crate::sink::MOST_WAITING) alerts of a partition wait. More are lost; that is said for a while after the last of them.
//! 4. That alerts were refused for good is said for a while after the last of them.
//! 5. A key of a wrong type is a problem until its partition can be read.
//! 6. The log has a line when that they fail begins and one when it ends, and one when alerts begin to be lost.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::KolError;
use tokio::time::Instant;

/// How long it is said that alerts were lost or refused.
const SAID: Duration = Duration::from_secs(300);
/// Alerts wait, and do not arrive.
pub const FAILING: &str = "ALERTS_FAILING";
/// So many wait that more are lost.
pub const BEHIND: &str = "ALERTS_BEHIND";

/// The destination has refused some for good.
pub const REFUSED: &str = "ALERTS_REFUSED";

/// See the module.
#[derive(Debug)]
pub struct Backlog {
    /// Name of the destination.
    name: String,
    /// How many wait, by partition.
    waiting: BTreeMap<String, u64>,
    /// Why the destination cannot be opened.
    closed: Option<KolError>,
    /// Why one did not arrive.
    failing: Option<KolError>,
    /// Keys of a wrong type, by partition.
    keys: BTreeMap<String, KolError>,
    /// How many were lost, and when the last of them was.
    lost: Option<(u64, Instant)>,
    /// How many were refused for good, when the last of them was, and why.
    refused: Option<(u64, Instant, KolError)>,
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
        Self {
            name,
            waiting: BTreeMap::new(),
            closed: None,
            failing: None,
            keys: BTreeMap::new(),
            lost: None,
            refused: None,
        }
    }

    /// So many alerts of a partition wait.
    pub fn waits(&mut self, partition: &str, count: u64) -> Option<Line> {
        if count == 0 {
            self.waiting.remove(partition);
        } else {
            self.waiting.insert(partition.to_owned(), count);
        }
        let is_empty = self.waiting.is_empty();
        self.change(|backlog| {
            if is_empty {
                backlog.failing = None;
            }
        })
    }

    /// The partition is another executor's.
    pub fn forget(&mut self, partition: &str) -> Option<Line> {
        self.keys.remove(partition);
        self.waits(partition, 0)
    }

    /// What waits for a partition cannot be read, because of a key of a wrong type; `None`: it can.
    pub fn key(&mut self, partition: &str, error: Option<KolError>) {
        match error {
            Some(error) => self.keys.insert(partition.to_owned(), error),
            None => self.keys.remove(partition),
        };
    }

    /// The destination cannot be opened.
    pub fn closed(&mut self, error: KolError) -> Option<Line> {
        self.change(|backlog| backlog.closed = Some(error))
    }

    /// The destination is open. What waits has not arrived by that.
    pub fn opened(&mut self) -> Option<Line> {
        self.change(|backlog| {
            let why = backlog.closed.take();
            if !backlog.waiting.is_empty() {
                backlog.failing = backlog.failing.take().or(why);
            }
        })
    }

    /// An alert arrived, and so many are held back that did not.
    pub fn arrived(&mut self, held: usize) -> Option<Line> {
        self.change(|backlog| {
            if held == 0 {
                backlog.failing = None;
            }
        })
    }

    /// An alert did not arrive.
    pub fn failed(&mut self, error: KolError) -> Option<Line> {
        self.change(|backlog| backlog.failing = Some(error))
    }

    fn change(&mut self, change: impl FnOnce(&mut Self)) -> Option<Line> {
        let fails = |backlog: &Self| backlog.closed.is_some() || backlog.failing.is_some();
        let before = fails(self);
        change(self);
        match (before, fails(self)) {
            (false, true) => Some(Line::Begins),
            (true, false) => Some(Line::Ends),
            _ => None,
        }
    }

    /// An alert was refused for good.
    pub fn refused(&mut self, now: Instant, error: KolError) {
        let before = self.refused.take().filter(|(_, at, _)| now < *at + SAID);
        let sum = before.map_or(0, |(sum, ..)| sum) + 1;
        self.refused = Some((sum, now, error));
    }

    /// So many alerts found no room.
    pub fn lost(&mut self, now: Instant, count: u64) -> Option<Line> {
        let before = self.lost.filter(|(_, at)| now < *at + SAID);
        let sum = before.map_or(0, |(sum, _)| sum) + count;
        self.lost = Some((sum, now));
        before.is_none().then_some(Line::Begins)
    }

    /// What an operator reads, the worst first. Of keys of a wrong type the first one is named.
    pub fn problems(&self, now: Instant) -> Vec<KolError> {
        let key = self.keys.values().next().cloned();
        let all = [
            self.lost_problem(now),
            self.failing_problem(),
            key,
            self.refused_problem(now),
        ];
        all.into_iter().flatten().collect()
    }

    fn why(&self) -> Option<&KolError> {
        self.closed.as_ref().or(self.failing.as_ref())
    }

    fn waiting(&self) -> u64 {
        self.waiting.values().sum()
    }

    fn lost_problem(&self, now: Instant) -> Option<KolError> {
        let (lost, _) = self.lost.filter(|(_, at)| now < *at + SAID)?;
        let why = self.why().map(|error| format!(": {error}"));
        let (name, waiting, why) = (&self.name, self.waiting(), why.unwrap_or_default());
        let what = format!(
            "{lost} alerts for {name} were lost: as many of a partition wait as may, {waiting} of this executor{why}"
        );
        Some(KolError::external(BEHIND, what).help(
            "Mend the destination: what waits is sent then. Fewer alerts come of narrower rules, or a longer silence.",
        ))
    }

    fn failing_problem(&self) -> Option<KolError> {
        let error = self.why()?;
        let what = format!("{} alerts wait for {}: {error}", self.waiting(), self.name);
        let help = match &self.closed {
            Some(closed) if !closed.help.is_empty() => closed.help.clone(),
            _ => "Mend the destination: they are sent again by themselves. Try it out with kol-client alerts test FILE."
                .to_owned(),
        };
        Some(KolError::external(FAILING, what).help(help))
    }

    fn refused_problem(&self, now: Instant) -> Option<KolError> {
        let (sum, at, error) = self.refused.as_ref()?;
        if now >= *at + SAID {
            return None;
        }
        let what = format!(
            "{sum} alerts for {} were refused for good, and are dropped: {error}",
            self.name
        );
        Some(KolError::external(REFUSED, what).help(
            "Correct alerts.webhook or alerts.topic, or what answers there: the next alerts arrive then. \
             Try it out with kol-client alerts test FILE.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_problem(backlog: &Backlog, now: Instant) -> Option<KolError> {
        backlog.problems(now).into_iter().next()
    }

    fn refused() -> KolError {
        KolError::external("ALERT_WEBHOOK", "answered 503")
    }

    #[test]
    fn that_alerts_fail_is_said_until_one_arrives_or_none_waits() {
        let now = Instant::now();
        let mut backlog = Backlog::new("webhook at x:1".into());
        assert_eq!(backlog.waits("a", 3), None);
        assert_eq!(first_problem(&backlog, now), None, "they are on their way");
        assert_eq!(backlog.failed(refused()), Some(Line::Begins));
        assert_eq!(backlog.failed(refused()), None);
        let problem = first_problem(&backlog, now).unwrap();
        assert_eq!(problem.code, FAILING);
        assert!(
            problem.message.contains("3 alerts wait for webhook at x:1"),
            "{problem}"
        );
        assert!(problem.message.contains("answered 503"), "{problem}");
        assert_eq!(backlog.arrived(1), None, "another one is held back");
        assert!(first_problem(&backlog, now).is_some());
        assert_eq!(backlog.arrived(0), Some(Line::Ends));
        assert_eq!(backlog.arrived(0), None);
        assert_eq!(first_problem(&backlog, now), None);

        assert_eq!(backlog.failed(refused()), Some(Line::Begins));
        assert_eq!(backlog.waits("b", 1), None);
        assert_eq!(backlog.forget("a"), None);
        assert_eq!(backlog.waits("b", 0), Some(Line::Ends));
        assert_eq!(first_problem(&backlog, now), None);
    }

    #[test]
    fn a_destination_that_cannot_be_opened_is_a_problem_also_while_nothing_waits() {
        let now = Instant::now();
        let mut backlog = Backlog::new("webhook at x:1".into());
        let missing = || KolError::user("SECRET_MISSING", "no token").help("Provide it.");
        assert_eq!(backlog.closed(missing()), Some(Line::Begins));
        assert_eq!(backlog.waits("a", 0), None);
        let problem = first_problem(&backlog, now).unwrap();
        assert_eq!(
            (problem.code, problem.help.as_str()),
            (FAILING, "Provide it.")
        );
        assert!(problem.message.contains("no token"), "{problem}");
        assert_eq!(backlog.opened(), Some(Line::Ends));
        assert_eq!(first_problem(&backlog, now), None);

        backlog.closed(missing());
        backlog.waits("a", 2);
        assert_eq!(backlog.opened(), None, "nothing has arrived so far");
        assert_eq!(first_problem(&backlog, now).unwrap().code, FAILING);
        assert_eq!(backlog.arrived(0), Some(Line::Ends));
    }

    #[test]
    fn that_alerts_were_refused_for_good_is_said_for_a_while_with_the_answer() {
        let now = Instant::now();
        let mut backlog = Backlog::new("webhook at x:1".into());
        backlog.refused(now, KolError::external("ALERT_WEBHOOK", "answered 400"));
        backlog.refused(
            now + SAID / 2,
            KolError::external("ALERT_WEBHOOK", "answered 404"),
        );
        let problem = first_problem(&backlog, now + SAID).unwrap();
        assert_eq!(problem.code, REFUSED);
        assert!(
            problem.message.starts_with("2 alerts for webhook at x:1"),
            "{problem}"
        );
        assert!(problem.message.contains("answered 404"), "{problem}");
        assert!(problem.help.contains("alerts.webhook"), "{problem}");
        assert_eq!(first_problem(&backlog, now + 2 * SAID), None);
        backlog.refused(now + 2 * SAID, refused());
        let problem = first_problem(&backlog, now + 2 * SAID).unwrap();
        assert!(problem.message.starts_with("1 alerts"), "{problem}");
    }

    #[test]
    fn a_key_of_a_wrong_type_is_a_problem_until_its_partition_is_read_or_gone() {
        let now = Instant::now();
        let mut backlog = Backlog::new("topic t".into());
        let key = || KolError::external("SINK_KEY_TYPE", "the Redis key k");
        backlog.key("a", Some(key()));
        assert_eq!(first_problem(&backlog, now).unwrap().code, "SINK_KEY_TYPE");
        backlog.key("b", None);
        assert!(first_problem(&backlog, now).is_some());
        backlog.key("a", None);
        assert_eq!(first_problem(&backlog, now), None);
        backlog.key("a", Some(key()));
        backlog.forget("a");
        assert_eq!(first_problem(&backlog, now), None);
    }

    #[test]
    fn that_alerts_were_lost_is_said_for_a_while_with_how_many() {
        let now = Instant::now();
        let mut backlog = Backlog::new("topic t".into());
        assert_eq!(backlog.lost(now, 2), Some(Line::Begins));
        assert_eq!(backlog.lost(now + SAID / 2, 3), None);
        let problem = first_problem(&backlog, now + SAID).unwrap();
        assert_eq!(problem.code, BEHIND);
        assert!(
            problem
                .message
                .starts_with("5 alerts for topic t were lost"),
            "{problem}"
        );
        assert_eq!(first_problem(&backlog, now + 2 * SAID), None);
        assert_eq!(backlog.lost(now + 2 * SAID, 1), Some(Line::Begins));
    }

    #[test]
    fn what_is_wrong_at_the_same_time_is_all_said_the_worst_first() {
        let now = Instant::now();
        let mut backlog = Backlog::new("webhook at x:1".into());
        backlog.waits("a", 2);
        backlog.refused(now, refused());
        backlog.key(
            "b",
            Some(KolError::external("SINK_KEY_TYPE", "the Redis key k")),
        );
        backlog.failed(refused());
        backlog.lost(now, 1);
        let codes: Vec<_> = backlog.problems(now).iter().map(|e| e.code).collect();
        assert_eq!(codes, [BEHIND, FAILING, "SINK_KEY_TYPE", REFUSED]);
    }
}
