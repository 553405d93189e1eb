//! A connection to a server that may hang up at once: with TLS 1.3 a client has finished its handshake before the server
//! looks at its certificate, and some servers close the connection without a word then.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls::{CLOSED, reason};

/// Why the newest connection ended before its first answer: a call that waited for that one may learn only that it was
/// cancelled. Cheap to clone; clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    /// What there is now.
    pub(super) fn now(&self) -> Option<String> {
        let held = self.0.lock();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, trouble: Option<String>) {
        let held = self.0.lock();
        *held.unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// See the module.
#[derive(Debug)]
pub struct Answering<S> {
    stream: S,
    has_answered: bool,
    trouble: Trouble,
}

impl<S> Answering<S> {
    pub(super) fn new(stream: S, trouble: Trouble) -> Self {
        Self {
            stream,
            has_answered: false,
            trouble,
        }
    }

    /// An error before the first answer says more, unless TLS itself says what is wrong.
    fn explain(&self, error: io::Error) -> io::Error {
        if self.has_answered {
            return error;
        }
        let of_tls = error.get_ref().and_then(|held| held.downcast_ref());
        self.trouble
            .set(Some(of_tls.map_or_else(|| CLOSED.to_owned(), reason)));
        if of_tls.is_some() { error } else { closed() }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, CLOSED)
}

impl<S: AsyncRead + Unpin> AsyncRead for Answering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Ready(Ok(())) if into.filled().len() > before => {
                self.has_answered = true;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(())) if !self.has_answered => Poll::Ready(Err(self.explain(closed()))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.explain(error))),
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Answering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        written.map_err(|error| self.explain(error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        flushed.map_err(|error| self.explain(error))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn a_server_that_hangs_up_before_its_first_word_is_said_to_and_one_that_does_later_is_not()
     {
        for words in [&b""[..], b"x"] {
            let (client, mut server) = duplex(64);
            server.write_all(words).await.unwrap();
            drop(server);
            let trouble = Trouble::default();
            let mut client = Answering::new(client, trouble.clone());
            let mut read = Vec::new();
            let ended = client
                .read_to_end(&mut read)
                .await
                .map_err(|e| e.to_string());
            let written = client.write_all(b"y").await.map_err(|e| e.to_string());
            let expected = words.is_empty().then(|| CLOSED.to_owned());
            assert_eq!(ended.err(), expected);
            assert_eq!(trouble.now(), expected);
            assert_eq!(written.unwrap_err() == CLOSED, words.is_empty());
        }
    }
}
