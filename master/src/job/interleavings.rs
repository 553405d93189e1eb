//! The life cycle under random interleavings of losses, returns, releases, failures, moves, epochs, restarts of the
//! master and time, with fake executors that answer late, lose messages, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Barrier, BarrierAck, ErrorInfo, ExecutorState, Manifest, PartitionCheckpoint, PartitionFailed,
    PartitionReport, PartitionState, Preparation, Prepared, Released, Reports, RevokeMode,
    RunningPartition,
};
use kol_common::{ExecutorId, Incarnation, JobId, Millis, SourcePartition};
use proptest::prelude::*;

use super::discovery::Found;
use super::effect::Event;
use super::fleet::{Executor, Fleet};
use super::machine::Job;
use super::record::{End, JobRecord, Phase};
use super::testing::{Out, executor, member, started};
use crate::testing::spec;

const DRAIN: Duration = Duration::from_secs(2);
const PARTITIONS: u32 = 6;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Join(u8),
    Lose(u8),
    Suspect(u8),
    Return(u8),
    Leave(u8),
    Answer(u8),
    Fail(u8),
    /// States that it was to read cannot be read.
    Unready(u8),
    /// A person moves its partitions away, or no longer.
    Drain(u8, bool),
    RestartMaster,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..4_000).prop_map(Step::Wait),
        2 => (0u8..4).prop_map(Step::Join),
        1 => (0u8..4).prop_map(Step::Lose),
        1 => (0u8..4).prop_map(Step::Suspect),
        2 => (0u8..4).prop_map(Step::Return),
        1 => (0u8..4).prop_map(Step::Leave),
        6 => (0u8..4).prop_map(Step::Answer),
        1 => (0u8..4).prop_map(Step::Fail),
        1 => (0u8..4).prop_map(Step::Unready),
        1 => (0u8..4, any::<bool>()).prop_map(|(n, draining)| Step::Drain(n, draining)),
        1 => Just(Step::RestartMaster),
    ]
}

/// What one executor runs and reads ahead, by partition number, and what it has not answered yet.
#[derive(Debug, Default)]
struct Fake {
    runs: BTreeMap<u32, u64>,
    /// The epoch of the state.
    ahead: BTreeMap<u32, u64>,
    preparations: Vec<Preparation>,
    barriers: Vec<Barrier>,
    revocations: Vec<kol_common::proto::Revoke>,
}

struct World {
    job: Job,
    now: u64,
    fleet: Fleet,
    fakes: BTreeMap<u8, Fake>,
    /// Every (partition, assignment epoch) there ever was.
    assigned: BTreeSet<(u32, u64)>,
    stored: JobRecord,
    /// The committed epochs that are kept.
    epochs: Vec<Manifest>,
}

impl World {
    fn new() -> Self {
        let record = JobRecord::new(JobId::from_wire("job_1"), spec("a"), vec![], Millis(0));
        let mut world = Self {
            job: Job::new(record.clone(), vec![], Millis(0), DRAIN),
            now: 0,
            fleet: Fleet::new(),
            fakes: BTreeMap::new(),
            assigned: BTreeSet::new(),
            stored: record,
            epochs: Vec::new(),
        };
        world.event(Event::Discovered(
            Ok(Found {
                partitions: started(PARTITIONS, 0),
                generation: Some(1),
                state: None,
                rekeying: None,
            }),
            None,
        ));
        world
    }

    fn event(&mut self, event: Event) {
        let out = Out::of(&mut self.job, self.now, event, &self.fleet);
        if out.persist {
            self.stored = self.job.record();
        }
        if let Some(commit) = out.commit {
            self.epochs.retain(|m| !commit.forgotten.contains(&m.epoch));
            self.epochs.push(commit.manifest);
        }
        for (to, message) in out.sends {
            self.deliver(&to, message);
        }
    }

