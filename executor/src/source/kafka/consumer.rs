//! A consumer that knows how often it connected to each broker.
//!
//! A broker loses the end of a log only with its process, and so with its connections. librdkafka connects again by
//! itself and reads on; only an interceptor learns of it, before anything is fetched over the new connection. An
//! interceptor is part of the configuration that a client is created with, which the consumers of the `rdkafka`
//! crate do not take. So this one is made of its client, with the few calls that are needed here.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kol_common::kafka::{Reasons, classify, log_to_context};
use kol_common::{KolError, SourcePartition};
use rdkafka::bindings as ffi;
use rdkafka::client::Client;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaRespErr, RDKafkaType};
use rdkafka::{ClientConfig, ClientContext as _, Offset, TopicPartitionList};

/// How long one look at what the client reports takes, milliseconds.
const LOOK_MS: c_int = 5;
/// Most reports taken in one look.
const MOST_REPORTS: usize = 1_000;
/// Name of the interceptor in the client's log.
const INTERCEPTOR: &CStr = c"connections";
/// State of a broker with a new connection: the client's first request there, before any login. `UP` follows a repeated
/// login on the same connection, too. Specs cannot turn this request off.
const CONNECTED: &CStr = c"APIVERSION_QUERY";
const NO_ERROR: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;

/// How often a client connected to each broker, by its number in the cluster.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<BTreeMap<i32, u64>>);

/// The connections that there had been at some moment.
#[derive(Debug)]
pub(super) struct Before(BTreeMap<i32, u64>);

impl Connections {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connected(&self, broker: i32) {
        *self.lock().entry(broker).or_default() += 1;
    }

    /// As they are now.
    pub(super) fn now(&self) -> Before {
        Before(self.lock().clone())
    }

    /// Whether the client connected to a broker again since then. The first connection to it does not count.
    pub(super) fn is_new_since(&self, before: &Before, broker: i32) -> bool {
        let of = |counts: &BTreeMap<i32, u64>| counts.get(&broker).copied().unwrap_or(0);
        of(&self.lock()) > of(&before.0).max(1)
    }
}

/// See the module.
pub(super) struct Consumer {
    client: Client<Reasons>,
    /// What the client reports.
    reports: *mut ffi::rd_kafka_queue_t,
    /// Behind the client, so that it is dropped later: the client's threads use it.
    connections: Arc<Connections>,
}

// SAFETY: librdkafka's clients and queues may be used from any thread.
unsafe impl Send for Consumer {}
// SAFETY: as above.
unsafe impl Sync for Consumer {}

impl Consumer {
    /// Creates one; it connects at its first request.
    ///
    /// # Errors
    /// librdkafka refuses the settings.
    pub(super) fn create(config: ClientConfig) -> Result<Self, KolError> {
        Self::with(config).map_err(|e| classify(&e))
    }

