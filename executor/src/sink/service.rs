//! The sink's loop.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use kol_common::KolError;
use kol_common::actor::{Group, Mailbox, mailbox};
use kol_common::job::SinkSpec;
use kol_common::metrics::Family;
use kol_common::redis::owner::{Owner, RENEW_EVERY};
use kol_common::redis::{Connect, RedisConnection};
use kol_common::secrets::Secrets;
use prometheus::IntCounterVec;
use redis::RedisResult;
use tokio::time::{Instant, Interval, MissedTickBehavior};

use super::alerts::alerts;
use super::call::{DEADLINE, Served, on_fence, settle, timed, within};
use super::compare::compare;
use super::connection::{Connection, Open};
use super::fence::claim;
use super::flush::flush;
use super::hashes::hashes;
use super::history::snapshot;
use super::looks;
use super::message::{Operation, Sink, SinkError, SinkMessage};
use super::owner::Records;
use super::probe::probe;
use super::scan::scan;
use super::tops::tops;
use super::trouble::{Line, Trouble};
use super::turns::Turns;

/// Requests that may wait, and that may be in progress, at once.
const WAITING: usize = 256;
const IN_PROGRESS: usize = 4;
/// How often Redis says how busy its processor is.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// Requests that Redis or the way to it failed, by the code of the error.
pub const REDIS_ERRORS: Family = Family::counter(
    "kol_redis_errors_total",
    "Requests that failed in Redis or on the way to it, by the code of the error.",
);

static ERRORS: LazyLock<IntCounterVec> = LazyLock::new(|| REDIS_ERRORS.counters(&["code"]));

/// Starts a sink of a job; it ends when all addresses are gone. `owner` is the job as the owner records name it;
/// `None` where the master is of a version without them. `turns` are those at its Redis.
pub fn start(
    group: &Group,
    network: Arc<dyn Connect>,
    spec: SinkSpec,
    secrets: Secrets,
    owner: Option<Owner>,
    turns: Turns,
) -> Sink {
    let (address, inbox) = mailbox("sink", WAITING);
    let job = owner
        .as_ref()
        .map_or_else(String::new, |owner| owner.job.clone());
    let records = Records::new(spec.clone(), owner);
    let key = spec.keys.last_update.clone();
    let _runs_by_itself = group.spawn("sink", async move {
        let connection = Connection::new(network, spec, secrets);
        let shared = Shared {
            records,
            turns,
            key,
            job,
        };
        run(connection, shared, inbox).await;
        Ok(())
    });
    address
}

/// What all requests of a sink use.
#[derive(Clone, Debug)]
struct Shared {
    records: Records,
    turns: Turns,
    /// A key on the node that the job writes to.
    key: String,
    /// Name of the job, for the log.
    job: String,
}

/// Requests of different partitions may overlap; a partition sends its next request only after the reply
/// to the last one, so its order is kept. Once another cluster has the keys of the job, nothing is requested.
async fn run(mut connection: Connection, shared: Shared, mut inbox: Mailbox<SinkMessage>) {
    let (mut renewals, mut probes) = (every(RENEW_EVERY.duration()), every(PROBE_EVERY));
    // One of each, at most.
    let mut renewing: FuturesUnordered<BoxFuture<'static, RedisResult<Option<KolError>>>> =
        FuturesUnordered::new();
    let mut probing: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
    let mut taken: Option<KolError> = None;
    let mut in_progress: FuturesUnordered<BoxFuture<'static, Served>> = FuturesUnordered::new();
    let mut trouble = Trouble::default();
    // What came behind looks that go out together.
    let mut held: Option<SinkMessage> = None;
    // Whoever comes first does not wait for that; why it fails, the first request says.
    let _fails = connection.get().await;
    loop {
        tokio::select! {
            biased;
            // What is served first: it makes room, and shows that a connection is broken.
            Some(served) = in_progress.next(), if !in_progress.is_empty() => {
                match (served.broken, &served.error) {
                    (Some(number), Some(error)) => {
                        connection.close(number, error.clone());
                        // The next ones are on a new connection.
                        renewing.clear();
                        probing.clear();
                    }
                    (_, None) => connection.serves(),
                    (None, Some(_)) => {}
                }
                note(&shared.job, &mut trouble, served.operation, served.error.as_ref());
            }
            // What fails shows in the requests of partitions: each looks at its fence every second.
            Some(renewed) = renewing.next(), if !renewing.is_empty() => {
                if let Ok(renewed) = renewed {
                    taken = renewed;
                }
            }
            _ = renewals.tick(), if renewing.is_empty() => {
                if let Some(open) = connection.current() {
                    renewing.push(Box::pin(renew(shared.records.clone(), open)));
                }
            }
            Some(()) = probing.next(), if !probing.is_empty() => {}
            _ = probes.tick(), if probing.is_empty() => {
                if let Some(open) = connection.current() {
                    probing.push(Box::pin(probe(shared.turns.clone(), shared.key.clone(), open)));
                }
            }
            message = next(&mut held, &mut inbox), if in_progress.len() < IN_PROGRESS => {
                let Some(message) = message else { break };
                if let Some(why) = &taken {
                    refuse(message, SinkError::TakenOver(why.clone()));
                    continue;
                }
                match connection.get().await {
                    Ok(open) => {
                        let shared = shared.clone();
                        in_progress.push(match message {
                            SinkMessage::Look { fence, reply } => {
                                let (looks, other) = looks::gather((fence, reply), &mut inbox);
                                held = other;
                                looks::serve(looks, open, shared.records, shared.turns).boxed()
                            }
                            message => serve(message, open, shared).boxed(),
                        });
                    }
                    Err(error) => {
                        note(&shared.job, &mut trouble, message.operation(), Some(&error));
                        refuse(message, error.into());
                    }
                }
            }
        }
    }
    while in_progress.next().await.is_some() {}
}

