//! The masters that an executor was given: one of them leads. Which one, is found by calling them in turn; the newest
//! term that any of them named says who no longer does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kol_common::error::info_of;
use kol_common::{KolError, net};
use tonic::Status;
use tonic::transport::Endpoint;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(3);
/// Silence of the network after which the connection counts as broken.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// The URLs of a list that is separated by commas.
pub fn urls_of(masters: &str) -> impl Iterator<Item = &str> {
    masters.split(',').map(str::trim)
}

/// The masters, and whose turn it is.
pub(super) struct Masters {
    all: Vec<(String, Endpoint)>,
    turn: usize,
    term: Arc<AtomicU64>,
}

impl Masters {
    /// From URLs, separated by commas.
    ///
    /// # Errors
    /// One is not a URL.
    pub(super) fn parse(urls: &str) -> Result<Self, KolError> {
        let one = |url: &str| endpoint(url).map(|endpoint| (url.to_owned(), endpoint));
        Ok(Self {
            all: urls_of(urls).map(one).collect::<Result<_, _>>()?,
            turn: 0,
            term: Arc::default(),
        })
    }

    /// The one to call: its URL, and how.
    pub(super) fn current(&self) -> &(String, Endpoint) {
        &self.all[self.turn]
    }

    /// The next one is to be called. Answers whether all have had their turn.
    pub(super) fn advance(&mut self) -> bool {
        self.turn = (self.turn + 1) % self.all.len();
        self.turn == 0
    }

    /// The newest term that was seen, also by whoever sends messages meanwhile.
    pub(super) fn term(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.term)
    }

    /// Takes note of the term of a message.
    ///
    /// # Errors
    /// A newer one was seen: the master no longer leads, and nothing of its message counts.
    pub(super) fn accept(&self, term: u64) -> Result<(), Status> {
        let newest = self.term.fetch_max(term, Ordering::Relaxed);
        if term < newest {
            let error = KolError::external(
                FOLLOWS,
                format!("a master of term {term} no longer leads: term {newest} has begun"),
            );
            return Err(error.to_status());
        }
        Ok(())
    }
}

const FOLLOWS: &str = "MASTER_FOLLOWS";

/// Whether a master refused because it does not lead.
pub(super) fn follows(status: &Status) -> bool {
    info_of(status).is_some_and(|info| info.code == FOLLOWS)
}

fn endpoint(master: &str) -> Result<Endpoint, KolError> {
    let endpoint = net::endpoint(master).map_err(|e| {
        KolError::user("MASTER_URL", format!("`{master}` is not a URL: {e}"))
            .help("Give --master like http://127.0.0.1:7077, several separated by commas.")
    })?;
    Ok(endpoint
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_are_called_in_turn() {
        let mut masters = Masters::parse("http://a:1, http://b:2").unwrap();
        assert_eq!(masters.current().0, "http://a:1");
        assert!(!masters.advance(), "the other has not been called");
        assert_eq!(masters.current().0, "http://b:2");
        assert!(masters.advance());
        assert_eq!(masters.current().0, "http://a:1");
        assert_eq!(
            Masters::parse("http://a:1,").err().unwrap().code,
            "MASTER_URL"
        );
    }

    #[test]
    fn a_term_that_is_over_is_refused() {
        let masters = Masters::parse("http://a:1").unwrap();
        for term in [0, 3, 3, 5] {
            masters.accept(term).unwrap();
        }
        let refused = masters.accept(4).unwrap_err();
        assert!(follows(&refused), "{refused}");
        assert_eq!(masters.term().load(Ordering::Relaxed), 5);
    }
}
