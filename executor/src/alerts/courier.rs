//! The task of a destination: reads what waits, delivers it, takes it out. One that fails is tried again later; nothing else
//! waits for that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use kol_common::KolError;
use kol_common::alerts::{Alert, Destination, Failure, Kind, Raised};
use kol_common::job::pending_key;
use tokio::time::{Instant, sleep_until, timeout};

use super::backlog::{FAILING, Line};
use super::counts;
use super::handle::Alerts;
use crate::sink::{Sink, SinkMessage, Waiting};

/// How often it is looked whether anything waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longest time that Redis may take to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long what waits may take when the job ends here.
const LAST: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub(super) struct Courier {
    alerts: Alerts,
    way: Arc<dyn Destination>,
    sink: Sink,
    /// Fence records of the partitions that were looked at last.
    known: BTreeSet<String>,
}

/// Nothing more can be delivered now.
enum Stuck {
    /// The destination failed: the wait before the next attempt.
    Destination(Duration),
    /// Redis does not say what waits: partitions report that.
    Redis,
}

impl Courier {
    pub(super) fn new(alerts: Alerts, way: Arc<dyn Destination>, sink: Sink) -> Self {
        Self {
            alerts,
            way,
            sink,
            known: BTreeSet::new(),
        }
    }

    /// Until the job has no partition here any more.
    pub(super) async fn run(mut self) {
        let stop = self.alerts.stopped().clone();
        let mut next = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = sleep_until(next) => {}
            }
            self.look_who_is_followed();
            next = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                wait = self.round() => Instant::now() + wait,
            };
        }
        // Partitions that are gone by now noted their last alerts a moment ago.
        let _in_time = timeout(LAST, self.round()).await;
    }

    fn look_who_is_followed(&mut self) {
        let followed: BTreeSet<String> = self.alerts.followed().keys().cloned().collect();
        for gone in self.known.difference(&followed) {
            let line = self
                .alerts
                .backlog(self.kind())
                .and_then(|mut backlog| backlog.forget(gone));
            self.log(line, None);
        }
        self.known = followed;
    }

    fn kind(&self) -> Kind {
        self.way.kind()
    }

    /// Delivers what waits for all partitions: how long to wait before the next round.
    async fn round(&mut self) -> Duration {
        for fence in self.known.clone() {
            match self.drain(&fence).await {
                Ok(()) => {}
                Err(Stuck::Destination(wait)) => return wait,
                Err(Stuck::Redis) => break,
            }
        }
        LOOK_EVERY
    }

    /// Delivers what waits for a partition until nothing does.
    async fn drain(&self, fence: &str) -> Result<(), Stuck> {
        let pending = pending_key(fence, self.kind().as_str());
        let mut settled = Vec::new();
        loop {
            let waiting = self.read(&pending, std::mem::take(&mut settled)).await?;
            self.waits(fence, waiting.all);
            if waiting.alerts.is_empty() {
                return Ok(());
            }
            let (done, stuck) = self.deliver(waiting.alerts).await;
            if let Some(stuck) = stuck {
                let left = self.read(&pending, done).await?;
                self.waits(fence, left.all);
                return Err(stuck);
            }
            settled = done;
        }
    }

    fn waits(&self, fence: &str, count: u64) {
        let line = self
            .alerts
            .backlog(self.kind())
            .and_then(|mut backlog| backlog.waits(fence, count));
        self.log(line, None);
    }

    /// Takes out what is settled, and reads some of what waits.
    async fn read(&self, pending: &str, settled: Vec<String>) -> Result<Waiting, Stuck> {
        let message = |reply| SinkMessage::Alerts {
            pending: pending.to_owned(),
            settled,
            reply,
        };
        match self.sink.ask(message, ANSWER).await {
            Ok(Ok(waiting)) => Ok(waiting),
            Ok(Err(_)) | Err(_) => Err(Stuck::Redis),
        }
    }

    /// Delivers alerts, the oldest first: the fields of those that are settled, and why the others are not.
    async fn deliver(&self, mut waiting: Vec<(String, String)>) -> (Vec<String>, Option<Stuck>) {
        let mut settled = Vec::new();
        let mut alerts: Vec<(String, Alert)> = Vec::new();
        for (field, text) in waiting.drain(..) {
            match serde_json::from_str::<Raised>(&text) {
                Ok(raised) => alerts.push((field, raised.of_job(self.alerts.job()))),
                Err(error) => {
                    self.give_up(&KolError::internal("ALERT_REFUSED", error.to_string()));
                    settled.push(field);
                }
            }
        }
        alerts.sort_by(|(_, a), (_, b)| {
            (&a.window_end, &a.raised_at).cmp(&(&b.window_end, &b.raised_at))
        });
        let at_once = match self.kind() {
            Kind::Topic => alerts.len().max(1),
            Kind::Webhook => 4,
        };
        let sends = alerts.into_iter().map(|(field, alert)| async move {
            let sent = self.way.deliver(alert).await;
            (field, sent)
        });
        let mut sends = futures::stream::iter(sends).buffer_unordered(at_once);
        let mut stuck = None;
        while let Some((field, sent)) = sends.next().await {
            match sent {
                Ok(()) => self.arrived(),
                Err(Failure {
                    error,
                    is_final: true,
                }) => self.give_up(&error),
                Err(Failure { error, .. }) => {
                    counts::failed(self.alerts.job(), self.kind());
                    if stuck.is_none() {
                        stuck = self.failed(error);
                    }
                    // What is on its way to a topic arrives, or fails, all the same: it is worth waiting for.
                    if self.kind() == Kind::Webhook {
                        break;
                    }
                    continue;
                }
            }
            settled.push(field);
        }
        (settled, stuck)
    }

    fn arrived(&self) {
        counts::delivered(self.alerts.job(), self.kind());
        let line = self
            .alerts
            .backlog(self.kind())
            .and_then(|mut backlog| backlog.arrived());
        self.log(line, None);
    }

    fn failed(&self, error: KolError) -> Option<Stuck> {
        let mut backlog = self.alerts.backlog(self.kind())?;
        let (wait, line) = backlog.failed(error.clone());
        drop(backlog);
        self.log(line, Some(&error));
        Some(Stuck::Destination(wait))
    }

    /// The destination will never take it.
    fn give_up(&self, error: &KolError) {
        counts::lost(self.alerts.job(), self.kind(), 1);
        let (job, to) = (self.alerts.job(), self.way.name());
        tracing::warn!(code = "ALERT_REFUSED", job, to, %error, "an alert was refused for good, and is dropped");
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
