//! Values that equal requests share: the first one reads, those that come meanwhile wait for it, and those that come soon
//! after get what it read. What can no longer be read is shown for a while longer, as what it is: old.
//!
//! 1. A value is fresh for the time that its reader says. Only one request at a time reads a value anew.
//! 2. What failed is not tried again for as long: those that waited for it fail at once, too.
//! 3. When reading fails for a passing reason, a value that is not older than [`Limits::kept`] is given instead.
//! 4. Entries and bytes have bounds; whatever was read longest ago leaves first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::problem::Problem;

/// Bounds of a cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Values at most.
    pub(crate) entries: usize,
    /// Bytes of all values at most.
    pub(crate) bytes: usize,
    /// How long a value is kept for the time when it cannot be read.
    pub(crate) kept: Duration,
}

/// A value, and whether it is as old as it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shared<V> {
    /// It was read a moment ago.
    Fresh(V),
    /// It is older than it should be: it cannot be read now.
    Stale(V, Duration),
}

/// See the module. Values are cheap to clone.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    limits: Limits,
    entries: Mutex<BTreeMap<String, Entry<V>>>,
}

#[derive(Debug)]
struct Entry<V> {
    slot: Arc<Slot<V>>,
    weight: usize,
    /// When it was last read, or else when it was first wanted.
    at: Instant,
}

/// Whoever reads the value holds the lock.
#[derive(Debug)]
struct Slot<V>(tokio::sync::Mutex<State<V>>);

#[derive(Debug)]
struct State<V> {
    value: Option<(V, Instant)>,
    failed: Option<(Problem, Instant)>,
}

