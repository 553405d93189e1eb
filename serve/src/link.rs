//! The connection to Redis. A task holds it: whoever reads gets it at once, or learns at once that there is none.

use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use kol_common::actor::Group;
use kol_common::job::SinkSpec;
use kol_common::redis::{RedisConnection, UNREACHABLE_CODE, classify, connect, needs_reconnect};
use kol_common::retry::Backoff;
use kol_common::secrets::Secrets;
use redis::{FromRedisValue, Pipeline};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::problem::Problem;

/// Pipelines that are under way at one time.
const READS: usize = 16;
/// Longest time to wait for the turn, and for one answer.
const TURN: Duration = Duration::from_millis(500);
const ANSWER: Duration = Duration::from_secs(1);
/// How long a request waits for the next connection when Redis closed the one there was: it may have been idle.
const NEXT: Duration = Duration::from_millis(300);
/// Waits between attempts to connect.
const FIRST: Duration = Duration::from_millis(100);
const MOST: Duration = Duration::from_secs(2);

/// Reads. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    state: watch::Receiver<State>,
    broken: mpsc::Sender<u64>,
    turns: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing was tried yet.
    Connecting,
    /// The number says which connection it is.
    Open(u64, RedisConnection),
    /// There is none.
    Away(KolError),
}

impl Link {
    /// Keeps a connection until the tasks are stopped.
    pub(crate) fn keep(sink: SinkSpec, secrets: Secrets, tasks: &Group) -> Self {
        let (sender, state) = watch::channel(State::Connecting);
        let (broken, reports) = mpsc::channel(READS);
        let keeper = Keeper {
            sink,
            secrets,
            state: sender,
            broken: reports,
            stop: tasks.stop_token(),
        };
        let _runs_by_itself = tasks.spawn("redis", keeper.run());
        Self {
            state,
            broken,
            turns: Arc::new(Semaphore::new(READS)),
        }
    }

    /// Whether there is a connection.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn ready(&self) -> Result<(), Problem> {
        self.open().await.map(drop)
    }

    /// What Redis answers to a pipeline that changes nothing: where the connection broke it is sent once more.
    ///
    /// # Errors
    /// Redis cannot be read, or too much waits for it.
    pub(crate) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, Problem> {
        let turn = timeout(TURN, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(Problem::busy());
        };
        let (number, mut open) = self.open().await?;
        match timeout(ANSWER, pipeline.query_async(&mut open)).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) if !needs_reconnect(&error) => return Err(classify(&error).into()),
            Ok(Err(_)) => self.report(number),
            Err(_) => {
                self.report(number);
                return Err(silent().into());
            }
        }
        let (number, mut open) = self.next(number).await?;
        match timeout(ANSWER, pipeline.query_async(&mut open)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if needs_reconnect(&error) {
                    self.report(number);
                }
                Err(classify(&error).into())
            }
            Err(_) => {
                self.report(number);
                Err(silent().into())
            }
        }
    }

    /// The connection there is; at the start, when the first attempt has ended.
    async fn open(&self) -> Result<(u64, RedisConnection), Problem> {
        let mut state = self.state.clone();
        let tried = state.wait_for(|state| !matches!(state, State::Connecting));
        match timeout(ANSWER, tried)
            .await
            .map(|seen| seen.map(|s| s.clone()))
        {
            Ok(Ok(State::Open(number, open))) => Ok((number, open)),
            Ok(Ok(State::Away(error))) => Err(error.into()),
            _ => Err(silent().into()),
        }
    }

    /// The connection after one that broke.
    async fn next(&self, broken: u64) -> Result<(u64, RedisConnection), Problem> {
        let mut state = self.state.clone();
        let newer = state.wait_for(|state| match state {
            State::Open(number, _) => *number > broken,
            State::Connecting => false,
            State::Away(_) => true,
        });
        match timeout(NEXT, newer)
            .await
            .map(|seen| seen.map(|s| s.clone()))
        {
            Ok(Ok(State::Open(number, open))) => Ok((number, open)),
            Ok(Ok(State::Away(error))) => Err(error.into()),
            _ => Err(silent().into()),
        }
    }

    fn report(&self, number: u64) {
        // Where there is no room others have reported one that is not newer.
        let _others_have = self.broken.try_send(number);
    }
}

fn silent() -> KolError {
    KolError::external(UNREACHABLE_CODE, "Redis does not answer in time")
}

struct Keeper {
    sink: SinkSpec,
    secrets: Secrets,
    state: watch::Sender<State>,
    broken: mpsc::Receiver<u64>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(mut self) -> Result<(), KolError> {
        let mut backoff = Backoff::new(FIRST, MOST);
        let (mut number, mut is_away) = (0, false);
        loop {
            let stop = self.stop.clone();
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                opened = connect(&self.sink, &self.secrets) => opened,
            };
            match opened {
                Ok(open) => {
                    if std::mem::take(&mut is_away) {
                        tracing::info!(code = "SERVE_REDIS_BACK", "Redis can be read again");
                    }
                    number += 1;
                    backoff.succeeded();
                    self.state.send_replace(State::Open(number, open));
                    if self.broke(number).await.is_none() {
                        return Ok(());
                    }
                    self.state.send_replace(State::Connecting);
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(code = "SERVE_REDIS_AWAY", %error, "Redis cannot be read: answers are old, or 503");
                    }
                    self.state.send_replace(State::Away(error));
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => return Ok(()),
                        () = tokio::time::sleep(backoff.failed()) => {}
                    }
                }
            }
        }
    }

    /// Until this connection, or a newer one, is reported; `None` when the process ends.
    async fn broke(&mut self, number: u64) -> Option<()> {
        loop {
            let reported = tokio::select! {
                biased;
                () = self.stop.cancelled() => return None,
                reported = self.broken.recv() => reported?,
            };
            if reported >= number {
                return Some(());
            }
        }
    }
}
