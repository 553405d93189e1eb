//! The sink's loop.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kol_common::KolError;
use kol_common::actor::{Address, Group, Mailbox, mailbox};
use kol_common::job::SinkSpec;
use kol_common::redis::{Connect, SCRIPTS_FORGOTTEN, classify};
use kol_common::secrets::Secrets;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind};
use tokio::sync::oneshot;

use super::connection::Connection;
use super::scan::{ScanRequest, Scanned, scan};
use super::script;

/// Requests that may wait, and that may be under way, at once.
const WAITING: usize = 256;
const UNDER_WAY: usize = 4;
/// Longest time one request may take in Redis.
const DEADLINE: Duration = Duration::from_secs(15);
/// Platforms that are looked at.
const MOST_PLATFORMS: usize = 1_000;

/// Where partitions send to.
pub type Sink = Address<SinkMessage>;

/// What a partition may ask for.
#[derive(Debug)]
pub enum SinkMessage {
    /// Raise the fence of a partition.
    Claim {
        /// The partition's fence.
        fence: Fence,
        /// Key of the set of all platforms.
        platforms: String,
        /// What the owner before left.
        reply: oneshot::Sender<Result<Claimed, SinkError>>,
    },
    /// Look whether the fence is as we left it.
    Look {
        /// The partition's fence.
        fence: Fence,
        /// The `seq_done` it records.
        reply: oneshot::Sender<Result<u64, SinkError>>,
    },
    /// Send a flush.
    Flush {
        /// What to send.
        request: Box<FlushRequest>,
        /// How long Redis took.
        reply: oneshot::Sender<Result<Duration, SinkError>>,
    },
    /// Look at a piece of a ranking.
    Scan {
        /// Which.
        request: ScanRequest,
        /// Who in it has a slot that the asker answers for.
        reply: oneshot::Sender<Result<Scanned, SinkError>>,
    },
}

/// A partition's fence record, and who may write behind it.
#[derive(Clone, Debug)]
pub struct Fence {
    /// Redis key.
    pub key: String,
    /// Generation of the job.
    pub generation: u64,
    /// Assignment epoch of the owner.
    pub epoch: u64,
}

/// What the fence record said when it was claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// Newest flush that was begun.
    pub begun: u64,
    /// Newest flush that ended.
    pub done: u64,
    /// Redis may show this partition up to this offset and window end: the new owner sends nothing
    /// until it has reached both.
    pub shown: Option<(u64, u64)>,
    /// Platforms that have a ranking, whoever wrote it.
    pub platforms: Vec<String>,
}

/// One flush of one partition.
#[derive(Debug)]
pub struct FlushRequest {
    /// The partition's fence.
    pub fence: Fence,
    /// Larger than that of any flush before.
    pub sequence: u64,
    /// Sequence of the last flush that Redis confirmed: a record that knows less is from a backup.
    pub confirmed: u64,
    /// Position and window end that the flush brings Redis to.
    pub shown: (u64, u64),
    /// Merge calls.
    pub merges: Vec<Cmd>,
    /// Keys of `last_update` and `last_event`.
    pub stamps: (String, String),
    /// The time now and the newest event time (may be empty), ISO 8601.
    pub times: (String, String),
}

/// Why Redis did not do as asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SinkError {
    /// Another owner holds the fence: this one must stop.
    #[error("another owner holds the fence")]
    Fenced,
    /// Redis lost the fence record, and with it data.
    #[error("Redis lost data")]
    Lost,
    /// Not now.
    #[error(transparent)]
    Unavailable(#[from] KolError),
}

/// Starts a sink; it ends when all addresses are gone.
pub fn start(group: &Group, network: Arc<dyn Connect>, spec: SinkSpec, secrets: Secrets) -> Sink {
    let (address, inbox) = mailbox("sink", WAITING);
    let _runs_by_itself = group.spawn("sink", async move {
        run(Connection::new(network, spec, secrets), inbox).await;
        Ok(())
    });
    address
}