impl<V: Clone> Cache<V> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: Mutex::default(),
        }
    }

    /// The value of a key, which `read` reads, with its weight in bytes, if that was not done within `fresh`.
    ///
    /// # Errors
    /// Why it cannot be read, if there is no old one.
    pub(crate) async fn get(
        &self,
        key: String,
        fresh: Duration,
        read: impl Future<Output = Result<(V, usize), Problem>>,
    ) -> Result<Shared<V>, Problem> {
        let slot = self.slot(&key);
        let mut state = slot.0.lock().await;
        let is_recent = |at: &Instant| at.elapsed() < fresh;
        match &state.value {
            Some((value, at)) if is_recent(at) => return Ok(Shared::Fresh(value.clone())),
            _ => {}
        }
        let problem = match &state.failed {
            Some((problem, at)) if is_recent(at) => problem.clone(),
            _ => match read.await {
                Ok((value, weight)) => {
                    let now = Instant::now();
                    *state = State {
                        value: Some((value.clone(), now)),
                        failed: None,
                    };
                    self.note(&key, weight, now);
                    return Ok(Shared::Fresh(value));
                }
                Err(problem) => {
                    state.failed = Some((problem.clone(), Instant::now()));
                    problem
                }
            },
        };
        if !problem.is_passing() {
            state.value = None;
        }
        match &state.value {
            Some((value, at)) if at.elapsed() < self.limits.kept => {
                Ok(Shared::Stale(value.clone(), at.elapsed()))
            }
            _ => Err(problem),
        }
    }

    /// The value that was read last, however old it is; `None` also while it is being read.
    pub(crate) fn last(&self, key: &str) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(&entries.get(key)?.slot);
        drop(entries);
        let state = slot.0.try_lock().ok()?;
        state.value.as_ref().map(|(value, _)| value.clone())
    }

    fn slot(&self, key: &str) -> Arc<Slot<V>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get(key) {
            return Arc::clone(&entry.slot);
        }
        let empty = State {
            value: None,
            failed: None,
        };
        let slot = Arc::new(Slot(tokio::sync::Mutex::new(empty)));
        let entry = Entry {
            slot: Arc::clone(&slot),
            weight: key.len(),
            at: Instant::now(),
        };
        entries.insert(key.to_owned(), entry);
        self.make_room(&mut entries);
        slot
    }

    /// A value was read.
    fn note(&self, key: &str, weight: usize, now: Instant) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = entries.get_mut(key) {
            entry.weight = key.len() + weight;
            entry.at = now;
        }
        self.make_room(&mut entries);
    }

    fn make_room(&self, entries: &mut BTreeMap<String, Entry<V>>) {
        let weight = |entries: &BTreeMap<String, Entry<V>>| -> usize {
            entries.values().map(|entry| entry.weight).sum()
        };
        while entries.len() > self.limits.entries || weight(entries) > self.limits.bytes {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.at);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else {
                return;
            };
            entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use kol_common::KolError;
    use tokio::time::advance;

    use super::*;

    const FRESH: Duration = Duration::from_millis(250);
    const LIMITS: Limits = Limits {
        entries: 3,
        bytes: 100,
        kept: Duration::from_secs(60),
    };

    fn away() -> Problem {
        KolError::external("SINK_UNREACHABLE", "x").into()
    }

    async fn get(cache: &Cache<u32>, key: &str, read: Result<u32, Problem>) -> Option<Shared<u32>> {
        let read = async { read.map(|value| (value, 10)) };
        cache.get(key.to_owned(), FRESH, read).await.ok()
    }

    #[tokio::test(start_paused = true)]
    async fn equal_requests_share_one_read_and_another_is_made_when_it_is_old() {
        let cache = Cache::new(LIMITS);
        let reads = Cell::new(0);
        let wanted = || {
            cache.get("a".to_owned(), FRESH, async {
                reads.set(reads.get() + 1);
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok((reads.get(), 1))
            })
        };
        let (one, two) = tokio::join!(wanted(), wanted());
        assert_eq!((one, two), (Ok(Shared::Fresh(1)), Ok(Shared::Fresh(1))));
        advance(FRESH).await;
        assert_eq!(wanted().await, Ok(Shared::Fresh(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_is_not_tried_again_at_once_also_not_by_those_who_waited() {
        let cache = Cache::<u32>::new(LIMITS);
        let reads = Cell::new(0);
        let wanted = || {
            cache.get("a".to_owned(), FRESH, async {
                reads.set(reads.get() + 1);
                tokio::time::sleep(Duration::from_millis(5)).await;
                Err(away())
            })
        };
        let (one, two) = tokio::join!(wanted(), wanted());
        assert!(one.is_err() && two.is_err());
        assert_eq!(reads.get(), 1);
        advance(FRESH).await;
        assert!(wanted().await.is_err());
        assert_eq!(reads.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_value_is_given_as_old_while_nothing_can_be_read_and_not_for_ever() {
        let cache = Cache::new(LIMITS);
        get(&cache, "a", Ok(7)).await;
        let age = Duration::from_secs(59);
        advance(age).await;
        let old = get(&cache, "a", Err(away())).await;
        assert_eq!(old, Some(Shared::Stale(7, age)));
        advance(Duration::from_secs(1)).await;
        assert_eq!(get(&cache, "a", Err(away())).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_longer_exists_is_not_shown_as_an_old_value() {
        let cache = Cache::new(LIMITS);
        get(&cache, "a", Ok(7)).await;
        advance(FRESH).await;
        let gone = Problem::no_creator("tiktok", "a");
        assert_eq!(get(&cache, "a", Err(gone)).await, None);
        advance(FRESH).await;
        assert_eq!(get(&cache, "a", Err(away())).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_read_last_is_known_however_old_it_is() {
        let cache = Cache::new(LIMITS);
        assert_eq!(cache.last("a"), None);
        get(&cache, "a", Ok(7)).await;
        advance(LIMITS.kept).await;
        assert_eq!(cache.last("a"), Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn entries_and_bytes_have_bounds_and_what_was_read_longest_ago_leaves_first() {
        let cache = Cache::new(LIMITS);
        for key in ["a", "b", "c", "a", "d"] {
            get(&cache, key, Ok(1)).await;
            advance(FRESH).await;
        }
        let held = |cache: &Cache<u32>| -> String {
            let entries = cache.entries.lock().unwrap();
            entries.keys().map(String::as_str).collect()
        };
        assert_eq!(held(&cache), "acd");
        let heavy = async { Ok((1, 85)) };
        cache.get("c".to_owned(), FRESH, heavy).await.unwrap();
        assert_eq!(held(&cache), "cd", "97 of 100 bytes");
    }
}
