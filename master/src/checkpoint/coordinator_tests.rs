use std::collections::{BTreeMap, BTreeSet};

use kol_common::job::CheckpointSpec;
use kol_common::proto::{PartitionCheckpoint, StateFile};
use kol_common::{KolError, Millis};
use proptest::prelude::*;

use super::{Begin, Coordinator, Facts, News, Owner};

fn limits() -> CheckpointSpec {
    CheckpointSpec {
        timeout: Millis(5_000),
        retain: 2,
        ..CheckpointSpec::default()
    }
}

fn owners(epochs: &[u64]) -> Vec<Owner> {
    let owner = |(slot, epoch): (usize, &u64)| Owner {
        slot: slot as u32,
        assignment_epoch: *epoch,
        ready: true,
    };
    epochs.iter().enumerate().map(owner).collect()
}

fn part(slot: u32, assignment_epoch: u64, paths: &[&str]) -> PartitionCheckpoint {
    let file = |path: &&str| StateFile {
        path: (*path).to_owned(),
        ..StateFile::default()
    };
    PartitionCheckpoint {
        slot,
        assignment_epoch,
        files: paths.iter().map(file).collect(),
        ..PartitionCheckpoint::default()
    }
}

fn step(c: &mut Coordinator, now: u64, owners: &[Owner]) -> Option<Begin> {
    c.step(Millis(now), owners, |slot| format!("t-{slot}"))
}

/// Lets one partition hold an epoch whose state is in these files.
fn committed(c: &mut Coordinator, now: u64, paths: &[&str]) -> u64 {
    let begin = step(c, now, &owners(&[1])).unwrap();
    assert!(c.acknowledged(begin.epoch, part(0, 1, paths)));
    c.commit(Millis(now), Facts::default())
        .unwrap()
        .manifest
        .epoch
}

#[test]
fn an_epoch_begins_when_all_can_take_part_and_is_complete_when_all_have_acknowledged() {
    let mut c = Coordinator::new(limits(), vec![], 0, Millis(0));
    let mut two = owners(&[4, 7]);
    assert_eq!(step(&mut c, 999, &two), None, "the interval");
    two[1].ready = false;
    assert_eq!(step(&mut c, 2_000, &two), None, "one has not claimed");
    two[1].ready = true;
    let begin = step(&mut c, 2_000, &two).unwrap();
    assert_eq!((begin.epoch, begin.parent), (1, 0));
    assert_eq!(step(&mut c, 4_000, &two), None, "one at a time");
    assert!(!c.acknowledged(1, part(0, 4, &[])));
    assert!(!c.acknowledged(1, part(0, 4, &[])), "twice");
    assert!(!c.acknowledged(1, part(1, 6, &[])), "an older assignment");
    assert!(!c.acknowledged(2, part(1, 7, &[])), "another epoch");
    assert_eq!(c.commit(Millis(4_000), Facts::default()), None);
    assert!(c.acknowledged(1, part(1, 7, &[])));
    let commit = c.commit(Millis(4_000), Facts::default()).unwrap();
    assert_eq!((commit.manifest.epoch, commit.manifest.took_ms), (1, 2_000));
    assert_eq!(commit.manifest.partitions.len(), 2);
    assert_eq!(step(&mut c, 9_999, &two), None, "a rest by what it took");
    let begin = step(&mut c, 10_000, &two).unwrap();
    assert_eq!((begin.epoch, begin.parent), (2, 1));
}

#[test]
fn an_epoch_that_takes_too_long_is_given_up_with_its_stragglers_named() {
    let mut c = Coordinator::new(limits(), vec![], 0, Millis(0));
    let three = owners(&[1, 1, 1]);
    let mut begun = 20_000;
    step(&mut c, begun, &three).unwrap();
    for failure in 1..=3 {
        assert!(!c.acknowledged(failure, part(0, 1, &["a"])));
        assert!(c.problem().is_none(), "fewer than three are not loud");
        assert_eq!(step(&mut c, begun + 4_999, &three), None);
        assert_eq!(c.status().failures, failure - 1);
        begun += 5_000;
        let next = step(&mut c, begun, &three).unwrap();
        assert_eq!(next.epoch, failure + 1, "a number is used once");
        assert_eq!(c.status().failures, failure);
    }
    let problem = c.problem().expect("three in a row are loud").to_string();
    assert!(problem.contains("t-1, t-2 did not"), "{problem}");
    assert!(!problem.contains("t-0"), "{problem}");
}

