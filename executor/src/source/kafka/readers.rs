//! The clients that partitions are read with. The room for what a client fetches ahead is fixed when it is created:
//! when there is less room by then, the next partition that opens gets a new client, and the others move to it, each
//! when it notices ([`KafkaQueue`](super::queue::KafkaQueue)). The old client ends when the last has left.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use kol_common::job::KafkaSource;
use kol_common::kafka::client_config;
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use rdkafka::ClientConfig;

use super::clients::{Client, Clients};
use crate::memory::Queues;

/// What librdkafka keeps of a record besides its bytes.
pub(super) const RECORD_OVERHEAD: u64 = 400;

/// How a job's clients are made.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) source: KafkaSource,
    pub(super) secrets: Secrets,
    /// Name of the job, which brokers and the log show.
    pub(super) job: String,
}

/// How long a fetch may wait at the broker for the first record. The client has one fetch a broker under way: when the
/// queues of all partitions that are behind are full as it is sent, it is for the others only, which have nothing, and
/// those that are behind get nothing meanwhile. But each fetch names all partitions, and that is all that an idle
/// executor does: so it waits longer the more they are, 100 µs for each.
fn wait(partitions: u64) -> Duration {
    Duration::from_micros(100 * partitions).clamp(SHORTEST_WAIT, LONGEST_WAIT)
}

/// Bounds of [`wait`].
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// What a client that reads single records holds of a partition.
const FEW: u64 = 64 << 10;

/// See the module.
pub(super) struct Readers {
    recipe: Recipe,
    owner: Arc<Clients>,
    room: Arc<Queues>,
    newest: Mutex<Reader>,
    /// With which client each partition is read.
    clients: DashMap<SourcePartition, Arc<Client>>,
}

/// A client, and how many bytes of records it may hold of each partition.
#[derive(Clone)]
pub(super) struct Reader {
    pub(super) client: Arc<Client>,
    pub(super) each: u64,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers")
            .field("room", &self.room)
            .field("partitions", &self.clients.len())
            .finish_non_exhaustive()
    }
}

impl Readers {
    /// With the first client.
    ///
    /// # Errors
    /// Properties that librdkafka refuses, secrets that are missing.
    pub(super) fn start(
        recipe: Recipe,
        owner: Arc<Clients>,
        room: Arc<Queues>,
    ) -> Result<Self, KolError> {
        let newest = recipe.reader(&owner, room.each(), room.partitions())?;
        Ok(Self {
            recipe,
            owner,
            newest: Mutex::new(newest),
            clients: DashMap::new(),
            room,
        })
    }

    /// The client for a partition that opens.
    ///
    /// # Errors
    /// As [`Readers::start`].
    pub(super) fn open(&self, partition: &SourcePartition) -> Result<Reader, KolError> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let each = self.room.each();
        if each < newest.each {
            tracing::info!(
                code = "KAFKA_CLIENT_SHARED",
                job = self.recipe.job,
                %partition,
                kib = each >> 10,
                "more partitions share the room for fetched records: a new Kafka client with less for each"
            );
            *newest = self
                .recipe
                .reader(&self.owner, each, self.room.partitions())?;
        }
        self.clients
            .insert(partition.clone(), Arc::clone(&newest.client));
        Ok(newest.clone())
    }

    /// Whether a partition is read.
    pub(super) fn has(&self, partition: &SourcePartition) -> bool {
        self.clients.contains_key(partition)
    }

    /// The client that a partition was read with until now.
    pub(super) fn close(&self, partition: &SourcePartition) -> Option<Arc<Client>> {
        self.clients.remove(partition).map(|(_, client)| client)
    }

    /// The client that partitions which open get.
    pub(super) fn newest(&self) -> Arc<Client> {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&newest.client)
    }

    /// A client for single records, beside those that partitions are read with.
    ///
    /// # Errors
    /// As [`Readers::start`].
    pub(super) fn apart(&self) -> Result<Arc<Client>, KolError> {
        self.recipe
            .reader(&self.owner, FEW, 1)
            .map(|reader| reader.client)
    }

    /// The room that clients divide.
    pub(super) fn room(&self) -> &Arc<Queues> {
        &self.room
    }
}