    fn deliver(&mut self, to: &ExecutorId, message: ToExecutor) {
        let state = self.fleet.get(to).map(|e| e.state);
        assert!(
            state.is_some_and(|s| s != ExecutorState::Suspect),
            "{to} was called while it is {state:?}"
        );
        let n: u8 = to.as_str().trim_start_matches("exe_").parse().unwrap();
        let fake = self.fakes.entry(n).or_default();
        match message {
            ToExecutor::Assign(assign) => {
                for p in assign.partitions {
                    let number = p.partition.unwrap().partition;
                    let epoch = p.assignment_epoch;
                    let new = self.assigned.insert((number, epoch));
                    assert!(new, "one owner per assignment epoch");
                    let stored = &self.stored.partitions[number as usize];
                    assert_eq!(stored.assignment_epoch, epoch, "durable before it is sent");
                    assert_eq!(
                        stored.owner,
                        Some(Incarnation::from_wire(format!("inc_{n}")))
                    );
                    fake.runs.insert(number, epoch);
                    fake.ahead.remove(&number);
                }
            }
            ToExecutor::Prepare(prepare) => {
                assert_eq!(state, Some(ExecutorState::Alive), "who gets partitions");
                for p in prepare.partitions {
                    let number = p.partition.as_ref().unwrap().partition;
                    let current = self.stored.partitions[number as usize].assignment_epoch;
                    assert_ne!(fake.runs.get(&number), Some(&current), "it runs there");
                    let newest = self.epochs.last().map(|m| m.epoch);
                    assert_eq!(Some(p.epoch), newest, "durable, and the newest");
                    fake.ahead.insert(number, p.epoch);
                    fake.preparations.push(p);
                }
            }
            ToExecutor::Discard(discard) => {
                let number = discard.partition.unwrap().partition;
                fake.ahead.remove(&number);
            }
            ToExecutor::Barrier(barrier) => fake.barriers.push(barrier),
            ToExecutor::Revoke(revoke) => fake.revocations.push(revoke),
            _ => {}
        }
    }

    fn join(&mut self, n: u8) {
        self.fleet.insert(executor(n), member(n));
        let fake = self.fakes.entry(n).or_default();
        // A new stream.
        fake.ahead.clear();
        fake.preparations.clear();
        let runs = &fake.runs;
        let running = runs
            .iter()
            .map(|(number, epoch)| RunningPartition {
                job_id: "job_1".into(),
                partition: Some((&SourcePartition::new("t", *number)).into()),
                generation: 1,
                assignment_epoch: *epoch,
            })
            .collect();
        self.event(Event::Connected(executor(n), running));
    }

    fn answer(&mut self, n: u8) {
        let revocations = std::mem::take(&mut self.fakes.entry(n).or_default().revocations);
        for revoke in revocations {
            let number = revoke.partition.as_ref().unwrap().partition;
            let fake = self.fakes.entry(n).or_default();
            if fake.runs.get(&number) == Some(&revoke.assignment_epoch) {
                fake.runs.remove(&number);
            }
            let drained = revoke.mode() == RevokeMode::Drain;
            let released = Released {
                job_id: revoke.job_id,
                partition: revoke.partition,
                assignment_epoch: revoke.assignment_epoch,
                drained,
                ..Released::default()
            };
            self.event(Event::Received(
                executor(n),
                FromExecutor::Released(released),
            ));
        }
    }

    /// What it runs reports, for which balance waits after a restart of the master, and takes part in epochs.
    fn take_part(&mut self, n: u8) {
        let fake = self.fakes.entry(n).or_default();
        let runs: Vec<_> = fake.runs.iter().map(|(n, e)| (*n, *e)).collect();
        let barriers = std::mem::take(&mut fake.barriers);
        let report = |&(number, assignment_epoch): &(u32, u64)| PartitionReport {
            partition: Some((&SourcePartition::new("t", number)).into()),
            assignment_epoch,
            state: PartitionState::Running as i32,
            ..PartitionReport::default()
        };
        let reports = runs.iter().map(report).collect();
        let reports = FromExecutor::Reports(Reports {
            reports,
            unchanged: None,
        });
        self.event(Event::Received(executor(n), reports));
        for barrier in barriers {
            for (number, assignment_epoch) in &runs {
                let checkpoint = PartitionCheckpoint {
                    partition: Some((&SourcePartition::new("t", *number)).into()),
                    ordinal: *number,
                    assignment_epoch: *assignment_epoch,
                    ..PartitionCheckpoint::default()
                };
                let ack = BarrierAck {
                    job_id: "job_1".into(),
                    epoch: barrier.epoch,
                    checkpoint: Some(checkpoint),
                };
                let ack = FromExecutor::BarrierAck(Box::new(ack));
                self.event(Event::Received(executor(n), ack));
            }
        }
    }

    /// It has read the states that it was to read, or cannot.
    fn prepared(&mut self, n: u8, error: Option<ErrorInfo>) {
        let fake = self.fakes.entry(n).or_default();
        for preparation in std::mem::take(&mut fake.preparations) {
            let prepared = Prepared {
                job_id: "job_1".into(),
                partition: preparation.partition,
                epoch: preparation.epoch,
                error: error.clone(),
            };
            self.event(Event::Received(
                executor(n),
                FromExecutor::Prepared(prepared),
            ));
        }
    }