#[test]
fn a_partition_that_changes_hands_ends_the_epoch_and_that_is_no_failure() {
    let mut c = Coordinator::new(limits(), vec![], 0, Millis(0));
    let begin = step(&mut c, 1_000, &owners(&[1, 1])).unwrap();
    assert!(!c.acknowledged(begin.epoch, part(0, 1, &["a"])));
    assert_eq!(step(&mut c, 1_100, &owners(&[2, 1])), None);
    assert!(
        !c.acknowledged(begin.epoch, part(1, 1, &["b"])),
        "it is over"
    );
    assert_eq!(c.take_garbage(), ["a"]);
    assert_eq!((c.status().failures, c.status().aborted_count), (0, 1));
    assert!(step(&mut c, 2_000, &owners(&[2, 1])).is_some());
    step(&mut c, 2_100, &owners(&[2, 1, 1]));
    assert_eq!(c.status().aborted_count, 2, "a partition was added");
}

#[test]
fn a_partition_that_cannot_take_part_ends_the_epoch_and_a_commit_ends_the_trouble() {
    let mut c = Coordinator::new(limits(), vec![], 0, Millis(0));
    let full = || KolError::external("CHECKPOINT_STORE", "no space left");
    for n in 1..=3 {
        let begin = step(&mut c, n * 1_000, &owners(&[1])).unwrap();
        c.failed(Millis(n * 1_000), begin.epoch, 0, 9, full());
        assert_eq!(c.status().failures, n - 1, "another assignment");
        c.failed(Millis(n * 1_000), begin.epoch, 0, 1, full());
        assert_eq!(c.status().failures, n);
    }
    assert_eq!(c.problem().unwrap().message, "no space left");
    assert_eq!(c.take_news(), Some(News::Failed(full())));
    committed(&mut c, 10_000, &["a"]);
    assert_eq!(c.take_news(), Some(News::Mended(3)));
    assert!(c.problem().is_none());
    assert_eq!(c.status().failures, 0);
}

#[test]
fn state_is_garbage_once_no_kept_epoch_refers_to_it() {
    let mut c = Coordinator::new(limits(), vec![], 0, Millis(0));
    committed(&mut c, 1_000, &["base", "1"]);
    committed(&mut c, 2_000, &["base", "1", "2"]);
    committed(&mut c, 3_000, &["base", "1", "2", "3"]);
    assert_eq!(c.take_garbage(), [""; 0], "all of it is still in use");
    committed(&mut c, 4_000, &["new"]);
    committed(&mut c, 5_000, &["new", "5"]);
    let kept: Vec<u64> = c.kept().map(|m| m.epoch).collect();
    assert_eq!(kept, [5, 4]);
    assert_eq!(c.take_garbage(), [""; 0], "the chain before");
    committed(&mut c, 6_000, &["newer"]);
    committed(&mut c, 7_000, &["newer", "7"]);
    assert_eq!(c.take_garbage(), ["1", "2", "3", "base"]);
}

#[test]
fn a_torn_base_leaves_the_newest_epoch_of_the_chain_before() {
    let mut c = Coordinator::new(limits(), vec![], 0, Millis(0));
    let mut stored = BTreeMap::new();
    let mut commit = |c: &mut Coordinator, now: u64, paths: &[&str]| {
        let begin = step(c, now, &owners(&[1])).unwrap();
        assert!(c.acknowledged(begin.epoch, part(0, 1, paths)));
        let commit = c.commit(Millis(now), Facts::default()).unwrap();
        stored.insert(begin.epoch, commit.manifest);
        stored.extend(commit.reduced.into_iter().map(|m| (m.epoch, m)));
        stored.retain(|epoch, _| !commit.forgotten.contains(epoch));
    };
    commit(&mut c, 1_000, &["base"]);
    commit(&mut c, 2_000, &["base", "2"]);
    for now in 3..9 {
        commit(&mut c, now * 1_000, &["torn", "more"]);
    }
    let newest = |c: &Coordinator| c.checkpoint_of(0).map(|(epoch, _)| epoch);
    // Also after the master was started again.
    let kept: Vec<_> = stored.into_values().collect();
    let again = Coordinator::new(limits(), kept, 1_000, Millis(9_000));
    for mut c in [c, again] {
        for epoch in [8, 7] {
            assert_eq!(newest(&c), Some(epoch));
            c.is_damaged(0, epoch);
        }
        assert_eq!(newest(&c), Some(2));
        c.is_damaged(0, 2);
        assert_eq!(newest(&c), None);
        assert_eq!(c.kept().count(), 2, "for people those that are whole");
    }
}

