//! Keeps partitions where `placing` says they should be: assigns free ones, and takes back those that should be elsewhere
//! or whose job ends. The rules are those of `ownership`.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Assign, ExecutorState, JobTick, PartitionAssignment, Preparation, Prepare, RevokeMode,
};
use kol_common::{ExecutorId, Millis};

use super::cause::{Cause, Placed};
use super::cuts::Restart;
use super::effect::Effect;
use super::fleet::{Executor, Fleet, Place, is_callable};
use super::ownership::{Partitions, revoke};
use super::partition::{Hold, Partition};
use super::placing::note_why_it_leaves;
use super::preparing::{Move, discard};
use super::record::{JobRecord, LastOwner};
use super::standby::Circumstances;
use crate::checkpoint::Coordinator;

/// What an executor may take longer than its drain timeout to answer, and how long it has to answer
/// a revocation at once.
const ANSWER: Duration = Duration::from_secs(3);

/// How long an executor that no longer sees a checkpoint root keeps what it has: if nobody sees it any more,
/// the others notice in that time, and nothing is gained by a move.
const OTHERS_LOOK: Duration = Duration::from_secs(5);

/// What goes to each executor.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// Partitions that it runs from now on.
    assignments: BTreeMap<ExecutorId, Vec<PartitionAssignment>>,
    /// States that it reads ahead.
    preparations: BTreeMap<ExecutorId, Vec<Preparation>>,
}

impl Orders {
    /// As messages to the executors of this job.
    pub(super) fn send(self, record: &JobRecord, tick: Option<&JobTick>, out: &mut Vec<Effect>) {
        // The driver knows what is left out in both.
        for (executor, partitions) in self.assignments {
            let message = Assign {
                job_id: record.id.to_string(),
                generation: record.generation,
                spec_json: record.spec_json(),
                partitions,
                tick: tick.cloned(),
                ..Assign::default()
            };
            out.push(Effect::Send(executor, ToExecutor::Assign(message)));
        }
        for (executor, partitions) in self.preparations {
            let message = Prepare {
                job_id: record.id.to_string(),
                generation: record.generation,
                spec_json: record.spec_json(),
                partitions,
                ..Prepare::default()
            };
            out.push(Effect::Send(executor, ToExecutor::Prepare(message)));
        }
    }
}

/// What a move depends on.
struct Around<'a> {
    now: Millis,
    fleet: &'a Fleet,
    epochs: &'a Coordinator,
    /// Of its state files.
    places: &'a [Place<'a>],
}

