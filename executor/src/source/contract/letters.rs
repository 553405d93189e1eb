//! Records that cannot be used, on their way to a topic of their own. Nothing here knows a client.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::event::Reject;
use kol_common::{KolError, SourcePartition};
use tokio::sync::Notify;

/// A record that cannot be used.
#[derive(Clone, Copy, Debug)]
pub struct Rejected<'a> {
    /// The partition that it is named after; `None`: the one that is read.
    pub origin: Option<&'a SourcePartition>,
    /// Offset of the record in its partition.
    pub offset: u64,
    /// Its key as it came.
    pub key: Option<&'a [u8]>,
    /// Its value as it came.
    pub value: Option<&'a [u8]>,
    /// Why: a stable code.
    pub reason: Reject,
}

/// The same with its content, while it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The partition that it is named after; `None`: the one that is read.
    pub origin: Option<SourcePartition>,
    /// Offset of the record in its partition.
    pub offset: u64,
    /// Its key; none where even that is too large for the topic.
    pub key: Option<Vec<u8>>,
    /// Its value, or the beginning of it.
    pub value: Option<Vec<u8>>,
    /// Bytes of the whole value, if only its beginning is left.
    pub size: Option<usize>,
    /// Why it cannot be used.
    pub reason: Reject,
}

impl Letter {
    /// A copy of a record.
    pub fn of(rejected: &Rejected<'_>) -> Self {
        Self {
            origin: rejected.origin.cloned(),
            offset: rejected.offset,
            key: rejected.key.map(<[u8]>::to_vec),
            value: rejected.value.map(<[u8]>::to_vec),
            size: None,
            reason: rejected.reason,
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> usize {
        let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
        length(&self.key) + length(&self.value)
    }

    /// Memory that it takes, in bytes.
    pub fn memory(&self) -> usize {
        let length = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::capacity);
        size_of::<Self>() + length(&self.key) + length(&self.value)
    }

    /// Half of its value, then its key, is dropped: it was too large. Whether anything was left to drop.
    pub fn shorten(&mut self) -> bool {
        match &mut self.value {
            Some(value) if !value.is_empty() => {
                self.size.get_or_insert(value.len());
                value.truncate(value.len() / 2);
                true
            }
            _ => self.key.take().is_some(),
        }
    }
}

/// What became of a letter.
#[derive(Debug)]
pub enum Fate {
    /// The topic has it.
    Arrived,
    /// It was too large and is shorter now: to be offered again at once.
    Shortened(Letter),
    /// It could not be written, and is to be offered again.
    Returned(Letter, KolError),
    /// The topic will never take it, however short.
    Refused(KolError),
}

/// What became of the letters of one partition: filled by threads of the topic's client.
#[derive(Clone, Debug, Default)]
pub struct Receipts(Arc<Settled>);

#[derive(Debug, Default)]
struct Settled {
    fates: Mutex<Vec<(u64, Fate)>>,
    news: Notify,
}

impl Receipts {
    /// The receipt for the letter of this number.
    pub fn of(&self, number: u64) -> Receipt {
        Receipt {
            number,
            to: Arc::downgrade(&self.0),
        }
    }

    /// What is new, by number.
    pub fn take(&self) -> Vec<(u64, Fate)> {
        let mut fates = self.0.fates.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *fates)
    }

    /// Waits until something may be new.
    pub async fn news(&self) {
        self.0.news.notified().await;
    }
}

/// Goes with a letter, and says once what became of it.
#[derive(Debug)]
pub struct Receipt {
    number: u64,
    /// Gone once the partition was given back: then nobody waits.
    to: Weak<Settled>,
}

impl Receipt {
    /// It is settled.
    pub fn settle(self, fate: Fate) {
        let Some(settled) = self.to.upgrade() else {
            return;
        };
        let mut fates = settled.fates.lock().unwrap_or_else(PoisonError::into_inner);
        fates.push((self.number, fate));
        settled.news.notify_one();
    }
}

/// What became of a letter that was offered to a [`DeadLetterTopic`].
#[derive(Debug)]
pub enum Offered {
    /// Taken: the receipt will say more.
    Taken,
    /// There is no room: the caller keeps it and offers it again.
    NoRoom,
}

/// Where records that cannot be used are kept as they came, with their origin.
pub trait DeadLetterTopic: Debug + Send + Sync {
    /// Name of the topic.
    fn name(&self) -> &str;

    /// Offers one record of partition `origin`. The receipt is settled exactly once if it is taken.
    fn offer(&self, origin: &SourcePartition, letter: &Letter, receipt: Receipt) -> Offered;

    /// Memory that those on their way take, in bytes, about.
    fn bytes(&self) -> u64;

    /// Waits until everything that was taken is settled, or the deadline has passed; whether it is.
    fn flush(&self, deadline: Duration) -> BoxFuture<'static, bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_for_a_partition_that_was_given_back() {
        let receipts = Receipts::default();
        let (first, second) = (receipts.of(1), receipts.of(2));
        first.settle(Fate::Arrived);
        assert!(matches!(receipts.take()[..], [(1, Fate::Arrived)]));
        let settled = Arc::downgrade(&receipts.0);
        drop(receipts);
        assert!(settled.upgrade().is_none(), "a letter is under way still");
        second.settle(Fate::Arrived);
    }
}