/// Requests of different partitions may overlap; one partition sends its next only after the last
/// was answered, so its order is kept.
async fn run(mut connection: Connection, mut inbox: Mailbox<SinkMessage>) {
    let mut under_way: FuturesUnordered<BoxFuture<'static, Served>> = FuturesUnordered::new();
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            biased;
            // Answers first: they make room and tell of a broken connection.
            Some(served) = under_way.next(), if !under_way.is_empty() => {
                if let Some(number) = served.broken {
                    connection.close(number);
                }
                trouble.note(served.error.as_ref());
            }
            message = inbox.recv(), if under_way.len() < UNDER_WAY => {
                let Some(message) = message else { break };
                match connection.get().await {
                    Ok((number, open)) => under_way.push(Box::pin(serve(message, number, open))),
                    Err(error) => {
                        trouble.note(Some(&error));
                        refuse(message, error.into());
                    }
                }
            }
        }
    }
    while under_way.next().await.is_some() {}
}

/// Logs when Redis begins and ceases to be in trouble, not every request that fails meanwhile.
#[derive(Default)]
struct Trouble(Option<&'static str>);

impl Trouble {
    fn note(&mut self, error: Option<&KolError>) {
        let code = error.map(|e| e.code);
        // A forgotten script is loaded again at once: the next answer tells whether all is well.
        if code == self.0 || code == Some(SCRIPTS_FORGOTTEN) {
            return;
        }
        match error {
            Some(error) => {
                tracing::warn!(%error, "Redis does not take writes: scoring goes on in memory")
            }
            None => tracing::info!("Redis takes writes again"),
        }
        self.0 = code;
    }
}

/// How a request ended, for the loop.
struct Served {
    /// Number of a connection that proved broken.
    broken: Option<u64>,
    error: Option<KolError>,
}

fn refuse(message: SinkMessage, error: SinkError) {
    // A partition that has ended meanwhile does not wait for its answer.
    match message {
        SinkMessage::Claim { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Look { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Flush { reply, .. } => drop(reply.send(Err(error))),
        SinkMessage::Scan { reply, .. } => drop(reply.send(Err(error))),
    }
}

/// Serves one request.
async fn serve(message: SinkMessage, number: u64, mut open: MultiplexedConnection) -> Served {
    // A partition that has ended meanwhile does not wait for its answer.
    match message {
        SinkMessage::Claim {
            fence,
            platforms,
            reply,
        } => {
            let claimed = within(claim(&fence, &platforms, &mut open)).await;
            let (answer, served) = settle(number, claimed);
            drop(reply.send(answer));
            served
        }
        SinkMessage::Look { fence, reply } => {
            let (answer, served) = settle(number, within(look(&fence, &mut open)).await);
            drop(reply.send(answer));
            served
        }
        SinkMessage::Flush { request, reply } => {
            let (answer, served) = settle(number, within(flush(*request, &mut open)).await);
            drop(reply.send(answer));
            served
        }
        SinkMessage::Scan { request, reply } => {
            let (answer, served) = settle(number, within(scan(&request, &mut open)).await);
            drop(reply.send(answer));
            served
        }
    }
}

/// What a call to Redis ends with, before errors are sorted.
pub(super) type Answer<T> = Result<Result<T, SinkError>, RedisError>;

async fn within<T>(call: impl Future<Output = Answer<T>>) -> Answer<T> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(answer) => answer,
        Err(_) => Err(RedisError::from(std::io::Error::from(
            std::io::ErrorKind::TimedOut,
        ))),
    }
}

fn settle<T>(number: u64, answer: Answer<T>) -> (Result<T, SinkError>, Served) {
    let well = Served {
        broken: None,
        error: None,
    };
    match answer {
        Ok(answer) => (answer, well),
        Err(error) => {
            // An answer that Redis gave leaves the connection usable, all else does not.
            let broken = error.is_io_error() || error.is_connection_dropped() || error.is_timeout();
            let error = classify(&error);
            let served = Served {
                broken: broken.then_some(number),
                error: Some(error.clone()),
            };
            (Err(error.into()), served)
        }
    }
}

async fn claim(
    fence: &Fence,
    platforms: &str,
    open: &mut MultiplexedConnection,
) -> Answer<Claimed> {
    let answer: Vec<String> = script::CLAIM
        .key(&fence.key)
        .arg(fence.generation)
        .arg(fence.epoch)
        .invoke_async(open)
        .await?;
    let number = |i: usize| answer.get(i).and_then(|text| text.parse::<u64>().ok());
    if answer.first().map(String::as_str) != Some("CLAIMED") {
        return Ok(Err(SinkError::Fenced));
    }
    let mut platforms: Vec<String> = redis::cmd("SMEMBERS")
        .arg(platforms)
        .query_async(open)
        .await?;
    // Redis has them in no order, and nobody has that many.
    platforms.sort_unstable();
    platforms.truncate(MOST_PLATFORMS);
    Ok(Ok(Claimed {
        begun: number(1).unwrap_or(0),
        done: number(2).unwrap_or(0),
        shown: number(3).zip(number(4)),
        platforms,
    }))
}

async fn look(fence: &Fence, open: &mut MultiplexedConnection) -> Answer<u64> {
    let (generation, epoch, done): (Option<u64>, Option<u64>, Option<u64>) = redis::cmd("HMGET")
        .arg(&fence.key)
        .arg(&["gen", "ae", "done"])
        .query_async(open)
        .await?;
    let held = (generation.unwrap_or(0), epoch.unwrap_or(0));
    let ours = (fence.generation, fence.epoch);
    Ok(match held.cmp(&ours) {
        std::cmp::Ordering::Less => Err(SinkError::Lost),
        std::cmp::Ordering::Equal => Ok(done.unwrap_or(0)),
        std::cmp::Ordering::Greater => Err(SinkError::Fenced),
    })
}

/// Begin, merges and done in one pipeline: Redis runs them in this order, and each checks the fence
/// by itself.
async fn flush(request: FlushRequest, open: &mut MultiplexedConnection) -> Answer<Duration> {
    let begun = tokio::time::Instant::now();
    let answers: Vec<String> = match pipeline(request).query_async(open).await {
        Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
            // Some of the scripts may have run: the flush must be sent again under a new sequence.
            for script in script::all() {
                script.prepare_invoke().load_async(open).await?;
            }
            return Err(error);
        }
        answers => answers?,
    };
    let mut outcome = Ok(begun.elapsed());
    for answer in &answers {
        match answer.as_str() {
            "OK" => {}
            "NOFENCE" => return Ok(Err(SinkError::Lost)),
            other => match other.strip_prefix("BADKEY ") {
                Some(key) => outcome = Err(bad_key(key).into()),
                None => return Ok(Err(SinkError::Fenced)),
            },
        }
    }
    Ok(outcome)
}

