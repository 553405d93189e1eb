//! The sink's loop.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kol_common::KolError;
use kol_common::actor::{Group, Mailbox, mailbox};
use kol_common::job::SinkSpec;
use kol_common::redis::{Connect, RedisConnection};
use kol_common::secrets::Secrets;
use tokio::time::Instant;

use super::call::{Served, settle, within};
use super::compare::compare;
use super::connection::Connection;
use super::fence::{claim, look};
use super::flush::flush;
use super::message::{Operation, Sink, SinkError, SinkMessage};
use super::scan::scan;
use super::trouble::{Line, Trouble};

/// Requests that may wait, and that may be in progress, at once.
const WAITING: usize = 256;
const IN_PROGRESS: usize = 4;

/// Starts a sink; it ends when all addresses are gone.
pub fn start(group: &Group, network: Arc<dyn Connect>, spec: SinkSpec, secrets: Secrets) -> Sink {
    let (address, inbox) = mailbox("sink", WAITING);
    let _runs_by_itself = group.spawn("sink", async move {
        run(Connection::new(network, spec, secrets), inbox).await;
        Ok(())
    });
    address
}

/// Requests of different partitions may overlap; a partition sends its next request only after the reply
/// to the last one, so its order is kept.
async fn run(mut connection: Connection, mut inbox: Mailbox<SinkMessage>) {
    let mut in_progress: FuturesUnordered<BoxFuture<'static, Served>> = FuturesUnordered::new();
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            biased;
            // What is served first: it makes room, and shows that a connection is broken.
            Some(served) = in_progress.next(), if !in_progress.is_empty() => {
                match (served.broken, &served.error) {
                    (Some(number), Some(error)) => connection.close(number, error.clone()),
                    (_, None) => connection.serves(),
                    (None, Some(_)) => {}
                }
                note(&mut trouble, served.operation, served.error.as_ref());
            }
            message = inbox.recv(), if in_progress.len() < IN_PROGRESS => {
                let Some(message) = message else { break };
                match connection.get().await {
                    Ok((number, open)) => in_progress.push(Box::pin(serve(message, number, open))),
                    Err(error) => {
                        note(&mut trouble, message.operation(), Some(&error));
                        refuse(message, error.into());
                    }
                }
            }
        }
    }
    while in_progress.next().await.is_some() {}
}

/// Logs when trouble with Redis begins and ends.
fn note(trouble: &mut Trouble, operation: Operation, error: Option<&KolError>) {
    match (trouble.note(Instant::now(), operation, error), error) {
        (Some(Line::Begins), Some(error)) => {
            tracing::warn!(code = "SINK_PAUSED", %error, "Redis does not take writes: scoring continues in memory");
        }
        (Some(Line::Ends), _) => tracing::info!("Redis takes writes again"),
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
            Self::Compare { .. } => Operation::Compare,
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
        SinkMessage::Compare { reply, .. } => drop(reply.send(Err(error))),
    }
}

/// Serves one request.
async fn serve(message: SinkMessage, number: u64, mut open: RedisConnection) -> Served {
    let kind = message.operation();
    // A partition that has ended meanwhile does not wait for the reply.
    match message {
        SinkMessage::Claim {
            fence,
            log,
            platforms,
            reply,
        } => {
            let claimed = within(claim(&fence, &log, &platforms, &mut open)).await;
            let (result, served) = settle(kind, number, claimed);
            drop(reply.send(result));
            served
        }
        SinkMessage::Look { fence, reply } => {
            let (result, served) = settle(kind, number, within(look(&fence, &mut open)).await);
            drop(reply.send(result));
            served
        }
        SinkMessage::Flush { request, reply } => {
            let (result, served) = settle(kind, number, within(flush(*request, &mut open)).await);
            drop(reply.send(result));
            served
        }
        SinkMessage::Scan { request, reply } => {
            let (result, served) = settle(kind, number, within(scan(&request, &mut open)).await);
            drop(reply.send(result));
            served
        }
        SinkMessage::Compare { calls, reply } => {
            let (result, served) = settle(kind, number, within(compare(calls, &mut open)).await);
            drop(reply.send(result));
            served
        }
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
