//! The task of a destination: opens it, reads what waits, delivers it, takes it out. What fails is tried again later, as
//! `schedule` says; nothing else waits for that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use kol_common::KolError;
use kol_common::alerts::{Alert, Destination, Failure, Kind, Means, Raised, Way};
use kol_common::job::pending_key;
use kol_common::redis::wrong_type;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::backlog::{Backlog, FAILING, Line};
use super::counts;
use super::handle::Alerts;
use super::schedule::Schedule;
use crate::sink::{Sink, SinkMessage, Waiting};

/// How long to wait where Redis does not say what waits.
const WITHOUT_REDIS: Duration = Duration::from_millis(500);
/// Longest time that Redis may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long what waits may take when the job ends here.
const LAST: Duration = Duration::from_secs(5);
/// Requests to a webhook at a time.
const POSTS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(super) struct Courier {
    alerts: Alerts,
    way: Arc<dyn Way>,
    /// Where it leads to, while nothing says that it must be opened again.
    open: Option<Arc<dyn Destination>>,
    sink: Sink,
    schedule: Schedule,
    /// Fence records of the partitions that were looked at last.
    known: BTreeSet<String>,
    /// What is delivered or dropped, and not taken out yet: fields by partition, a piece of each at most.
    settled: BTreeMap<String, Vec<String>>,
    /// The job ends here: partitions are gone, and what waits is tried once more.
    is_ending: bool,
}

/// Redis does not say what waits: partitions report that.
struct NoRedis;

impl Courier {
    pub(super) fn new(alerts: Alerts, way: Arc<dyn Way>, sink: Sink) -> Self {
        Self {
            alerts,
            way,
            open: None,
            sink,
            schedule: Schedule::new(),
            known: BTreeSet::new(),
            settled: BTreeMap::new(),
            is_ending: false,
        }
    }

    /// Until the job has no partition here any more.
    pub(super) async fn run(mut self) {
        let stop = self.alerts.stopped().clone();
        let over = async {
            stop.cancelled().await;
            sleep(LAST).await;
        };
        tokio::select! {
            biased;
            () = self.rounds(&stop) => {}
            () = over => {}
        }
    }