impl Partitions {
    /// Has the states of what should be elsewhere read there, revokes it when they are, and assigns what is free: the
    /// answer is to be sent, once it is durable. What is on an executor that does not see the places of state files
    /// moves to those that see them, if there are any. `wall` is the wall clock.
    pub(super) fn place(
        &mut self,
        (now, wall): (Millis, Millis),
        fleet: &Fleet,
        epochs: &Coordinator,
        places: &[Place<'_>],
        out: &mut Vec<Effect>,
    ) -> Orders {
        let takes = |id: &ExecutorId| fleet.get(id).is_some_and(|e| e.takes_partitions(places));
        self.discard_unless(|standby| takes(standby.executor()), fleet, out);
        let plan = self.plan(now, fleet, places);
        let stays = |id: &ExecutorId| {
            let executor = fleet.get(id).filter(|e| e.state == ExecutorState::Alive);
            let misses = executor.filter(|e| e.misses(places).is_some());
            let early = |e: &Executor| now.since(e.unseen_since) < Millis::from(OTHERS_LOOK);
            misses.is_some_and(|e| plan.is_empty() || early(e))
        };
        let around = Around {
            now,
            fleet,
            epochs,
            places,
        };
        let mut orders = Orders::default();
        for index in 0..self.all.len() {
            let partition = &mut self.all[index];
            if matches!(partition.hold, Hold::Held { .. }) {
                note_why_it_leaves(partition, &plan, fleet);
            }
            let target = plan.targets.get(&partition.record.ordinal);
            match &partition.hold {
                Hold::Free { after } if *after <= now => {
                    let Some((id, executor)) = target.and_then(|t| fleet.get_key_value(t)) else {
                        continue;
                    };
                    // Who has read its state takes that over.
                    partition
                        .standby
                        .take_if(|standby| standby.executor() == id);
                    discard(&self.job, partition, fleet, out);
                    let writes_to = self.writes_to.as_ref();
                    let assignment = PartitionAssignment {
                        rekeying: writes_to.map(|to| to.rekeying(partition.record.has_position)),
                        ..assign(partition, id, executor, epochs, (now, wall))
                    };
                    let assignments = &mut orders.assignments;
                    assignments.entry(id.clone()).or_default().push(assignment);
                }
                Hold::Held { executor } => {
                    let executor = executor.clone();
                    if target == Some(&executor) || stays(&executor) {
                        discard(&self.job, partition, fleet, out);
                    } else if is_callable(fleet, &executor) {
                        let next = match target {
                            Some(target) => self.step(index, target, &around, &mut orders, out),
                            None if is_draining(fleet, &executor) => Move::Later,
                            None => Move::Drain,
                        };
                        self.carry_out(index, next, now, out);
                    }
                }
                Hold::Releasing { .. } => self.press(index, now, fleet, out),
                Hold::Free { .. } | Hold::Awaited { .. } => {}
            }
        }
        if !orders.assignments.is_empty() {
            out.push(Effect::Persist);
        }
        self.targets = plan.targets;
        orders
    }

    /// One step of the move of a partition that should be on `target`.
    fn step(
        &mut self,
        index: usize,
        target: &ExecutorId,
        around: &Around<'_>,
        orders: &mut Orders,
        out: &mut Vec<Effect>,
    ) -> Move {
        let partition = &mut self.all[index];
        let fleet = around.fleet;
        if partition
            .standby
            .as_ref()
            .is_some_and(|s| s.executor() != target)
        {
            discard(&self.job, partition, fleet, out);
        }
        let owner = partition.hold.executor().and_then(|owner| fleet.get(owner));
        let misses = owner.is_some_and(|owner| owner.misses(around.places).is_some());
        let leaves = owner.is_some_and(|owner| owner.state == ExecutorState::Leaving);
        let circumstances = Circumstances {
            now: around.now,
            prepares: fleet.get(target).is_some_and(|e| e.prepares),
            urgent: leaves || misses,
            no_epochs: misses,
            ends_soon: owner
                .and_then(|owner| owner.drains_at)
                .is_some_and(|at| around.now >= at),
            epoch_is_open: around.epochs.is_open(),
        };
        let usable = around.epochs.usable(partition.record.ordinal);
        let state = partition.record.cuts.restart(usable);
        let (next, wanted) = partition.step(target, state, circumstances);
        if let Some(wanted) = wanted {
            let preparations = &mut orders.preparations;
            preparations.entry(target.clone()).or_default().push(wanted);
        }
        next
    }

    fn carry_out(&mut self, index: usize, next: Move, now: Millis, out: &mut Vec<Effect>) {
        match next {
            Move::Later => {}
            Move::HandOver => self.take_back(index, RevokeMode::Now, ANSWER, now, out),
            Move::Drain => {
                let patience = self.drain + ANSWER;
                self.take_back(index, RevokeMode::Drain, patience, now, out);
            }
        }
    }

    /// Rule 3, when the job ends: what is left to drain after a last epoch is nothing. Answers whether all
    /// partitions are free.
    pub(super) fn take_back_all(
        &mut self,
        now: Millis,
        wanted: RevokeMode,
        fleet: &Fleet,
        out: &mut Vec<Effect>,
    ) -> bool {
        self.discard_unless(|_| false, fleet, out);
        for index in 0..self.all.len() {
            match &self.all[index].hold {
                Hold::Held { executor } if is_callable(fleet, executor) => {
                    self.take_back(index, wanted, ANSWER, now, out);
                }
                Hold::Releasing { executor, mode, .. }
                    if *mode == RevokeMode::Drain
                        && wanted == RevokeMode::Now
                        && is_callable(fleet, executor) =>
                {
                    self.take_back(index, RevokeMode::Now, ANSWER, now, out);
                }
                Hold::Releasing { .. } => self.press(index, now, fleet, out),
                Hold::Free { .. } | Hold::Held { .. } | Hold::Awaited { .. } => {}
            }
        }
        let free = |p: &Partition| matches!(p.hold, Hold::Free { .. });
        self.all.iter().all(free)
    }

    fn take_back(
        &mut self,
        index: usize,
        mode: RevokeMode,
        patience: Duration,
        now: Millis,
        out: &mut Vec<Effect>,
    ) {
        let partition = &mut self.all[index];
        let Some(executor) = partition.hold.executor().cloned() else {
            return;
        };
        let message = revoke(&self.job, partition, mode);
        out.push(Effect::Send(executor.clone(), message));
        partition.hold = Hold::Releasing {
            executor,
            mode,
            deadline: Millis(now.0 + Millis::from(patience).0),
        };
    }

    /// A partition that was revoked and not released in time.
    fn press(&mut self, index: usize, now: Millis, fleet: &Fleet, out: &mut Vec<Effect>) {
        let Hold::Releasing {
            executor,
            mode,
            deadline,
        } = &self.all[index].hold
        else {
            return;
        };
        // A suspect answers nothing: it returns, or its lease ends.
        if now < *deadline || !is_callable(fleet, executor) {
            return;
        }
        if *mode == RevokeMode::Drain {
            self.take_back(index, RevokeMode::Now, ANSWER, now, out);
        } else {
            self.undrained += 1;
            self.all[index].fence(now);
            out.push(Effect::Persist);
        }
    }
}

/// Whether a person moves the partitions of an executor away: where nobody else can have them, they stay.
fn is_draining(fleet: &Fleet, executor: &ExecutorId) -> bool {
    let executor = fleet.get(executor);
    executor.is_some_and(|e| e.draining && e.state == ExecutorState::Alive)
}

/// Rule 1; the caller persists before it sends.
fn assign(
    partition: &mut Partition,
    id: &ExecutorId,
    executor: &Executor,
    epochs: &Coordinator,
    (now, wall): (Millis, Millis),
) -> PartitionAssignment {
    let ordinal = partition.record.ordinal;
    // What it starts from.
    let state = partition.record.cuts.restart(epochs.usable(ordinal));
    let kept = state.as_ref().map_or_else(Vec::new, |state| {
        let cuts = &partition.record.cuts;
        cuts.kept_before(state.epoch, epochs.usable(ordinal))
            .collect()
    });
    let unused = state.is_none() && epochs.usable(ordinal).next().is_some();
    partition.restored = state.as_ref().map(|state| state.epoch);
    partition.unprepared = None;
    partition.record.assignment_epoch += 1;
    partition.record.owner = Some(executor.incarnation.clone());
    partition.record.placed = Some(Placed {
        at: wall,
        cause: partition.leaves.take().unwrap_or(Cause::New),
    });
    partition.record.last = Some(LastOwner {
        executor: id.clone(),
        host: executor.site.host.clone(),
    });
    partition.is_adopted = false;
    let from = state
        .as_ref()
        .map_or(partition.record.start_offset, Restart::begins_at);
    let read_before = partition.pauses.assigned(now, from);
    partition.hold = Hold::Held {
        executor: id.clone(),
    };
    PartitionAssignment {
        partition: Some((&partition.record.partition).into()),
        ordinal: partition.record.ordinal,
        assignment_epoch: partition.record.assignment_epoch,
        offset: partition.record.start_offset,
        topic_id: partition
            .record
            .topic_id
            .map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
        lineage: partition.record.cuts.lineage(),
        resume_at: state.as_ref().and_then(|state| state.resume_at),
        restore: state.map(|state| state.checkpoint),
        kept,
        whole_log: unused || epochs.is_lost(ordinal),
        read_before,
        rekeying: None,
    }
}
