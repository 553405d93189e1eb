//! Executors that see a copy of a checkpoint root.

use std::path::PathBuf;
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::checkpoint::marker::CLUSTER_FILE;
use kol_common::checkpoint::stamp::{STAMPS, Stamp};
use kol_common::checkpoint::{ABSENT, DAMAGED, Stores};
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Heartbeat, Manifest, PartitionAssignment, PartitionCheckpoint, PartitionFailed, Register,
    RootStamp,
};
use kol_common::{JobId, KolError, SourcePartition};

use super::actor::start;
use super::handle::{Handle, Outgoing};
use super::testing::{find, options, read, store_with};
use crate::checkpoint::Commit;
use crate::cluster::SessionId;
use crate::election::LeaderStore;
use crate::job::Phase;
use crate::meta::EmbeddedStore;

const JOB: &str = "job_1";
const STATE: &str = "job_1/0/a.state";

/// A master with a root that has one stamp, and one job with an epoch there, whose partition has no owner.
struct Scene {
    root: tempfile::TempDir,
    location: String,
    stamp: Stamp,
    handle: Handle,
    tasks: Group,
}

impl Scene {
    async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        let location = format!("file://{}", root.path().display());
        let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
        let mut record = read(JOB, Phase::Running);
        record.spec.checkpoint.location.clone_from(&location);
        record.generation = 1;
        record.partitions[0].owner = None;
        let mut store = store_with(&[record], meta.clone()).await;
        let place = Stores::of_this_machine().open(&location).await.unwrap();
        let mut file = place.create(STATE.to_owned());
        file.append(b"state".to_vec()).await.unwrap();
        let state = PartitionCheckpoint {
            partition: Some((&SourcePartition::new("t", 0)).into()),
            offset: 100,
            files: vec![file.finish().await.unwrap()],
            ..PartitionCheckpoint::default()
        };
        let commit = Commit {
            manifest: Manifest {
                job_id: JOB.to_owned(),
                epoch: 7,
                partitions: vec![state],
                ..Manifest::default()
            },
            forgotten: vec![],
            reduced: vec![],
            orphans: None,
        };
        let job = JobId::from_wire(JOB);
        store.save(None, Some((&job, &commit))).await.unwrap();
        let stamp = Stamp::after(None);
        store.mark(&location, Some(stamp.clone())).await.unwrap();
        let cluster = store.cluster().to_string();
        drop(store);
        std::fs::write(root.path().join(CLUSTER_FILE), cluster).unwrap();
        std::fs::create_dir(root.path().join(STAMPS)).unwrap();
        std::fs::write(root.path().join(STAMPS).join(stamp.to_string()), "").unwrap();
        let tasks = Group::new("test");
        let (handle, _ends_with_the_test) = start(meta, options(), &tasks).await.unwrap();
        Self {
            root,
            location,
            stamp,
            handle,
            tasks,
        }
    }

    fn state(&self) -> PathBuf {
        self.root.path().join(STATE)
    }

    async fn register(&self, number: u64) -> Outgoing {
        let register = Register {
            incarnation: format!("inc_{number}"),
            host: format!("host{number}"),
            ..Register::default()
        };
        let opened = self.handle.opened(SessionId(number), register);
        opened.await.unwrap()
    }

    /// An executor with the partition does not find the file of its state.
    async fn misses(&self, number: u64, assignment: &PartitionAssignment) {
        let error = KolError::external(DAMAGED, "it is missing").file(STATE);
        let failed = PartitionFailed {
            job_id: JOB.to_owned(),
            partition: assignment.partition.clone(),
            assignment_epoch: assignment.assignment_epoch,
            error: Some(error.to_info()),
            lost_tail: None,
        };
        let failed = FromExecutor::PartitionFailed(failed);
        let received = self.handle.received(SessionId(number), failed);
        received.await.unwrap();
    }

    async fn end(self) {
        self.tasks.drain(Duration::from_secs(5)).await;
    }
}