    async fn rounds(&mut self, stop: &CancellationToken) {
        let mut next = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(next) => {}
            }
            self.look_who_is_followed();
            // What is on its way is waited for, also when the job ends: it would be sent twice.
            next = Instant::now() + self.round().await;
        }
        // Partitions that are gone by now noted their last alerts a moment ago.
        self.is_ending = true;
        self.schedule.last_round();
        while self.round().await.is_zero() {}
    }

    fn look_who_is_followed(&mut self) {
        let followed: BTreeSet<String> = self.alerts.followed().keys().cloned().collect();
        for gone in self.known.difference(&followed) {
            self.settled.remove(gone);
            self.note(|backlog| backlog.forget(gone));
        }
        self.known = followed;
    }

    fn kind(&self) -> Kind {
        self.way.kind()
    }

    /// Whether alerts of a partition are still this executor's to deliver.
    fn is_followed(&self, fence: &str) -> bool {
        self.is_ending || self.alerts.followed().contains_key(fence)
    }

    /// One piece of what waits for each partition: how long to wait before the next round.
    async fn round(&mut self) -> Duration {
        let turns = self.schedule.begin(&self.known, Instant::now());
        let open = self.opened();
        for fence in turns {
            if !self.is_followed(&fence) {
                continue;
            }
            if self.turn(&fence, open.as_ref()).await.is_err() {
                return self.schedule.end().max(WITHOUT_REDIS);
            }
            if open.is_some() && !self.schedule.may_send() {
                break;
            }
        }
        self.schedule.end()
    }

    /// The destination, opened if it is not.
    fn opened(&mut self) -> Option<Arc<dyn Destination>> {
        if self.open.is_none() {
            match self.way.open() {
                Ok(open) => {
                    self.open = Some(open);
                    self.note(Backlog::opened);
                }
                Err(error) => {
                    self.schedule.closed();
                    let line = self.backlog(|backlog| backlog.closed(error.clone()));
                    self.log(line, Some(&error));
                }
            }
        }
        self.open.clone()
    }

    /// Delivers a piece of what waits for a partition. Without a destination it only looks how much that is.
    async fn turn(
        &mut self,
        fence: &str,
        open: Option<&Arc<dyn Destination>>,
    ) -> Result<(), NoRedis> {
        let Some(open) = open else {
            return self.read(fence, None).await.map(drop);
        };
        let from = self.schedule.turn(fence);
        let waiting = self.read(fence, Some(from)).await?;
        if waiting.alerts.is_empty() {
            self.schedule.whole(fence, waiting.next);
            return Ok(());
        }
        if self.deliver(fence, open, waiting.alerts).await {
            self.schedule.whole(fence, waiting.next);
        }
        if self.settled.contains_key(fence) {
            self.read(fence, None).await?;
        }
        Ok(())
    }

    /// Takes out what is settled, and reads some of what waits, if that is wanted: from a cursor on.
    async fn read(&mut self, fence: &str, from: Option<u64>) -> Result<Waiting, NoRedis> {
        let pending = pending_key(fence, self.kind().as_str());
        let settled = self.settled.remove(fence).unwrap_or_default();
        let message = |reply| SinkMessage::Alerts {
            pending: pending.clone(),
            settled: settled.clone(),
            from,
            reply,
        };
        let Ok(Ok(waiting)) = self.sink.ask(message, ANSWER).await else {
            if !settled.is_empty() {
                self.settled.insert(fence.to_owned(), settled);
            }
            return Err(NoRedis);
        };
        let refused = waiting.is_refused.then(|| {
            let without = "alerts of its partition do not arrive until it is gone";
            wrong_type(&pending, without)
        });
        let all = waiting.all;
        self.note(|backlog| {
            backlog.key(fence, refused);
            backlog.waits(fence, all)
        });
        Ok(waiting)
    }

    /// Delivers those alerts of a piece that are due, the oldest first. Whether it came to the end of them.
    async fn deliver(
        &mut self,
        fence: &str,
        open: &Arc<dyn Destination>,
        piece: Vec<(String, String)>,
    ) -> bool {
        let due = self.due(fence, piece);
        let at_once = match self.kind() {
            Kind::Topic => due.len(),
            Kind::Webhook => POSTS,
        };
        let mut due = due.into_iter().peekable();
        let mut sends = FuturesUnordered::new();
        loop {
            while sends.len() < at_once && self.may_send(fence) {
                let Some((field, alert)) = due.next() else {
                    break;
                };
                sends.push(async move { (field, open.deliver(alert).await) });
            }
            let Some((field, sent)) = sends.next().await else {
                return due.peek().is_none();
            };
            self.outcome(fence, field, sent);
        }
    }

    fn may_send(&self, fence: &str) -> bool {
        let continues = self.is_ending || !self.alerts.stopped().is_cancelled();
        continues && self.schedule.may_send() && self.is_followed(fence)
    }

    /// The alerts of a piece that may be sent now, the oldest first. What is no alert is dropped.
    fn due(&mut self, fence: &str, piece: Vec<(String, String)>) -> Vec<(String, Alert)> {
        let now = Instant::now();
        let mut due: Vec<(String, Alert)> = Vec::new();
        for (field, text) in piece {
            match serde_json::from_str::<Raised>(&text) {
                Ok(raised) if self.schedule.is_due(fence, &field, now) => {
                    due.push((field, raised.of_job(self.alerts.job())));
                }
                Ok(_) => {}
                Err(error) => {
                    let what = format!("what waits in Redis is no alert: {error}");
                    self.give_up(fence, field, &KolError::internal("ALERT_REFUSED", what));
                }
            }
        }
        due.sort_by(|(_, a), (_, b)| {
            (&a.window_end, &a.raised_at).cmp(&(&b.window_end, &b.raised_at))
        });
        due
    }

    fn outcome(&mut self, fence: &str, field: String, sent: Result<(), Failure>) {
        match sent {
            Ok(()) => {
                counts::delivered(self.alerts.job(), self.kind());
                self.schedule.arrived(fence, &field);
                self.settle(fence, field);
                let held = self.schedule.held();
                self.note(|backlog| backlog.arrived(held));
            }
            Err(Failure {
                error,
                means: Means::Never,
            }) => {
                self.schedule.dropped(fence, &field);
                self.give_up(fence, field, &error);
            }
            Err(Failure { error, means }) => {
                counts::failed(self.alerts.job(), self.kind());
                self.schedule.failed(fence, &field, means, Instant::now());
                if means == Means::Login {
                    // The secret may be another by now.
                    self.open = None;
                }
                let line = self.backlog(|backlog| backlog.failed(error.clone()));
                self.log(line, Some(&error));
            }
        }
    }

    fn settle(&mut self, fence: &str, field: String) {
        let settled = self.settled.entry(fence.to_owned()).or_default();
        settled.push(field);
    }

    /// The destination will never take it.
    fn give_up(&mut self, fence: &str, field: String, error: &KolError) {
        self.settle(fence, field);
        counts::lost(self.alerts.job(), self.kind(), 1);
        let (job, to) = (self.alerts.job(), self.way.name());
        tracing::warn!(code = "ALERT_REFUSED", job, to, %error, "an alert was refused for good, and is dropped");
        self.note(|backlog| {
            backlog.refused(Instant::now(), error.clone());
            None
        });
    }

    fn backlog(&self, change: impl FnOnce(&mut Backlog) -> Option<Line>) -> Option<Line> {
        let mut backlog = self.alerts.backlog(self.kind())?;
        change(&mut backlog)
    }

    fn note(&self, change: impl FnOnce(&mut Backlog) -> Option<Line>) {
        let line = self.backlog(change);
        self.log(line, None);
    }

    fn log(&self, line: Option<Line>, error: Option<&KolError>) {
        let (job, to) = (self.alerts.job(), self.way.name());
        match (line, error) {
            (Some(Line::Begins), Some(error)) => {
                tracing::warn!(code = FAILING, job, to, %error, "alerts do not arrive: they wait in Redis");
            }
            (Some(Line::Ends), _) => {
                tracing::info!(code = "ALERTS_RESUMED", job, to, "alerts arrive again");
            }
            (Some(Line::Begins) | None, _) => {}
        }
    }
}

#[cfg(test)]
#[path = "courier_tests.rs"]
mod tests;
