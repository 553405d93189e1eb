//! The queue of one assigned partition.

use std::ffi::{CString, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kol_common::{KolError, SourcePartition};
use rdkafka::bindings as ffi;
use tokio::sync::Notify;

use super::clients::Client;
use super::consumer::Before;
use super::messages::Messages;
use super::readers::{RECORD_OVERHEAD, Reader};
use crate::memory::Queues;
use crate::source::contract::{Batch, Queue};

/// One queue of the client: librdkafka fills it.
pub struct KafkaQueue {
    queue: *mut ffi::rd_kafka_queue_t,
    arrived: Arc<Notify>,
    /// How many bytes of records the client holds of a partition, and how many it should by now.
    each: u64,
    room: Arc<Queues>,
    /// Size of a record, with what the client keeps besides, as the last batch had it.
    record: u64,
    /// Whether records may be taken.
    open: Arc<AtomicBool>,
    /// The client's connections when it was opened, and the broker that gave the last record.
    before: Before,
    broker: Option<i32>,
    // The client must outlive its queues.
    client: Arc<Client>,
}

impl std::fmt::Debug for KafkaQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaQueue").finish_non_exhaustive()
    }
}

// SAFETY: librdkafka's queues may be used from any thread; this handle is the only user of its own.
unsafe impl Send for KafkaQueue {}
// SAFETY: all methods that touch the queue need `&mut self`.
unsafe impl Sync for KafkaQueue {}

impl KafkaQueue {
    /// Takes the partition's records out of the client's common queue. Done before the partition is
    /// assigned, so that none of its records can get there.
    pub(super) fn open(
        reader: &Reader,
        room: Arc<Queues>,
        partition: &SourcePartition,
    ) -> Result<Self, KolError> {
        let client = &reader.client;
        let topic = CString::new(partition.topic.as_str())
            .map_err(|_| KolError::user("TOPIC_NAME", "a topic name contains a zero byte"))?;
        let number = i32::try_from(partition.partition)
            .map_err(|_| KolError::user("PARTITION_NUMBER", "no such partition number"))?;
        let arrived = Arc::new(Notify::new());
        // SAFETY: the client is alive; a null destination means that the application reads the queue
        // itself. The callback gets a pointer into an Arc that `drop` releases only after the
        // callback was disabled.
        let queue = unsafe {
            let rk = client.client().native_ptr();
            let queue = ffi::rd_kafka_queue_get_partition(rk, topic.as_ptr(), number);
            if !queue.is_null() {
                ffi::rd_kafka_queue_forward(queue, std::ptr::null_mut());
                let opaque = Arc::into_raw(Arc::clone(&arrived)).cast_mut().cast();
                ffi::rd_kafka_queue_cb_event_enable(queue, Some(wake), opaque);
            }
            queue
        };
        if queue.is_null() {
            return Err(
                KolError::internal("SOURCE_QUEUE", "no queue for a partition").partition(partition),
            );
        }
        Ok(Self {
            queue,
            arrived,
            each: reader.each,
            room,
            record: RECORD_OVERHEAD,
            open: Arc::new(AtomicBool::new(true)),
            before: client.connections().now(),
            broker: None,
            client: Arc::clone(client),
        })
    }
}

impl KafkaQueue {
    /// Nothing may be taken until the gate is opened.
    pub(super) fn gate(&mut self) -> Gate {
        self.open.store(false, Ordering::Release);
        Gate {
            open: Arc::clone(&self.open),
            arrived: Arc::clone(&self.arrived),
        }
    }
}

/// See [`KafkaQueue::gate`]. Dropped, it opens.
#[derive(Debug)]
pub(super) struct Gate {
    open: Arc<AtomicBool>,
    arrived: Arc<Notify>,
}

impl Gate {
    /// Whether the queue is gone.
    pub(super) fn is_alone(&self) -> bool {
        Arc::strong_count(&self.open) == 1
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.open.store(true, Ordering::Release);
        self.arrived.notify_one();
    }
}

impl Queue for KafkaQueue {
    fn arrived(&self) -> &Notify {
        &self.arrived
    }

    fn take(&mut self, batch: &mut Batch, limit: usize) {
        let open = self.open.load(Ordering::Acquire);
        let limit = if open { limit } else { 0 };
        batch.refill(limit, |messages: &mut Messages, limit| {
            // SAFETY: queue and client live as long as `self`, and messages hold a reference to the
            // client's inner state until they are destroyed.
            unsafe { messages.fill(self.queue, limit) };
            if let Some(bytes) = messages.bytes_of_first() {
                self.record = bytes as u64 + RECORD_OVERHEAD;
            }
            self.broker = messages.broker().or(self.broker);
        });
    }

    fn bytes(&self) -> u64 {
        // SAFETY: queue and client live as long as `self`.
        let waiting = unsafe { ffi::rd_kafka_queue_length(self.queue) };
        waiting as u64 * self.record
    }

    fn is_reconnected(&self) -> bool {
        let connections = self.client.connections();
        let is_new = |broker| connections.is_new_since(&self.before, broker);
        self.broker.is_some_and(is_new)
    }

    fn is_outgrown(&self) -> bool {
        self.room.each() < self.each
    }
}

impl Drop for KafkaQueue {
    fn drop(&mut self) {
        // SAFETY: disabling takes the queue's lock, under which callbacks run: after it returns no
        // callback uses the pointer, and the count it held can be released.
        unsafe {
            ffi::rd_kafka_queue_cb_event_enable(self.queue, None, std::ptr::null_mut());
            drop(Arc::from_raw(Arc::as_ptr(&self.arrived)));
            ffi::rd_kafka_queue_destroy(self.queue);
        }
    }
}

/// Called by librdkafka's threads when an empty queue gets its first record.
unsafe extern "C" fn wake(_rk: *mut ffi::rd_kafka_t, opaque: *mut c_void) {
    // SAFETY: `opaque` came from `Arc::into_raw` and its count is held until the callback is
    // disabled.
    let arrived = unsafe { &*opaque.cast::<Notify>() };
    arrived.notify_one();
}
