//! What dashboards see: the ranking in Redis, and how old its newest event is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kol_common::Millis;
use kol_common::event::parse_time;
use kol_common::job::KeyTemplates;
use kol_common::redis::ranking::{self, Members, Ranked};
use redis::{Commands as _, RedisResult};

use kol_harness::RedisServer;

/// The platform whose ranking the demo shows.
const PLATFORM: &str = "tiktok";
/// How many appearances the latency is taken over.
const APPEARANCES: usize = 64;

/// The first `n`.
pub(super) fn top(redis: &mut redis::Connection, n: u64) -> RedisResult<Vec<Ranked>> {
    read(redis, PLATFORM, 0, Some(n))
}

/// One creator, when it is there.
pub(super) fn row(redis: &mut redis::Connection, kol: &str) -> RedisResult<Option<Ranked>> {
    let key = KeyTemplates::default().ranking_key(PLATFORM);
    let place: Option<u64> = redis.zrevrank(&key, kol)?;
    let score: Option<f64> = redis.zscore(&key, kol)?;
    let (Some(place), Some(score)) = (place, score) else {
        return Ok(None);
    };
    let members = vec![(kol.to_owned(), score)];
    Ok(rows(redis, PLATFORM, place, members)?.pop())
}

/// Part of a ranking with what the hashes show.
fn read(
    redis: &mut redis::Connection,
    platform: &str,
    first: u64,
    count: Option<u64>,
) -> RedisResult<Vec<Ranked>> {
    let key = KeyTemplates::default().ranking_key(platform);
    let members = ranking::members(&key, first, count).query(redis)?;
    rows(redis, platform, first, members)
}

fn rows(
    redis: &mut redis::Connection,
    platform: &str,
    first: u64,
    members: Members,
) -> RedisResult<Vec<Ranked>> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let keys = KeyTemplates::default();
    let hashes = members.iter().map(|(kol, _)| keys.hash_key(platform, kol));
    let fields = ranking::fields(hashes).query(redis)?;
    Ok(ranking::rows(first, members, fields))
}

/// How many creators are in it.
pub(super) fn size(redis: &mut redis::Connection) -> RedisResult<u64> {
    redis.zcard(KeyTemplates::default().ranking_key(PLATFORM))
}

/// A creator that is not in the upper part: where there is room to climb.
pub(super) fn underdog(redis: &mut redis::Connection) -> RedisResult<Option<String>> {
    let place = size(redis)? * 2 / 3;
    let found = read(redis, PLATFORM, place, Some(1))?;
    Ok(found.into_iter().next().map(|row| row.kol))
}

/// How scores and labels spread over all platforms: distinct scores, creators of each label.
pub(super) fn spread(redis: &mut redis::Connection) -> RedisResult<(usize, BTreeMap<String, u64>)> {
    let mut scores = BTreeSet::new();
    let mut labels = BTreeMap::new();
    let rankings: Vec<String> = redis.keys("ranking:*:trending")?;
    for ranking in rankings {
        let platform = ranking.split(':').nth(1).unwrap_or_default().to_owned();
        for row in read(redis, &platform, 0, None)? {
            scores.insert(format!("{:.2}", row.score));
            *labels.entry(row.label).or_default() += 1;
        }
    }
    Ok((scores.len(), labels))
}

/// Watches how old the newest event is at the moment it appears in Redis.
pub(super) struct Freshness {
    ages: Arc<Mutex<Vec<u64>>>,
    stop: Arc<AtomicBool>,
    watcher: Option<JoinHandle<()>>,
}

impl Freshness {
    /// Reads every few milliseconds.
    pub(super) fn watch(redis: &RedisServer) -> Self {
        let ages = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped, mut redis) = (Arc::clone(&ages), Arc::clone(&stop), redis.connect());
        let watcher = std::thread::spawn(move || {
            let mut last = None;
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(3));
                let newest: Option<String> = redis.get("streaming:last_event").unwrap_or(None);
                let newest = newest.and_then(|text| parse_time(&text));
                if newest == last {
                    continue;
                }
                last = newest;
                if let (Some(time), Ok(mut ages)) = (newest, shared.lock()) {
                    ages.push(Millis::now().since(time).0);
                    let surplus = ages.len().saturating_sub(APPEARANCES);
                    ages.drain(..surplus);
                }
            }
        });
        Self {
            ages,
            stop,
            watcher: Some(watcher),
        }
    }

    /// The median of the last appearances, milliseconds.
    pub(super) fn median(&self) -> Option<u64> {
        let mut ages = self.ages.lock().ok()?.clone();
        ages.sort_unstable();
        ages.get(ages.len() / 2).copied()
    }
}

impl Drop for Freshness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(watcher) = self.watcher.take() {
            let _panicked = watcher.join();
        }
    }
}
