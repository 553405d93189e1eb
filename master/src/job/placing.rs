//! Who should have which partition of a job, from what is known of its partitions and of the executors; and why a
//! partition is where it is.
//!
//! Nothing moves for balance while a partition that an earlier master assigned has not been reported yet: what it
//! takes is not known, and all executors may not be back.

use std::collections::BTreeMap;

use kol_common::proto::{ExecutorState, Placement};
use kol_common::{ExecutorId, Millis};

use super::cause::{Cause, percent};
use super::fleet::{Executor, Fleet, Place, is_callable};
use super::load::{Load, Room};
use super::ownership::Partitions;
use super::partition::{Hold, Partition};
use super::placement::{Alternative, Movable, Plan, Seat, place};
use super::standby::Standby;

/// What people read where a partition can go nowhere else.
const NO_OTHER: &str = "there is no other executor that may have it";

impl Partitions {
    /// The plan for now. Executors that do not see the places of state files get nothing.
    pub(super) fn plan(&self, now: Millis, fleet: &Fleet, places: &[Place<'_>]) -> Plan {
        let seats = fleet.iter().filter(|(_, e)| e.takes_partitions(places));
        let seats = seats.map(|(id, e)| (id.clone(), seat(e)));
        let movable = self.iter().filter_map(|p| movable(p, now, fleet));
        place(movable.collect(), seats.collect(), self.are_known())
    }

    fn are_known(&self) -> bool {
        let is_known = |p: &Partition| match p.hold {
            Hold::Awaited { .. } => false,
            Hold::Held { .. } => !p.is_adopted || p.report.is_some(),
            Hold::Free { .. } | Hold::Releasing { .. } => true,
        };
        self.iter().all(is_known)
    }

    /// Whether each is with the executor that should have it by the newest plan.
    pub(super) fn are_placed(&self) -> bool {
        let is_placed = |p: &Partition| {
            let target = self.targets.get(&p.record.ordinal);
            matches!(&p.hold, Hold::Held { executor } if target == Some(executor))
        };
        self.iter().all(is_placed)
    }

    /// What they take of each executor, now or as soon as they are where they should be.
    pub(super) fn loads(&self) -> BTreeMap<ExecutorId, Load> {
        let mut loads: BTreeMap<ExecutorId, Load> = BTreeMap::new();
        for partition in self.iter() {
            let target = self.targets.get(&partition.record.ordinal);
            if let Some(executor) = target.or(partition.hold.executor()) {
                let sum = loads.entry(executor.clone()).or_default();
                *sum = *sum + Load::of(partition.report.as_ref());
            }
        }
        loads
    }
}

/// Not those of suspects and of owners that may still return. One whose state is read ahead counts where that happens,
/// so that nothing else is planned for it meanwhile.
fn movable(partition: &Partition, now: Millis, fleet: &Fleet) -> Option<Movable> {
    let next = partition.standby.as_ref().map(Standby::executor).cloned();
    let holder = match &partition.hold {
        Hold::Free { .. } | Hold::Releasing { .. } => next,
        Hold::Held { executor } if is_callable(fleet, executor) => {
            next.or_else(|| Some(executor.clone()))
        }
        Hold::Held { .. } | Hold::Awaited { .. } => return None,
    };
    Some(Movable {
        ordinal: partition.record.ordinal,
        holder,
        load: Load::of(partition.report.as_ref()),
        failed: partition.failed_at(now).cloned().collect(),
    })
}

fn seat(executor: &Executor) -> Seat {
    Seat {
        room: Room {
            cores: executor.cores,
            memory: executor.memory,
        },
        others: executor.others,
        site: executor.site.clone(),
    }
}

/// Notes why a partition leaves its holder by this plan, when that is decided; what it stays for is no reason.
pub(super) fn note_why_it_leaves(partition: &mut Partition, plan: &Plan, fleet: &Fleet) {
    let ordinal = partition.record.ordinal;
    let Some(holder) = partition.hold.executor().filter(|h| is_callable(fleet, h)) else {
        return;
    };
    if plan.targets.get(&ordinal) == Some(holder) {
        partition.leaves = None;
        return;
    }
    let relief = plan.reliefs.get(&ordinal);
    let cause = relief.map_or_else(
        || why_it_has_none(fleet, holder),
        |relief| Cause::Balance {
            executor: relief.from.clone(),
            before: relief.before,
            with: relief.with,
        },
    );
    partition.leaves.get_or_insert(cause);
}

/// Why an executor that may be called may have no partitions.
fn why_it_has_none(fleet: &Fleet, holder: &ExecutorId) -> Cause {
    let executor = holder.clone();
    let entry = fleet.get(holder);
    let leaves = entry.is_some_and(|e| e.state == ExecutorState::Leaving);
    if !leaves && entry.is_some_and(|e| e.draining) {
        Cause::Drained { executor }
    } else {
        Cause::Unfit { executor, leaves }
    }
}

/// Why a partition is where it is, and what would make it move; `None` while nobody has it.
pub(super) fn explain(partition: &Partition, plan: &Plan) -> Option<Placement> {
    let executor = partition.hold.executor()?;
    let ordinal = partition.record.ordinal;
    let placed = partition.record.placed.as_ref();
    let alternative = plan
        .alternative(ordinal)
        .filter(|_| plan.targets.get(&ordinal) == Some(executor));
    let moves_at = alternative.as_ref().map(|a| a.needs);
    let fill = plan.fill(executor).unwrap_or_default();
    Some(Placement {
        since_ms: placed.map(|p| p.at.0),
        cause: placed.map_or("unknown", |p| p.cause.word()).to_owned(),
        why: placed.map_or_else(
            || "an earlier version of the master assigned it".to_owned(),
            |p| p.cause.sentence(),
        ),
        load_ppm: plan.fill_of(ordinal, executor).unwrap_or_default(),
        executor_load_ppm: fill,
        alternative: alternative.as_ref().map(|a| a.executor.to_string()),
        alternative_load_ppm: alternative.as_ref().map(|a| a.with),
        // It did not move although its executor is that full: see `moves_when`.
        moves_at_ppm: moves_at.filter(|needs| fill < *needs),
        moves_when: moves_when(partition, plan, executor, alternative.as_ref(), fill),
        rates: partition.report.as_ref().and_then(|r| r.rates),
    })
}

fn moves_when(
    partition: &Partition,
    plan: &Plan,
    executor: &ExecutorId,
    alternative: Option<&Alternative>,
    fill: u64,
) -> String {
    match plan.targets.get(&partition.record.ordinal) {
        Some(target) if target != executor => return format!("it is moving to {target}"),
        None if plan.is_empty() => return NO_OTHER.to_owned(),
        None => return format!("when {executor} is lost: it does not answer now"),
        Some(_) => {}
    }
    match alternative {
        None => NO_OTHER.to_owned(),
        Some(Alternative { needs, .. }) if fill >= *needs => {
            format!("not for balance: it takes too little for that to relieve {executor}")
        }
        Some(Alternative {
            executor: other,
            with,
            needs,
        }) => format!(
            "when {executor} is {} full, now {}: {other} would be {} full with it",
            percent(*needs),
            percent(fill),
            percent(*with),
        ),
    }
}
