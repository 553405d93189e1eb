//! Keeps partitions where they should be: assigns free ones, and takes back those that should be elsewhere
//! or whose job ends. The rules are those of `ownership`.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::{ExecutorState, PartitionAssignment, Preparation, RevokeMode};
use kol_common::{ExecutorId, Millis};

use super::effect::Effect;
use super::fleet::{Executor, Fleet, Place, is_callable};
use super::ownership::{Partitions, revoke};
use super::partition::{Hold, Partition};
use super::placement::{Movable, place};
use super::preparing::{Circumstances, Move, discard};
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
    pub(super) assignments: BTreeMap<ExecutorId, Vec<PartitionAssignment>>,
    /// States that it reads ahead.
    pub(super) preparations: BTreeMap<ExecutorId, Vec<Preparation>>,
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
    /// answer is to be sent, once it is durable. An executor that does not see the places of state files gets
    /// nothing; what it has moves to those that see them, if there are any.
    pub(super) fn place(
        &mut self,
        now: Millis,
        fleet: &Fleet,
        epochs: &Coordinator,
        places: &[Place<'_>],
        out: &mut Vec<Effect>,
    ) -> Orders {
        let candidates = candidates(fleet, places);
        self.discard_unless(
            |standby| candidates.contains_key(standby.executor()),
            fleet,
            out,
        );
        let plan = place(&self.movable(fleet), &candidates);
        let stays = |id: &ExecutorId| {
            let executor = fleet.get(id).filter(|e| e.state == ExecutorState::Alive);
            let misses = executor.filter(|e| e.misses(places).is_some());
            let early = |e: &Executor| now.since(e.unseen_since) < Millis::from(OTHERS_LOOK);
            misses.is_some_and(|e| candidates.is_empty() || early(e))
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
            let target = plan.get(&partition.record.ordinal);
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
                    let assignment = assign(partition, id, executor, epochs);
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
        let circumstances = Circumstances {
            now: around.now,
            prepares: fleet.get(target).is_some_and(|e| e.prepares),
            urgent: owner.is_some_and(|owner| {
                owner.state == ExecutorState::Leaving || owner.misses(around.places).is_some()
            }),
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

    /// Partitions that may be placed: not those of suspects and of owners that may still return. One whose state is
    /// read ahead counts where that happens, so that nothing else is planned for it meanwhile.
    fn movable(&self, fleet: &Fleet) -> Vec<Movable> {
        let movable = |p: &Partition| {
            let next = p.standby.as_ref().map(|standby| standby.executor().clone());
            let holder = match &p.hold {
                Hold::Free { .. } | Hold::Releasing { .. } => next,
                Hold::Held { executor } if is_callable(fleet, executor) => {
                    next.or_else(|| Some(executor.clone()))
                }
                Hold::Held { .. } | Hold::Awaited { .. } => return None,
            };
            Some(Movable {
                ordinal: p.record.ordinal,
                holder,
            })
        };
        self.all.iter().filter_map(movable).collect()
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

fn candidates(fleet: &Fleet, places: &[Place<'_>]) -> BTreeMap<ExecutorId, usize> {
    let alive = fleet.iter().filter(|(_, e)| {
        !e.draining && e.state == ExecutorState::Alive && e.misses(places).is_none()
    });
    alive.map(|(id, e)| (id.clone(), e.others)).collect()
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
) -> PartitionAssignment {
    let ordinal = partition.record.ordinal;
    // What it starts from.
    let state = partition.record.cuts.restart(epochs.usable(ordinal));
    partition.restored = state.as_ref().map(|state| state.epoch);
    partition.unprepared = None;
    partition.record.assignment_epoch += 1;
    partition.record.owner = Some(executor.incarnation.clone());
    partition.hold = Hold::Held {
        executor: id.clone(),
    };
    PartitionAssignment {
        partition: Some((&partition.record.partition).into()),
        slot: partition.record.ordinal,
        assignment_epoch: partition.record.assignment_epoch,
        offset: partition.record.start_offset,
        topic_id: partition
            .record
            .topic_id
            .map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
        lineage: partition.record.cuts.lineage(),
        resume_at: state.as_ref().and_then(|state| state.resume_at),
        restore: state.map(|state| state.checkpoint),
        whole_log: epochs.is_lost(ordinal),
    }
}