impl Recipe {
    fn reader(&self, owner: &Clients, each: u64, partitions: u64) -> Result<Reader, KolError> {
        Ok(Reader {
            client: owner.create(self.config(each, partitions)?)?,
            each,
        })
    }

    fn config(&self, each: u64, partitions: u64) -> Result<ClientConfig, KolError> {
        let client_id = format!("kol-executor-{}", self.job);
        let mut config = client_config(&self.source, &self.secrets, &client_id)?;
        for (key, value) in [
            ("auto.offset.reset", "error"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
        ] {
            config.set(key, value);
        }
        if self.source.rekey.is_some() {
            // Of the internal topic nothing may be read that a dead owner had not committed.
            config.set("isolation.level", "read_committed");
        }
        let queue = (each >> 10).to_string();
        // The overhead of small records must not be more than the records may be.
        let records = (each / RECORD_OVERHEAD).clamp(64, 50_000).to_string();
        let fetch = each.min(4 << 20).to_string();
        let response = (4 * each).clamp(1 << 20, 50 << 20).to_string();
        let wait = wait(partitions).as_millis().to_string();
        for (key, value) in [
            ("queued.max.messages.kbytes", &*queue),
            ("queued.min.messages", &*records),
            // By default a full queue stops fetching for a whole second.
            ("fetch.queue.backoff.ms", "5"),
            ("fetch.wait.max.ms", &*wait),
            ("fetch.error.backoff.ms", "100"),
            ("fetch.message.max.bytes", &*fetch),
            ("fetch.max.bytes", &*response),
        ] {
            if !self.source.properties.contains_key(key) {
                config.set(key, value);
            }
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_waits_longer_the_more_partitions_it_names() {
        for (partitions, ms) in [(1, 10), (100, 10), (256, 25), (1_000, 100), (100_000, 100)] {
            assert_eq!(wait(partitions).as_millis(), ms, "{partitions} partitions");
        }
    }

    #[test]
    fn a_job_that_re_keys_reads_committed_records_only_whatever_the_spec_says() {
        let mut recipe = Recipe {
            source: KafkaSource::default(),
            secrets: Secrets::default(),
            job: "test".into(),
        };
        let properties = &mut recipe.source.properties;
        properties.insert("isolation.level".into(), "read_uncommitted".into());
        let level = |recipe: &Recipe| {
            let config = recipe.config(64 << 10, 1).unwrap();
            config.get("isolation.level").map(str::to_owned)
        };
        assert_eq!(level(&recipe).as_deref(), Some("read_uncommitted"));
        recipe.source.rekey = Some(kol_common::job::RekeySpec::default());
        assert_eq!(level(&recipe).as_deref(), Some("read_committed"));
    }

    #[test]
    fn a_client_holds_no_more_of_a_partition_than_its_share_and_the_spec_may_say_less() {
        let mut recipe = Recipe {
            source: KafkaSource::default(),
            secrets: Secrets::default(),
            job: "test".into(),
        };
        let of = |recipe: &Recipe, key: &str| {
            let config = recipe.config(64 << 10, 250).unwrap();
            config.get(key).unwrap().to_owned()
        };
        assert_eq!(of(&recipe, "queued.max.messages.kbytes"), "64");
        assert_eq!(of(&recipe, "fetch.message.max.bytes"), "65536");
        assert_eq!(of(&recipe, "queued.min.messages"), "163");
        assert_eq!(of(&recipe, "fetch.wait.max.ms"), "25");
        let properties = &mut recipe.source.properties;
        properties.insert("fetch.message.max.bytes".into(), "20000".into());
        assert_eq!(of(&recipe, "fetch.message.max.bytes"), "20000");
    }
}
