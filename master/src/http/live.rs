//! The page's news, as server-sent events: one snapshot a second, made once for all who look.
//!
//! 1. Nothing is computed while nobody looks.
//! 2. So many may look at one time; one more is refused with `PAGE_FULL`.
//! 3. Whoever reads slowly misses snapshots: nothing is queued for a client.
//! 4. A stream ends before its connection must, and when the master ends; the page then opens the next one, and shows its
//!    token again.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt as _, stream};
use kol_common::KolError;
use kol_common::actor::Group;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Time between two snapshots.
const EVERY: Duration = Duration::from_secs(1);
/// A snapshot that is older is not sent to a client that comes.
const FRESH: Duration = Duration::from_secs(2);
/// How many may look: less than the connections that there may be, so that scrapers get in.
const MOST_CLIENTS: usize = 64;
/// Silence after which a client is sent a sign of life.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long a stream lasts.
const LASTS: Duration = Duration::from_secs(45);

/// Texts of JSON.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// What every page shows, as JSON.
    pub(super) overview: String,
    /// For those who look at one job, by what they call it.
    pub(super) jobs: BTreeMap<String, String>,
}

/// Makes what the pages show, once for all that are open.
#[async_trait]
pub(super) trait Look: Send + 'static {
    /// What there is now, with these jobs.
    async fn look(&mut self, jobs: Vec<String>) -> Snapshot;
}

type Newest = Option<(Instant, Arc<Snapshot>)>;

/// Where clients get the news. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Live(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    newest: watch::Receiver<Newest>,
    places: Arc<Semaphore>,
    /// How many look at a job.
    watched: Mutex<BTreeMap<String, usize>>,
    /// A page was opened while none was.
    came: Notify,
}

impl Shared {
    fn is_unwatched(&self) -> bool {
        self.places.available_permits() == MOST_CLIENTS
    }

    fn watched(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Makes snapshots until the tasks are stopped.
    pub(super) fn start(look: impl Look, tasks: &Group) -> Self {
        let (sender, newest) = watch::channel(None);
        let shared = Arc::new(Shared {
            newest,
            places: Arc::new(Semaphore::new(MOST_CLIENTS)),
            watched: Mutex::default(),
            came: Notify::new(),
        });
        let publishing = publish(shared.clone(), look, sender, tasks.stop_token());
        let _ends_with_the_group = tasks.spawn("page", publishing);
        Self(shared)
    }

    /// News for one more client, who looks at this job, if at one.
    ///
    /// # Errors
    /// Too many look already.
    pub(super) fn events(
        &self,
        job: Option<String>,
    ) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>> + use<>>, KolError> {
        let news = self
            .news(job)?
            .map(|(kind, data)| Ok(Event::default().event(kind).data(data)));
        let alive = KeepAlive::new().interval(HEARTBEAT).text("alive");
        Ok(Sse::new(news).keep_alive(alive))
    }

    /// Names of events with their JSON.
    fn news(
        &self,
        job: Option<String>,
    ) -> Result<impl Stream<Item = (&'static str, String)> + use<>, KolError> {
        let place = self.0.places.clone().try_acquire_owned().map_err(|_| {
            let message = format!("{MOST_CLIENTS} pages are open, and this master serves no more");
            KolError::external("PAGE_FULL", message)
                .help("Close some; kol-client status shows the same.")
        })?;
        let client = Client::new(self.0.clone(), job, place);
        let streams = stream::unfold(client, |mut client| async move {
            let snapshot = client.next().await?;
            let news = client.news(&snapshot);
            Some((stream::iter(news), client))
        });
        Ok(streams.flatten())
    }
}

/// Somebody who looks.
struct Client {
    shared: Arc<Shared>,
    job: Option<String>,
    newest: watch::Receiver<Newest>,
    ends: Instant,
    _place: OwnedSemaphorePermit,
}

impl Client {
    fn new(shared: Arc<Shared>, job: Option<String>, place: OwnedSemaphorePermit) -> Self {
        if let Some(job) = &job {
            *shared.watched().entry(job.clone()).or_default() += 1;
        }
        let mut newest = shared.newest.clone();
        newest.mark_changed();
        shared.came.notify_one();
        Self {
            shared,
            job,
            newest,
            ends: Instant::now() + LASTS,
            _place: place,
        }
    }

    /// The next snapshot; `None` at the end.
    async fn next(&mut self) -> Option<Arc<Snapshot>> {
        loop {
            tokio::time::timeout_at(self.ends, self.newest.changed())
                .await
                .ok()?
                .ok()?;
            let newest = self.newest.borrow_and_update().clone();
            if let Some((made, snapshot)) = newest
                && made.elapsed() < FRESH
            {
                return Some(snapshot);
            }
        }
    }

