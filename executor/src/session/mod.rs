//! The stream to the master: opened, kept, opened again after it broke. Partitions do not notice.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use kol_common::actor::{Address, AskError};
use kol_common::net::Credentials;
use kol_common::proto::cluster_service_client::ClusterServiceClient;
use kol_common::proto::executor_message::Body;
use kol_common::proto::{ExecutorMessage, MasterMessage, Register, RunningPartition, UnseenRoot};
use kol_common::retry::Backoff;
use kol_common::{Incarnation, KolError};
pub use masters::urls_of;
use masters::{Masters, follows};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

mod masters;

/// Messages to the master that may wait.
const OUTGOING: usize = 256;
/// Longest time to be welcomed, and to hand an event to the supervisor.
const WELCOME: Duration = Duration::from_secs(5);
const HAND_OVER: Duration = Duration::from_secs(5);
/// First and longest wait between two attempts.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// What opens connections to masters.
pub trait Dial: std::fmt::Debug + Send + Sync {
    /// Opens one.
    ///
    /// # Errors
    /// The master cannot be reached.
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Channel, tonic::transport::Error>>;
}

/// Opens connections over this machine's network.
#[derive(Clone, Debug)]
pub struct Network {
    /// What a master with TLS is shown, as it is when a connection is opened.
    pub credentials: Option<Credentials>,
}

impl Dial for Network {
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Channel, tonic::transport::Error>> {
        Box::pin(async move {
            match &self.credentials {
                None => endpoint.connect().await,
                Some(credentials) => credentials.dialer().connect(endpoint).await,
            }
        })
    }
}

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
}

/// Who this executor is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// This life of the process.
    pub incarnation: Incarnation,
    /// Host name.
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
    let mut masters = Masters::parse(&route.master)?;
    let network = route.network;
    let mut backoff = Backoff::new(RETRY.0, RETRY.1);
    loop {
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            outcome = session(&*network, &masters, &identity, &supervisor, &ready) => outcome,
        };
        let registered = ready.send_replace(false);
        let sent = supervisor.tell(SessionEvent::Down, HAND_OVER).await;
        if matches!(sent, Err(AskError::Gone(_))) {
            return Ok(());
        }
        // However it ended: a master that is started again is back within the first waits.
        if registered {
            backoff.succeeded();
        }
        let master = masters.current().0.clone();
        // Without a pause as long as there is a master that may lead.
        let pause = if masters.advance() {
            backoff.failed()
        } else {
            Duration::ZERO
        };
        match outcome {
            Ok(()) => tracing::warn!(
                code = "SESSION_ENDED",
                %master, retry_in = ?pause, "the master ended the session: connecting again"
            ),
            Err(status) if follows(&status) => {
                tracing::info!(%master, %status, retry_in = ?pause, "a master that does not lead");
            }
            Err(status) => tracing::warn!(
                code = "SESSION_LOST",
                %master, %status, retry_in = ?pause,
                "no session with the master: partitions continue, connecting again"
            ),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// One stream, from its opening to its end.
async fn session(
    network: &dyn Dial,
    masters: &Masters,
    identity: &Identity,
    supervisor: &Address<SessionEvent>,
    ready: &watch::Sender<bool>,
) -> Result<(), tonic::Status> {
    let channel = network
        .dial(&masters.current().1)
        .await
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
        tracing::trace!(incarnation = %identity.incarnation, term = message.term, "a message of the master is taken");
        if let Some(kol_common::proto::master_message::Body::Welcome(w)) = &message.body {
            ready.send_replace(true);
            tracing::info!(executor = %w.executor_id, "registered with the master");
        }
        supervisor
            .tell(SessionEvent::Message(Box::new(message)), HAND_OVER)
            .await
            .map_err(gone)?;
    }
    Ok(())
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
