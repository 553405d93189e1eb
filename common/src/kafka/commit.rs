//! Commits offsets of a consumer group, and waits for the answer within a deadline. The client's own call waits
//! for a coordinator for as long as a session of the group lasts, and for ever when the brokers go away in the
//! middle of the request.

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::bindings as ffi;
use rdkafka::client::Client;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};

use super::Reasons;

/// Commits `offsets` under the group of this client.
///
/// # Errors
/// A refusal; `OperationTimedOut` if no answer came in time: then it may be committed, or be later.
pub fn commit_offsets(
    client: &Client<Reasons>,
    offsets: &TopicPartitionList,
    deadline: Duration,
) -> KafkaResult<()> {
    let code = Answers::of(client).commit(offsets, deadline);
    match RDKafkaErrorCode::from(code) {
        RDKafkaErrorCode::NoError => Ok(()),
        code => Err(KafkaError::ConsumerCommit(code)),
    }
}

/// Where the answer to one commit comes. One that comes later than this lives is thrown away.
struct Answers<'c> {
    client: &'c Client<Reasons>,
    queue: *mut ffi::rd_kafka_queue_t,
}

impl<'c> Answers<'c> {
    fn of(client: &'c Client<Reasons>) -> Self {
        // SAFETY: the client is alive.
        let queue = unsafe { ffi::rd_kafka_queue_new(client.native_ptr()) };
        Self { client, queue }
    }

    fn commit(&self, offsets: &TopicPartitionList, deadline: Duration) -> ffi::rd_kafka_resp_err_t {
        let ms = i32::try_from(deadline.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: client, queue and list are alive until the end of this function; librdkafka copies the list,
        // and holds the queue until it has answered. No callback is given.
        unsafe {
            let sent = ffi::rd_kafka_commit_queue(
                self.client.native_ptr(),
                offsets.ptr(),
                self.queue,
                None,
                std::ptr::null_mut(),
            );
            if sent != ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return sent;
            }
            let answer = ffi::rd_kafka_queue_poll(self.queue, ms);
            if answer.is_null() {
                return ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT;
            }
            let code = ffi::rd_kafka_event_error(answer);
            ffi::rd_kafka_event_destroy(answer);
            code
        }
    }
}

impl Drop for Answers<'_> {
    fn drop(&mut self) {
        // SAFETY: `of` created it, it is freed once, and the client still lives.
        unsafe { ffi::rd_kafka_queue_destroy(self.queue) }
    }
}