fn bad_key(key: &str) -> KolError {
    let what = format!("the Redis key {key} is not a hash: the creator it belongs to is left out");
    KolError::external("SINK_KEY_TYPE", what)
        .help("Rename or delete that key, or give the job other keys ([sink.keys] in its spec).")
}

fn pipeline(request: FlushRequest) -> Pipeline {
    let fence = &request.fence;
    let mut pipe = Pipeline::with_capacity(request.merges.len() + 2);
    let mut begin = redis::cmd("EVALSHA");
    begin
        .arg(script::BEGIN.get_hash())
        .arg(1)
        .arg(&fence.key)
        .arg(fence.generation)
        .arg(fence.epoch)
        .arg(request.sequence)
        .arg(request.shown.0)
        .arg(request.shown.1)
        .arg(request.confirmed);
    pipe.add_command(begin);
    let mut done = redis::cmd("EVALSHA");
    done.arg(script::DONE.get_hash())
        .arg(3)
        .arg(&fence.key)
        .arg(&request.stamps.0)
        .arg(&request.stamps.1)
        .arg(fence.generation)
        .arg(fence.epoch)
        .arg(request.sequence)
        .arg(&request.times.0)
        .arg(&request.times.1);
    for merge in request.merges {
        pipe.add_command(merge);
    }
    pipe.add_command(done);
    pipe
}
