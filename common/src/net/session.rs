//! Open connections whose other end showed a certificate: each is cut when that is no longer valid.
//!
//! 1. Whenever the files of a folder have changed, the certificate of each open connection is verified again, as in a
//!    handshake.
//! 2. One whose handshake began before the change and ended after it is verified when it is opened.
//! 3. A connection that is cut fails when it is read or written next; whoever waits for it wakes up.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::tls::{Chain, reason};

/// Whose certificate it is.
pub(super) struct Shown<W> {
    /// The certificate that the other end showed, with its chain.
    pub(super) chain: Chain,
    /// What it has to be valid for.
    pub(super) what: W,
    /// The address of the other end, for people.
    pub(super) peer: String,
}

struct Open<W> {
    shown: Arc<Shown<W>>,
    cut: CancellationToken,
}

struct All<W> {
    next: u64,
    open: BTreeMap<u64, Open<W>>,
}

/// See the module. Cheap to clone; clones are the same.
pub(super) struct Sessions<W>(Arc<Mutex<All<W>>>);

impl<W> Clone for Sessions<W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<W> std::fmt::Debug for Sessions<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl<W> Default for Sessions<W> {
    fn default() -> Self {
        let (next, open) = (0, BTreeMap::new());
        Self(Arc::new(Mutex::new(All { next, open })))
    }
}

impl<W: Send + Sync + 'static> Sessions<W> {
    /// A connection was opened. `verify` is called once it counts among those that are open, so that no change of the
    /// files comes between.
    pub(super) fn open(
        &self,
        shown: Shown<W>,
        verify: impl FnOnce(&Shown<W>) -> Result<(), rustls::Error>,
    ) -> Session {
        let (shown, cut) = (Arc::new(shown), CancellationToken::new());
        let open = Open {
            shown: Arc::clone(&shown),
            cut: cut.clone(),
        };
        let mut all = self.lock();
        let number = all.next;
        all.next += 1;
        all.open.insert(number, open);
        drop(all);
        if let Err(error) = verify(&shown) {
            end(&shown, &cut, &error);
        }
        let sessions = self.clone();
        let close = move || drop(sessions.lock().open.remove(&number));
        Session {
            cut: cut.clone(),
            wait: Box::pin(cut.cancelled_owned()),
            close: Box::new(close),
        }
    }

    /// Cuts those whose certificate is no longer valid.
    pub(super) fn verify(&self, verify: impl Fn(&Shown<W>) -> Result<(), rustls::Error>) {
        for open in self.lock().open.values() {
            if let Err(error) = verify(&open.shown) {
                end(&open.shown, &open.cut, &error);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, All<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn end<W>(shown: &Shown<W>, cut: &CancellationToken, error: &rustls::Error) {
    if !cut.is_cancelled() {
        tracing::warn!(
            code = "SESSION_CUT",
            peer = shown.peer,
            why = reason(error),
            "a connection is cut: the certificate of its other end is no longer valid"
        );
        cut.cancel();
    }
}

/// One open connection, until it is dropped.
pub(super) struct Session {
    cut: CancellationToken,
    wait: Pin<Box<WaitForCancellationFutureOwned>>,
    close: Box<dyn Fn() + Send + Sync>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.cut.fmt(f)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        (self.close)();
    }
}

impl Session {
    /// Whether it was cut; if not, the task is woken when it is.
    fn is_cut(&mut self, cx: &mut Context<'_>) -> bool {
        self.cut.is_cancelled() || self.wait.as_mut().poll(cx).is_ready()
    }
}

/// A stream that ends when its session is cut.
#[derive(Debug)]
pub struct Verified<S> {
    stream: S,
    session: Option<Session>,
}

impl<S> Verified<S> {
    /// Without a session it does not end.
    pub(super) fn new(stream: S, session: Option<Session>) -> Self {
        Self { stream, session }
    }
}

fn was_cut() -> io::Error {
    let what = "the certificate of the other end is no longer valid";
    io::Error::new(io::ErrorKind::ConnectionAborted, what)
}

impl<S: AsyncRead + Unpin> AsyncRead for Verified<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.session.as_mut().is_some_and(|s| s.is_cut(cx)) {
            return Poll::Ready(Err(was_cut()));
        }
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Verified<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The reader is the one to be woken.
        if self.session.as_ref().is_some_and(|s| s.cut.is_cancelled()) {
            return Poll::Ready(Err(was_cut()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    fn shown() -> Shown<()> {
        Shown {
            chain: Vec::new(),
            what: (),
            peer: "here".into(),
        }
    }

    #[tokio::test]
    async fn a_certificate_that_became_invalid_during_its_handshake_is_cut_at_once() {
        let sessions = Sessions::default();
        let invalid = |_: &Shown<()>| Err(rustls::Error::NoCertificatesPresented);
        for (session, read) in [
            (sessions.open(shown(), |_| Ok(())), Ok(7)),
            (
                sessions.open(shown(), invalid),
                Err(io::ErrorKind::ConnectionAborted),
            ),
        ] {
            let mut stream = Verified::new(&[7_u8][..], Some(session));
            assert_eq!(stream.read_u8().await.map_err(|e| e.kind()), read);
        }
        assert!(sessions.lock().open.is_empty(), "both are over");
    }
}
