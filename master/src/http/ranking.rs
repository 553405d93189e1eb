//! The first of a job's rankings, as Redis has them: read once a second for all who look at them.
//!
//! 1. Nothing is read while nobody looks. A connection that nobody used for a while is closed.
//! 2. Equal requests within a second share one answer, also that there is none.
//! 3. A job has one connection, and one read at a time; the number of jobs has a bound.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::event::parse_time;
use kol_common::job::{JobSpec, KeyTemplates};
use kol_common::proto::JobStatus;
use kol_common::redis::ranking::{Members, Ranked, fields, members, rows};
use kol_common::redis::{Connect, RedisConnection, UNREACHABLE_CODE, classify};
use kol_common::secrets::Secrets;
use kol_common::{KolError, Millis};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::creator::busy;

/// Creators that are shown.
const FIRST: u64 = 20;
/// How long an answer is shared.
const FRESH: Duration = Duration::from_secs(1);
/// Longest time for an answer of Redis, and for the turn.
const ANSWER: Duration = Duration::from_secs(2);
/// A job that nobody looked at for so long is forgotten.
const UNUSED: Duration = Duration::from_secs(30);
/// Platforms of a job that are looked at within a second.
const PLATFORMS: usize = 16;
/// Jobs whose rankings are looked at.
const JOBS: usize = 16;

/// See the module. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Rankings(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    redis: Arc<dyn Connect>,
    secrets: Secrets,
    jobs: Mutex<BTreeMap<String, (Instant, OfJob)>>,
}

type OfJob = Arc<tokio::sync::Mutex<Held>>;

/// What is held of a job.
#[derive(Debug, Default)]
struct Held {
    open: Option<RedisConnection>,
    /// By the platform that was requested.
    newest: BTreeMap<String, (Instant, Result<Value, KolError>)>,
}

impl Rankings {
    /// Of jobs whose Redis is reached so, until the tasks are stopped.
    pub fn start(redis: Arc<dyn Connect>, secrets: Secrets, tasks: &Group) -> Self {
        let shared = Arc::new(Shared {
            redis,
            secrets,
            jobs: Mutex::default(),
        });
        let forgetting = forget(Arc::clone(&shared), tasks.stop_token());
        let _ends_with_the_group = tasks.spawn("page-rankings", forgetting);
        Self(shared)
    }

    /// The first creators of a platform of this job; of its default platform, or else of any, where none is named.
    ///
    /// # Errors
    /// Redis cannot be read (`SINK_…`); `PAGE_BUSY`.
    pub(super) async fn first(&self, job: &JobStatus, platform: &str) -> Result<Value, KolError> {
        let of_job = self.0.of_job(&job.job_id).ok_or_else(busy)?;
        let turn = timeout(ANSWER, of_job.lock()).await;
        let mut held = turn.map_err(|_| busy())?;
        held.newest.retain(|_, (at, _)| at.elapsed() < FRESH);
        if let Some((_, newest)) = held.newest.get(platform) {
            return newest.clone();
        }
        if held.newest.len() >= PLATFORMS {
            return Err(busy());
        }
        let late = || KolError::external(UNREACHABLE_CODE, "Redis does not answer in time");
        let read = timeout(ANSWER, self.0.read(&mut held.open, job, platform)).await;
        let read = read.unwrap_or_else(|_| Err(late().help("See whether it hangs.")));
        if read.is_err() {
            held.open = None;
        }
        let newest = (Instant::now(), read.clone());
        held.newest.insert(platform.to_owned(), newest);
        read
    }
}

impl Shared {
    /// `None` when too many are looked at.
    fn of_job(&self, id: &str) -> Option<OfJob> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.len() >= JOBS && !jobs.contains_key(id) {
            return None;
        }
        let (used, of_job) = jobs
            .entry(id.to_owned())
            .or_insert_with(|| (Instant::now(), OfJob::default()));
        *used = Instant::now();
        Some(Arc::clone(of_job))
    }

    async fn read(
        &self,
        open: &mut Option<RedisConnection>,
        job: &JobStatus,
        platform: &str,
    ) -> Result<Value, KolError> {
        let spec: JobSpec = serde_json::from_str(&job.spec_json)
            .map_err(|e| KolError::internal("SPEC_ENCODING", e.to_string()))?;
        let open = match open {
            Some(open) => open,
            None => open.insert(self.redis.connect(&spec.sink, &self.secrets).await?),
        };
        let fail = |e: redis::RedisError| classify(&e);
        let keys = &spec.sink.keys;
        let mut listed = redis::cmd("SMEMBERS");
        listed.arg(keys.platforms_key());
        let mut platforms: Vec<String> = listed.query_async(open).await.map_err(fail)?;
        platforms.sort_unstable();
        let chosen = chosen(&platforms, platform, &spec.scoring.default_platform);
        let (rows, updated) = part(open, keys, chosen).await.map_err(fail)?;
        Ok(json!({
            "job_id": job.job_id,
            "platform": chosen,
            "platforms": platforms,
            "updated_ms": updated.as_deref().and_then(parse_time).map(|at| at.0),
            "now_ms": Millis::now().0,
            "data": rows.iter().map(row_json).collect::<Vec<_>>(),
        }))
    }
}

