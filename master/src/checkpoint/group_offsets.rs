//! Publishes the offsets of committed epochs under the job's consumer group, so that ordinary lag
//! tools see the job. Best effort: they are never read back as truth.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use kol_common::job::KafkaSource;
use kol_common::kafka::{Consumer, client_config, consumer};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};

/// Offset of the next record of each partition.
pub type Offsets = Vec<(SourcePartition, u64)>;

/// Publishes for one job. Ends when dropped.
#[derive(Debug)]
pub struct GroupOffsets {
    newest: SyncSender<Offsets>,
}

impl GroupOffsets {
    /// A thread of its own, because the client's calls block.
    ///
    /// # Errors
    /// Properties that the Kafka client refuses, secrets that are missing, no more threads.
    pub fn start(spec: &KafkaSource, secrets: &Secrets) -> Result<Self, KolError> {
        let mut config = client_config(spec, secrets, "kol-master-offsets")?;
        config.set("group.id", &spec.group_id);
        config.set("enable.auto.commit", "false");
        let consumer = consumer(config)?;
        let (newest, inbox) = sync_channel(1);
        std::thread::Builder::new()
            .name("group-offsets".into())
            .spawn(move || publish(&consumer, &inbox))
            .map_err(|e| KolError::internal("GROUP_OFFSETS", e.to_string()))?;
        Ok(Self { newest })
    }

    /// Publishes, unless the last ones are still on their way: the next epoch brings newer ones.
    pub fn publish(&self, offsets: Offsets) {
        match self.newest.try_send(offsets) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

fn publish(consumer: &Consumer, inbox: &Receiver<Offsets>) {
    while let Ok(offsets) = inbox.recv() {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in &offsets {
            let number = partition.partition.cast_signed();
            let offset = Offset::Offset(offset.cast_signed());
            if let Err(error) = list.add_partition_offset(&partition.topic, number, offset) {
                tracing::debug!(%error, %partition, "an offset cannot be published");
            }
        }
        if let Err(error) = consumer.commit(&list, CommitMode::Sync) {
            tracing::debug!(%error, "offsets for lag tools were not published");
        }
    }
}
