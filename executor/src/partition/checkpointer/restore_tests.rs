use std::path::Path;

use kol_common::ClusterId;
use kol_common::actor::Group;
use kol_common::checkpoint::frame::Encoder;
use kol_common::checkpoint::marker::CLUSTER_FILE;
use kol_common::checkpoint::{DAMAGED, Stores};
use kol_common::job::{Counters, Profile, ScoringSpec};
use tokio::sync::oneshot;

use super::super::Standby;
use super::*;
use crate::partition::testing::event;
use crate::state::Capture;

const T0: u64 = 485_000 * 3_600_000;

/// A checkpoint root on this machine, and the state of a partition.
struct Rig {
    folder: tempfile::TempDir,
    of: Of,
    roots: Roots,
    memory: Memory,
    state: State,
    files: Vec<StateFile>,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CLUSTER_FILE), "clu_1").unwrap();
        let location = format!("file://{}", folder.path().display());
        let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
        let scoring = Arc::new(Scoring::new(&spec));
        Self {
            of: Of {
                root: Place::root(&location, &ClusterId::from_wire("clu_1")),
                scoring: Arc::clone(&scoring),
                partition: SourcePartition::new("t", 0),
            },
            roots: Roots::new(Stores::of_this_machine(), "host"),
            memory: Memory::new(1 << 30),
            state: State::new(scoring),
            files: Vec::new(),
            folder,
        }
    }

    fn restore(&self) -> Restore {
        Restore::new(self.roots.clone(), self.of.clone(), self.memory.clone())
    }

    /// One more creator, and a file of what changed.
    async fn epoch(&mut self, kol: &str) -> PartitionCheckpoint {
        self.state.apply(&event(kol), Millis(T0));
        let whole = self.files.is_empty();
        let what = if whole {
            Capture::Base
        } else {
            Capture::Changes
        };
        self.state.begin_capture(what);
        while self.state.capture_some(100) {}
        let (mut encoder, mut packed) = (Encoder::default(), Vec::new());
        encoder.header(&mut packed);
        encoder.frame(&self.state.take_copies(), &mut packed);
        encoder.trailer(&mut packed);
        self.state.keep_capture();
        let store = self.roots.open(&self.of.root).await.unwrap();
        let mut upload = store.create(format!("job_1/0/{}.state", self.files.len()));
        upload.append(packed).await.unwrap();
        self.files.push(upload.finish().await.unwrap());
        self.checkpoint()
    }

    fn checkpoint(&self) -> PartitionCheckpoint {
        PartitionCheckpoint {
            files: self.files.clone(),
            clock_ms: Some(T0),
            ..PartitionCheckpoint::default()
        }
    }

    fn delete(&self, number: usize) {
        let path: &Path = self.folder.path();
        std::fs::remove_file(path.join(&self.files[number].path)).unwrap();
    }
}

async fn whole(restore: &mut Restore, checkpoint: &PartitionCheckpoint) -> Result<usize, KolError> {
    match restore.attempt(checkpoint).await {
        Attempt::Done(restored) => Ok(restored.state.size().0),
        Attempt::Unavailable(error) | Attempt::Failed(error) => Err(error),
    }
}

#[tokio::test]
async fn what_was_read_ahead_is_not_read_again_where_a_checkpoint_begins_with_it() {
    let mut rig = Rig::new();
    let first = rig.epoch("a").await;
    let mut restore = rig.restore();
    assert!(matches!(restore.step(&first).await, Attempt::Done(true)));
    assert!(matches!(restore.step(&first).await, Attempt::Done(false)));
    assert!(rig.memory.used(Use::State) > 0, "it takes memory meanwhile");
    rig.epoch("b").await;
    let third = rig.epoch("c").await;
    rig.delete(0);
    assert_eq!(whole(&mut restore, &third).await.unwrap(), 3);
    assert_eq!(rig.memory.used(Use::State), 0);
    let again = whole(&mut restore, &third).await.unwrap_err();
    assert_eq!(again.code, DAMAGED, "a state is given once");
}