#[test]
fn a_damaged_state_is_not_given_out_again() {
    let mut c = Coordinator::new(limits(), vec![], 0, Millis(0));
    let first = committed(&mut c, 1_000, &["a"]);
    let second = committed(&mut c, 2_000, &["b"]);
    let newest = |c: &Coordinator| c.checkpoint_of(0).map(|(epoch, _)| epoch);
    assert_eq!(newest(&c), Some(second));
    c.is_damaged(0, second);
    assert_eq!(newest(&c), Some(first));
    c.is_damaged(0, first);
    assert_eq!(newest(&c), None);
    let third = committed(&mut c, 3_000, &["c"]);
    assert_eq!(newest(&c), Some(third));
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
        12 => (0..3u32, prop::bool::weighted(0.1)).prop_map(|(slot, old)| Do::Ack(slot, old)),
        1 => (0..3u32).prop_map(Do::Fail),
        1 => Just(Do::Restart),
    ]
}

/// Three partitions, and what a meta store would hold.
struct World {
    c: Coordinator,
    now: u64,
    epochs: [u64; 3],
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
            Do::Move(slot) => self.epochs[slot as usize] += 1,
            Do::Ack(slot, old) => self.ack(slot, old),
            Do::Fail(slot) => {
                let epoch = self.open.as_ref().map_or(0, |b| b.epoch);
                let error = KolError::external("X", "x");
                let assignment = self.epochs[slot as usize];
                self.c
                    .failed(Millis(self.now), epoch, slot, assignment, error);
            }
            Do::Restart => {
                let (stored, now) = (self.stored.clone(), Millis(self.now));
                self.c = Coordinator::new(limits(), stored, self.reserved, now);
                self.open = None;
            }
        }
        self.step();
    }

    fn step(&mut self) {
        let owners = owners(&self.epochs);
        if let Some(begin) = step(&mut self.c, self.now, &owners) {
            assert!(self.begun.insert(begin.epoch), "{begin:?} was used before");
            assert!(self.begun.last() == Some(&begin.epoch), "numbers grow");
            assert_eq!(begin.parent, self.head);
            self.reserved = self.c.reserved();
            assert!(begin.epoch <= self.reserved);
            self.open = Some(begin);
            self.acked.clear();
        }
    }

    fn ack(&mut self, slot: u32, old: bool) {
        let Some(begin) = self.open.clone() else {
            return;
        };
        let epoch = begin.epoch - u64::from(old);
        let assignment = self.epochs[slot as usize];
        let path = format!("{slot}/{epoch}");
        let complete = self.c.acknowledged(epoch, part(slot, assignment, &[&path]));
        if !old {
            self.acked.insert(slot, assignment);
        }
        if !complete {
            return;
        }
        let commit = self.c.commit(Millis(self.now), Facts::default()).unwrap();
        let manifest = commit.manifest;
        assert!(manifest.epoch > self.head, "committed epochs grow");
        assert_eq!(manifest.parent, self.head);
        let slots: Vec<u32> = manifest.partitions.iter().map(|p| p.slot).collect();
        assert_eq!(slots, [0, 1, 2], "all partitions");
        for p in &manifest.partitions {
            assert_eq!(self.acked.get(&p.slot), Some(&p.assignment_epoch));
            assert_eq!(self.epochs[p.slot as usize], p.assignment_epoch);
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
        let garbage = self.c.take_garbage();
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
            c: Coordinator::new(limits(), vec![], 0, Millis(0)),
            now: 0,
            epochs: [1; 3],
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
        world.c.give_up(Millis(world.now));
        world.act(Do::Wait(1_000_000));
        for slot in 0..3 {
            world.act(Do::Ack(slot, false));
        }
        prop_assert!(world.head > before);
    }
}
