//! An accepted connection, plain or over TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::session::Verified;

/// Length of what every client of HTTP/2 sends first.
const PREFACE: usize = 24;

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// Its address, as the connection has it: behind a proxy that is the proxy's.
    pub address: SocketAddr,
    /// It showed the certificate of an executor, which was verified.
    pub is_executor: bool,
}

/// See the module. It counts as one of the listener's until it is dropped.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    peer: Peer,
    hello: Option<Hello>,
    _counts: OwnedSemaphorePermit,
}

#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<Verified<TlsStream<TcpStream>>>),
}

/// The other end has to say something until then: a server of HTTP/2 would wait forever.
#[derive(Debug)]
struct Hello {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    pub(super) fn plain(
        stream: TcpStream,
        address: SocketAddr,
        counts: OwnedSemaphorePermit,
    ) -> Self {
        let peer = Peer {
            address,
            is_executor: false,
        };
        Self::new(Stream::Plain(stream), peer, counts)
    }

    pub(super) fn tls(
        stream: Verified<TlsStream<TcpStream>>,
        peer: Peer,
        counts: OwnedSemaphorePermit,
    ) -> Self {
        Self::new(Stream::Tls(Box::new(stream)), peer, counts)
    }

    fn new(stream: Stream, peer: Peer, counts: OwnedSemaphorePermit) -> Self {
        Self {
            stream,
            peer,
            hello: None,
            _counts: counts,
        }
    }

    /// Reading fails unless the start of HTTP/2 comes within this time.
    #[must_use]
    pub(super) fn speaks_http2_within(mut self, limit: Duration) -> Self {
        self.hello = Some(Hello {
            missing: PREFACE,
            deadline: Box::pin(sleep_until(Instant::now() + limit)),
        });
        self
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer
    }
}

impl Stream {
    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, into),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, into),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = into.filled().len();
        let read = this.stream.poll_read(cx, into);
        let Some(hello) = &mut this.hello else {
            return read;
        };
        hello.missing = hello.missing.saturating_sub(into.filled().len() - before);
        if hello.missing == 0 {
            this.hello = None;
        } else if hello.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
