//! What masters find in etcd.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use kol_common::proto::{Manifest, Savepoint};
use kol_common::view::job_json;
use kol_master::controller::Standby;
use kol_master::meta::{Entry, MetaError, MetaStore, Revision, Transaction};
use prost::Message as _;

use super::wire::{job_record, running};
use super::{Target, bits, kind_of, shown};

pub const ETCD: Target = Target {
    name: "etcd",
    read: etcd,
    valid: entries,
    memory: (2 << 20, 600),
};

/// The keys whose values an input has, one after the other, each with its length in front.
const KEYS: [&str; 3] = [
    "job/job_1",
    "checkpoint/job_1/00000000000000000007",
    "savepoint/sav_1",
];

/// A store that nobody writes.
struct Found(Vec<Entry>);

#[async_trait]
impl MetaStore for Found {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        Ok(self.0.iter().find(|entry| entry.key == key).cloned())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, MetaError> {
        let below = self.0.iter().filter(|entry| entry.key.starts_with(prefix));
        Ok(below.cloned().collect())
    }

    async fn commit(&self, _transaction: Transaction) -> Result<Revision, MetaError> {
        Err(MetaError::Failed("nobody writes".into()))
    }
}

fn etcd(data: &[u8]) -> u64 {
    let mut rest = data;
    let mut found = Vec::new();
    for key in KEYS {
        let Some((head, after)) = rest.split_first_chunk::<2>() else {
            break;
        };
        let length = usize::from(u16::from_le_bytes(*head)).min(after.len());
        found.push(Entry {
            key: key.to_owned(),
            value: after[..length].to_vec(),
            revision: Revision(1),
        });
        rest = &after[length..];
    }
    let standby = Standby::new(Arc::new(Found(found)), Duration::from_secs(10));
    let jobs = standby.jobs().now_or_never().expect("it does not wait");
    let jobs = jobs.map(|jobs| {
        let json = jobs.iter().map(|job| job_json(job).to_string().len());
        bits(json.sum::<usize>())
    });
    let checkpoints = standby
        .checkpoints("job_1")
        .now_or_never()
        .expect("it does not wait");
    let checkpoints = checkpoints.map(|reply| (reply.checkpoints.len(), reply.savepoints.len()));
    shown((
        jobs.map_err(|error| kind_of(&error.message)),
        checkpoints.map_err(|error| kind_of(&error.message)),
    ))
}

fn entries() -> Vec<Vec<u8>> {
    let (job, _) = running(job_record());
    let record = serde_json::to_vec(&job.record()).expect("a record is JSON");
    let manifest = Manifest {
        job_id: "job_1".into(),
        epoch: 7,
        generation: 4,
        ..Manifest::default()
    };
    let savepoint = Savepoint {
        id: "sav_1".into(),
        job_name: "a".into(),
        ..Savepoint::default()
    };
    let mut all = Vec::new();
    for value in [record, manifest.encode_to_vec(), savepoint.encode_to_vec()] {
        let length = u16::try_from(value.len()).expect("a short value");
        all.extend_from_slice(&length.to_le_bytes());
        all.extend_from_slice(&value);
    }
    vec![all]
}
