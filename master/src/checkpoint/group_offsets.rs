//! Publishes the offsets of committed epochs under the job's consumer group, so that ordinary lag
//! tools see the job. Best effort: they are never read back as truth.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kol_common::actor::{Address, Group, Mailbox, mailbox};
use kol_common::job::KafkaSource;
use kol_common::kafka::{Consumer, Ends, Owned, client_config, commit_offsets, consumer, serve};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition, world};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

/// Longest wait for an answer to a commit: the next epoch brings newer offsets.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest wait for the end of the client; it ends by itself later.
const END: Duration = Duration::from_secs(2);

/// Offset of the next record of each partition.
pub type Offsets = Vec<(SourcePartition, u64)>;

/// Publishes for one job. Its task ends when this is dropped, after what waits is published.
#[derive(Debug)]
pub struct GroupOffsets {
    newest: Address<Offsets>,
    refusal: Refusal,
}

/// Why the brokers did not take the newest offsets, for a person; `None` if they did, or did not answer.
type Refusal = Arc<Mutex<Option<String>>>;

impl GroupOffsets {
    /// Starts the task in `tasks`, which stops and awaits it.
    ///
    /// # Errors
    /// Properties that the Kafka client refuses, secrets that are missing.
    pub fn start(spec: &KafkaSource, secrets: &Secrets, tasks: &Group) -> Result<Self, KolError> {
        let mut config = client_config(spec, secrets, "kol-master-offsets")?;
        config.set("group.id", &spec.group_id);
        config.set("enable.auto.commit", "false");
        let refusal = Refusal::default();
        let ends = Ends::default();
        let publisher = Publisher {
            consumer: ends.own(consumer(config)?),
            group: spec.group_id.clone(),
            refusal: Arc::clone(&refusal),
        };
        let (newest, inbox) = mailbox("group-offsets", 1);
        let stop = tasks.stop_token();
        let publishing = publish(publisher, ends, inbox, stop);
        let _runs_by_itself = tasks.spawn("group-offsets", publishing);
        Ok(Self { newest, refusal })
    }

    /// Publishes, unless the last ones are still on their way: the next epoch brings newer ones.
    pub fn publish(&self, offsets: Offsets) {
        let _full_or_stopping = self.newest.try_tell(offsets);
    }

    /// Why lag tools do not see how far the job is, if the brokers refuse its offsets.
    pub fn warning(&self) -> Option<String> {
        let refusal = self.refusal.lock();
        refusal.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct Publisher {
    consumer: Owned<Consumer>,
    group: String,
    refusal: Refusal,
}

/// The client's calls block.
async fn publish(
    publisher: Publisher,
    ends: Ends,
    mut inbox: Mailbox<Offsets>,
    stop: CancellationToken,
) -> Result<(), KolError> {
    let panicked = || KolError::internal("GROUP_OFFSETS", "the Kafka client panicked");
    let publisher = Arc::new(publisher);
    loop {
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            next = inbox.recv() => next,
        };
        let Some(offsets) = next else { break };
        let publisher = Arc::clone(&publisher);
        let committed = world::blocking(move || publisher.commit(&offsets));
        committed.await.ok_or_else(panicked)?;
    }
    drop(publisher);
    if !ends.wait(END).await {
        tracing::debug!("the client that publishes offsets has not ended yet");
    }
    Ok(())
}

impl Publisher {
    fn commit(&self, offsets: &Offsets) {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in offsets {
            let number = partition.partition.cast_signed();
            let offset = Offset::Offset(offset.cast_signed());
            if let Err(error) = list.add_partition_offset(&partition.topic, number, offset) {
                tracing::debug!(%error, %partition, "an offset cannot be published");
            }
        }
        let committed = commit_offsets(self.consumer.client(), &list, ANSWER);
        serve(&self.consumer);
        if let Err(error) = &committed {
            tracing::debug!(%error, "offsets for lag tools were not published");
        }
        let refusal = committed.err().and_then(|error| self.refused(&error));
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// Brokers that are away are no refusal: others say so.
    fn refused(&self, error: &KafkaError) -> Option<String> {
        use RDKafkaErrorCode as E;
        let group = &self.group;
        match error.rdkafka_error_code()? {
            E::UnknownMemberId | E::IllegalGeneration | E::RebalanceInProgress => Some(format!(
                "lag tools do not see this job: another consumer is a member of its group {group}; set \
                 source.group_id to one that nothing else uses"
            )),
            E::GroupAuthorizationFailed => Some(format!(
                "lag tools do not see this job: Kafka does not let it commit offsets to group {group}; \
                 give its user the right to read that group"
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kol_common::actor::{AskError, Drained};
    use rdkafka::mocking::MockCluster;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn brokers_that_go_away_do_not_hold_up_the_end_of_a_job() {
        for wait in [0, 1, 5, 20, 60, 200] {
            let kafka = MockCluster::new(1).unwrap();
            kafka.create_topic("events", 1, 1).unwrap();
            let spec = KafkaSource {
                bootstrap: kafka.bootstrap_servers(),
                ..KafkaSource::default()
            };
            let tasks = Group::new("test");
            let offsets = GroupOffsets::start(&spec, &Secrets::default(), &tasks).unwrap();
            offsets.publish(vec![(SourcePartition::new("events", 0), 9)]);
            // It may be on its way to a broker, wait for the group's coordinator, or not have begun.
            tokio::time::sleep(Duration::from_millis(wait)).await;
            drop(kafka);
            drop(offsets);
            let drained = tasks.drain(ANSWER + END + Duration::from_secs(5)).await;
            assert_eq!(drained, Drained::InTime, "{wait} ms");
        }
    }

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

    #[tokio::test(flavor = "multi_thread")]
    async fn a_group_that_another_consumer_is_in_is_warned_of() {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic("events", 1, 1).unwrap();
        let spec = KafkaSource {
            bootstrap: kafka.bootstrap_servers(),
            ..KafkaSource::default()
        };
        let secrets = Secrets::default();
        let member = consumer(client_config(&spec, &secrets, "member").unwrap()).unwrap();
        member.subscribe(&["events"]).unwrap();
        let limit = tokio::time::Instant::now() + Duration::from_secs(30);
        while member.assignment().unwrap().count() == 0 {
            assert!(tokio::time::Instant::now() < limit, "it becomes a member");
            let _no_records = member.poll(Duration::from_millis(50));
        }
        let tasks = Group::new("test");
        let offsets = GroupOffsets::start(&spec, &secrets, &tasks).unwrap();
        assert_eq!(offsets.warning(), None, "nothing was published yet");
        let warning = loop {
            assert!(tokio::time::Instant::now() < limit, "it is warned of");
            offsets.publish(vec![(SourcePartition::new("events", 0), 9)]);
            tokio::time::sleep(Duration::from_millis(50)).await;
            if let Some(warning) = offsets.warning() {
                break warning;
            }
        };
        assert!(warning.contains(&spec.group_id), "{warning}");
        assert!(warning.contains("source.group_id"), "{warning}");
        let drained = tasks.drain(Duration::from_secs(20)).await;
        assert_eq!(drained, Drained::InTime);
    }
}
