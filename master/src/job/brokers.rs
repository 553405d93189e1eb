//! The brokers of Kafka, as the master asks them.

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::job::{SourceSpec, StartingOffsets};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition, world};

use super::discovery::{Brokers, LogEnds, QueryRekeying, Starts};
use super::internal_topic::find_or_create;
use super::kafka::{query_ends, query_kafka};
use super::record::Internal;
use crate::checkpoint::group_offsets::GroupOffsets;

/// The brokers of Kafka.
#[derive(Clone, Copy, Debug)]
pub struct Kafka;

impl Brokers for Kafka {
    fn starts(
        &self,
        source: SourceSpec,
        known: Vec<SourcePartition>,
        offsets: StartingOffsets,
        secrets: Secrets,
    ) -> BoxFuture<'static, Result<Starts, KolError>> {
        Box::pin(async move {
            let query = move || query_kafka(source.kafka(), &known, &offsets, &secrets);
            let panicked = || KolError::internal("DISCOVERY", "the query of Kafka panicked");
            world::blocking(query).await.ok_or_else(panicked)?
        })
    }

    fn ends(
        &self,
        source: SourceSpec,
        partitions: Vec<SourcePartition>,
        secrets: Secrets,
    ) -> BoxFuture<'static, Result<LogEnds, KolError>> {
        Box::pin(async move {
            let query = move || query_ends(source.kafka(), &partitions, &secrets);
            let panicked = || KolError::internal("DISCOVERY", "the query of Kafka panicked");
            world::blocking(query).await.ok_or_else(panicked)?
        })
    }

    fn internal_topic(
        &self,
        source: SourceSpec,
        query: QueryRekeying,
        secrets: Secrets,
    ) -> BoxFuture<'static, Result<Internal, KolError>> {
        Box::pin(find_or_create(source.kafka().clone(), query, secrets))
    }

    fn group_offsets(
        &self,
        source: &SourceSpec,
        secrets: &Secrets,
        tasks: &Group,
    ) -> Result<GroupOffsets, KolError> {
        GroupOffsets::start(source.kafka(), secrets, tasks)
    }
}