/// The next assignment of an executor.
async fn assigned(outgoing: &mut Outgoing) -> PartitionAssignment {
    let assigned = |body| match body {
        ToExecutor::Assign(mut assign) => assign.partitions.pop(),
        _ => None,
    };
    find(outgoing, "an assignment", assigned).await
}

#[tokio::test]
async fn an_executor_learns_what_the_root_has_before_it_gets_partitions() {
    let scene = Scene::start().await;
    let mut outgoing = scene.register(1).await;
    let first = |body| match body {
        ToExecutor::Assign(_) => panic!("an assignment came first"),
        ToExecutor::RootStamps(said) => Some(said.stamps),
        _ => None,
    };
    let said = find(&mut outgoing, "stamps", first).await;
    let expected = RootStamp {
        location: scene.location.clone(),
        stamp: scene.stamp.to_string(),
    };
    assert_eq!(said, [expected]);
    scene.end().await;
}

#[tokio::test(start_paused = true)]
async fn executors_are_held_to_each_new_stamp_of_the_root() {
    let scene = Scene::start().await;
    let mut outgoing = scene.register(1).await;
    let mut said = Vec::new();
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let alive = FromExecutor::Heartbeat(Heartbeat::default());
        scene.handle.received(SessionId(1), alive).await.unwrap();
        while let Ok(message) = outgoing.try_recv() {
            if let Some(ToExecutor::RootStamps(news)) = message.unwrap().body {
                said.extend(news.stamps.into_iter().map(|root| root.stamp));
            }
        }
    }
    assert!(said.len() > 3, "{said:?}");
    assert!(said.is_sorted(), "{said:?}");
    for stamp in &said {
        assert!(scene.root.path().join(STAMPS).join(stamp).exists());
    }
    scene.end().await;
}

#[tokio::test]
async fn a_file_that_is_whole_where_the_master_looks_is_not_damaged_and_who_misses_it_has_another_folder()
 {
    let scene = Scene::start().await;
    let mut first = scene.register(1).await;
    let assignment = assigned(&mut first).await;
    assert!(assignment.restore.is_some());
    scene.misses(1, &assignment).await;
    let mut second = scene.register(2).await;
    let next = assigned(&mut second).await;
    assert_eq!(next.restore, assignment.restore, "the same state");
    assert!(!next.whole_log);
    let status = scene.handle.job(JOB.to_owned()).await.unwrap();
    let problem = status.problems.iter().find(|p| p.code == ABSENT).unwrap();
    assert!(problem.message.contains("host1"), "{problem:?}");
    assert!(problem.message.contains(&scene.location), "{problem:?}");
    assert!(problem.help.contains("host1"), "{problem:?}");
    assert!(status.problems.iter().all(|p| p.code != DAMAGED));
    while let Ok(message) = first.try_recv() {
        let body = message.unwrap().body;
        assert!(!matches!(body, Some(ToExecutor::Assign(_))), "{body:?}");
    }
    scene.end().await;
}

#[tokio::test]
async fn a_file_that_the_master_does_not_find_whole_either_is_damaged() {
    for content in [None, Some("stat"), Some("stale")] {
        let scene = Scene::start().await;
        let mut executor = scene.register(1).await;
        let assignment = assigned(&mut executor).await;
        match content {
            None => std::fs::remove_file(scene.state()).unwrap(),
            Some(content) => std::fs::write(scene.state(), content).unwrap(),
        }
        scene.misses(1, &assignment).await;
        let next = assigned(&mut executor).await;
        assert!(next.restore.is_none() && next.whole_log, "{content:?}");
        scene.end().await;
    }
}

#[tokio::test]
async fn a_master_that_sees_a_copy_itself_does_not_judge() {
    let scene = Scene::start().await;
    let mut executor = scene.register(1).await;
    let assignment = assigned(&mut executor).await;
    let stamps = scene.root.path().join(STAMPS);
    std::fs::remove_file(stamps.join(scene.stamp.to_string())).unwrap();
    scene.misses(1, &assignment).await;
    let next = assigned(&mut executor).await;
    assert!(next.restore.is_none() && next.whole_log);
    scene.end().await;
}
