//! Which executor should have which partition: a pure function.
//!
//! 1. Balanced: every executor gets ⌊n/k⌋ or ⌈n/k⌉ of the job's n partitions.
//! 2. Sticky: an executor keeps what it has up to its share; the larger shares go to those that
//!    hold most, so that nothing moves only to be equal in another way.
//! 3. Among equals, the executor with the least partitions of other jobs comes first, then the
//!    lower id: the same input always gives the same plan.

use std::collections::BTreeMap;

use kol_common::ExecutorId;

/// One partition that may be placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movable {
    /// Its number within the job.
    pub ordinal: u32,
    /// Who has it and may keep it; `None` when it needs a place.
    pub holder: Option<ExecutorId>,
}

/// The executor each partition should be on, by ordinal. Empty when there are no executors.
///
/// `executors` maps every executor that may take partitions to its number of partitions of other
/// jobs. A holder that is not among them loses its partitions.
pub fn place(
    partitions: &[Movable],
    executors: &BTreeMap<ExecutorId, usize>,
) -> BTreeMap<u32, ExecutorId> {
    let mut plan = BTreeMap::new();
    if executors.is_empty() {
        return plan;
    }
    let mut room = shares(partitions, executors);
    let mut ordered: Vec<&Movable> = partitions.iter().collect();
    ordered.sort_by_key(|p| p.ordinal);
    let mut homeless = Vec::new();
    for partition in ordered {
        match partition
            .holder
            .as_ref()
            .and_then(|h| room.get_key_value(h))
        {
            Some((holder, left)) if *left > 0 => {
                let holder = holder.clone();
                room.entry(holder.clone()).and_modify(|left| *left -= 1);
                plan.insert(partition.ordinal, holder);
            }
            _ => homeless.push(partition.ordinal),
        }
    }
    for ordinal in homeless {
        let roomiest = room
            .iter_mut()
            .max_by_key(|(id, left)| {
                let others = executors.get(*id).copied().unwrap_or(0);
                (**left, std::cmp::Reverse((others, *id)))
            })
            .filter(|(_, left)| **left > 0);
        if let Some((executor, left)) = roomiest {
            *left -= 1;
            plan.insert(ordinal, executor.clone());
        }
    }
    plan
}

/// How many partitions each executor should have.
fn shares(
    partitions: &[Movable],
    executors: &BTreeMap<ExecutorId, usize>,
) -> BTreeMap<ExecutorId, usize> {
    let held = |id: &ExecutorId| {
        let mine = |p: &&Movable| p.holder.as_ref() == Some(id);
        partitions.iter().filter(mine).count()
    };
    let mut order: Vec<_> = executors
        .iter()
        .map(|(id, others)| (std::cmp::Reverse(held(id)), *others, id))
        .collect();
    order.sort();
    let base = partitions.len() / executors.len();
    let larger = partitions.len() % executors.len();
    let share = |index: usize| base + usize::from(index < larger);
    let shares = order.into_iter().enumerate();
    shares
        .map(|(i, (_, _, id))| (id.clone(), share(i)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn executor(n: u8) -> ExecutorId {
        ExecutorId::from_wire(format!("exe_{n}"))
    }

    prop_compose! {
        fn cluster()(
            holders in prop::collection::vec(prop::option::of(0u8..8), 0..40),
            alive in prop::collection::btree_map(0u8..8, 0usize..5, 1..8),
        ) -> (Vec<Movable>, BTreeMap<ExecutorId, usize>) {
            let partitions = holders
                .into_iter()
                .enumerate()
                .map(|(i, h)| Movable { ordinal: i as u32, holder: h.map(executor) })
                .collect();
            (partitions, alive.into_iter().map(|(n, load)| (executor(n), load)).collect())
        }
    }

    fn counts(
        plan: &BTreeMap<u32, ExecutorId>,
        executors: &BTreeMap<ExecutorId, usize>,
    ) -> Vec<usize> {
        let count = |id| plan.values().filter(|e| *e == id).count();
        executors.keys().map(count).collect()
    }

    proptest! {
        #[test]
        fn every_partition_has_one_place_and_shares_differ_by_one_at_most(
            (partitions, executors) in cluster()
        ) {
            let plan = place(&partitions, &executors);
            prop_assert_eq!(plan.len(), partitions.len());
            let counts = counts(&plan, &executors);
            let most = counts.iter().max().unwrap();
            prop_assert!(most - counts.iter().min().unwrap() <= 1);
        }

        #[test]
        fn a_plan_that_was_carried_out_moves_nothing((partitions, executors) in cluster()) {
            let plan = place(&partitions, &executors);
            let settled: Vec<_> = plan
                .iter()
                .map(|(ordinal, e)| Movable { ordinal: *ordinal, holder: Some(e.clone()) })
                .collect();
            prop_assert_eq!(place(&settled, &executors), plan);
        }

        #[test]
        fn no_executor_gives_away_more_than_what_is_above_its_share(
            (partitions, executors) in cluster()
        ) {
            let plan = place(&partitions, &executors);
            let ceiling = partitions.len().div_ceil(executors.len());
            for id in executors.keys() {
                let held = partitions.iter().filter(|p| p.holder.as_ref() == Some(id)).count();
                let kept = partitions
                    .iter()
                    .filter(|p| p.holder.as_ref() == Some(id) && plan.get(&p.ordinal) == Some(id))
                    .count();
                let floor = partitions.len() / executors.len();
                prop_assert!(kept >= held.min(floor) && kept <= ceiling);
                if kept < held {
                    prop_assert_eq!(plan.values().filter(|e| *e == id).count(), kept);
                }
            }
        }
    }

    #[test]
    fn single_partition_jobs_go_to_the_least_loaded_executor() {
        let executors = BTreeMap::from([(executor(1), 3), (executor(2), 1)]);
        let lone = [Movable {
            ordinal: 0,
            holder: None,
        }];
        assert_eq!(place(&lone, &executors)[&0], executor(2));
    }
}
