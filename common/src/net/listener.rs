//! Accepts connections, within limits. A handshake runs beside the loop: one that is slow holds up no other.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;

use super::connection::{Connection, Peer};
use super::credentials::{Credentials, is_executor};
use super::protection::Protection;
use super::session::Verified;
use crate::KolError;
use crate::actor::Group;

/// Accepted connections that wait to be served.
const WAITING: usize = 64;
/// Pause after the system could not accept, as when no file descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);

/// What a listener allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at one time. Others wait until one ends.
    pub connections: usize,
    /// How long a client may take to begin: its handshake, and then its first words.
    pub hello: Duration,
    /// Clients speak HTTP/2, else HTTP/1.
    pub http2: bool,
}

/// The connections of a listener, until the tasks are stopped.
pub fn accept(
    listener: TcpListener,
    protection: &Protection,
    limits: Limits,
    tasks: &Group,
) -> ReceiverStream<io::Result<Connection>> {
    let (sender, accepted) = mpsc::channel(WAITING);
    let door = Door {
        protection: protection.clone(),
        limits,
        room: Arc::new(Semaphore::new(limits.connections)),
        sender,
        tasks: tasks.clone(),
    };
    let _runs_by_itself = tasks.spawn("accept", door.run(listener));
    ReceiverStream::new(accepted)
}

struct Door {
    protection: Protection,
    limits: Limits,
    room: Arc<Semaphore>,
    sender: mpsc::Sender<io::Result<Connection>>,
    tasks: Group,
}

impl Door {
    async fn run(self, listener: TcpListener) -> Result<(), KolError> {
        let stop = self.tasks.stop_token();
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = self.sender.closed() => return Ok(()),
                accepted = self.next(&listener) => accepted,
            };
            match accepted {
                Ok((stream, address, permit)) => self.greet(stream, address, permit),
                Err(error) => {
                    // One connection that was reset before it was accepted, or no file descriptors.
                    tracing::debug!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn next(
        &self,
        listener: &TcpListener,
    ) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        let room = room.map_err(io::Error::other)?;
        let (stream, address) = listener.accept().await?;
        stream.set_nodelay(true)?;
        Ok((stream, address, room))
    }

    fn greet(&self, stream: TcpStream, address: SocketAddr, permit: OwnedSemaphorePermit) {
        let Limits { hello, http2, .. } = self.limits;
        let credentials = self.protection.credentials();
        let credentials = credentials.cloned();
        let sender = self.sender.clone();
        let greeting = async move {
            let opened = match credentials {
                None => Some(Connection::plain(stream, address, permit)),
                Some(credentials) => {
                    let config = if http2 {
                        credentials.grpc()
                    } else {
                        credentials.http()
                    };
                    let stream = handshake(config, stream, address, hello).await;
                    stream.map(|stream| verified(&credentials, stream, address, permit))
                }
            };
            let opened = opened.map(|connection| {
                if http2 {
                    connection.speaks_http2_within(hello)
                } else {
                    connection
                }
            });
            if let Some(connection) = opened {
                let _server_has_ended = sender.send(Ok(connection)).await;
            }
            Ok(())
        };
        let _runs_by_itself = self.tasks.spawn("handshake", greeting);
    }
}

/// `None` for a client that cannot be let in: whoever connects can make it fail, so it is no line of the log.
async fn handshake(
    config: Arc<ServerConfig>,
    stream: TcpStream,
    address: SocketAddr,
    limit: Duration,
) -> Option<TlsStream<TcpStream>> {
    let accepting = TlsAcceptor::from(config).accept(stream);
    match tokio::time::timeout(limit, accepting).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%address, %error, "a handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%address, "a handshake took too long");
            None
        }
    }
}

/// A connection that lasts as long as the certificate that its client showed, if it showed one, is valid.
fn verified(
    credentials: &Credentials,
    stream: TlsStream<TcpStream>,
    address: SocketAddr,
    permit: OwnedSemaphorePermit,
) -> Connection {
    let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let peer = Peer {
        address,
        is_executor: shown.first().is_some_and(is_executor),
    };
    let shows_one = !shown.is_empty();
    let session = shows_one.then(|| credentials.opened(shown, address.to_string()));
    Connection::tls(Verified::new(stream, session), peer, permit)
}
