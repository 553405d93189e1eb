//! Records of one batch, borrowed from librdkafka until the batch is filled again or dropped.

use std::ffi::CStr;
use std::ptr::NonNull;

use kol_common::Millis;
use kol_common::kafka::classify;
use rdkafka::bindings as ffi;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaMessage, RDKafkaRespErr};

use crate::source::contract::{Chunk, Entry, Headers, Mark, ReadError, Record, Storage};

/// Messages that librdkafka handed over.
#[derive(Debug, Default)]
pub(super) struct Messages(Vec<NonNull<RDKafkaMessage>>);

// SAFETY: the messages are owned by this value alone, and librdkafka allows a message to be read and
// destroyed by any thread.
unsafe impl Send for Messages {}

impl Messages {
    /// Takes what the queue has, up to `limit`, without waiting.
    ///
    /// # Safety
    /// `queue` is a live queue of a live client that outlives the messages.
    pub(super) unsafe fn fill(&mut self, queue: *mut ffi::rd_kafka_queue_t, limit: usize) {
        self.destroy();
        self.0.reserve(limit);
        // SAFETY: NonNull<T> has the layout of *mut T; librdkafka writes `taken` valid pointers, at
        // most `limit` of them, into spare capacity that is at least that large.
        unsafe {
            let spare = self.0.as_mut_ptr().cast::<*mut RDKafkaMessage>();
            let taken = ffi::rd_kafka_consume_batch_queue(queue, 0, spare, limit);
            self.0.set_len(usize::try_from(taken).unwrap_or(0));
        }
    }

    /// Bytes of keys and values of the first message; it stands for all.
    pub(super) fn bytes_of_first(&self) -> Option<usize> {
        // SAFETY: the message lives until `destroy`, which needs `&mut self`.
        let message = unsafe { self.0.first()?.as_ref() };
        Some(message.len + message.key_len)
    }

    /// Number of the broker that gave the last record.
    pub(super) fn broker(&self) -> Option<i32> {
        let last = self.last_record()?;
        // SAFETY: the message lives until `destroy`, which needs `&mut self`.
        Some(unsafe { ffi::rd_kafka_message_broker_id(last.as_ptr()) })
    }

    /// The last message that is a record.
    fn last_record(&self) -> Option<NonNull<RDKafkaMessage>> {
        let no_error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
        // SAFETY: as above.
        let is_record = |m: &&NonNull<RDKafkaMessage>| unsafe { m.as_ref() }.err == no_error;
        self.0.iter().rev().find(is_record).copied()
    }

    fn destroy(&mut self) {
        for message in self.0.drain(..) {
            // SAFETY: each message is owned by this value and destroyed once.
            unsafe { ffi::rd_kafka_message_destroy(message.as_ptr()) };
        }
    }
}

impl Storage for Messages {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.destroy();
    }

    fn read<'a>(&'a self, from: usize, chunk: &mut Chunk<'a>) {
        let rest = self.0.get(from..).unwrap_or_default();
        chunk.fill(rest.iter().map(|message| {
            // SAFETY: the message lives until `destroy`, which needs `&mut self`.
            unsafe { entry(message.as_ref()) }
        }));
    }

    fn leader_epoch(&self) -> Option<i32> {
        let last = self.last_record()?;
        // SAFETY: the message lives until `clear`, which needs `&mut self`.
        let epoch = unsafe { ffi::rd_kafka_message_leader_epoch(last.as_ptr()) };
        (epoch >= 0).then_some(epoch)
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.destroy();
    }
}

/// A message whose headers may be looked at.
#[derive(Debug)]
#[repr(transparent)]
struct Message(RDKafkaMessage);

// SAFETY: librdkafka allows a message to be read by any thread; the batch that has it is read by one at a time.
unsafe impl Sync for Message {}

impl Message {
    fn of(message: &RDKafkaMessage) -> &Self {
        // SAFETY: it has the layout of what it wraps, and lives as long.
        unsafe { &*std::ptr::from_ref(message).cast() }
    }
}

impl Headers for Message {
    fn value(&self, name: &CStr) -> Option<&[u8]> {
        let no_error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
        let (mut headers, mut value, mut size) = (std::ptr::null_mut(), std::ptr::null(), 0);
        // SAFETY: the message is alive; headers and value belong to it, and the name ends with a zero.
        unsafe {
            if ffi::rd_kafka_message_headers(&raw const self.0, &raw mut headers) != no_error {
                return None;
            }
            let (value_to, size_to) = (&raw mut value, &raw mut size);
            let found = ffi::rd_kafka_header_get_last(headers, name.as_ptr(), value_to, size_to);
            if found != no_error {
                return None;
            }
            bytes(value.cast(), size)
        }
    }
}