/// The message that is served next.
async fn next(
    held: &mut Option<SinkMessage>,
    inbox: &mut Mailbox<SinkMessage>,
) -> Option<SinkMessage> {
    match held.take() {
        Some(message) => Some(message),
        None => inbox.recv().await,
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// A sign of life; why the job must end, if another store has its keys.
async fn renew(records: Records, open: RedisConnection) -> RedisResult<Option<KolError>> {
    let renewed = tokio::time::timeout(DEADLINE, records.renew(open)).await;
    renewed.unwrap_or(Ok(None))
}

/// Counts what failed, and logs when trouble with Redis begins and ends.
fn note(job: &str, trouble: &mut Trouble, operation: Operation, error: Option<&KolError>) {
    if let Some(error) = error {
        ERRORS.with_label_values(&[error.code]).inc();
    }
    match (trouble.note(Instant::now(), operation, error), error) {
        (Some(Line::Begins), Some(error)) => {
            tracing::warn!(code = "SINK_PAUSED", job, %error, "Redis does not take writes: scoring continues in memory");
        }
        (Some(Line::Ends), _) => {
            tracing::info!(code = "SINK_RESUMED", job, "Redis takes writes again")
        }
        (Some(Line::Begins) | None, _) => {}
    }
}

impl SinkMessage {
    fn operation(&self) -> Operation {
        match self {
            Self::Claim { .. } => Operation::Claim,
            Self::Look { .. } => Operation::Look,
            Self::Flush { .. } => Operation::Flush,
            Self::Scan { .. } => Operation::Scan,
            Self::Hashes { .. } => Operation::Hashes,
            Self::Compare { .. } => Operation::Compare,
            Self::Tops { .. } => Operation::Tops,
            Self::Alerts { .. } => Operation::Alerts,
            Self::Snapshot { .. } => Operation::Snapshot,
        }
    }
}

fn refuse(message: SinkMessage, error: SinkError) {
    // A partition that has ended meanwhile does not wait for the reply.
    match message {
        SinkMessage::Claim { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Look { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Flush { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Scan { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Hashes { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Compare { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Tops { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Alerts { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Snapshot { reply, .. } => drop(reply.send(Err(error))),
    }
}

/// Serves one request.
async fn serve(message: SinkMessage, open: Open, shared: Shared) -> Served {
    let kind = message.operation();
    let Shared { records, turns, .. } = shared;
    let Open {
        number,
        redis: mut open,
        closed,
    } = open;
    let again = open.clone();
    // A partition that has ended meanwhile does not wait for the reply.
    match message {
        SinkMessage::Claim {
            fence,
            log,
            platforms,
            first,
            reply,
        } => {
            let claim = claim(&fence, &log, &platforms, &first, &mut open);
            let claim = timed(
                &turns,
                within(&closed, records.claimed(claim, again.clone())),
            );
            let claimed = on_fence(claim.await, &fence.key);
            let claimed = records.explained(claimed, again).await;
            let (result, served) = settle(kind, number, claimed);
            drop(reply.send(result));
            served
        }
        SinkMessage::Look { fence, reply } => {
            let open = Open {
                number,
                redis: open,
                closed,
            };
            looks::serve(vec![(fence, reply)], open, records, turns).await
        }
        SinkMessage::Flush { mut request, reply } => {
            let (fence, turn) = (request.fence.key.clone(), request.turn.take());
            let flushed = timed(&turns, within(&closed, flush(*request, &mut open))).await;
            // The next one fills its flush now.
            drop(turn);
            let flushed = records.explained(on_fence(flushed, &fence), again).await;
            let (result, served) = settle(kind, number, flushed);
            drop(reply.send(result));
            served
        }
        SinkMessage::Scan { request, reply } => {
            let scanned = timed(&turns, within(&closed, scan(&request, &mut open))).await;
            let (result, served) = settle(kind, number, scanned);
            drop(reply.send(result));
            served
        }
        SinkMessage::Hashes { request, reply } => {
            let found = timed(&turns, within(&closed, hashes(&request, &mut open))).await;
            let (result, served) = settle(kind, number, found);
            drop(reply.send(result));
            served
        }
        SinkMessage::Compare {
            fence,
            calls,
            reply,
        } => {
            let way = turns.with(|pace| pace.way());
            let compared = timed(&turns, within(&closed, compare(calls, way, &mut open))).await;
            let compared = records.explained(on_fence(compared, &fence), again).await;
            let (result, served) = settle(kind, number, compared);
            drop(reply.send(result));
            served
        }
        SinkMessage::Tops { rankings, reply } => {
            let found = timed(&turns, within(&closed, tops(&rankings, &mut open))).await;
            let (result, served) = settle(kind, number, found);
            drop(reply.send(result));
            served
        }
        SinkMessage::Alerts {
            pending,
            settled,
            from,
            reply,
        } => {
            let read = alerts(&pending, &settled, from, &mut open);
            let read = timed(&turns, within(&closed, read)).await;
            let (result, served) = settle(kind, number, read);
            drop(reply.send(result));
            served
        }
        SinkMessage::Snapshot { request, reply } => {
            let kept = timed(&turns, within(&closed, snapshot(&request, &mut open))).await;
            let kept = records
                .explained(on_fence(kept, &request.fence.key), again)
                .await;
            let (result, served) = settle(kind, number, kept);
            drop(reply.send(result));
            served
        }
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