#[tokio::test]
async fn what_was_read_ahead_counts_for_no_checkpoint_that_does_not_begin_with_it() {
    let mut rig = Rig::new();
    let first = rig.epoch("a").await;
    let both = rig.epoch("b").await;
    let mut restore = rig.restore();
    while let Attempt::Done(true) = restore.step(&both).await {}
    // An older one, and one with another base.
    assert_eq!(whole(&mut restore, &first).await.unwrap(), 1);
    let mut restore = rig.restore();
    while let Attempt::Done(true) = restore.step(&both).await {}
    rig.files.clear();
    let other = PartitionCheckpoint {
        files: {
            let base = rig.epoch("c").await;
            base.files
        },
        ..both
    };
    // The files of the first base have the same paths: these are another's bytes.
    assert_eq!(whole(&mut restore, &other).await.unwrap(), 3);
}

#[tokio::test]
async fn a_standby_reads_what_it_is_ordered_says_so_and_gives_it_to_the_assignment() {
    let mut rig = Rig::new();
    let group = Group::new("test");
    let standby = Standby::start(&group, rig.restore());
    let order = |checkpoint: PartitionCheckpoint| {
        let (ready, answer) = oneshot::channel();
        standby.order(checkpoint, ready);
        answer
    };
    let first = rig.epoch("a").await;
    order(first.clone()).await.unwrap().unwrap();
    order(first).await.unwrap().unwrap();
    let second = rig.epoch("b").await;
    order(second.clone()).await.unwrap().unwrap();
    let third = rig.epoch("c").await;
    // Nothing is read any more of what was read.
    rig.delete(0);
    rig.delete(1);
    let mut restore = standby.give().await.unwrap();
    assert_eq!(whole(&mut restore, &third).await.unwrap(), 3);
}

#[tokio::test]
async fn a_standby_that_cannot_read_a_state_says_why_and_reads_the_next_one() {
    let mut rig = Rig::new();
    let group = Group::new("test");
    let standby = Standby::start(&group, rig.restore());
    let damaged = rig.epoch("a").await;
    // The folder is there, and only this file is not.
    std::fs::write(rig.folder.path().join("job_1/other"), "").unwrap();
    rig.delete(0);
    let (ready, answer) = oneshot::channel();
    standby.order(damaged, ready);
    assert_eq!(answer.await.unwrap().unwrap_err().code, DAMAGED);
    rig.files.clear();
    let next = rig.epoch("b").await;
    let (ready, answer) = oneshot::channel();
    standby.order(next, ready);
    answer.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_standby_reads_once_the_store_is_back_however_often_it_is_ordered_a_newer_state() {
    let mut rig = Rig::new();
    let group = Group::new("test");
    let standby = Standby::start(&group, rig.restore());
    let checkpoint = rig.epoch("a").await;
    let file = rig.folder.path().join(&rig.files[0].path);
    let away = rig.folder.path().join("away");
    std::fs::rename(&file, &away).unwrap();
    // Neither missing nor readable.
    std::os::unix::fs::symlink(&file, &file).unwrap();
    let order = async |checkpoint: &PartitionCheckpoint| {
        let (ready, answer) = oneshot::channel();
        standby.order(checkpoint.clone(), ready);
        tokio::time::timeout(Duration::from_millis(500), answer).await
    };
    for _ in 0..20 {
        let answer = order(&checkpoint).await;
        assert!(answer.is_err(), "it cannot be read: {answer:?}");
    }
    std::fs::rename(&away, &file).unwrap();
    for _ in 0..10 {
        // An answer that is dropped: a newer order came.
        if let Ok(Ok(answer)) = order(&checkpoint).await {
            return answer.unwrap();
        }
    }
    panic!("it does not read although the store is back");
}

#[tokio::test]
async fn a_standby_that_is_dropped_gives_its_memory_back() {
    let mut rig = Rig::new();
    let group = Group::new("test");
    let standby = Standby::start(&group, rig.restore());
    let (ready, answer) = oneshot::channel();
    standby.order(rig.epoch("a").await, ready);
    answer.await.unwrap().unwrap();
    assert!(rig.memory.used(Use::State) > 0);
    drop(standby);
    while rig.memory.used(Use::State) > 0 {
        tokio::task::yield_now().await;
    }
}