/// # Safety
/// librdkafka owns what the message points to for `'a`.
unsafe fn entry(message: &RDKafkaMessage) -> Entry<'_> {
    let offset = u64::try_from(message.offset).unwrap_or(0);
    if message.err != RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        // SAFETY: the message is alive by the caller's promise, and so is its text, which ends with a zero.
        let text = unsafe {
            let text = ffi::rd_kafka_message_errstr(message);
            (!text.is_null()).then(|| CStr::from_ptr(text))
        };
        return Err(mark(message.err, offset, text.unwrap_or_default()));
    }
    let mut kind = ffi::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    // SAFETY: the message is alive by the caller's promise; `kind` is written only.
    let timestamp = unsafe { ffi::rd_kafka_message_timestamp(message, &raw mut kind) };
    Ok(Record {
        offset,
        // SAFETY: librdkafka keeps `len` bytes at `payload` while the message lives.
        key: unsafe { bytes(message.key.cast(), message.key_len) },
        // SAFETY: as above.
        value: unsafe { bytes(message.payload.cast(), message.len) },
        timestamp: u64::try_from(timestamp).ok().map(Millis),
        headers: Some(Message::of(message)),
    })
}

/// The client's text about a log that was cut off has this before the offset of the cut, or before -1
/// where nothing is left.
const CUT_AT: &str = "broker end offset is ";

/// Where a log was cut off, if that is what the client's text says. The client has no other word for it: its
/// code is the one of every offset that the log does not have.
fn cut(text: &CStr) -> Option<u64> {
    let text = text.to_string_lossy();
    // SAFETY: the client's texts of its codes are constants.
    let name = unsafe {
        let code = RDKafkaRespErr::RD_KAFKA_RESP_ERR__LOG_TRUNCATION;
        CStr::from_ptr(ffi::rd_kafka_err2str(code)).to_string_lossy()
    };
    text.contains(&*name).then(|| {
        let (_, end) = text.split_once(CUT_AT).unwrap_or_default();
        let digits = end.find(|c: char| !c.is_ascii_digit());
        end[..digits.unwrap_or(end.len())].parse().unwrap_or(0)
    })
}

#[cold]
fn mark(code: RDKafkaRespErr, offset: u64, text: &CStr) -> Mark {
    match code {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Mark::EndOfPartition { offset },
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET => Mark::Failed(match cut(text) {
            Some(end) => ReadError::Truncated { end },
            None => ReadError::OffsetOutOfRange,
        }),
        code => {
            let error = classify(&KafkaError::MessageConsumption(code.into()));
            Mark::Failed(ReadError::Client(Box::new(error)))
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clients_marks_say_what_the_partition_does_about_them() {
        use RDKafkaRespErr as E;
        let eof = mark(E::RD_KAFKA_RESP_ERR__PARTITION_EOF, 9, c"");
        assert!(matches!(eof, Mark::EndOfPartition { offset: 9 }));
        let gone = c"fetch failed due to requested offset not available on the broker: Broker: Offset out of range (broker 1)";
        let reset = mark(E::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 9, gone);
        assert!(matches!(reset, Mark::Failed(ReadError::OffsetOutOfRange)));
        let Mark::Failed(ReadError::Client(error)) =
            mark(E::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 9, c"")
        else {
            panic!("a refusal is an error of the client");
        };
        assert_eq!(error.code, "SOURCE_DENIED");
    }

    #[test]
    fn a_log_that_was_cut_off_and_has_grown_again_is_known_by_the_clients_text() {
        let reset = RDKafkaRespErr::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
        let at = c"Partition log truncation detected at offset 100 (leader epoch 0): broker end \
                   offset is 52 (offset leader epoch 0). Reset to INVALID.: Local: Partition log \
                   truncation detected (broker 1)";
        let none = c"No epoch found less or equal to offset 100 (leader epoch 0): broker end offset \
                     is -1 (offset leader epoch -1). Reset using configured policy.: Local: Partition \
                     log truncation detected (broker 1)";
        for (text, wanted) in [(at, 52), (none, 0)] {
            let mark = mark(reset, 0, text);
            let Mark::Failed(ReadError::Truncated { end }) = mark else {
                panic!("{mark:?}");
            };
            assert_eq!(end, wanted);
        }
    }
}
