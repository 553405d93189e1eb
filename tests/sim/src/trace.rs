//! What happened, as one number: everything that was delivered, with its virtual time. Two runs of
//! one seed must end with the same one.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use kol_common::Millis;

/// Start and factor of FNV-1a, 64 bits.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

/// Events that are shown of a simulation that hangs.
const NEWEST: usize = 10;

/// Everything that happened so far.
#[derive(Debug)]
pub struct Trace {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    hash: u64,
    messages: u64,
    newest: VecDeque<String>,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Nothing yet. With `lines` it keeps one for each event, to find where two runs part.
    pub fn new(lines: bool) -> Self {
        Self {
            inner: Mutex::new(Inner {
                hash: OFFSET,
                messages: 0,
                newest: VecDeque::new(),
                lines: lines.then(Vec::new),
            }),
        }
    }

    /// Something was delivered, or happened.
    pub fn note(&self, what: &str, bytes: &[u8]) {
        let now = super::world::time().0;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let all = now
            .to_le_bytes()
            .into_iter()
            .chain(what.bytes())
            .chain(bytes.iter().copied());
        let hash = all.fold(inner.hash, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(PRIME)
        });
        inner.hash = hash;
        inner.messages += 1;
        inner.newest.truncate(NEWEST - 1);
        let at = Millis(now).iso();
        let length = bytes.len();
        inner
            .newest
            .push_front(format!("{at} {what}, {length} bytes"));
        if let Some(lines) = &mut inner.lines {
            let shown = bytes.escape_ascii();
            lines.push(format!("{now} {what} {length} {shown}"));
        }
    }

    /// The number for all of it, and how many events there were.
    pub fn sum(&self) -> (u64, u64) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.hash, inner.messages)
    }

    /// The last events, newest first.
    pub fn newest(&self) -> Vec<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.newest.iter().cloned().collect()
    }

    /// The lines, if they were kept.
    pub fn lines(&self) -> Vec<String> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.lines.clone().unwrap_or_default()
    }
}
