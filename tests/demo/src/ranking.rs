//! What dashboards see: the ranking in Redis, and how old its newest event is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kol_common::Millis;
use kol_common::event::parse_time;
use redis::{Commands as _, RedisResult};

use kol_harness::RedisServer;

/// The ranking that the demo shows.
const RANKING: &str = "ranking:tiktok:trending";
/// How many appearances the latency is taken over.
const APPEARANCES: usize = 64;

/// A creator in the ranking.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    /// From 1.
    pub(super) place: u64,
    /// Name.
    pub(super) kol: String,
    /// Not rounded.
    pub(super) score: f64,
    /// Label.
    pub(super) label: String,
    /// Engagements a minute.
    pub(super) velocity: String,
    /// Events in the window.
    pub(super) events: String,
}

/// The first `n`.
pub(super) fn top(redis: &mut redis::Connection, n: isize) -> RedisResult<Vec<Row>> {
    let names: Vec<String> = redis.zrevrange(RANKING, 0, n - 1)?;
    let rows = names.iter().map(|kol| row(redis, kol));
    Ok(rows
        .collect::<RedisResult<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// One creator, when it is there.
pub(super) fn row(redis: &mut redis::Connection, kol: &str) -> RedisResult<Option<Row>> {
    let place: Option<u64> = redis.zrevrank(RANKING, kol)?;
    let score: Option<f64> = redis.zscore(RANKING, kol)?;
    let fields = ["trending_label", "velocity", "event_count"];
    let shown: Vec<Option<String>> = redis.hmget(format!("trending:tiktok:{kol}"), &fields)?;
    let (Some(place), Some(score)) = (place, score) else {
        return Ok(None);
    };
    let mut shown = shown.into_iter().map(Option::unwrap_or_default);
    let mut next = || shown.next().unwrap_or_default();
    Ok(Some(Row {
        place: place + 1,
        kol: kol.to_owned(),
        score,
        label: next(),
        velocity: next(),
        events: next(),
    }))
}

/// How many creators are in it.
pub(super) fn size(redis: &mut redis::Connection) -> RedisResult<u64> {
    redis.zcard(RANKING)
}

/// A creator that is not in the upper part: where there is room to climb.
pub(super) fn underdog(redis: &mut redis::Connection) -> RedisResult<Option<String>> {
    let place = (size(redis)? * 2 / 3) as isize;
    let names: Vec<String> = redis.zrevrange(RANKING, place, place)?;
    Ok(names.into_iter().next())
}

/// How scores and labels spread over all platforms: distinct scores, creators of each label.
pub(super) fn spread(redis: &mut redis::Connection) -> RedisResult<(usize, BTreeMap<String, u64>)> {
    let mut scores = BTreeSet::new();
    let mut labels = BTreeMap::new();
    let rankings: Vec<String> = redis.keys("ranking:*:trending")?;
    for ranking in rankings {
        let platform = ranking.split(':').nth(1).unwrap_or_default().to_owned();
        let all: Vec<(String, f64)> = redis.zrange_withscores(&ranking, 0, -1)?;
        let mut hashes = redis::pipe();
        for (kol, score) in &all {
            scores.insert(format!("{score:.2}"));
            hashes.hget(format!("trending:{platform}:{kol}"), "trending_label");
        }
        let shown: Vec<String> = hashes.query(redis)?;
        for label in shown {
            *labels.entry(label).or_default() += 1;
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
    /// Asks every few milliseconds.
    pub(super) fn watch(redis: &RedisServer) -> Self {
        let ages = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (told, stopped, mut redis) = (Arc::clone(&ages), Arc::clone(&stop), redis.connect());
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
                if let (Some(time), Ok(mut ages)) = (newest, told.lock()) {
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
