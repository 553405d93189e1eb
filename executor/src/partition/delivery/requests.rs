//! The request to the sink that is under way: one at a time, so that a partition's writes keep their
//! order.

use kol_common::actor::AskError;
use kol_common::{JobId, KolError};
use redis::Cmd;
use tokio::sync::oneshot;

use crate::sink::{
    Claimed, Compared, Fence, FlushRequest, Flushed, Hashes, HashesRequest, Kept, Operation,
    ScanRequest, Scanned, Sink, SinkError, SinkMessage, SnapshotRequest,
};

/// See the module.
#[derive(Debug)]
pub struct Requests {
    job: JobId,
    sink: Sink,
    pending: Option<Pending>,
}

#[derive(Debug)]
enum Pending {
    Claim(oneshot::Receiver<Result<Claimed, SinkError>>),
    Look(oneshot::Receiver<Result<u64, SinkError>>),
    Flush(oneshot::Receiver<Result<Flushed, SinkError>>),
    Scan(oneshot::Receiver<Result<Scanned, SinkError>>),
    Hashes(oneshot::Receiver<Result<Hashes, SinkError>>),
    Compare(oneshot::Receiver<Result<Compared, SinkError>>),
    Tops(oneshot::Receiver<Result<Vec<Option<f64>>, SinkError>>),
    Snapshot(oneshot::Receiver<Result<Kept, SinkError>>),
}

/// An answer of the sink.
#[derive(Debug)]
pub enum Answer {
    /// To a claim.
    Claim(Result<Claimed, SinkError>),
    /// To a look at the fence.
    Look(Result<u64, SinkError>),
    /// To a flush.
    Flush(Result<Flushed, SinkError>),
    /// To a look at a ranking.
    Scan(Result<Scanned, SinkError>),
    /// To a look for hashes that nothing names.
    Hashes(Result<Hashes, SinkError>),
    /// To a comparison.
    Compare(Result<Compared, SinkError>),
    /// Where the visible tops of rankings end.
    Tops(Result<Vec<Option<f64>>, SinkError>),
    /// To snapshots of the rankings.
    Snapshot(Result<Kept, SinkError>),
}

impl Answer {
    /// What it answers.
    pub fn operation(&self) -> Operation {
        match self {
            Self::Claim(_) => Operation::Claim,
            Self::Look(_) => Operation::Look,
            Self::Flush(_) => Operation::Flush,
            Self::Scan(_) => Operation::Scan,
            Self::Hashes(_) => Operation::Hashes,
            Self::Compare(_) => Operation::Compare,
            Self::Tops(_) => Operation::Tops,
            Self::Snapshot(_) => Operation::Snapshot,
        }
    }

    /// Why it is not what was requested, if it is not.
    pub fn error(&self) -> Option<&SinkError> {
        match self {
            Self::Claim(a) => a.as_ref().err(),
            Self::Look(a) => a.as_ref().err(),
            Self::Flush(a) => a.as_ref().err(),
            Self::Scan(a) => a.as_ref().err(),
            Self::Hashes(a) => a.as_ref().err(),
            Self::Compare(a) => a.as_ref().err(),
            Self::Tops(a) => a.as_ref().err(),
            Self::Snapshot(a) => a.as_ref().err(),
        }
    }
}

impl Requests {
    /// Without a request under way.
    pub fn new(job: JobId, sink: Sink) -> Self {
        Self {
            job,
            sink,
            pending: None,
        }
    }

    /// Whether a request may be sent.
    pub fn are_idle(&self) -> bool {
        self.pending.is_none()
    }

    /// Raises the fence of a log, and reads which platforms have a ranking.
    pub fn claim(&mut self, fence: Fence, log: String, platforms: String, first: Vec<String>) {
        let (reply, answer) = oneshot::channel();
        let message = SinkMessage::Claim {
            fence,
            log,
            platforms,
            first,
            reply,
        };
        self.send(Pending::Claim(answer), message);
    }

    /// Looks whether the fence is as this owner left it.
    pub fn look(&mut self, fence: Fence) {
        let (reply, answer) = oneshot::channel();
        self.send(Pending::Look(answer), SinkMessage::Look { fence, reply });
    }

    /// Sends a flush.
    pub fn flush(&mut self, request: Box<FlushRequest>) {
        let (reply, answer) = oneshot::channel();
        let message = SinkMessage::Flush { request, reply };
        self.send(Pending::Flush(answer), message);
    }

    /// Reads a piece of a ranking.
    pub fn scan(&mut self, request: ScanRequest) {
        let (reply, answer) = oneshot::channel();
        let message = SinkMessage::Scan { request, reply };
        self.send(Pending::Scan(answer), message);
    }

    /// Looks for hashes that nothing names, in a piece of all keys.
    pub fn hashes(&mut self, request: HashesRequest) {
        let (reply, answer) = oneshot::channel();
        let message = SinkMessage::Hashes { request, reply };
        self.send(Pending::Hashes(answer), message);
    }

    /// Compares what was sent with what is there.
    pub fn compare(&mut self, fence: String, calls: Vec<Cmd>) {
        let (reply, answer) = oneshot::channel();
        let message = SinkMessage::Compare {
            fence,
            calls,
            reply,
        };
        self.send(Pending::Compare(answer), message);
    }

    /// Reads where the visible tops of these rankings end.
    pub fn tops(&mut self, rankings: Vec<String>) {
        let (reply, answer) = oneshot::channel();
        self.send(Pending::Tops(answer), SinkMessage::Tops { rankings, reply });
    }

    /// Keeps the first of each ranking as it is shown now.
    pub fn snapshot(&mut self, request: Box<SnapshotRequest>) {
        let (reply, answer) = oneshot::channel();
        let message = SinkMessage::Snapshot { request, reply };
        self.send(Pending::Snapshot(answer), message);
    }

    /// Waits for the sink's answer; forever while nothing is under way.
    pub async fn answer(&mut self) -> Answer {
        let gone = || SinkError::from(KolError::external("SINK_BUSY", "the sink is busy"));
        let answer = match &mut self.pending {
            None => std::future::pending().await,
            Some(Pending::Claim(rx)) => Answer::Claim(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Look(rx)) => Answer::Look(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Flush(rx)) => Answer::Flush(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Scan(rx)) => Answer::Scan(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Hashes(rx)) => Answer::Hashes(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Compare(rx)) => Answer::Compare(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Tops(rx)) => Answer::Tops(rx.await.unwrap_or_else(|_| Err(gone()))),
            Some(Pending::Snapshot(rx)) => {
                Answer::Snapshot(rx.await.unwrap_or_else(|_| Err(gone())))
            }
        };
        self.pending = None;
        answer
    }

    /// When the sink does not take the message the reply is dropped, which `answer` reads as "busy".
    fn send(&mut self, pending: Pending, message: SinkMessage) {
        self.pending = Some(pending);
        if let Err(AskError::Gone(_)) = self.sink.try_tell(message) {
            tracing::error!(code = "SINK_ENDED", job = %self.job, "the sink has ended");
        }
    }
}
