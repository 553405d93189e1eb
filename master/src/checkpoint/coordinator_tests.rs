use std::collections::{BTreeMap, BTreeSet};

use kol_common::job::CheckpointSpec;
use kol_common::proto::{PartitionCheckpoint, StateFile};
use kol_common::{KolError, Millis, SavepointId, SourcePartition};
use proptest::prelude::*;

use super::{Begin, Commit, Coordinator, Effect, Facts, Input, Notice, Owner};

fn limits() -> CheckpointSpec {
    CheckpointSpec {
        timeout: Millis(5_000),
        retain: 2,
        retain_minutes: 0,
        retain_hours: 0,
        ..CheckpointSpec::default()
    }
}

/// A coordinator with the names of its partitions, and what came out of it beside what a helper answers with.
struct Rig {
    c: Coordinator,
    names: Vec<SourcePartition>,
    garbage: Vec<String>,
    notices: Vec<Notice>,
}

impl Rig {
    fn new() -> Self {
        Self::with(Coordinator::new(limits(), vec![], 0, Millis(0), false))
    }

    fn with(c: Coordinator) -> Self {
        Self {
            c,
            names: (0..4).map(|i| SourcePartition::new("t", i)).collect(),
            garbage: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// One step; answers with the epoch that it began and the one that it committed.
    fn handle(&mut self, now: u64, input: Input<'_>) -> (Option<Begin>, Option<Commit>) {
        let (mut out, mut begun, mut committed) = (Vec::new(), None, None);
        self.c.handle(Millis(now), input, &mut out);
        for effect in out {
            match effect {
                Effect::Begin(begin) => begun = Some(begin),
                Effect::Commit(commit) => committed = Some(commit),
                Effect::Delete(paths) => self.garbage.extend(paths),
                Effect::Notice(notice) => self.notices.push(notice),
                Effect::Savepoint(..) => {}
            }
        }
        (begun, committed)
    }

    /// Time passes; each partition has an owner under one of these assignment epochs.
    fn step(&mut self, now: u64, assignments: &[u64]) -> Option<Begin> {
        self.step_with(now, assignments, u32::MAX, None)
    }

    /// Time passes, of two partitions; the last epoch has all of those that are `unchanged`.
    fn step_unchanged(&mut self, now: u64, unchanged: [bool; 2], moves: bool) -> Option<Begin> {
        let names = self.names.clone();
        let owner = |(ordinal, unchanged)| Owner {
            partition: &names[ordinal as usize],
            ordinal,
            assignment_epoch: 1,
            ready: true,
            moves,
            unchanged,
        };
        let owners: Vec<_> = (0..).zip(unchanged).map(owner).collect();
        self.handle(now, Input::Tick(&owners)).0
    }

    /// Commits the epoch of two partitions that begins now.
    fn commit_unchanged(&mut self, now: u64) {
        let begin = self.step_unchanged(now, [true; 2], false).unwrap();
        self.ack(now, begin.epoch, part(0, 1, &[]));
        self.ack(now, begin.epoch, part(1, 1, &[])).unwrap();
    }

    /// The same, but for one owner that cannot take part, and one that waits for an epoch to move.
    fn step_with(
        &mut self,
        now: u64,
        assignments: &[u64],
        unready: u32,
        moves: Option<u32>,
    ) -> Option<Begin> {
        let names = self.names.clone();
        let owner = |(ordinal, assignment_epoch): (u32, &u64)| Owner {
            partition: &names[ordinal as usize],
            ordinal,
            assignment_epoch: *assignment_epoch,
            ready: ordinal != unready,
            moves: Some(ordinal) == moves,
            unchanged: false,
        };
        let owners: Vec<_> = (0..).zip(assignments).map(owner).collect();
        self.handle(now, Input::Tick(&owners)).0
    }

    /// A partition's part is durable; answers with the epoch if that completes it.
    fn ack(&mut self, now: u64, epoch: u64, checkpoint: PartitionCheckpoint) -> Option<Commit> {
        let facts = Facts::default();
        let acknowledged = Input::Acknowledged {
            epoch,
            checkpoint: Box::new(checkpoint),
            facts,
        };
        self.handle(now, acknowledged).1
    }

    fn fail(&mut self, now: u64, epoch: u64, ordinal: u32, assignment_epoch: u64, error: KolError) {
        let failed = Input::Failed {
            epoch,
            ordinal,
            assignment_epoch,
            error,
        };
        self.handle(now, failed);
    }

    /// Lets one partition commit an epoch whose state is in these files.
    fn committed(&mut self, now: u64, paths: &[&str]) -> Commit {
        let begin = self.step(now, &[1]).unwrap();
        self.ack(now, begin.epoch, part(0, 1, paths)).unwrap()
    }

    fn take_garbage(&mut self) -> Vec<String> {
        std::mem::take(&mut self.garbage)
    }
}

fn part(ordinal: u32, assignment_epoch: u64, paths: &[&str]) -> PartitionCheckpoint {
    let file = |path: &&str| StateFile {
        path: (*path).to_owned(),
        ..StateFile::default()
    };
    PartitionCheckpoint {
        ordinal,
        assignment_epoch,
        files: paths.iter().map(file).collect(),
        ..PartitionCheckpoint::default()
    }
}

#[test]
fn an_epoch_begins_when_all_can_take_part_and_is_complete_when_all_have_acknowledged() {
    let mut rig = Rig::new();
    let two = [4, 7];
    assert_eq!(rig.step(999, &two), None, "the interval");
    assert_eq!(
        rig.step_with(2_000, &two, 1, None),
        None,
        "one has not claimed"
    );
    let begin = rig.step(2_000, &two).unwrap();
    assert_eq!((begin.epoch, begin.parent), (1, 0));
    assert_eq!(rig.step(4_000, &two), None, "one at a time");
    let mut refused = |epoch, part| rig.ack(4_000, epoch, part).is_none();
    assert!(refused(1, part(0, 4, &[])));
    assert!(refused(1, part(0, 4, &[])), "twice");
    assert!(refused(1, part(1, 6, &[])), "an older assignment");
    assert!(refused(2, part(1, 7, &[])), "another epoch");
    let commit = rig.ack(4_000, 1, part(1, 7, &[])).unwrap();
    assert_eq!((commit.manifest.epoch, commit.manifest.took_ms), (1, 2_000));
    assert_eq!(commit.manifest.partitions.len(), 2);
    assert_eq!(rig.step(9_999, &two), None, "a rest by what it took");
    let begin = rig.step(10_000, &two).unwrap();
    assert_eq!((begin.epoch, begin.parent), (2, 1));
}

#[test]
fn where_a_partition_waits_to_move_an_epoch_rests_no_longer_than_the_one_before_took() {
    let moves = |rig: &mut Rig, now| rig.step_with(now, &[1], u32::MAX, Some(0));
    let limits = CheckpointSpec {
        interval: Millis(30_000),
        timeout: Millis(60_000),
        ..limits()
    };
    let mut rig = Rig::with(Coordinator::new(limits, vec![], 0, Millis(0), false));
    assert_eq!(moves(&mut rig, 999), None, "a second in any case");
    let begin = moves(&mut rig, 1_000).unwrap();
    rig.ack(9_000, begin.epoch, part(0, 1, &["a"])).unwrap();
    assert_eq!(rig.step(16_999, &[1]), None);
    assert_eq!(moves(&mut rig, 16_999), None, "8 s are not over");
    assert_eq!(rig.step(17_000, &[1]), None, "nobody waits");
    assert!(moves(&mut rig, 17_000).is_some());
}

#[test]
fn an_epoch_that_takes_too_long_is_aborted_with_its_stragglers_named() {
    let mut rig = Rig::new();
    let three = [1, 1, 1];
    let mut begun = 20_000;
    rig.step(begun, &three).unwrap();
    for failure in 1..=3 {
        assert_eq!(rig.ack(begun, failure, part(0, 1, &["a"])), None);
        assert!(rig.c.problem().is_none(), "fewer than three are not loud");
        assert_eq!(rig.step(begun + 4_999, &three), None);
        assert_eq!(rig.c.status().failures, failure - 1);
        begun += 5_000;
        let next = rig.step(begun, &three).unwrap();
        assert_eq!(next.epoch, failure + 1, "a number is used once");
        assert_eq!(rig.c.status().failures, failure);
    }
    let problem = rig.c.problem().expect("three in a row are loud");
    let problem = problem.to_string();
    assert!(problem.contains("t/1, t/2 did not"), "{problem}");
    assert!(!problem.contains("t/0"), "{problem}");
}

#[test]
fn a_partition_that_changes_hands_aborts_the_epoch_and_that_is_no_failure() {
    let mut rig = Rig::new();
    let begin = rig.step(1_000, &[1, 1]).unwrap();
    assert_eq!(rig.ack(1_000, begin.epoch, part(0, 1, &["a"])), None);
    assert_eq!(rig.step(1_100, &[2, 1]), None);
    let late = rig.ack(1_100, begin.epoch, part(1, 1, &["b"]));
    assert_eq!(late, None, "it is over");
    assert_eq!(rig.take_garbage(), ["a"]);
    let status = rig.c.status();
    assert_eq!((status.failures, status.aborted_count), (0, 1));
    assert!(rig.step(2_000, &[2, 1]).is_some());
    rig.step(2_100, &[2, 1, 1]);
    assert_eq!(rig.c.status().aborted_count, 2, "a partition was added");
}

#[test]
fn a_partition_that_cannot_take_part_aborts_the_epoch_and_a_commit_clears_the_problem() {
    let mut rig = Rig::new();
    let full = || KolError::external("CHECKPOINT_STORE", "no space left");
    for n in 1..=3 {
        let now = n * 1_000;
        let begin = rig.step(now, &[1]).unwrap();
        rig.fail(now, begin.epoch, 0, 9, full());
        assert_eq!(rig.c.status().failures, n - 1, "another assignment");
        rig.fail(now, begin.epoch, 0, 1, full());
        assert_eq!(rig.c.status().failures, n);
    }
    assert_eq!(rig.c.problem().unwrap().message, "no space left");
    rig.committed(10_000, &["a"]);
    let loud = || Notice::Failed(full());
    let notices = [loud(), loud(), Notice::Recovered(3)];
    assert_eq!(rig.notices, notices, "the first, the third, and the end");
    assert!(rig.c.problem().is_none());
    assert_eq!(rig.c.status().failures, 0);
}

#[test]
fn state_is_garbage_once_no_kept_epoch_refers_to_it() {
    let mut rig = Rig::new();
    rig.committed(1_000, &["base", "1"]);
    rig.committed(2_000, &["base", "1", "2"]);
    rig.committed(3_000, &["base", "1", "2", "3"]);
    assert_eq!(rig.take_garbage(), [""; 0], "all of it is still in use");
    rig.committed(4_000, &["new"]);
    rig.committed(5_000, &["new", "5"]);
    let kept: Vec<u64> = rig.c.kept().map(|m| m.epoch).collect();
    assert_eq!(kept, [5, 4]);
    assert_eq!(rig.take_garbage(), [""; 0], "the chain before");
    rig.committed(6_000, &["newer"]);
    rig.committed(7_000, &["newer", "7"]);
    assert_eq!(rig.take_garbage(), ["1", "2", "3", "base"]);
}

#[test]
fn a_torn_base_leaves_the_newest_epoch_of_the_chain_before() {
    let mut rig = Rig::new();
    let mut stored = BTreeMap::new();
    let mut commit = |rig: &mut Rig, now: u64, paths: &[&str]| {
        let commit = rig.committed(now, paths);
        stored.insert(commit.manifest.epoch, commit.manifest);
        stored.extend(commit.reduced.into_iter().map(|m| (m.epoch, m)));
        stored.retain(|epoch, _| !commit.forgotten.contains(epoch));
    };
    commit(&mut rig, 1_000, &["base"]);
    commit(&mut rig, 2_000, &["base", "2"]);
    for now in 3..9 {
        commit(&mut rig, now * 1_000, &["torn", "more"]);
    }
    let newest = |c: &Coordinator| c.usable(0).next().map(|(epoch, _)| epoch);
    // Also after the master was started again.
    let kept: Vec<_> = stored.into_values().collect();
    let again = Coordinator::new(limits(), kept, 1_000, Millis(9_000), false);
    for mut c in [rig.c, again] {
        for epoch in [8, 7] {
            assert_eq!(newest(&c), Some(epoch));
            c.mark_damaged(0, epoch);
        }
        assert_eq!(newest(&c), Some(2));
        c.mark_damaged(0, 2);
        assert_eq!(newest(&c), None);
        assert_eq!(c.kept().count(), 2, "for people those that are whole");
    }
}

#[test]
fn a_damaged_state_is_not_given_out_again() {
    let mut rig = Rig::new();
    let first = rig.committed(1_000, &["a"]).manifest.epoch;
    let second = rig.committed(2_000, &["b"]).manifest.epoch;
    let newest = |rig: &Rig| rig.c.usable(0).next().map(|(epoch, _)| epoch);
    assert_eq!(newest(&rig), Some(second));
    rig.c.mark_damaged(0, second);
    assert_eq!(newest(&rig), Some(first));
    rig.c.mark_damaged(0, first);
    assert_eq!(newest(&rig), None);
    let third = rig.committed(3_000, &["c"]).manifest.epoch;
    assert_eq!(newest(&rig), Some(third));
}

#[derive(Clone, Debug)]
enum Do {
    Wait(u64),
    Move(u32),
    Ack(u32, bool),
    Fail(u32),
    Restart,
}

fn doing() -> impl Strategy<Value = Do> {
    prop_oneof![
        5 => (0..2_500u64).prop_map(Do::Wait),
        1 => (0..3u32).prop_map(Do::Move),
        12 => (0..3u32, prop::bool::weighted(0.1)).prop_map(|(ordinal, old)| Do::Ack(ordinal, old)),
        1 => (0..3u32).prop_map(Do::Fail),
        1 => Just(Do::Restart),
    ]
}

/// Three partitions, and what a meta store would hold.
struct World {
    rig: Rig,
    now: u64,
    assignments: [u64; 3],
    open: Option<Begin>,
    acked: BTreeMap<u32, u64>,
    begun: BTreeSet<u64>,
    head: u64,
    stored: Vec<kol_common::proto::Manifest>,
    reserved: u64,
}

impl World {
    fn act(&mut self, what: Do) {
        match what {
            Do::Wait(ms) => self.now += ms,
            Do::Move(ordinal) => self.assignments[ordinal as usize] += 1,
            Do::Ack(ordinal, old) => self.ack(ordinal, old),
            Do::Fail(ordinal) => {
                let epoch = self.open.as_ref().map_or(0, |b| b.epoch);
                let error = KolError::external("X", "x");
                let assignment = self.assignments[ordinal as usize];
                self.rig.fail(self.now, epoch, ordinal, assignment, error);
            }
            Do::Restart => {
                let (stored, now) = (self.stored.clone(), Millis(self.now));
                let c = Coordinator::new(limits(), stored, self.reserved, now, false);
                self.rig = Rig::with(c);
                self.open = None;
            }
        }
        self.step();
    }

    fn step(&mut self) {
        if let Some(begin) = self.rig.step(self.now, &self.assignments) {
            assert!(self.begun.insert(begin.epoch), "{begin:?} was used before");
            assert!(self.begun.last() == Some(&begin.epoch), "numbers grow");
            assert_eq!(begin.parent, self.head);
            self.reserved = begin.reserved;
            assert_eq!(self.reserved, self.rig.c.reserved());
            assert!(begin.epoch <= self.reserved);
            self.open = Some(begin);
            self.acked.clear();
        }
    }

    fn ack(&mut self, ordinal: u32, old: bool) {
        let Some(begin) = self.open.clone() else {
            return;
        };
        let epoch = begin.epoch - u64::from(old);
        let assignment = self.assignments[ordinal as usize];
        let path = format!("{ordinal}/{epoch}");
        let part = part(ordinal, assignment, &[&path]);
        let commit = self.rig.ack(self.now, epoch, part);
        if !old {
            self.acked.insert(ordinal, assignment);
        }
        let Some(commit) = commit else {
            return;
        };
        let manifest = commit.manifest;
        assert!(manifest.epoch > self.head, "committed epochs grow");
        assert_eq!(manifest.parent, self.head);
        let ordinals: Vec<u32> = manifest.partitions.iter().map(|p| p.ordinal).collect();
        assert_eq!(ordinals, [0, 1, 2], "all partitions");
        for p in &manifest.partitions {
            assert_eq!(self.acked.get(&p.ordinal), Some(&p.assignment_epoch));
            assert_eq!(self.assignments[p.ordinal as usize], p.assignment_epoch);
        }
        self.head = manifest.epoch;
        self.stored.push(manifest);
        let gone = |epoch: u64| {
            let reduced = commit.reduced.iter().any(|m| m.epoch == epoch);
            reduced || commit.forgotten.contains(&epoch)
        };
        self.stored.retain(|m| !gone(m.epoch));
        self.stored.extend(commit.reduced.clone());
        self.stored.sort_by_key(|m| m.epoch);
        let used = self.stored.iter().flat_map(|m| &m.partitions);
        let used: BTreeSet<&str> = used.flat_map(|p| &p.files).map(|f| &*f.path).collect();
        let garbage = self.rig.take_garbage();
        assert!(garbage.iter().all(|path| !used.contains(&**path)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]
    #[test]
    fn committed_epochs_grow_cover_all_partitions_and_keep_their_files(
        steps in prop::collection::vec(doing(), 0..80),
    ) {
        let mut world = World {
            rig: Rig::new(),
            now: 0,
            assignments: [1; 3],
            open: None,
            acked: BTreeMap::new(),
            begun: BTreeSet::new(),
            head: 0,
            stored: Vec::new(),
            reserved: 0,
        };
        for what in steps {
            world.act(what);
        }
        // Left alone, it commits.
        let before = world.head;
        world.rig.step(world.now, &[0; 3]);
        world.act(Do::Wait(1_000_000));
        for ordinal in 0..3 {
            world.act(Do::Ack(ordinal, false));
        }
        prop_assert!(world.head > before);
    }
}

#[test]
fn an_epoch_that_would_say_the_same_is_put_off_until_something_changes_and_for_half_a_minute_at_most()
 {
    let mut rig = Rig::new();
    rig.commit_unchanged(1_000);
    assert_eq!(rig.step_unchanged(30_999, [true; 2], false), None);
    rig.commit_unchanged(31_000);
    assert_eq!(rig.step_unchanged(33_000, [true; 2], false), None);
    let begin = rig.step_unchanged(33_000, [true, false], false);
    assert!(begin.is_some(), "one partition has changed");
}

#[test]
fn an_interval_that_is_longer_than_half_a_minute_is_kept_while_nothing_changes() {
    let limits = CheckpointSpec {
        interval: Millis(60_000),
        ..limits()
    };
    let mut rig = Rig::with(Coordinator::new(limits, vec![], 0, Millis(0), false));
    rig.commit_unchanged(60_000);
    assert_eq!(rig.step_unchanged(119_999, [true; 2], false), None);
    assert!(rig.step_unchanged(120_000, [true; 2], false).is_some());
}

#[test]
fn an_epoch_is_not_put_off_after_an_abort_or_a_start_nor_where_somebody_wants_it() {
    let idle = || {
        let mut rig = Rig::new();
        rig.commit_unchanged(1_000);
        rig
    };
    let mut moving = idle();
    assert!(moving.step_unchanged(2_000, [true; 2], true).is_some());

    let mut stopped = idle();
    stopped.handle(2_000, Input::Finish);
    assert!(
        stopped
            .step_unchanged(2_000, [true; 2], false)
            .unwrap()
            .last
    );

    let mut saved = idle();
    let request = Input::Savepoint {
        id: SavepointId::from_wire("s".to_owned()),
        folder: "file:///s".to_owned(),
    };
    saved.handle(2_000, request);
    let begin = saved.step_unchanged(2_000, [true; 2], false).unwrap();
    assert!(begin.savepoint.is_some());

    let mut failed = idle();
    let begin = failed.step_unchanged(31_000, [true; 2], false).unwrap();
    failed.fail(31_000, begin.epoch, 0, 1, KolError::internal("X", "x"));
    assert!(failed.step_unchanged(32_000, [true; 2], false).is_some());

    let head = failed.c.head().cloned().unwrap();
    let mut started = Rig::with(Coordinator::new(
        limits(),
        vec![head],
        9,
        Millis(40_000),
        false,
    ));
    assert!(started.step_unchanged(41_000, [true; 2], false).is_some());
}

#[test]
fn orphans_are_looked_for_soon_after_a_start_and_then_each_ten_minutes_however_seldom_epochs_come()
{
    let mut rig = Rig::new();
    let mut looked = |now| {
        let begin = rig.step_unchanged(now, [true; 2], false).unwrap();
        rig.ack(now, begin.epoch, part(0, 1, &[]));
        let commit = rig.ack(now, begin.epoch, part(1, 1, &[])).unwrap();
        commit.orphans.is_some()
    };
    assert!(!looked(1_000), "it may have just been written");
    assert!(looked(31_000));
    let later = (1..=20).map(|minute| 31_000 + minute * 30_000);
    let at: Vec<_> = later.filter(|now| looked(*now)).collect();
    assert_eq!(at, [631_000]);
}
