//! The masters that an executor was given: one of them leads. Which one, is found by calling them all; the newest term that
//! any of them named says who no longer does.
//!
//! 1. Without a session all masters are called at the same time, and each of them again after a pause: one that does not
//!    answer delays no call of another. A registration is tried at one at a time, in the order of their answers.
//! 2. The pauses of a master grow up to [`RETRY`]. So an executor that lives has called each master that it can reach
//!    within that and the time of a connection; how long a new leader waits for owners builds on it
//!    (`master/src/cluster/callers.rs`).
//! 3. A session ends all other calls. After it all masters may lead, so all pauses begin again; the master of that session
//!    alone is called after one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use kol_common::error::info_of;
use kol_common::retry::Backoff;
use kol_common::{KolError, net};
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Error};

use super::dial::Dial;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// Silence of the network after which the connection counts as broken.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// First and longest pause between two calls of one master.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));

/// The URLs of a list that is separated by commas.
pub fn urls_of(masters: &str) -> impl Iterator<Item = &str> {
    masters.split(',').map(str::trim)
}

/// The masters, and the calls that are under way.
pub(super) struct Masters {
    all: Vec<Master>,
    network: Arc<dyn Dial>,
    calls: FuturesUnordered<BoxFuture<'static, Called>>,
    term: Arc<AtomicU64>,
}

struct Master {
    url: String,
    endpoint: Endpoint,
    pauses: Backoff,
}

/// A master that was called.
pub(super) struct Called {
    /// Its place among all.
    pub(super) master: usize,
    /// The connection to it.
    pub(super) connected: Result<Channel, Error>,
}

impl Masters {
    /// From URLs, separated by commas; all of them are called. `network` opens connections.
    ///
    /// # Errors
    /// One is not a URL.
    pub(super) fn parse(urls: &str, network: Arc<dyn Dial>) -> Result<Self, KolError> {
        let one = |url: &str| {
            Ok(Master {
                url: url.to_owned(),
                endpoint: endpoint(url)?,
                pauses: Backoff::new(RETRY.0, RETRY.1),
            })
        };
        let masters = Self {
            all: urls_of(urls).map(one).collect::<Result<_, KolError>>()?,
            network,
            calls: FuturesUnordered::new(),
            term: Arc::default(),
        };
        for master in 0..masters.all.len() {
            masters.call(master, Duration::ZERO);
        }
        Ok(masters)
    }

    /// The URL of one of them.
    pub(super) fn url(&self, master: usize) -> &str {
        &self.all[master].url
    }

    /// The next one that is connected, or cannot be.
    pub(super) async fn next(&mut self) -> Called {
        match self.calls.next().await {
            Some(called) => called,
            None => std::future::pending().await,
        }
    }

    /// There is no session with this one: it is called again after a pause, which is the answer.
    pub(super) fn refused(&mut self, master: usize) -> Duration {
        let pause = self.all[master].pauses.failed();
        self.call(master, pause);
        pause
    }

    /// A session has begun: no other master needs to be called.
    pub(super) fn welcomed(&mut self) {
        self.calls = FuturesUnordered::new();
    }

    /// The session with this one is over: any of them may lead now. The answer is the pause before this one is called.
    pub(super) fn ended(&mut self, master: usize) -> Duration {
        self.calls = FuturesUnordered::new();
        for one in &mut self.all {
            one.pauses.succeeded();
        }
        for other in (0..self.all.len()).filter(|other| *other != master) {
            self.call(other, Duration::ZERO);
        }
        self.refused(master)
    }

    fn call(&self, master: usize, pause: Duration) {
        let network = Arc::clone(&self.network);
        let endpoint = self.all[master].endpoint.clone();
        let call = async move {
            tokio::time::sleep(pause).await;
            let connected = network.dial(&endpoint).await;
            Called { master, connected }
        };
        self.calls.push(call.boxed());
    }

    /// The newest term that was seen, also by whoever sends messages meanwhile.
    pub(super) fn term(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.term)
    }

    /// Takes note of the term of a message.
    ///
    /// # Errors
    /// A newer one was seen: the master no longer leads, and nothing of its message counts.
    pub(super) fn accept(&self, term: u64) -> Result<(), Status> {
        let newest = self.term.fetch_max(term, Ordering::Relaxed);
        if term < newest {
            let error = KolError::external(
                FOLLOWS,
                format!("a master of term {term} no longer leads: term {newest} has begun"),
            );
            return Err(error.to_status());
        }
        Ok(())
    }
}

