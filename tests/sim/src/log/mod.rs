//! The log: topics in memory, read by the executors' partitions without a network between. Its brokers
//! may be away for a while; the ends that readers know are as old as Kafka's would be. A partition may lose its
//! tail: its client notices when it reads on, by the leader epochs of records; if the same leader lost it, nobody
//! notices but by the records themselves.

mod reader;
mod topic;

use std::sync::Arc;

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::job::{SourceSpec, StartingOffsets};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};
use kol_executor::source::{DeadLetterTopic, Logs, Source};
use kol_master::checkpoint::group_offsets::GroupOffsets;
use kol_master::job::discovery::{Brokers, LogEnds, Started, Starts};

pub use topic::{MemoryLog, unreachable};

use reader::Reader;
use topic::TOPIC;

impl Logs for MemoryLog {
    fn open(&self, _spec: &SourceSpec, _secrets: &Secrets, _job: &str) -> Result<Source, KolError> {
        Ok(Arc::new(Reader::new(self.clone())))
    }

    fn dead_letters(
        &self,
        spec: &SourceSpec,
        _secrets: &Secrets,
    ) -> Result<Option<Arc<dyn DeadLetterTopic>>, KolError> {
        let wanted = spec.kafka().dead_letter.is_some();
        Ok(wanted.then(|| Arc::new(self.letters().clone()) as _))
    }
}

impl Brokers for MemoryLog {
    fn starts(
        &self,
        _source: SourceSpec,
        known: Vec<SourcePartition>,
        _offsets: StartingOffsets,
        _secrets: Secrets,
    ) -> BoxFuture<'static, Result<Starts, KolError>> {
        let log = self.clone();
        Box::pin(async move {
            let inner = log.lock();
            if inner.away {
                return Err(unreachable());
            }
            let all =
                (0..inner.partitions.len() as u32).map(|n| SourcePartition::new(&*log.topic, n));
            let new = all.filter(|p| !known.contains(p));
            let started = new.map(|partition| Started {
                partition,
                offset: 0,
                topic_id: Some(TOPIC),
            });
            Ok(started.collect())
        })
    }

    fn ends(
        &self,
        _source: SourceSpec,
        partitions: Vec<SourcePartition>,
        _secrets: Secrets,
    ) -> BoxFuture<'static, Result<LogEnds, KolError>> {
        let log = self.clone();
        Box::pin(async move {
            let inner = log.lock();
            if inner.away {
                return Err(unreachable());
            }
            let end = |name: SourcePartition| {
                let records = inner.partitions.get(name.partition as usize)?;
                Some((name, records.len() as u64))
            };
            Ok(partitions.into_iter().filter_map(end).collect())
        })
    }

    fn group_offsets(
        &self,
        _source: &SourceSpec,
        _secrets: &Secrets,
        _tasks: &Group,
    ) -> Result<GroupOffsets, KolError> {
        Err(KolError::user("GROUP_OFFSETS", "this log knows no groups"))
    }
}
