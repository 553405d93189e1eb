//! What Kafka itself does with the transactions of the first stage.

use std::sync::Arc;

use kol_common::job::{KafkaSource, RekeySpec};
use kol_common::secrets::Secrets;
use kol_common::{Millis, SourcePartition};
use kol_executor::memory::Memory;
use kol_executor::source::{
    Committed, KafkaLogs, Keyed, Logs as _, Record, Refusal, Route, Source, Transactions,
};
use kol_harness::{Kafka, Topic};
use rdkafka::ClientConfig;
use rdkafka::consumer::Consumer as _;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{LIMIT, real_kafka};

/// An input of one partition, and a topic to write to.
struct Scene {
    input: Topic,
    internal: Topic,
    id: Uuid,
    source: Source,
    runtime: Runtime,
}

fn id_of(kafka: &Kafka, topic: &str) -> Uuid {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", kafka.bootstrap());
    let consumer = kol_common::kafka::consumer(config).unwrap();
    let ids = kol_common::kafka::topic_ids(consumer.client(), &[topic.to_owned()], LIMIT);
    ids.unwrap()[topic]
}

fn scene() -> Option<Scene> {
    let kafka = real_kafka()?;
    let input = Topic::create(kafka, "origin", 1);
    let internal = Topic::create(kafka, "internal", 2);
    let spec = KafkaSource {
        bootstrap: kafka.bootstrap().to_owned(),
        topics: vec![input.name.clone()],
        rekey: Some(RekeySpec::default()),
        ..KafkaSource::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let logs = KafkaLogs::new(Memory::new(512 << 20));
    let source = logs
        .open(&spec.into(), &Secrets::default(), "test")
        .unwrap();
    Some(Scene {
        id: id_of(kafka, &internal.name),
        input,
        internal,
        source,
        runtime,
    })
}

impl Scene {
    /// One more owner of the partition.
    fn owner(&self) -> Arc<dyn Transactions> {
        self.owner_of(self.id)
    }

    fn owner_of(&self, topic_id: Uuid) -> Arc<dyn Transactions> {
        let route = Route {
            writer: format!("kol-rekey.test.{}", self.internal.name),
            group: format!("test.rekey.{}", self.internal.name),
            origin: SourcePartition::new(&self.input.name, 0),
            topic: self.internal.name.clone(),
            topic_id,
        };
        self.source.transactions(route).unwrap()
    }

    fn fenced(&self) -> Arc<dyn Transactions> {
        let owner = self.owner();
        self.runtime.block_on(owner.fence()).unwrap();
        owner
    }

    fn committed(&self, owner: &Arc<dyn Transactions>) -> Option<Committed> {
        self.runtime.block_on(owner.committed()).unwrap()
    }

    fn commit(&self, owner: &Arc<dyn Transactions>, offset: u64) -> Result<(), Refusal> {
        let topic = Some(self.id);
        self.runtime
            .block_on(owner.commit(Committed { offset, topic }))
    }

    /// Offsets of origin of what readers of committed records see.
    fn seen(&self) -> Vec<String> {
        let letters = self.internal.read_letters();
        let offset = |l: kol_harness::Letter| l.headers["kol-offset"].clone();
        letters.into_iter().map(offset).collect()
    }
}

fn write(owner: &Arc<dyn Transactions>, offset: u64, partition: u32) -> Result<(), Refusal> {
    let record = Record {
        offset,
        key: None,
        value: Some(b"{}"),
        timestamp: Some(Millis(1_750_636_800_000)),
        headers: None,
    };
    owner.write(&Keyed {
        record: &record,
        key: b"tiktok:ann",
        partition,
    })
}

#[test]
fn an_owner_that_was_replaced_can_neither_write_nor_commit() {
    let Some(scene) = scene() else { return };
    let zombie = scene.fenced();
    write(&zombie, 0, 0).unwrap();
    let next = scene.fenced();
    assert_eq!(scene.committed(&next), None);
    let _may_be_queued = write(&zombie, 1, 0);
    let refused = scene.commit(&zombie, 2);
    assert!(matches!(refused, Err(Refusal::Fenced(_))), "{refused:?}");
    write(&next, 0, 0).unwrap();
    scene.commit(&next, 1).unwrap();
    assert_eq!(scene.seen(), ["0"]);
    let position = Committed {
        offset: 1,
        topic: Some(scene.id),
    };
    assert_eq!(scene.committed(&next), Some(position));
}

#[test]
fn what_was_written_and_not_committed_is_never_read_and_the_position_stays() {
    let Some(scene) = scene() else { return };
    let owner = scene.fenced();
    write(&owner, 0, 0).unwrap();
    scene.commit(&owner, 1).unwrap();
    write(&owner, 1, 0).unwrap();
    scene.runtime.block_on(owner.abort());
    let dies = scene.fenced();
    write(&dies, 1, 0).unwrap();
    write(&dies, 2, 1).unwrap();
    while dies.bytes() > 0 {
        std::thread::yield_now();
    }
    // It holds what it wrote as a process that was killed would: nobody ends its transaction.
    let next = scene.fenced();
    assert_eq!(scene.committed(&next).map(|c| c.offset), Some(1));
    write(&next, 1, 0).unwrap();
    scene.commit(&next, 2).unwrap();
    assert_eq!(scene.seen(), ["0", "1"]);
    drop(dies);
}

#[test]
fn a_record_that_does_not_arrive_takes_its_transaction_and_the_position_with_it() {
    let Some(scene) = scene() else { return };
    let owner = scene.fenced();
    write(&owner, 0, 0).unwrap();
    let refused = match write(&owner, 1, 7) {
        Ok(()) => scene.commit(&owner, 2),
        refused => refused,
    };
    assert!(matches!(refused, Err(Refusal::Aborted(_))), "{refused:?}");
    scene.runtime.block_on(owner.abort());
    let next = scene.fenced();
    assert_eq!(scene.committed(&next), None);
    assert_eq!(scene.seen(), [""; 0]);
}

#[test]
fn a_topic_with_another_id_is_not_written_to() {
    let Some(scene) = scene() else { return };
    let owner = scene.owner_of(Uuid::from_u128(9));
    scene.runtime.block_on(owner.fence()).unwrap();
    let refused = scene.runtime.block_on(owner.committed());
    assert!(
        matches!(&refused, Err(Refusal::Again(error)) if error.code == "REKEY_TOPIC_FOREIGN"),
        "{refused:?}"
    );
}
