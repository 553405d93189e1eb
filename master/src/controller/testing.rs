//! A controller whose brokers and executors are away, for tests.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::checkpoint::Stores;
use kol_common::job::{SourceSpec, StartingOffsets};
use kol_common::secrets::Secrets;
use kol_common::{KolError, SourcePartition};

use super::state::Options;
use crate::checkpoint::group_offsets::GroupOffsets;
use crate::cluster::Limits;
use crate::job::discovery::{Brokers, Outside, Starts};

/// Brokers that are never reached.
#[derive(Debug)]
struct Away;

impl Brokers for Away {
    fn starts(
        &self,
        _source: SourceSpec,
        _known: Vec<SourcePartition>,
        _offsets: StartingOffsets,
        _secrets: Secrets,
    ) -> BoxFuture<'static, Result<Starts, KolError>> {
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

/// Options of a controller that reaches nothing.
pub(super) fn options() -> Options {
    Options {
        outside: Outside {
            brokers: Arc::new(Away),
            redis: Arc::new(kol_common::redis::Network),
            stores: Stores::of_this_machine(),
            secrets: Secrets::default(),
        },
        drain: Duration::from_secs(1),
        limits: Limits::default(),
        host: "test:7077".into(),
    }
}
