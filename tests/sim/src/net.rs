//! Sockets: real tonic and the real Redis client over turmoil's streams. What is read is noted in the
//! trace.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use kol_common::KolError;
use kol_common::actor::Group;
use kol_common::job::SinkSpec;
use kol_common::redis::{Connect, RedisConnection, classify};
use kol_common::secrets::Secrets;
use kol_executor::session::Dial;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use turmoil::net::{TcpListener, TcpStream};

use super::pause::Pause;
use super::trace::Trace;

/// As the product has them for a network of machines.
const CONNECT: Duration = Duration::from_secs(3);
const RESPONSE: Duration = Duration::from_secs(10);

/// Opens connections to other hosts of the simulation. Each life of a host has its own.
#[derive(Clone, Debug)]
pub struct Net {
    trace: Arc<Trace>,
    pause: Pause,
    sockets: Arc<Mutex<Vec<Socket>>>,
}

/// A stream, until it is closed.
type Socket = Arc<Mutex<Option<TcpStream>>>;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Net {
    /// Notes in `trace` what is read; nothing is while `pause` has the process stopped.
    pub fn new(trace: Arc<Trace>, pause: Pause) -> Self {
        Self {
            trace,
            pause,
            sockets: Arc::default(),
        }
    }

    /// Closes everything, in the order in which it was opened: what uses it hears no more. A runtime
    /// that is dropped would do it in an order that depends on what else the process has run.
    pub fn close_all(&self) {
        for socket in lock(&self.sockets).drain(..) {
            lock(&socket).take();
        }
    }

    /// Connections that others open to this host, for gRPC.
    pub async fn listen(self, port: u16) -> io::Result<impl Stream<Item = io::Result<Io>>> {
        let listener = TcpListener::bind(("0.0.0.0", port)).await?;
        Ok(futures::stream::unfold(
            (listener, self),
            |(listener, net)| async move {
                let accepted = listener.accept().await;
                let io = accepted.map(|(stream, _)| net.io(stream, Some(Frames::of_client())));
                Some((io, (listener, net)))
            },
        ))
    }

    /// A stream whose bytes are noted as they come, for Redis.
    pub fn raw(&self, stream: TcpStream) -> Io {
        self.io(stream, None)
    }

    fn io(&self, stream: TcpStream, frames: Option<Frames>) -> Io {
        let name = |address: io::Result<std::net::SocketAddr>| {
            let host = address.ok().and_then(|a| turmoil::reverse_lookup(a.ip()));
            host.unwrap_or_default()
        };
        let (from, to) = (name(stream.peer_addr()), name(stream.local_addr()));
        let label = format!("{from}>{to}");
        self.trace.note(&format!("{label} is open"), &[]);
        let socket = Arc::new(Mutex::new(Some(stream)));
        let mut sockets = lock(&self.sockets);
        sockets.retain(|socket| Arc::strong_count(socket) > 1);
        sockets.push(Arc::clone(&socket));
        Io {
            socket,
            label,
            trace: Arc::clone(&self.trace),
            pause: self.pause.clone(),
            frames,
        }
    }

    /// A channel that connects when it is used first.
    pub fn lazily(&self, endpoint: &Endpoint) -> Channel {
        endpoint.connect_with_connector_lazy(self.connector())
    }

    fn connector(
        &self,
    ) -> impl tower::Service<Uri, Response = TokioIo<Io>, Error = io::Error, Future: Send> + Send + 'static
    {
        let net = self.clone();
        tower::service_fn(move |uri: Uri| {
            let net = net.clone();
            async move {
                let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16());
                let frames = Some(Frames::default());
                let io = net.open(host, port.unwrap_or_default(), frames).await?;
                Ok::<_, io::Error>(TokioIo::new(io))
            }
        })
    }

    async fn open(&self, host: &str, port: u16, frames: Option<Frames>) -> io::Result<Io> {
        self.trace.note(&format!("to {host}: connects"), &[]);
        let stream = TcpStream::connect((host, port)).await?;
        Ok(self.io(stream, frames))
    }

    async fn redis(&self, spec: &SinkSpec) -> Result<RedisConnection, KolError> {
        let place = spec.url.trim_start_matches("redis://");
        let (host, port) = place.split_once(':').unwrap_or((place, "6379"));
        let opening = self.open(host, port.parse().unwrap_or(6379), None);
        let opened = tokio::time::timeout(CONNECT, opening).await;
        let timed_out = |_| io::Error::from(io::ErrorKind::TimedOut);
        let io = opened.map_err(timed_out).and_then(|opened| opened);
        let io = io.map_err(|e| classify(&e.into()))?;
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(RESPONSE));
        let info = RedisConnectionInfo::default();
        let made = MultiplexedConnection::new_with_config(&info, io, config);
        let (connection, driver) = tokio::time::timeout(CONNECT, made)
            .await
            .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
            .map_err(|e| classify(&e))?;
        let _ends_with_the_connection = Group::new("redis").spawn("redis", async move {
            driver.await;
            Ok(())
        });
        Ok(connection.into())
    }
}

