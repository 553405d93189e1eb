//! Publishes the offsets of committed epochs under the job's consumer group, so that ordinary lag
//! tools see the job. Best effort: they are never read back as truth.

use std::sync::Arc;

use kol_common::actor::{Address, Group, Mailbox, mailbox};
use kol_common::job::KafkaSource;
use kol_common::kafka::{Consumer, client_config, consumer};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition, world};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

/// Offset of the next record of each partition.
pub type Offsets = Vec<(SourcePartition, u64)>;

/// Publishes for one job. Its task ends when this is dropped, after what waits is published.
#[derive(Debug)]
pub struct GroupOffsets {
    newest: Address<Offsets>,
}

impl GroupOffsets {
    /// Starts the task in `tasks`, which stops and awaits it.
    ///
    /// # Errors
    /// Properties that the Kafka client refuses, secrets that are missing.
    pub fn start(spec: &KafkaSource, secrets: &Secrets, tasks: &Group) -> Result<Self, KolError> {
        let mut config = client_config(spec, secrets, "kol-master-offsets")?;
        config.set("group.id", &spec.group_id);
        config.set("enable.auto.commit", "false");
        let consumer = Arc::new(consumer(config)?);
        let (newest, inbox) = mailbox("group-offsets", 1);
        let stop = tasks.stop_token();
        let _runs_by_itself = tasks.spawn("group-offsets", publish(consumer, inbox, stop));
        Ok(Self { newest })
    }

    /// Publishes, unless the last ones are still on their way: the next epoch brings newer ones.
    pub fn publish(&self, offsets: Offsets) {
        let _full_or_stopping = self.newest.try_tell(offsets);
    }
}

/// The client's calls block, also the one that closes it.
async fn publish(
    consumer: Arc<Consumer>,
    mut inbox: Mailbox<Offsets>,
    stop: CancellationToken,
) -> Result<(), KolError> {
    let panicked = || KolError::internal("GROUP_OFFSETS", "the Kafka client panicked");
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            next = inbox.recv() => next,
        };
        let Some(offsets) = next else { break };
        let consumer = Arc::clone(&consumer);
        let committed = world::blocking(move || commit(&consumer, &offsets));
        committed.await.ok_or_else(panicked)?;
    }
    let closed = world::blocking(move || drop(consumer));
    closed.await.ok_or_else(panicked)
}

fn commit(consumer: &Consumer, offsets: &Offsets) {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kol_common::actor::{AskError, Drained};
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn offsets_are_published_and_the_task_ends_with_its_owner_or_its_group() {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic("events", 1, 1).unwrap();
        let spec = KafkaSource {
            bootstrap: kafka.bootstrap_servers(),
            ..KafkaSource::default()
        };
        let (secrets, partition) = (Secrets::default(), SourcePartition::new("events", 0));
        let tasks = Group::new("test");
        let dropped = GroupOffsets::start(&spec, &secrets, &tasks).unwrap();
        dropped.publish(vec![(partition, 9)]);
        drop(dropped);
        let open = GroupOffsets::start(&spec, &secrets, &tasks).unwrap();
        // What was dropped publishes first; what is not dropped ends with the group.
        let reader = spec.clone();
        let committed = move || {
            let mut config = client_config(&reader, &Secrets::default(), "reader").unwrap();
            config.set("group.id", &reader.group_id);
            let mut list = TopicPartitionList::new();
            list.add_partition("events", 0);
            let reader = consumer(config).unwrap();
            let began = tokio::time::Instant::now();
            loop {
                let found = reader.committed_offsets(list.clone(), Duration::from_secs(5));
                let found = found.map(|found| found.elements()[0].offset());
                if found == Ok(Offset::Offset(9)) || began.elapsed() > Duration::from_secs(20) {
                    return found;
                }
            }
        };
        let found = world::blocking(committed).await.unwrap();
        assert_eq!(found, Ok(Offset::Offset(9)));
        let drained = tasks.drain(Duration::from_secs(20)).await;
        assert_eq!(drained, Drained::InTime);
        let refused = open.newest.try_tell(Vec::new()).unwrap_err();
        assert!(matches!(refused, AskError::Gone(_)), "{refused}");
    }
}
