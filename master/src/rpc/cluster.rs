//! The executors' streams.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::Stream;
use kol_common::KolError;
use kol_common::proto::cluster_service_server::ClusterService;
use kol_common::proto::executor_message::Body;
use kol_common::proto::{ExecutorMessage, MasterMessage, Register};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::limits::is_presentable;
use crate::cluster::SessionId;
use crate::controller::Handle;
use crate::role::Roles;

/// Longest wait for the registration.
const REGISTER: Duration = Duration::from_secs(5);

/// Accepts the streams of executors.
#[derive(Debug)]
pub struct ClusterRpc {
    roles: Roles,
    sessions: AtomicU64,
}

impl ClusterRpc {
    /// For the executors of whoever leads: a follower has none.
    pub fn new(roles: Roles) -> Self {
        Self {
            roles,
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
        let (controller, readers) = match self.roles.leading() {
            Ok(leading) => leading,
            Err(refusal) => {
                // Whatever term it knows: it looks for a leader.
                let register = registration(&mut incoming, u64::MAX).await?;
                self.roles.refused(&register.incarnation);
                return Err(refusal.to_status());
            }
        };
        let register = registration(&mut incoming, controller.term()).await?;
        let session = SessionId(self.sessions.fetch_add(1, Ordering::Relaxed));
        let outgoing = controller.opened(session, register).await;
        let outgoing = outgoing.map_err(|e| Status::unavailable(e.to_string()))?;
        let stop = readers.stop_token();
        let _runs_by_itself = readers.spawn("session", async move {
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => Ok(()),
                ended = read(incoming, session, &controller) => ended,
            };
            ended.and(controller.closed(session).await)
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

async fn registration(
    incoming: &mut Streaming<ExecutorMessage>,
    term: u64,
) -> Result<Register, Status> {
    let first = tokio::time::timeout(REGISTER, incoming.message())
        .await
        .map_err(|_| Status::deadline_exceeded("the first message, Register, did not come"))??;
    if first.as_ref().is_some_and(|message| message.term > term) {
        return Err(superseded().to_status());
    }
    match first.and_then(|message| message.body) {
        Some(Body::Register(register)) => {
            is_presentable(&register)?;
            Ok(register)
        }
        _ => Err(Status::invalid_argument("a session starts with Register")),
    }
}

/// The executor has seen a master of a newer term.
fn superseded() -> KolError {
    KolError::external("MASTER_FOLLOWS", "another master leads, in a newer term")
}

/// Hands on what the executor sends until the stream ends.
async fn read(
    mut incoming: Streaming<ExecutorMessage>,
    session: SessionId,
    controller: &Handle,
) -> Result<(), KolError> {
    // An error is a broken stream: the members' machine deals with it, by its end.
    while let Ok(Some(message)) = incoming.message().await {
        if message.term > controller.term() {
            return Err(superseded());
        }
        if let Some(body) = message.body {
            controller.received(session, body).await?;
        }
    }
    Ok(())
}