    fn fail(&mut self, n: u8) {
        let Some((number, epoch)) = self.fakes.entry(n).or_default().runs.pop_first() else {
            return;
        };
        let failed = PartitionFailed {
            job_id: "job_1".into(),
            partition: Some((&SourcePartition::new("t", number)).into()),
            assignment_epoch: epoch,
            lost_tail: None,
            error: None,
        };
        self.event(Event::Received(
            executor(n),
            FromExecutor::PartitionFailed(failed),
        ));
    }

    fn apply(&mut self, step: &Step) {
        match step {
            Step::Wait(ms) => self.now += ms,
            Step::Join(n) | Step::Return(n) => self.join(*n),
            Step::Lose(n) => {
                self.fleet.remove(&executor(*n));
            }
            Step::Suspect(n) | Step::Leave(n) => {
                if let Some(executor) = self.fleet.get_mut(&executor(*n)) {
                    executor.state = match step {
                        Step::Leave(_) => ExecutorState::Leaving,
                        _ => ExecutorState::Suspect,
                    };
                }
            }
            Step::Answer(n) if self.callable(*n) => self.answer_all(*n),
            Step::Fail(n) if self.callable(*n) => self.fail(*n),
            Step::Unready(n) if self.callable(*n) => {
                self.prepared(*n, Some(ErrorInfo::default()));
            }
            Step::Answer(_) | Step::Fail(_) | Step::Unready(_) => {}
            Step::Drain(n, draining) => {
                if let Some(executor) = self.fleet.get_mut(&executor(*n)) {
                    executor.draining = *draining;
                }
            }
            Step::RestartMaster => {
                self.job = Job::new(
                    self.stored.clone(),
                    self.epochs.clone(),
                    Millis(self.now),
                    DRAIN,
                );
                self.fleet.clear();
            }
        }
        self.event(Event::Tick);
    }

    fn answer_all(&mut self, n: u8) {
        self.answer(n);
        self.take_part(n);
        self.prepared(n, None);
    }

    fn callable(&self, n: u8) -> bool {
        self.fleet.get(&executor(n)).is_some_and(Executor::callable)
    }

    /// Everything answers from now on; long enough for deadlines, grace and back-off.
    fn settle(&mut self) {
        for _ in 0..600 {
            self.now += 100;
            self.event(Event::Tick);
            for n in 0..4 {
                if self.callable(n) {
                    self.answer_all(n);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn after_any_faults_every_partition_runs_once_and_balanced_or_the_job_has_failed(
        steps in prop::collection::vec(step(), 1..80)
    ) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
        }
        // Faults end: one executor at least is well, none leaves or is silent.
        let gone: Vec<u8> = (0..4).filter(|n| !world.fleet.contains_key(&executor(*n))).collect();
        for n in gone {
            world.fakes.remove(&n);
        }
        for n in 0..4 {
            if world.fleet.contains_key(&executor(n)) || n == 0 {
                world.join(n);
            }
        }
        world.settle();
        // Until then no partition comes back for balance to where it failed.
        world.now += 300_000;
        world.settle();
        if world.job.header().phase == Phase::Over(End::Failed) {
            prop_assert!(steps.iter().filter(|s| matches!(s, Step::Fail(_))).count() > 5);
            return Ok(());
        }
        let counts: Vec<usize> = world.fleet.keys().map(|e| world.job.held_by(e)).collect();
        prop_assert_eq!(counts.iter().sum::<usize>(), PARTITIONS as usize);
        prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        // What the machine believes is what the executors run.
        for partition in &world.stored.partitions {
            let number = partition.partition.partition;
            let runners: Vec<_> = world.fakes.iter()
                .filter(|(_, f)| f.runs.get(&number) == Some(&partition.assignment_epoch))
                .collect();
            prop_assert_eq!(runners.len(), 1, "partition {}", number);
        }
        for fake in world.fakes.values() {
            prop_assert!(fake.ahead.is_empty(), "nothing is read that nobody wants");
        }
    }

    #[test]
    fn a_job_that_is_ended_ends_whatever_happens(
        steps in prop::collection::vec(step(), 0..40),
        after in prop::collection::vec(step(), 0..40),
        cancel in any::<bool>(),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
        }
        let end = if cancel { End::Cancelled } else { End::Stopped };
        world.event(Event::End(end, String::new()));
        for step in &after {
            world.apply(step);
        }
        let silent: Vec<ExecutorId> = world.fleet.iter()
            .filter(|(_, e)| !e.callable()).map(|(id, _)| id.clone()).collect();
        for executor in silent {
            world.fleet.remove(&executor);
        }
        world.settle();
        prop_assert!(matches!(world.job.header().phase, Phase::Over(_)));
        prop_assert!(matches!(world.stored.phase, Phase::Over(_)));
    }
}
