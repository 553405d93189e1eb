//! Which topic a name stands for: a topic that is deleted and recreated has another id, and its log has
//! nothing to do with the one before. Source: KIP-516.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use rdkafka::bindings as ffi;
use rdkafka::client::Client;
use rdkafka::error::KafkaError;
use uuid::Uuid;

use super::{Reasons, classify};
use crate::KolError;

/// Requests the ids of these topics from a broker. Brokers before 2.8 know none: such topics, and those that
/// do not exist, are left out.
///
/// # Errors
/// No answer within `deadline`, or a refusal.
pub fn topic_ids(
    client: &Client<Reasons>,
    topics: &[String],
    deadline: Duration,
) -> Result<BTreeMap<String, Uuid>, KolError> {
    let names: Result<Vec<_>, _> = topics.iter().map(|t| CString::new(t.as_str())).collect();
    let names =
        names.map_err(|_| KolError::user("TOPIC_NAME", "a topic name contains a zero byte"))?;
    let request = Request::new(client, &names);
    let code = request.send(deadline);
    if code != ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Err(classify(&KafkaError::MetadataFetch(code.into())));
    }
    Ok(request.results())
}

/// Everything that librdkafka needs for one request, freed at its end.
struct Request<'c> {
    client: &'c Client<Reasons>,
    topics: *mut ffi::rd_kafka_TopicCollection_t,
    options: *mut ffi::rd_kafka_AdminOptions_t,
    queue: *mut ffi::rd_kafka_queue_t,
    answer: std::cell::Cell<*mut ffi::rd_kafka_event_t>,
}

impl<'c> Request<'c> {
    fn new(client: &'c Client<Reasons>, names: &[CString]) -> Self {
        let mut pointers: Vec<*const c_char> = names.iter().map(|n| n.as_ptr()).collect();
        let operation = ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let rk = client.native_ptr();
        // SAFETY: the client is alive; librdkafka copies the names, of which `pointers` has that many.
        let (topics, options, queue) = unsafe {
            (
                ffi::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), names.len()),
                ffi::rd_kafka_AdminOptions_new(rk, operation),
                ffi::rd_kafka_queue_new(rk),
            )
        };
        Self {
            client,
            topics,
            options,
            queue,
            answer: std::cell::Cell::new(std::ptr::null_mut()),
        }
    }

    /// Sends it and waits for the response: its error code.
    fn send(&self, deadline: Duration) -> ffi::rd_kafka_resp_err_t {
        let ms = i32::try_from(deadline.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: all four are alive until `drop`, after the request: it holds the queue until it has
        // answered. No room for an error text is given.
        unsafe {
            let set = ffi::rd_kafka_AdminOptions_set_request_timeout(
                self.options,
                ms,
                std::ptr::null_mut(),
                0,
            );
            if set != ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return set;
            }
            ffi::rd_kafka_DescribeTopics(
                self.client.native_ptr(),
                self.topics,
                self.options,
                self.queue,
            );
            let answer = ffi::rd_kafka_queue_poll(self.queue, ms);
            self.answer.set(answer);
            if answer.is_null() {
                return ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT;
            }
            ffi::rd_kafka_event_error(answer)
        }
    }

    /// The id of each topic in the response; to be called after a `send` without an error.
    fn results(&self) -> BTreeMap<String, Uuid> {
        let mut found = BTreeMap::new();
        let mut count = 0;
        // SAFETY: the answer lives until `drop`, and all that is read here belongs to it; the result is
        // null when the event is of another kind, and what has no id has a null id or an empty one.
        unsafe {
            let result = ffi::rd_kafka_event_DescribeTopics_result(self.answer.get());
            if result.is_null() {
                return found;
            }
            let topics = ffi::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
            for at in 0..count {
                let topic = *topics.add(at);
                let error = ffi::rd_kafka_TopicDescription_error(topic);
                let id = ffi::rd_kafka_TopicDescription_topic_id(topic);
                let good = ffi::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
                if (!error.is_null() && ffi::rd_kafka_error_code(error) != good) || id.is_null() {
                    continue;
                }
                let high = ffi::rd_kafka_Uuid_most_significant_bits(id).cast_unsigned();
                let low = ffi::rd_kafka_Uuid_least_significant_bits(id).cast_unsigned();
                let name = CStr::from_ptr(ffi::rd_kafka_TopicDescription_name(topic));
                let id = Uuid::from_u64_pair(high, low);
                if !id.is_nil() {
                    found.insert(name.to_string_lossy().into_owned(), id);
                }
            }
        }
        found
    }
}

impl Drop for Request<'_> {
    fn drop(&mut self) {
        // SAFETY: each was created by `new` or `send`, is freed once, and the client still lives.
        unsafe {
            if !self.answer.get().is_null() {
                ffi::rd_kafka_event_destroy(self.answer.get());
            }
            ffi::rd_kafka_queue_destroy(self.queue);
            ffi::rd_kafka_AdminOptions_destroy(self.options);
            ffi::rd_kafka_TopicCollection_destroy(self.topics);
        }
    }
}
