//! A connection to a server that may hang up at once: with TLS 1.3 a client has finished its handshake before the server
//! looks at its certificate, and some servers close the connection without a word then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is said then. HTTP/2 keeps the text of an error, and nothing else of it.
pub(super) const CLOSED: &str =
    "it closed the connection at once: it may not accept the certificate of this process";

/// See the module.
#[derive(Debug)]
pub struct Answering<S> {
    stream: S,
    has_answered: bool,
}

impl<S> Answering<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            has_answered: false,
        }
    }

    /// An error before the first answer, unless TLS itself says what is wrong.
    fn explain(&self, error: io::Error) -> io::Error {
        let is_of_tls = error
            .get_ref()
            .is_some_and(|held| held.is::<rustls::Error>());
        if self.has_answered || is_of_tls {
            return error;
        }
        closed()
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
            Poll::Ready(Ok(())) if !self.has_answered => Poll::Ready(Err(closed())),
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
            let mut client = Answering::new(client);
            let mut read = Vec::new();
            let ended = client
                .read_to_end(&mut read)
                .await
                .map_err(|e| e.to_string());
            let written = client.write_all(b"y").await.map_err(|e| e.to_string());
            let expected = words.is_empty().then(|| CLOSED.to_owned());
            assert_eq!(ended.err(), expected);
            assert_eq!(written.unwrap_err() == CLOSED, words.is_empty());
        }
    }
}
