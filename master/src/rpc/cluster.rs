//! The executors' streams.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use kol_common::actor::{Address, Group};
use kol_common::proto::cluster_service_server::ClusterService;
use kol_common::proto::executor_message::Body;
use kol_common::proto::{ExecutorMessage, MasterMessage, Register};
use kol_common::{KolError, Millis};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::cluster::SessionId;
use crate::controller::{Handle, Message};

/// Longest wait for the registration, and to hand a message to the controller.
const REGISTER: Duration = Duration::from_secs(5);
const HAND_OVER: Duration = Duration::from_secs(15);
/// Messages to one executor that may wait: far more than a healthy one leaves unread.
const OUTGOING: usize = 1_024;

/// Accepts executors.
#[derive(Debug)]
pub struct ClusterRpc {
    controller: Handle,
    readers: Group,
    sessions: AtomicU64,
}

impl ClusterRpc {
    /// `readers` gets one task for each stream.
    pub fn new(controller: Handle, readers: Group) -> Self {
        Self {
            controller,
            readers,
            sessions: AtomicU64::new(1),
        }
    }
}

#[tonic::async_trait]
impl ClusterService for ClusterRpc {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<MasterMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<ExecutorMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let register = registration(&mut incoming).await?;
        let session = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
        let (sender, outgoing) = mpsc::channel(OUTGOING);
        let address = self.controller.address().clone();
        let opened = Message::Opened(session, Box::new(register), sender);
        address
            .tell(opened, HAND_OVER)
            .await
            .map_err(|e| Status::unavailable(e.to_string()))?;
        let stop = self.readers.stop_token();
        let _runs_by_itself = self.readers.spawn("session", async move {
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => Ok(()),
                ended = read(incoming, session, &address) => ended,
            };
            let closed = address.tell(Message::Closed(session), HAND_OVER).await;
            ended.and(closed.map_err(|e| KolError::internal("SESSION", e.to_string())))
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

async fn registration(incoming: &mut Streaming<ExecutorMessage>) -> Result<Register, Status> {
    let first = tokio::time::timeout(REGISTER, incoming.message())
        .await
        .map_err(|_| Status::deadline_exceeded("the first message, Register, did not come"))??;
    match first.and_then(|message| message.body) {
        Some(Body::Register(register)) if !register.incarnation.is_empty() => Ok(register),
        _ => Err(Status::invalid_argument(
            "a session starts with Register, with an incarnation",
        )),
    }
}

/// Hands on what the executor says, with the time it came, until the stream ends.
async fn read(
    mut incoming: Streaming<ExecutorMessage>,
    session: SessionId,
    address: &Address<Message>,
) -> Result<(), KolError> {
    // An error is a broken stream: the members' machine deals with it, by its end.
    while let Ok(Some(message)) = incoming.message().await {
        let Some(body) = message.body else {
            continue;
        };
        let said = Message::Said(session, Millis::now(), Box::new(body));
        address
            .tell(said, HAND_OVER)
            .await
            .map_err(|e| KolError::internal("SESSION", e.to_string()))?;
    }
    Ok(())
}