const FOLLOWS: &str = "MASTER_FOLLOWS";

/// Whether a master refused because it does not lead.
pub(super) fn follows(status: &Status) -> bool {
    info_of(status).is_some_and(|info| info.code == FOLLOWS)
}

fn endpoint(master: &str) -> Result<Endpoint, KolError> {
    let endpoint = net::endpoint(master).map_err(|e| {
        KolError::user("MASTER_URL", format!("`{master}` is not a URL: {e}"))
            .help("Give --master like 127.0.0.1:7077, several separated by commas.")
    })?;
    Ok(endpoint
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connects at once, except to hosts that are called `away`.
    #[derive(Debug)]
    struct Wires;

    impl Dial for Wires {
        fn dial<'a>(&'a self, endpoint: &'a Endpoint) -> BoxFuture<'a, Result<Channel, Error>> {
            let away = endpoint.uri().host() == Some("away");
            async move {
                if away {
                    std::future::pending::<()>().await;
                }
                Ok(endpoint.connect_lazy())
            }
            .boxed()
        }
    }

    fn masters(urls: &str) -> Masters {
        Masters::parse(urls, Arc::new(Wires)).unwrap()
    }

    /// The masters that are called within a time, in this order.
    async fn called(masters: &mut Masters, within: Duration) -> Vec<usize> {
        let mut all = Vec::new();
        let all_of_them = async {
            loop {
                let called = masters.next().await;
                all.push(called.master);
                masters.refused(called.master);
            }
        };
        let _over = tokio::time::timeout(within, all_of_them).await;
        all
    }

    #[tokio::test(start_paused = true)]
    async fn a_master_that_does_not_answer_delays_no_call_of_another() {
        let mut masters = masters("http://away:1, http://b:2,http://c:3");
        assert_eq!(masters.url(1), "http://b:2");
        let long_ago = called(&mut masters, Duration::from_secs(60)).await;
        assert!(!long_ago.contains(&0));
        // A new leader relies on the longest pause.
        for master in [1, 2] {
            let calls = called(&mut masters, RETRY.1).await;
            assert!(calls.contains(&master), "{master}: {calls:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_session_all_are_called_at_once_and_its_own_master_after_a_pause() {
        let mut masters = masters("http://a:1,http://b:2,http://c:3");
        called(&mut masters, Duration::from_secs(60)).await;
        let mut others = Vec::new();
        let begun = tokio::time::Instant::now();
        masters.welcomed();
        let pause = masters.ended(0);
        for _ in 0..2 {
            others.push(masters.next().await.master);
        }
        others.sort_unstable();
        assert_eq!(others, [1, 2]);
        assert!(begun.elapsed() < Duration::from_millis(5));
        assert!(pause > Duration::ZERO && pause <= RETRY.0, "{pause:?}");
        assert_eq!(masters.next().await.master, 0);
        assert!(begun.elapsed() >= pause);
    }

    #[tokio::test(start_paused = true)]
    async fn during_a_session_no_master_is_called() {
        let mut masters = masters("http://a:1,http://b:2");
        masters.next().await;
        masters.welcomed();
        let next = tokio::time::timeout(Duration::from_secs(60), masters.next()).await;
        assert!(next.is_err(), "nothing is under way");
    }

    #[tokio::test]
    async fn what_is_no_url_is_refused() {
        let wrong = Masters::parse("http://a:1,", Arc::new(Wires));
        assert_eq!(wrong.err().unwrap().code, "MASTER_URL");
    }

    #[tokio::test]
    async fn a_term_that_is_over_is_refused() {
        let masters = masters("http://a:1");
        for term in [0, 3, 3, 5] {
            masters.accept(term).unwrap();
        }
        let refused = masters.accept(4).unwrap_err();
        assert!(follows(&refused), "{refused}");
        assert_eq!(masters.term().load(Ordering::Relaxed), 5);
    }
}
