//! A batch of records: borrowed from librdkafka until the batch is dropped, or held by it.

use std::ptr::NonNull;
use std::sync::Arc;

use kol_common::Millis;
use rdkafka::bindings as ffi;
use rdkafka::types::{RDKafkaMessage, RDKafkaRespErr};

/// Something that the client put in place of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What happened; `__PARTITION_EOF` says that everything before `offset` was read.
    pub code: RDKafkaRespErr,
    /// Where.
    pub offset: u64,
}

/// Records of one partition, in offset order.
#[derive(Debug, Default)]
pub struct Batch {
    messages: Vec<NonNull<RDKafkaMessage>>,
    held: Vec<Arc<Held>>,
}

/// A record that does not come from librdkafka.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Where it stands in its partition.
    pub offset: u64,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
    /// When it was appended; `None` if the log does not say.
    pub timestamp: Option<Millis>,
}

// SAFETY: the messages are owned by this batch alone, and librdkafka allows a message to be read and
// destroyed by any thread.
unsafe impl Send for Batch {}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Kafka offset.
    pub offset: u64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The Kafka timestamp, whichever its type; `None` if the log has none.
    pub timestamp: Option<Millis>,
}

impl Batch {
    /// Room for `capacity` records, to be filled again and again.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            messages: Vec::with_capacity(capacity),
            held: Vec::new(),
        }
    }

    /// Holds these records instead of what it had.
    pub fn hold(&mut self, records: impl IntoIterator<Item = Arc<Held>>) {
        self.clear();
        self.held.extend(records);
    }

    /// Takes what the queue has, up to the capacity, without waiting.
    ///
    /// # Safety
    /// `queue` is a live queue of a live client that outlives the messages.
    pub(super) unsafe fn fill(&mut self, queue: *mut ffi::rd_kafka_queue_t, limit: usize) {
        self.clear();
        let limit = limit.min(self.messages.capacity());
        // SAFETY: NonNull<T> has the layout of *mut T; librdkafka writes `taken` valid pointers, at
        // most `limit` of them, into spare capacity that is at least that large.
        unsafe {
            let spare = self.messages.as_mut_ptr().cast::<*mut RDKafkaMessage>();
            let taken = ffi::rd_kafka_consume_batch_queue(queue, 0, spare, limit);
            self.messages.set_len(usize::try_from(taken).unwrap_or(0));
        }
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.messages.len() + self.held.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The records, or the client's marks in their places. `for_each` goes through them fastest.
    pub fn records(&self) -> impl Iterator<Item = Result<Record<'_>, Mark>> {
        let held = self.held.iter().map(|record| {
            Ok(Record {
                offset: record.offset,
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                timestamp: record.timestamp,
            })
        });
        self.borrowed().chain(held)
    }

    fn borrowed(&self) -> impl Iterator<Item = Result<Record<'_>, Mark>> {
        self.messages.iter().map(|message| {
            // SAFETY: the message lives until this batch is cleared, which needs `&mut self`.
            let m = unsafe { message.as_ref() };
            if m.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return Err(Mark {
                    code: m.err,
                    offset: u64::try_from(m.offset).unwrap_or(0),
                });
            }
            let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
            // SAFETY: as above; `kind` is written only.
            let timestamp =
                unsafe { ffi::rd_kafka_message_timestamp(message.as_ptr(), &raw mut kind) };
            Ok(Record {
                offset: u64::try_from(m.offset).unwrap_or(0),
                // SAFETY: librdkafka keeps `len` bytes at `payload` while the message lives.
                key: unsafe { bytes(m.key.cast(), m.key_len) },
                // SAFETY: as above.
                value: unsafe { bytes(m.payload.cast(), m.len) },
                timestamp: u64::try_from(timestamp).ok().map(Millis),
            })
        })
    }

    fn clear(&mut self) {
        self.held.clear();
        for message in self.messages.drain(..) {
            // SAFETY: each message is owned by this batch and destroyed once.
            unsafe { ffi::rd_kafka_message_destroy(message.as_ptr()) };
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// # Safety
/// `data` is null, or `len` bytes are readable there for `'a`.
unsafe fn bytes<'a>(data: *const u8, len: usize) -> Option<&'a [u8]> {
    if data.is_null() {
        return None;
    }
    // SAFETY: by the caller's promise.
    Some(unsafe { std::slice::from_raw_parts(data, len) })
}