    fn with(mut config: ClientConfig) -> Result<Self, KafkaError> {
        let reasons = Reasons::of(&config);
        let config = log_to_context(&mut config);
        let native = config.create_native_config()?;
        let connections = Arc::new(Connections::default());
        let opaque = Arc::as_ptr(&connections).cast_mut().cast();
        // SAFETY: the configuration is alive, and is given to the client below. The interceptor's pointer lives as
        // long as the client: this value drops it later.
        unsafe {
            let events = ffi::RD_KAFKA_EVENT_REBALANCE
                | ffi::RD_KAFKA_EVENT_OFFSET_COMMIT
                | ffi::RD_KAFKA_EVENT_ERROR
                | ffi::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH;
            ffi::rd_kafka_conf_set_events(native.ptr(), events);
            let name = INTERCEPTOR.as_ptr();
            let code = ffi::rd_kafka_conf_interceptor_add_on_new(
                native.ptr(),
                name,
                Some(created),
                opaque,
            );
            if code != NO_ERROR {
                return Err(KafkaError::Global(code.into()));
            }
        }
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_CONSUMER, reasons)?;
        // SAFETY: the client is alive; the queue is released by `drop`, before the client.
        let reports = unsafe {
            ffi::rd_kafka_poll_set_consumer(client.native_ptr());
            ffi::rd_kafka_queue_get_consumer(client.native_ptr())
        };
        if reports.is_null() {
            let why = "a client without a group has no queue of its own";
            return Err(KafkaError::ClientCreation(why.to_owned()));
        }
        Ok(Self {
            client,
            reports,
            connections,
        })
    }

    pub(super) fn client(&self) -> &Client<Reasons> {
        &self.client
    }

    pub(super) fn context(&self) -> &Reasons {
        self.client.context()
    }

    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// Takes what the client reports. Blocks for some milliseconds.
    pub(super) fn serve(&self) {
        for _ in 0..MOST_REPORTS {
            // SAFETY: queue and client live as long as `self`; each event is destroyed once, after its use.
            unsafe {
                let event = ffi::rd_kafka_queue_poll(self.reports, LOOK_MS);
                if event.is_null() {
                    return;
                }
                if ffi::rd_kafka_event_type(event) == ffi::RD_KAFKA_EVENT_LOG {
                    self.log(event);
                }
                ffi::rd_kafka_event_destroy(event);
            }
        }
    }

    /// # Safety
    /// The event is a log line, and is alive.
    unsafe fn log(&self, event: *mut ffi::rd_kafka_event_t) {
        let (mut facility, mut line, mut level) = (std::ptr::null(), std::ptr::null(), 0);
        // SAFETY: by the caller's promise; the texts belong to the event and end with a zero.
        unsafe {
            let (f, l) = (&raw mut facility, &raw mut line);
            if ffi::rd_kafka_event_log(event, f, l, &raw mut level) == 0 {
                let (facility, line) = (CStr::from_ptr(facility), CStr::from_ptr(line));
                let (facility, line) = (facility.to_string_lossy(), line.to_string_lossy());
                let reasons = self.context();
                reasons.log(RDKafkaLogLevel::Info, facility.trim(), line.trim());
            }
        }
    }

    /// Assigns these partitions in addition.
    ///
    /// # Errors
    /// The client refuses.
    pub(super) fn assign(&self, list: &TopicPartitionList) -> Result<(), KafkaError> {
        // SAFETY: client and list are alive.
        checked(unsafe { ffi::rd_kafka_incremental_assign(self.client.native_ptr(), list.ptr()) })
    }

    /// Ends the assignment of these partitions.
    ///
    /// # Errors
    /// One of them was not assigned.
    pub(super) fn unassign(&self, list: &TopicPartitionList) -> Result<(), KafkaError> {
        // SAFETY: client and list are alive.
        checked(unsafe { ffi::rd_kafka_incremental_unassign(self.client.native_ptr(), list.ptr()) })
    }

    /// Continues at these positions. Each element of the list says what became of it.
    ///
    /// # Errors
    /// The client refuses.
    pub(super) fn seek(
        &self,
        list: &TopicPartitionList,
        deadline: Duration,
    ) -> Result<(), KafkaError> {
        let (rk, ms) = (self.client.native_ptr(), millis(deadline));
        // SAFETY: client and list are alive.
        checked(unsafe { ffi::rd_kafka_seek_partitions(rk, list.ptr(), ms) })
    }

    /// Requests the offsets of the times that are given in the place of offsets, and puts them there.
    ///
    /// # Errors
    /// No broker answers in time.
    pub(super) fn offsets_for_times(
        &self,
        list: &TopicPartitionList,
        deadline: Duration,
    ) -> Result<(), KafkaError> {
        let (rk, ms) = (self.client.native_ptr(), millis(deadline));
        // SAFETY: client and list are alive.
        let code = unsafe { ffi::rd_kafka_offsets_for_times(rk, list.ptr(), ms) };
        if code == NO_ERROR {
            Ok(())
        } else {
            Err(KafkaError::MetadataFetch(code.into()))
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // SAFETY: the queue was taken when this was created, and is released once, before its client ends.
        unsafe { ffi::rd_kafka_queue_destroy(self.reports) };
    }
}

/// A list of one partition, at this offset.
///
/// # Errors
/// Kafka cannot have this offset or this name.
pub(super) fn list_of(
    partition: &SourcePartition,
    offset: Offset,
) -> Result<TopicPartitionList, KolError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&partition.topic, partition.partition.cast_signed(), offset)
        .map_err(|e| classify(&e).partition(partition))?;
    Ok(list)
}

fn millis(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX)
}

/// Takes an error of the client, which is null where there is none.
fn checked(error: *mut ffi::rd_kafka_error_t) -> Result<(), KafkaError> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is this function's own, and is released once.
    let code = unsafe {
        let code = ffi::rd_kafka_error_code(error);
        ffi::rd_kafka_error_destroy(error);
        code
    };
    Err(KafkaError::Global(code.into()))
}