impl Dial for Net {
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Channel, tonic::transport::Error>> {
        Box::pin(endpoint.connect_with_connector(self.connector()))
    }
}

impl Connect for Net {
    fn connect<'a>(
        &'a self,
        spec: &'a SinkSpec,
        _secrets: &'a Secrets,
    ) -> BoxFuture<'a, Result<RedisConnection, KolError>> {
        Box::pin(self.redis(spec))
    }
}

/// A stream that notes what is read from it.
#[derive(Debug)]
pub struct Io {
    socket: Socket,
    label: String,
    trace: Arc<Trace>,
    pause: Pause,
    frames: Option<Frames>,
}

impl Io {
    /// Polls the stream; one that was closed under its user never answers.
    fn stream<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.pause.poll(cx).is_pending() {
            return Poll::Pending;
        }
        let mut socket = lock(&self.socket);
        socket
            .as_mut()
            .map_or(Poll::Pending, |stream| poll(Pin::new(stream), cx))
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = self.stream(cx, |stream, cx| stream.poll_read(cx, buf));
        let read = &buf.filled()[before..];
        if !read.is_empty() {
            let this = &mut *self;
            match &mut this.frames {
                Some(frames) => frames.take(read, |frame| this.trace.note(&this.label, frame)),
                None => this.trace.note(&this.label, read),
            }
        }
        outcome
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // Of a host that died the streams are closed already, and this says nothing.
        if lock(&self.socket).is_some() {
            self.trace.note(&format!("{} is closed", self.label), &[]);
        }
    }
}

impl Connected for Io {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

/// Bytes of a frame's head, and of what a client says before its first frame.
const HEAD: usize = 9;
const PREFACE: usize = 24;
/// Frames with headers: they hold the date of the real clock.
const HEADERS: [u8; 2] = [1, 9];

/// Takes an HTTP/2 stream apart, so that everything but headers can be noted.
#[derive(Debug, Default)]
struct Frames {
    skip: usize,
    pending: Vec<u8>,
}

impl Frames {
    /// What comes from a client.
    fn of_client() -> Self {
        Self {
            skip: PREFACE,
            pending: Vec::new(),
        }
    }

    fn take(&mut self, bytes: &[u8], mut whole: impl FnMut(&[u8])) {
        self.pending.extend_from_slice(bytes);
        let skipped = self.skip.min(self.pending.len());
        self.skip -= skipped;
        let mut at = skipped;
        while self.pending.len() >= at + HEAD {
            let head = &self.pending[at..at + HEAD];
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let end = at + HEAD + length;
            if self.pending.len() < end {
                break;
            }
            if !HEADERS.contains(&head[3]) {
                whole(&self.pending[at..end]);
            }
            at = end;
        }
        self.pending.drain(..at);
    }
}
