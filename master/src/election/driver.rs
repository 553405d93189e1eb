//! The loop of the election: carries out what the machine decides, one request at a time, and passes on who leads.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, OptionFuture};
use kol_common::{KolError, Millis};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::candidate::{Candidate, Seen};
use super::elected::Elected;
use super::machine::{Effect, Input, Limits, Machine};
use crate::meta::etcd::EtcdError;

/// How often time passes for the machine.
const TICK: Duration = Duration::from_millis(50);
/// Longest wait for a leader to stop when the process ends.
const LAST: Duration = Duration::from_secs(15);

/// A term of this master.
#[derive(Debug)]
pub struct Tenure {
    /// The permit to lead in it.
    pub elected: Elected,
    /// Cancelled when it is over: whatever acts in it must stop within a second.
    pub over: CancellationToken,
    /// To be cancelled once all that acted in it has stopped, also when that was by itself. No other term of this
    /// master begins before.
    pub left: CancellationToken,
}

/// Who leads from now on.
#[derive(Debug)]
pub enum News {
    /// This master, until the tenure is over.
    Leads(Tenure),
    /// Another, at this address; `None`: no one.
    Follows(Option<String>),
}

/// How a request to etcd ended.
enum Completed {
    Input(Input),
    Seen(Seen),
    Won(Millis, i64, Elected),
    Failed(EtcdError),
}

/// A term that was not left yet.
struct Held {
    lease: i64,
    over: CancellationToken,
    left: CancellationToken,
}

struct Driver {
    candidate: Candidate,
    limits: Limits,
    news: mpsc::Sender<News>,
    began: Instant,
    under_way: Option<BoxFuture<'static, Completed>>,
    seen: Seen,
    won: Option<(i64, Elected)>,
    held: Option<Held>,
    /// The lease of a term that is over.
    ended: i64,
    /// For what requests have failed since etcd answered last: said once each.
    said: BTreeSet<&'static str>,
}

/// Takes part in elections until it is stopped, then ends its own term.
///
/// # Errors
/// None: what fails is tried again.
pub async fn run(
    candidate: Candidate,
    news: mpsc::Sender<News>,
    stop: CancellationToken,
) -> Result<(), KolError> {
    tokio::select! {
        biased;
        () = stop.cancelled() => return Ok(()),
        () = candidate.end_past() => {}
    }
    let limits = Limits::default();
    let mut driver = Driver {
        candidate,
        limits,
        news,
        began: Instant::now(),
        under_way: None,
        seen: Seen::default(),
        won: None,
        held: None,
        ended: 0,
        said: BTreeSet::new(),
    };
    let mut machine = Machine::new(limits);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let left = driver.held.as_ref().map(|held| held.left.cancelled());
        // An answer before time, so that a renewal that was heard in time counts.
        let input = tokio::select! {
            biased;
            () = stop.cancelled() => return driver.end().await,
            Some(()) = OptionFuture::from(left) => Input::Left,
            Some(answer) = OptionFuture::from(driver.under_way.as_mut()) => {
                driver.under_way = None;
                driver.hear(answer)
            }
            _ = ticks.tick() => Input::Tick,
        };
        let mut effects = Vec::new();
        machine.handle(driver.now(), input, &mut effects);
        for effect in effects {
            driver.carry_out(effect).await;
        }
    }
}

impl Driver {
    fn now(&self) -> Millis {
        Millis::from(self.began.elapsed())
    }

    fn hear(&mut self, answer: Completed) -> Input {
        if let Completed::Failed(error) = &answer {
            if self.said.insert(error.code) {
                let error = KolError::from(error);
                tracing::warn!(code = "ELECTION_WAITS", %error, "the election needs etcd: trying again");
            }
        } else if !self.said.is_empty() {
            self.said.clear();
            tracing::info!(code = "ELECTION_RESUMED", "etcd answers again");
        }
        match answer {
            Completed::Input(input) => input,
            Completed::Failed(_) => Input::Nothing,
            Completed::Seen(seen) => {
                self.seen = seen;
                Input::Seen(self.seen.leader.clone())
            }
            Completed::Won(sent, lease, elected) => {
                self.won = Some((lease, elected));
                Input::Won { sent }
            }
        }
    }

    async fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Look | Effect::Campaign | Effect::Renew | Effect::Resign => {
                self.under_way = Some(self.request(&effect));
            }
            Effect::Lead => self.lead().await,
            Effect::StepDown(why) => {
                self.under_way = None;
                tracing::warn!(
                    code = "LEADERSHIP_LOST",
                    why,
                    "this master steps down: executors continue, and another leads"
                );
                if let Some(held) = self.held.take() {
                    held.over.cancel();
                    held.left.cancelled().await;
                    self.ended = held.lease;
                }
            }
            Effect::Follow(leader) => {
                tracing::info!(code = "MASTER_FOLLOWING", ?leader, "this master follows");
                self.tell(News::Follows(leader)).await;
            }
        }
    }

    async fn lead(&mut self) {
        let Some((lease, elected)) = self.won.take() else {
            return;
        };
        tracing::info!(
            code = "MASTER_LEADING",
            term = elected.term(),
            "this master leads"
        );
        let (over, left) = (CancellationToken::new(), CancellationToken::new());
        self.held = Some(Held {
            lease,
            over: over.clone(),
            left: left.clone(),
        });
        let tenure = Tenure {
            elected,
            over,
            left,
        };
        self.tell(News::Leads(tenure)).await;
    }

    async fn tell(&mut self, news: News) {
        // Without a reader the process ends.
        let _nobody_reads = self.news.send(news).await;
    }

    /// A request with its deadline.
    fn request(&mut self, effect: &Effect) -> BoxFuture<'static, Completed> {
        let (candidate, seen) = (self.candidate.clone(), self.seen.clone());
        let sent = self.now();
        let lease = self.held.as_ref().map_or(0, |held| held.lease);
        let lasts = Duration::from_millis(self.limits.lease.0);
        let input = |input| Completed::Input(input);
        let request = match effect {
            Effect::Look => async move { candidate.look().await.map(Completed::Seen) }.boxed(),
            Effect::Campaign => async move {
                let won = candidate.campaign(&seen, lasts).await?;
                Ok(won.map_or(input(Input::Lost), |(lease, elected)| {
                    Completed::Won(sent, lease, elected)
                }))
            }
            .boxed(),
            Effect::Resign => {
                let lease = self.held.take().map_or(self.ended, |held| held.lease);
                async move {
                    candidate.resign(lease).await?;
                    Ok(input(Input::Nothing))
                }
                .boxed()
            }
            _ => async move {
                let exists = candidate.renew(lease).await?;
                let renewed = Input::Renewed { sent };
                Ok(input(if exists { renewed } else { Input::Gone }))
            }
            .boxed(),
        };
        request
            .map(|answer: Result<Completed, EtcdError>| answer.unwrap_or_else(Completed::Failed))
            .boxed()
    }

    /// The process ends: a leader stops first, then another can be elected at once.
    async fn end(self) -> Result<(), KolError> {
        if let Some(held) = self.held {
            let _stopped = tokio::time::timeout(LAST, held.left.cancelled()).await;
            let _expires_by_itself = self.candidate.resign(held.lease).await;
        }
        Ok(())
    }
}
