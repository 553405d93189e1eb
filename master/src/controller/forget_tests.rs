//! Which jobs that are over are forgotten.

use std::time::Duration;

use kol_common::JobId;
use kol_common::actor::Group;
use kol_common::proto::{Manifest, PartitionCheckpoint, Savepoint, StateFile};

use super::actor::start;
use super::submission::Begin;
use super::testing::{ending, options, record, store_with, submission};
use crate::checkpoint::Commit;
use crate::election::LeaderStore;
use crate::job::{End, JobRecord, Origin, Phase};
use crate::meta::EmbeddedStore;

const OVER: Phase = Phase::Over(End::Stopped);

fn over(number: usize) -> JobRecord {
    let mut over = ending(&format!("job_{number:03}"));
    over.phase = OVER;
    over.partitions[0].owner = None;
    over
}

/// An epoch of a job whose state another one wrote.
fn epoch_of(job: &JobRecord, wrote: &str) -> Commit {
    let part = PartitionCheckpoint {
        location: job.spec.checkpoint.location.clone(),
        files: vec![StateFile {
            path: format!("{wrote}/0/000000000001-1-a.state"),
            ..StateFile::default()
        }],
        ..PartitionCheckpoint::default()
    };
    Commit {
        manifest: Manifest {
            job_id: job.id.to_string(),
            epoch: 1,
            partitions: vec![part],
            ..Manifest::default()
        },
        forgotten: vec![],
        reduced: vec![],
        orphans: None,
    }
}

#[tokio::test]
async fn a_savepoint_that_is_deleted_while_its_place_is_away_is_deleted_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("away/sav_1");
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let mut store = store_with(&[], meta.clone()).await;
    let savepoint = Savepoint {
        id: "sav_1".into(),
        location: format!("file://{}", place.display()),
        ..Savepoint::default()
    };
    store.keep_savepoint(&savepoint).await.unwrap();
    drop(store);
    let tasks = Group::new("test");
    let (handle, _ends_with_the_test) = start(meta.clone(), options(), &tasks).await.unwrap();
    handle.delete_savepoint("sav_1".into()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let waiting = async || meta.reader().list("deletion/").await.unwrap().len();
    assert_eq!(waiting().await, 1);
    std::fs::create_dir_all(&place).unwrap();
    let manifest = place.join("manifest");
    std::fs::write(&manifest, "x").unwrap();
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while waiting().await > 0 {
        assert!(tokio::time::Instant::now() < limit, "it is tried again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!manifest.exists());
    tasks.drain(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_oldest_jobs_are_forgotten_but_for_those_that_something_can_begin_with() {
    let mut jobs: Vec<_> = (0..110).map(over).collect();
    jobs[1] = record("job_001", "the only one of its name", OVER, false);
    let refers = jobs[50].clone();
    jobs[60] = record("job_060", "a", Phase::Over(End::Failed), false);
    jobs[60].origin = Origin::Job {
        id: JobId::from_wire("job_002"),
        epoch: None,
    };
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let mut store = store_with(&jobs, meta.clone()).await;
    let epoch = epoch_of(&refers, "job_000");
    store.save(None, Some((&refers.id, &epoch))).await.unwrap();
    drop(store);
    let tasks = Group::new("test");
    let (handle, _ends_with_the_test) = start(meta, options(), &tasks).await.unwrap();
    let next = submission("b", false, Begin::Resume);
    handle.submit(next).await.unwrap();
    let left = handle.jobs().await.unwrap();
    let left: Vec<_> = left.into_iter().map(|job| job.job_id).collect();
    assert_eq!(left.len(), 101);
    for number in 0..110 {
        let expected = !(3..13).contains(&number);
        let id = format!("job_{number:03}");
        assert_eq!(left.contains(&id), expected, "{id}");
    }
    tasks.drain(Duration::from_secs(5)).await;
}
