//! Turns to write to a Redis, for all partitions of all jobs of an executor that write there: see `pace`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use kol_common::job::{RedisTopology, RedisUrl, SinkSpec};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::pace::{Pace, Ticket, Turned};

/// The turns at every Redis that this executor writes to, by the nodes that URLs name. Cheap to clone.
///
/// Two spellings of one Redis have turns of their own, as two executors do: what they take together shows in what
/// Redis says of its processor. Nodes that no job writes to any more are forgotten when another job begins.
#[derive(Clone, Debug, Default)]
pub struct Nodes(Arc<Mutex<BTreeMap<String, Weak<Mutex<Shared>>>>>);

/// The turns at one Redis. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    pace: Pace,
    /// Those that wait in the line.
    waiting: BTreeMap<Ticket, Arc<Notify>>,
}

/// A place in the line; given up when it is dropped.
#[derive(Debug)]
pub struct Wait {
    turns: Turns,
    ticket: Ticket,
    first: Arc<Notify>,
}

/// The turn; ended when it is dropped.
#[derive(Debug)]
pub struct Turn {
    turns: Turns,
    ticket: Ticket,
}

/// A request that is under way; it counts as failed unless it was [`Request::answered`].
#[derive(Debug)]
pub(super) struct Request {
    turns: Turns,
    begun: Instant,
    failed: bool,
}

impl Nodes {
    /// The turns at the Redis of a job.
    pub fn turns(&self, sink: &SinkSpec) -> Turns {
        let mut nodes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        nodes.retain(|_, turns| turns.strong_count() > 0);
        let known = nodes.entry(node(sink)).or_default();
        let turns = known.upgrade().map_or_else(Turns::default, Turns);
        *known = Arc::downgrade(&turns.0);
        turns
    }
}

/// A name for the node that a job writes to.
fn node(sink: &SinkSpec) -> String {
    let Ok(url) = sink.url.parse::<RedisUrl>() else {
        return sink.url.clone();
    };
    let hosts = url.hosts().join(",");
    match url.topology {
        RedisTopology::Single => hosts,
        RedisTopology::Sentinel { service } => format!("{hosts} {service}"),
        // All keys of a job lie on one node: which one, their hash tag decides.
        RedisTopology::Cluster => {
            let tag = sink.keys.last_update.split(['{', '}']).nth(1);
            format!("{hosts} {}", tag.unwrap_or_default())
        }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Shared {
            pace: Pace::new(Instant::now()),
            waiting: BTreeMap::new(),
        })))
    }
}

impl Turns {
    /// Takes the last place in the line.
    pub fn join(&self) -> Wait {
        let mut shared = self.lock();
        let ticket = shared.pace.join();
        let first = Arc::new(Notify::new());
        shared.waiting.insert(ticket, Arc::clone(&first));
        Wait {
            turns: self.clone(),
            ticket,
            first,
        }
    }

    /// A request begins.
    pub(super) fn request(&self) -> Request {
        self.lock().pace.requested();
        Request {
            turns: self.clone(),
            begun: Instant::now(),
            failed: true,
        }
    }

    /// Works on the pace.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Pace) -> T) -> T {
        work(&mut self.lock().pace)
    }

    /// What part of the time Redis' processor works, as it says itself, and the share of the time that we take.
    pub fn load(&self) -> (Option<f64>, f64) {
        self.lock().pace.load()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, ticket: Ticket) {
        let mut shared = self.lock();
        shared.waiting.remove(&ticket);
        shared.pace.leave(ticket);
        shared.tell_first();
    }
}

impl Shared {
    fn tell_first(&self) {
        let first = self
            .pace
            .first()
            .and_then(|ticket| self.waiting.get(&ticket));
        if let Some(first) = first {
            first.notify_one();
        }
    }
}

impl Wait {
    /// Waits for the turn. It may be stopped at any time, and called again.
    pub async fn turn(&self) -> Turn {
        loop {
            let turned = {
                let mut shared = self.turns.lock();
                let turned = shared.pace.begin(Instant::now(), self.ticket);
                if turned == Turned::Now {
                    shared.waiting.remove(&self.ticket);
                }
                turned
            };
            match turned {
                Turned::Now => {
                    return Turn {
                        turns: self.turns.clone(),
                        ticket: self.ticket,
                    };
                }
                // Somebody may become the first who is in a hurry.
                Turned::At(due) => {
                    let _due = tokio::time::timeout_at(due, self.first.notified()).await;
                }
                Turned::Later => self.first.notified().await,
            }
        }
    }