    fn news(&self, snapshot: &Snapshot) -> Vec<(&'static str, String)> {
        let job = self.job.as_ref().and_then(|job| snapshot.jobs.get(job));
        let job = job.map(|job| ("job", job.clone()));
        let all = [("overview", snapshot.overview.clone())];
        all.into_iter().chain(job).collect()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(job) = self.job.take() else { return };
        let mut watched = self.shared.watched();
        if let Some(count) = watched.get_mut(&job) {
            *count -= 1;
            if *count == 0 {
                watched.remove(&job);
            }
        }
    }
}

async fn publish(
    shared: Arc<Shared>,
    mut look: impl Look,
    sender: watch::Sender<Newest>,
    stop: CancellationToken,
) -> Result<(), KolError> {
    loop {
        if shared.is_unwatched() {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = shared.came.notified() => {}
            }
        }
        let jobs = shared.watched().keys().cloned().collect();
        let next = Instant::now() + EVERY;
        let snapshot = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            snapshot = look.look(jobs) => snapshot,
        };
        sender.send_replace(Some((Instant::now(), Arc::new(snapshot))));
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep_until(next) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::{Pin, pin};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts how often it looks, and says so.
    struct Counted(Arc<AtomicUsize>);

    #[async_trait]
    impl Look for Counted {
        async fn look(&mut self, jobs: Vec<String>) -> Snapshot {
            let looks = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            Snapshot {
                overview: looks.to_string(),
                jobs: jobs.into_iter().map(|job| (job.clone(), job)).collect(),
            }
        }
    }

    fn live(tasks: &Group) -> (Live, Arc<AtomicUsize>) {
        let looks = Arc::new(AtomicUsize::new(0));
        (Live::start(Counted(looks.clone()), tasks), looks)
    }

    type News<'a> = Pin<&'a mut dyn Stream<Item = (&'static str, String)>>;

    async fn next(news: &mut News<'_>) -> (&'static str, String) {
        news.next().await.unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn all_clients_get_the_snapshot_that_was_made_once_a_second() {
        let tasks = Group::new("test");
        let (live, looks) = live(&tasks);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(looks.load(Ordering::Relaxed), 0, "nobody looks");
        let (one, other) = (
            live.news(None).unwrap(),
            live.news(Some("a".into())).unwrap(),
        );
        let (mut one, mut other): (News, News) = (pin!(one), pin!(other));
        let began = Instant::now();
        for round in 1..=5 {
            let overview = ("overview", round.to_string());
            assert_eq!(next(&mut one).await, overview);
            assert_eq!(next(&mut other).await, overview);
            assert_eq!(next(&mut other).await, ("job", "a".to_owned()));
        }
        assert_eq!(began.elapsed(), EVERY * 4);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_made_once_all_have_left_and_who_comes_then_gets_nothing_old() {
        let tasks = Group::new("test");
        let (live, looks) = live(&tasks);
        {
            let mut first = pin!(live.news(Some("a".into())).unwrap());
            first.next().await.unwrap();
            assert_eq!(live.0.watched().len(), 1);
        }
        assert!(live.0.watched().is_empty());
        tokio::time::sleep(Duration::from_secs(60)).await;
        let made = looks.load(Ordering::Relaxed);
        assert!(made <= 2, "{made}");
        let mut later = pin!(live.news(None).unwrap());
        let (_, overview) = later.next().await.unwrap();
        assert_eq!(overview, (made + 1).to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_too_many_is_refused_until_another_one_leaves() {
        let tasks = Group::new("test");
        let (live, _) = live(&tasks);
        let mut all: Vec<_> = (0..MOST_CLIENTS)
            .map(|_| live.news(None).unwrap())
            .collect();
        let refused = live.news(None).err().unwrap();
        assert_eq!(refused.code, "PAGE_FULL");
        all.pop();
        assert!(live.news(None).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_misses_snapshots() {
        let tasks = Group::new("test");
        let (live, _) = live(&tasks);
        let mut slow = pin!(live.news(None).unwrap());
        assert_eq!(slow.next().await.unwrap().1, "1");
        tokio::time::sleep(Duration::from_secs(20)).await;
        let newest = slow.next().await.unwrap().1;
        assert!(newest.parse::<usize>().unwrap() >= 20, "{newest}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_before_its_connection_must_and_with_the_master() {
        let tasks = Group::new("test");
        let (live, _) = live(&tasks);
        let began = Instant::now();
        let all = live.news(None).unwrap().count().await;
        assert!((44..=46).contains(&all), "{all}");
        assert_eq!(began.elapsed(), LASTS);
        let mut cut = pin!(live.news(None).unwrap());
        cut.next().await.unwrap();
        tasks.drain(Duration::from_secs(1)).await;
        let left = tokio::time::timeout(Duration::from_secs(2), cut.count()).await;
        assert!(left.unwrap() <= 1);
    }
}
