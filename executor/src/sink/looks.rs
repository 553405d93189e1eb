//! Looks at fence records: those that wait at the same time go out together. Partitions in which nothing happens look at
//! the same moments, and a request costs Redis and this process more than what it reads.

use kol_common::actor::Mailbox;
use kol_common::redis::{RedisConnection, classify, needs_reconnect};
use tokio::sync::oneshot;

use super::call::{CallResult, Served, on_fence, settle, timed, within};
use super::connection::Open;
use super::fence::{Record, judge, record};
use super::message::{Fence, Operation, SinkError, SinkMessage};
use super::owner::Records;
use super::turns::Turns;

/// Most of them in one pipeline: less than a millisecond of Redis.
const MOST: usize = 128;

/// One look: at which fence, and where the answer goes.
pub(super) type Look = (Fence, oneshot::Sender<Result<u64, SinkError>>);

/// This look, and those that wait behind it; and the message behind those, if that is another one.
pub(super) fn gather(
    first: Look,
    inbox: &mut Mailbox<SinkMessage>,
) -> (Vec<Look>, Option<SinkMessage>) {
    let mut looks = vec![first];
    while looks.len() < MOST {
        match inbox.try_recv() {
            Ok(SinkMessage::Look { fence, reply }) => looks.push((fence, reply)),
            Ok(other) => return (looks, Some(other)),
            Err(_) => break,
        }
    }
    (looks, None)
}

/// Reads all records in one pipeline, and each by itself where one of them cannot be read.
pub(super) async fn serve(looks: Vec<Look>, open: Open, records: Records, turns: Turns) -> Served {
    let mut redis = open.redis.clone();
    let read = read(&looks, &mut redis);
    let read = timed(&turns, within(&open.closed, read)).await;
    let mut served = Served {
        operation: Operation::Look,
        broken: None,
        error: None,
    };
    match read {
        Ok(read) => {
            let read = read.unwrap_or_default();
            for ((fence, reply), record) in looks.into_iter().zip(read) {
                let looked = Ok(judge(&fence, record));
                let of_it = answer(looked, fence, reply, &open, &records).await;
                served.error = served.error.or(of_it.error);
            }
        }
        Err(error) if needs_reconnect(&error) => {
            let error = classify(&error);
            for (_, reply) in looks {
                // A partition that has ended meanwhile does not wait for the reply.
                drop(reply.send(Err(error.clone().into())));
            }
            (served.broken, served.error) = (Some(open.number), Some(error));
        }
        Err(_) => {
            for (fence, reply) in looks {
                let looked = within(&open.closed, look(&fence, &mut redis)).await;
                let of_it = answer(looked, fence, reply, &open, &records).await;
                served.broken = served.broken.or(of_it.broken);
                served.error = served.error.or(of_it.error);
            }
        }
    }
    served
}

async fn answer(
    looked: CallResult<u64>,
    fence: Fence,
    reply: oneshot::Sender<Result<u64, SinkError>>,
    open: &Open,
    records: &Records,
) -> Served {
    let looked = on_fence(looked, &fence.key);
    let looked = records.explained(looked, open.redis.clone()).await;
    let (result, served) = settle(Operation::Look, open.number, looked);
    drop(reply.send(result));
    served
}

async fn read(looks: &[Look], redis: &mut RedisConnection) -> CallResult<Vec<Record>> {
    let mut pipe = redis::Pipeline::with_capacity(looks.len());
    for (fence, _) in looks {
        pipe.add_command(record(fence));
    }
    Ok(Ok(pipe.query_async(redis).await?))
}

/// The `seq_done` on record, if the fence is still this owner's.
async fn look(fence: &Fence, redis: &mut RedisConnection) -> CallResult<u64> {
    let found = record(fence).query_async(redis).await?;
    Ok(judge(fence, found))
}

#[cfg(test)]
mod tests {
    use kol_common::actor::mailbox;

    use super::*;

    fn look_at(number: u64) -> (SinkMessage, Look) {
        let fence = || Fence {
            key: format!("fence-{number}"),
            generation: 1,
            assignment_epoch: number,
        };
        let (reply, _) = oneshot::channel();
        let message = SinkMessage::Look {
            fence: fence(),
            reply,
        };
        (message, (fence(), oneshot::channel().0))
    }

    fn numbers(looks: &[Look]) -> Vec<u64> {
        looks.iter().map(|look| look.0.assignment_epoch).collect()
    }

    #[test]
    fn looks_that_wait_go_together_up_to_what_is_no_look() {
        let (sink, mut inbox) = mailbox("sink", 300);
        let (reply, _) = oneshot::channel();
        let other = SinkMessage::Tops {
            rankings: Vec::new(),
            reply,
        };
        let tops = |message| matches!(message, Some(SinkMessage::Tops { .. }));
        for message in [look_at(2).0, look_at(3).0, other, look_at(4).0] {
            sink.try_tell(message).unwrap();
        }
        let (looks, next) = gather(look_at(1).1, &mut inbox);
        assert_eq!((numbers(&looks), tops(next)), (vec![1, 2, 3], true));
        for number in 5..200 {
            sink.try_tell(look_at(number).0).unwrap();
        }
        let (looks, next) = gather(look_at(0).1, &mut inbox);
        assert!(next.is_none());
        assert_eq!((looks.len(), numbers(&looks)[1]), (MOST, 4));
    }
}