/// The one that is wanted, or else the default, or else the first.
fn chosen<'a>(platforms: &'a [String], wanted: &'a str, default: &'a str) -> &'a str {
    let there_is = |name: &&str| platforms.iter().any(|platform| platform == name);
    let named = [wanted, default].into_iter().find(there_is);
    let first = || platforms.first().map_or(default, String::as_str);
    named.unwrap_or_else(first)
}

async fn part(
    open: &mut RedisConnection,
    keys: &KeyTemplates,
    platform: &str,
) -> Result<(Vec<Ranked>, Option<String>), redis::RedisError> {
    let mut pipeline = redis::pipe();
    pipeline.add_command(members(&keys.ranking_key(platform), 0, Some(FIRST)));
    pipeline.cmd("GET").arg(&keys.last_update);
    let (found, updated): (Members, Option<String>) = pipeline.query_async(open).await?;
    if found.is_empty() {
        return Ok((Vec::new(), updated));
    }
    let hashes = found.iter().map(|(kol, _)| keys.hash_key(platform, kol));
    let known = fields(hashes).query_async(open).await?;
    Ok((rows(0, found, known), updated))
}

fn row_json(row: &Ranked) -> Value {
    let number = |text: &str| text.parse::<f64>().ok();
    json!({
        "rank": row.place,
        "kol": row.kol,
        "score": row.score,
        "label": Some(&row.label).filter(|label| !label.is_empty()),
        "velocity": number(&row.velocity),
        "momentum": number(&row.momentum),
        "total_engagement": number(&row.engagement),
        "event_count": number(&row.events),
        "updated_ms": row.updated.map(|at| at.0),
    })
}

async fn forget(shared: Arc<Shared>, stop: CancellationToken) -> Result<(), KolError> {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(UNUSED) => {}
        }
        let mut jobs = shared.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.retain(|_, (used, _)| used.elapsed() < UNUSED);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::BoxFuture;
    use kol_common::job::SinkSpec;

    use super::*;

    /// A Redis that is away, and counts who calls.
    #[derive(Debug, Default)]
    struct Away(AtomicUsize);

    impl Connect for Away {
        fn connect<'a>(
            &'a self,
            _: &'a SinkSpec,
            _: &'a Secrets,
        ) -> BoxFuture<'a, Result<RedisConnection, KolError>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Err(KolError::external(UNREACHABLE_CODE, "away")) })
        }
    }

    fn job(id: &str) -> JobStatus {
        JobStatus {
            job_id: id.into(),
            spec_json: serde_json::to_string(&crate::testing::spec("a")).unwrap(),
            ..JobStatus::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_redis_that_is_away_is_called_once_a_second_however_many_look() {
        let (redis, tasks) = (Arc::new(Away::default()), Group::new("test"));
        let rankings = Rankings::start(redis.clone(), Secrets::new(None), &tasks);
        let job = job("a");
        for second in 1..=3 {
            let looks = (0..20).map(|_| rankings.first(&job, ""));
            for looked in futures::future::join_all(looks).await {
                assert_eq!(looked.unwrap_err().code, UNREACHABLE_CODE);
            }
            assert_eq!(redis.0.load(Ordering::Relaxed), second);
            tokio::time::sleep(FRESH).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn jobs_are_forgotten_when_nobody_looks_and_only_so_many_are_looked_at() {
        let (redis, tasks) = (Arc::new(Away::default()), Group::new("test"));
        let rankings = Rankings::start(redis, Secrets::new(None), &tasks);
        for id in 0..JOBS {
            let looked = rankings.first(&job(&id.to_string()), "").await;
            assert_eq!(looked.unwrap_err().code, UNREACHABLE_CODE);
        }
        let refused = rankings.first(&job("more"), "").await.unwrap_err();
        assert_eq!(refused.code, "PAGE_BUSY");
        tokio::time::sleep(2 * UNUSED).await;
        let looked = rankings.first(&job("more"), "").await.unwrap_err();
        assert_eq!(looked.code, UNREACHABLE_CODE);
    }

    #[test]
    fn a_platform_that_has_no_ranking_is_not_the_one_that_is_shown() {
        let names = ["instagram", "tiktok"].map(str::to_owned);
        assert_eq!(chosen(&names, "instagram", "tiktok"), "instagram");
        assert_eq!(chosen(&names, "", "tiktok"), "tiktok");
        assert_eq!(chosen(&names, "x", "y"), "instagram");
        assert_eq!(chosen(&[], "x", "tiktok"), "tiktok");
    }
}
