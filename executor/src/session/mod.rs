//! The stream to the master: opened, kept, opened again after it broke. Partitions do not notice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub use dial::{Dial, Network};
use futures::StreamExt as _;
use kol_common::actor::{Address, AskError};
use kol_common::proto::cluster_service_client::ClusterServiceClient;
use kol_common::proto::executor_message::Body;
use kol_common::proto::master_message::Body as FromMaster;
use kol_common::proto::{ExecutorMessage, MasterMessage, Register, RunningPartition, UnseenRoot};
use kol_common::{Incarnation, KolError};
pub use masters::urls_of;
use masters::{Called, Masters, follows};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

mod dial;
mod masters;

/// Messages to the master that may wait: all partitions acknowledge an epoch at about the same time, and a master on a busy
/// host reads that later.
const OUTGOING: usize = 4_096;
/// Longest time to be welcomed, and to hand an event to the supervisor.
const WELCOME: Duration = Duration::from_secs(5);
const HAND_OVER: Duration = Duration::from_secs(5);

/// Where the masters are, and how to get there.
#[derive(Clone, Debug)]
pub struct Route {
    /// Their URLs, separated by commas.
    pub master: String,
    /// Opens connections to them.
    pub network: Arc<dyn Dial>,
}

/// What happens to the session, for the supervisor.
#[derive(Debug)]
pub enum SessionEvent {
    /// A new stream: answer with what the registration says.
    Up(Up),
    /// A message of the master.
    Message(Box<MasterMessage>),
    /// The stream broke.
    Down,
}

/// A new stream.
#[derive(Debug)]
pub struct Up {
    /// Where messages to the master go.
    pub sender: mpsc::Sender<ExecutorMessage>,
    /// Gets what the registration says.
    pub account: oneshot::Sender<Account>,
}

/// What an executor says of itself when it registers.
#[derive(Debug, Default)]
pub struct Account {
    /// What it runs.
    pub running: Vec<RunningPartition>,
    /// The places of state files that it does not see.
    pub unseen_roots: Vec<UnseenRoot>,
    /// A person moves its partitions away.
    pub draining: bool,
}

/// Who this executor is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// This life of the process.
    pub incarnation: Incarnation,
    /// Name of the host, as people know it.
    pub host: String,
    /// What the host fails together with; may be empty.
    pub zone: String,
    /// Address of the HTTP server.
    pub http: String,
    /// Cores for partitions.
    pub cores: u32,
    /// Memory limit, bytes.
    pub memory_bytes: u64,
    /// What people must know of its protection.
    pub warnings: Vec<String>,
}

/// Keeps a session until it is stopped, or until its stream ends after the supervisor has: then all
/// partitions are given back, and the master has read everything. `ready` says whether the master knows
/// this executor now.
///
/// # Errors
/// A master's address is not a URL.
pub async fn run(
    route: Route,
    identity: Identity,
    supervisor: Address<SessionEvent>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<(), KolError> {
    let mut masters = Masters::parse(&route.master, route.network)?;
    loop {
        let called = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            called = masters.next() => called,
        };
        let master = called.master;
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            outcome = session(called, &mut masters, &identity, &supervisor, &ready) => outcome,
        };
        let registered = ready.send_replace(false);
        let sent = supervisor.tell(SessionEvent::Down, HAND_OVER).await;
        if matches!(sent, Err(AskError::Gone(_))) {
            return Ok(());
        }
        // However it ended: a master that is started again is back within the first pauses.
        let pause = if registered {
            masters.ended(master)
        } else {
            masters.refused(master)
        };
        let master = masters.url(master);
        match outcome {
            Ok(()) => tracing::warn!(
                code = "SESSION_ENDED",
                %master, retry_in = ?pause, "the master ended the session: connecting again"
            ),
            Err(status) if follows(&status) => {
                tracing::info!(code = "SESSION_FOLLOWS", %master, %status, retry_in = ?pause, "a master that does not lead");
            }
            Err(status) => tracing::warn!(
                code = "SESSION_LOST",
                %master, %status, retry_in = ?pause,
                "no session with the master: partitions continue, connecting again"
            ),
        }
    }
}

/// One stream to a master, from its opening to its end.
async fn session(
    called: Called,
    masters: &mut Masters,
    identity: &Identity,
    supervisor: &Address<SessionEvent>,
    ready: &watch::Sender<bool>,
) -> Result<(), tonic::Status> {
    let channel = called
        .connected
        .map_err(|e| tonic::Status::unavailable(chain(&e)))?;
    let (sender, outgoing) = mpsc::channel(OUTGOING);
    let mut client = ClusterServiceClient::new(channel).max_decoding_message_size(64 << 20);

    // The registration goes first, so what it says is requested before the stream is opened; what the
    // supervisor puts into the queue from then on comes after it.
    let (account_in, account) = oneshot::channel();
    let up = Up {
        sender,
        account: account_in,
    };
    let gone = |_| tonic::Status::cancelled("the supervisor has ended");
    supervisor
        .tell(SessionEvent::Up(up), HAND_OVER)
        .await
        .map_err(gone)?;
    let account = account
        .await
        .map_err(|_| tonic::Status::cancelled("the supervisor has ended"))?;
    let register = futures::stream::iter([registration(identity, account)]);
    let term = masters.term();
    let stream = register.chain(ReceiverStream::new(outgoing));
    let stream = stream.map(move |message| ExecutorMessage {
        term: term.load(Ordering::Relaxed),
        ..message
    });
    let opened = tokio::time::timeout(WELCOME, client.session(stream)).await;
    let mut incoming = opened
        .map_err(|_| tonic::Status::deadline_exceeded("the master did not open the stream"))??
        .into_inner();
    while let Some(message) = incoming.message().await? {
        masters.accept(message.term)?;
        tracing::trace!(
            incarnation = %identity.incarnation,
            term = message.term,
            assigns = matches!(message.body, Some(FromMaster::Assign(_))),
            drains = drains(&message),
            "a message of the master is taken"
        );
        if let Some(FromMaster::Welcome(w)) = &message.body {
            masters.welcomed();
            ready.send_replace(true);
            tracing::info!(code = "SESSION_BEGINS", executor = %w.executor_id, "registered with the master");
        }
        supervisor
            .tell(SessionEvent::Message(Box::new(message)), HAND_OVER)
            .await
            .map_err(gone)?;
    }
    Ok(())
}

/// Whether a message says that this executor drains, or no longer.
fn drains(message: &MasterMessage) -> Option<bool> {
    match &message.body {
        Some(FromMaster::Drain(drain)) => Some(drain.draining),
        _ => None,
    }
}

fn registration(identity: &Identity, account: Account) -> ExecutorMessage {
    ExecutorMessage {
        body: Some(Body::Register(Register {
            incarnation: identity.incarnation.as_str().to_owned(),
            host: identity.host.clone(),
            http: identity.http.clone(),
            cores: identity.cores,
            memory_bytes: identity.memory_bytes,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            running: account.running,
            unseen_roots: account.unseen_roots,
            warnings: identity.warnings.clone(),
            zone: identity.zone.clone(),
            prepares: true,
            draining: account.draining,
        })),
        ..ExecutorMessage::default()
    }
}

/// An error with its causes: what tonic says alone is "transport error".
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