    /// Lets the place be before all that are not urgent.
    pub fn urge(&self) {
        let mut shared = self.turns.lock();
        shared.pace.urge(self.ticket);
        shared.tell_first();
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // A place that became a turn is not in the line any more.
        let is_waiting = self.turns.lock().waiting.contains_key(&self.ticket);
        if is_waiting {
            self.turns.leave(self.ticket);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.turns.leave(self.ticket);
    }
}

impl Request {
    /// Redis answered it.
    pub(super) fn answered(mut self) {
        self.failed = false;
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let (begun, failed) = (self.begun, self.failed);
        self.turns
            .with(|pace| pace.answered(Instant::now(), begun, failed));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt as _;
    use kol_common::actor::Group;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_is_over_goes_to_the_next_in_line_once_redis_had_as_much_time_for_others() {
        let turns = Turns::default();
        let begun = Instant::now();
        let (one, two, three) = (turns.join(), turns.join(), turns.join());
        let turn = one.turn().await;
        drop(one);
        assert!(two.turn().now_or_never().is_none());
        let request = turns.request();
        tokio::time::sleep(40 * MS).await;
        request.answered();
        // It gave up its place.
        drop(two);
        let next = Group::new("test").spawn("next", async move {
            let _turn = three.turn().await;
            Ok(())
        });
        tokio::time::sleep(5 * MS).await;
        drop(turn);
        let mut next = next;
        let woken = tokio::time::timeout(Duration::from_secs(60), next.exit()).await;
        assert!(woken.is_ok(), "the next in line is not woken");
        assert_eq!(begun.elapsed(), 80 * MS);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_a_hurry_is_woken_when_it_is_first() {
        let turns = Turns::default();
        let (one, two) = (turns.join(), turns.join());
        let turn = one.turn().await;
        let three = turns.join();
        three.urge();
        drop(turn);
        assert!(two.turn().now_or_never().is_none());
        let turn = three.turn().now_or_never();
        assert!(turn.is_some());
        drop(turn);
        assert!(two.turn().now_or_never().is_some());
    }

    #[test]
    fn a_redis_that_no_job_writes_to_any_more_is_forgotten_and_one_that_a_job_writes_to_is_not() {
        let nodes = Nodes::default();
        let turns = |host: &str| {
            nodes.turns(&SinkSpec {
                url: format!("redis://{host}:1/0"),
                ..SinkSpec::default()
            })
        };
        let known = || nodes.0.lock().unwrap().len();
        let stays = turns("stays");
        for number in 0..10 {
            let ends = turns(&format!("ends-{number}"));
            assert_eq!(known(), 2, "the one before was forgotten");
            drop(ends);
        }
        assert!(Arc::ptr_eq(&turns("stays").0, &stays.0), "it has one line");
        assert_eq!(known(), 1);
        // A place in its line, and a turn, use it as well.
        let wait = stays.join();
        drop(stays);
        assert!(Arc::ptr_eq(&turns("stays").0, &wait.turns.0));
    }

    #[test]
    fn jobs_that_write_to_one_redis_share_its_turns() {
        let spec = |url: &str, last_update: &str| {
            let mut spec = SinkSpec {
                url: url.into(),
                ..SinkSpec::default()
            };
            spec.keys.last_update = last_update.into();
            node(&spec)
        };
        let plain = "streaming:last_update";
        assert_eq!(
            spec("redis://a:1/0", plain),
            spec("redis://user@a:1/3", plain)
        );
        assert_ne!(spec("redis://a:1/0", plain), spec("redis://a:2/0", plain));
        let cluster = "redis+cluster://a:1,b:1";
        let tagged = |tag| spec(cluster, &format!("{{{tag}}}:last_update"));
        assert_eq!(tagged("x"), tagged("x"));
        assert_ne!(tagged("x"), tagged("y"));
    }
}