/// Called by librdkafka when it creates the client, the only time at which it takes further interceptors.
unsafe extern "C" fn created(
    rk: *mut ffi::rd_kafka_t,
    _config: *const ffi::rd_kafka_conf_t,
    connections: *mut c_void,
    _error: *mut c_char,
    _room: usize,
) -> RDKafkaRespErr {
    let name = INTERCEPTOR.as_ptr();
    // SAFETY: the client is being created; the pointer is the one that the configuration was given.
    unsafe {
        ffi::rd_kafka_interceptor_add_on_broker_state_change(rk, name, Some(changed), connections)
    }
}

/// Called by librdkafka's thread of a broker, before it sends that broker anything.
unsafe extern "C" fn changed(
    _rk: *mut ffi::rd_kafka_t,
    broker: i32,
    _protocol: *const c_char,
    _name: *const c_char,
    _port: c_int,
    state: *const c_char,
    connections: *mut c_void,
) -> RDKafkaRespErr {
    // SAFETY: the state is a constant of librdkafka; the pointer is to the `Connections` of a consumer, which outlive
    // its client.
    unsafe {
        if CStr::from_ptr(state) == CONNECTED {
            (*connections.cast::<Connections>()).connected(broker);
        }
    }
    NO_ERROR
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_connected_to_again_is_new_and_one_that_never_was_before_is_not() {
        let connections = Connections::default();
        let at_first = connections.now();
        connections.connected(1);
        assert!(!connections.is_new_since(&at_first, 1), "the first one");
        assert!(!connections.is_new_since(&at_first, 2));
        let later = connections.now();
        connections.connected(2);
        assert!(!connections.is_new_since(&later, 1), "another broker's");
        connections.connected(1);
        assert!(connections.is_new_since(&later, 1));
        assert!(connections.is_new_since(&at_first, 1));
        assert!(!connections.is_new_since(&connections.now(), 1));
    }

    #[test]
    fn a_repeated_login_on_the_same_connection_is_not_a_new_connection() {
        let connections = Connections::default();
        let goes_through = |states: &[&CStr]| {
            for state in states {
                let opaque = std::ptr::from_ref(&connections).cast_mut().cast();
                let none = std::ptr::null();
                // SAFETY: the states are constants, and the connections are alive.
                unsafe {
                    changed(
                        std::ptr::null_mut(),
                        1,
                        none,
                        none,
                        0,
                        state.as_ptr(),
                        opaque,
                    )
                };
            }
        };
        let connects = [
            c"TRY_CONNECT",
            c"CONNECT",
            c"SSL_HANDSHAKE",
            c"APIVERSION_QUERY",
        ];
        let logs_in = [c"AUTH_HANDSHAKE", c"AUTH_REQ", c"UP"];
        goes_through(&connects);
        goes_through(&logs_in);
        let before = connections.now();
        goes_through(&[c"REAUTH"]);
        goes_through(&logs_in);
        assert!(!connections.is_new_since(&before, 1));
        goes_through(&[c"DOWN", c"INIT"]);
        goes_through(&connects);
        assert!(connections.is_new_since(&before, 1), "before the login");
    }

    /// librdkafka's own mock cluster, in this process.
    #[test]
    fn a_client_counts_the_connections_to_its_brokers() {
        let brokers = rdkafka::mocking::MockCluster::new(1).unwrap();
        brokers.create_topic("t", 1, 1).unwrap();
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", brokers.bootstrap_servers())
            .set("reconnect.backoff.ms", "10")
            .set("reconnect.backoff.max.ms", "50")
            .set("group.id", "test");
        let consumer = Consumer::create(config).unwrap();
        let limit = Duration::from_secs(20);
        let request = || {
            consumer.serve();
            consumer.client().fetch_watermarks("t", 0, limit).unwrap()
        };
        request();
        let before = consumer.connections().now();
        assert_eq!(before.0.get(&1), Some(&1), "{before:?}");
        brokers.broker_down(1).unwrap();
        brokers.broker_up(1).unwrap();
        let begun = tokio::time::Instant::now();
        while !consumer.connections().is_new_since(&before, 1) {
            assert!(begun.elapsed() < limit, "{:?}", consumer.connections());
            request();
        }
    }
}
