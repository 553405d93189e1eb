//! A controller whose brokers and executors are away, and jobs for it, for tests.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::checkpoint::Stores;
use kol_common::job::{SourceSpec, StartingOffsets};
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::secrets::Secrets;
use kol_common::{Incarnation, JobId, KolError, Millis, SourcePartition};

use super::handle::Outgoing;
use super::state::Options;
use super::store::JobStore;
use super::submission::{Begin, Submission};
use crate::checkpoint::group_offsets::GroupOffsets;
use crate::cluster::{Grace, Limits};
use crate::election::LeaderStore;
use crate::job::cuts::Cuts;
use crate::job::discovery::{Brokers, LogEnds, Outside, Starts};
use crate::job::record::PartitionRecord;
use crate::job::{End, JobRecord, Phase};
use crate::testing::spec;

/// Brokers that are never reached, or, without a reason why, whose topics have no partitions.
#[derive(Debug)]
struct Fake(Option<KolError>);

impl Brokers for Fake {
    fn starts(
        &self,
        _source: SourceSpec,
        _known: Vec<SourcePartition>,
        _offsets: StartingOffsets,
        _secrets: Secrets,
    ) -> BoxFuture<'static, Result<Starts, KolError>> {
        let starts = self.0.clone().map_or_else(|| Ok(Starts::new()), Err);
        Box::pin(async { starts })
    }

    fn ends(
        &self,
        _source: SourceSpec,
        _partitions: Vec<SourcePartition>,
        _secrets: Secrets,
    ) -> BoxFuture<'static, Result<LogEnds, KolError>> {
        Box::pin(async { Err(KolError::external("SOURCE_UNREACHABLE", "away")) })
    }

    fn group_offsets(
        &self,
        _source: &SourceSpec,
        _secrets: &Secrets,
        _tasks: &Group,
    ) -> Result<GroupOffsets, KolError> {
        Err(KolError::external("SOURCE_UNREACHABLE", "away"))
    }
}

/// Longest wait for a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first message to an executor that pleases; all before it are passed over.
pub(super) async fn find<T>(
    outgoing: &mut Outgoing,
    what: &str,
    mut pleases: impl FnMut(ToExecutor) -> Option<T>,
) -> T {
    let found = async {
        loop {
            let message = outgoing.recv().await.expect("the stream stays open");
            if let Some(found) = message.unwrap().body.and_then(&mut pleases) {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, found).await;
    found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}

/// Options of a controller that reaches nothing.
pub(super) fn options() -> Options {
    options_with(Some(KolError::external("SOURCE_UNREACHABLE", "away")))
}

/// The same with brokers that fail like this, or answer.
pub(super) fn options_with(brokers_fail: Option<KolError>) -> Options {
    Options {
        outside: Outside {
            brokers: Arc::new(Fake(brokers_fail)),
            redis: Arc::new(kol_common::redis::Network),
            stores: Stores::of_this_machine(),
            secrets: Secrets::default(),
        },
        drain: Duration::from_secs(1),
        limits: Limits::default(),
        grace: Grace::default(),
        host: "test:7077".into(),
    }
}

/// A job with keys of its own in Redis, or with the default ones.
pub(super) fn record(id: &str, name: &str, phase: Phase, own_keys: bool) -> JobRecord {
    let mut spec = spec(name);
    spec.checkpoint.location = "file:///checkpoints".into();
    if own_keys {
        let keys = &mut spec.sink.keys;
        for key in [
            &mut keys.ranking,
            &mut keys.hash,
            &mut keys.legacy_hash,
            &mut keys.last_update,
            &mut keys.last_event,
        ] {
            key.insert_str(0, name);
        }
    }
    let mut record = JobRecord::new(JobId::from_wire(id), spec, vec![], Millis::now());
    record.phase = phase;
    record
}

/// A job `a` that stops, and whose executor has not given its partition back yet.
pub(super) fn ending(id: &str) -> JobRecord {
    read(id, Phase::Ending(End::Stopped))
}

/// A job `a` that has read.
pub(super) fn read(id: &str, phase: Phase) -> JobRecord {
    let mut job = record(id, "a", phase, false);
    job.partitions = vec![PartitionRecord {
        partition: SourcePartition::new("t", 0),
        ordinal: 0,
        start_offset: 0,
        from_log: true,
        assignment_epoch: 1,
        owner: Some(Incarnation::from_wire("inc_1")),
        placed: None,
        last: None,
        has_position: false,
        topic_id: None,
        cuts: Cuts::default(),
    }];
    job
}

/// A submission of a job that differs from [`record`] a little.
pub(super) fn submission(name: &str, replace: bool, begin: Begin) -> Submission {
    let mut spec = spec(name);
    spec.scoring.weights.momentum = 0.3;
    Submission {
        spec,
        warnings: vec![],
        begin,
        replace,
        take_over: false,
        traceparent: String::new(),
    }
}

/// A store with these jobs.
pub(super) async fn store_with(records: &[JobRecord], meta: LeaderStore) -> JobStore {
    let (mut store, _) = JobStore::load(meta).await.unwrap();
    for record in records {
        store.save(Some(record), None).await.unwrap();
    }
    store
}
