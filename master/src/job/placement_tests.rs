use proptest::prelude::*;

use super::*;
use crate::job::load::FULL;

const GIB: u64 = 1 << 30;

fn executor(n: u8) -> ExecutorId {
    ExecutorId::from_wire(format!("exe_{n}"))
}

/// Two executors share a host, four a zone.
fn site(n: u8) -> Site {
    Site {
        host: format!("host{}", n / 2),
        zone: format!("zone{}", n / 4),
    }
}

fn seat(n: u8, cores: u32) -> Seat {
    Seat {
        room: Room {
            cores,
            memory: 4 * GIB,
        },
        others: Load::default(),
        site: site(n),
    }
}

fn seats(alive: &[u8]) -> BTreeMap<ExecutorId, Seat> {
    alive.iter().map(|n| (executor(*n), seat(*n, 1))).collect()
}

/// Partitions with these holders and thousandths of a core, and as many MiB.
fn partitions(all: &[(Option<u8>, u64)]) -> Vec<Movable> {
    let partition = |(ordinal, (holder, cost)): (u32, &(Option<u8>, u64))| Movable {
        ordinal,
        holder: holder.map(executor),
        load: Load {
            cpu: cost * FULL / 1_000,
            memory: cost << 20,
        },
        failed: Vec::new(),
    };
    (0..).zip(all).map(partition).collect()
}

/// What the first executors have, by number.
fn counts(plan: &Plan, executors: u8) -> Vec<usize> {
    let count = |n| plan.targets.values().filter(|e| **e == executor(n)).count();
    (0..executors).map(count).collect()
}

/// The same partitions where the plan has them.
fn settled(partitions: &[Movable], plan: &Plan) -> Vec<Movable> {
    let settle = |p: &Movable| Movable {
        holder: plan.targets.get(&p.ordinal).cloned(),
        ..p.clone()
    };
    partitions.iter().map(settle).collect()
}

fn fills(plan: &Plan) -> Vec<u64> {
    let mut fills: Vec<_> = plan.seats.values().map(Taken::fill).collect();
    fills.sort_unstable_by_key(|fill| Reverse(*fill));
    fills
}

/// Which partitions moved that could have stayed, from whom to whom.
fn moved(partitions: &[Movable], plan: &Plan) -> Vec<(u32, ExecutorId, ExecutorId)> {
    let moved = partitions.iter().filter_map(|p| {
        let from = p.holder.clone().filter(|h| plan.seats.contains_key(h))?;
        let to = plan.targets[&p.ordinal].clone();
        (from != to).then_some((p.ordinal, from, to))
    });
    moved.collect()
}

prop_compose! {
    fn cluster()(
        holders in prop::collection::vec((prop::option::of(0u8..8), 10u64..400, 0u64..2_000), 0..40),
        alive in prop::collection::btree_map(0u8..8, (1u32..5, 0u64..600), 1..8),
        failed in prop::collection::vec((0usize..40, 0u8..8), 0..6),
    ) -> (Vec<Movable>, BTreeMap<ExecutorId, Seat>) {
        let mut partitions: Vec<_> = (0..).zip(holders).map(|(ordinal, (holder, cpu, mib))| Movable {
            ordinal,
            holder: holder.map(executor),
            load: Load { cpu: cpu * FULL / 1_000, memory: mib << 20 },
            failed: Vec::new(),
        }).collect();
        for (place, n) in failed {
            if let Some(partition) = partitions.get_mut(place) {
                partition.failed.push(site(n));
            }
        }
        let seats = alive.into_iter().map(|(n, (cores, others))| (executor(n), Seat {
            others: Load { cpu: others * FULL / 1_000, memory: others << 20 },
            ..seat(n, cores)
        })).collect();
        (partitions, seats)
    }
}

proptest! {
    #[test]
    fn the_same_input_gives_the_same_plan_and_every_partition_has_one_place(
        (partitions, seats) in cluster()
    ) {
        let plan = place(partitions.clone(), seats.clone(), true);
        prop_assert_eq!(plan.targets.len(), partitions.len());
        prop_assert!(plan.targets.values().all(|e| seats.contains_key(e)));
        let mut shuffled = partitions;
        shuffled.reverse();
        prop_assert_eq!(place(shuffled, seats, true).targets, plan.targets);
    }

    #[test]
    fn plans_that_are_carried_out_come_to_rest_after_a_few(
        (partitions, seats) in cluster()
    ) {
        let (mut now, mut rounds) = (partitions, 0);
        loop {
            let plan = place(now.clone(), seats.clone(), true);
            let after = settled(&now, &plan);
            if after == now {
                break;
            }
            (now, rounds) = (after, rounds + 1);
            prop_assert!(rounds <= 4, "{now:?}");
        }
    }

    #[test]
    fn nothing_moves_for_less_than_a_tenth((partitions, seats) in cluster()) {
        let before = place(partitions.clone(), seats.clone(), false);
        prop_assert!(moved(&partitions, &before).is_empty());
        let plan = place(partitions.clone(), seats, true);
        let fullest = fills(&before)[0];
        let average = fills(&before).iter().sum::<u64>() / before.seats.len() as u64;
        let mut given: BTreeMap<ExecutorId, Load> = BTreeMap::new();
        for (ordinal, to) in &plan.targets {
            if before.targets[ordinal] != *to {
                let sum = given.entry(to.clone()).or_default();
                *sum = *sum + partitions[*ordinal as usize].load;
            }
        }
        for (to, load) in given {
            let fill = plan.fill(&to).unwrap();
            prop_assert!(fill * 10 <= fullest * 9, "{} {} of {}", to, fill, fullest);
            let share = plan.seats[&to].seat.room.fill(load);
            prop_assert!(share * 10 >= average, "{} was given {} of {}", to, share, average);
        }
        prop_assert!(fills(&plan) <= fills(&before));
        for relief in plan.reliefs.values() {
            prop_assert!(relief.with * 10 <= relief.before * 9);
        }
    }

    #[test]
    fn loads_that_change_by_a_twentieth_bring_no_placement_back(
        (partitions, seats) in cluster(),
        noise in prop::collection::vec(prop::collection::vec(950u64..=1_050, 40), 12),
    ) {
        let seats: BTreeMap<_, _> = seats.into_iter().map(|(id, seat)| {
            (id, Seat { others: Load::default(), ..seat })
        }).collect();
        let mut now = settled(&partitions, &place(partitions.clone(), seats.clone(), true));
        let mut placements = Vec::new();
        for noise in noise {
            let measured: Vec<_> = now.iter().zip(noise).map(|(p, noise)| Movable {
                load: Load {
                    cpu: p.load.cpu * noise / 1_000,
                    memory: p.load.memory * noise / 1_000,
                },
                ..p.clone()
            }).collect();
            let plan = place(measured, seats.clone(), true);
            if placements.last() != Some(&plan.targets) {
                prop_assert!(!placements.contains(&plan.targets), "{placements:?}");
                placements.push(plan.targets.clone());
            }
            now = settled(&now, &plan);
        }
    }

    #[test]
    fn what_failed_goes_as_far_away_as_possible(
        alive in prop::collection::btree_set(0u8..8, 1..8),
        failed in 0u8..8,
    ) {
        let alive: Vec<_> = alive.into_iter().collect();
        let mut all = partitions(&[(None, 100), (Some(alive[0]), 300)]);
        all[0].failed = vec![site(failed)];
        let plan = place(all, seats(&alive), true);
        let near = |id: &ExecutorId| plan.seats[id].near(&plan.partitions[&0]);
        let best = plan.seats.keys().map(near).min().unwrap();
        prop_assert_eq!(near(&plan.targets[&0]), best);
    }
}

#[test]
fn idle_partitions_are_shared_by_their_number() {
    let plan = |held: &[(Option<u8>, u64)], alive: &[u8]| {
        let plan = place(partitions(held), seats(alive), true);
        let first = usize::from(alive[0]);
        counts(&plan, alive[alive.len() - 1] + 1).split_off(first)
    };
    assert_eq!(plan(&[(None, 10); 7], &[0, 1, 2]), [3, 2, 2]);
    assert_eq!(plan(&[(Some(0), 10); 4], &[0, 1]), [2, 2], "one joins");
    assert_eq!(plan(&[(Some(0), 10); 6], &[1, 2]), [3, 3], "one leaves");
    let held: Vec<_> = (0..40).map(|n| (Some(n % 8), 10)).collect();
    let shared = plan(&held, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(shared[8], 4, "{shared:?}");
    assert!(
        shared.iter().all(|count| (4..=5).contains(count)),
        "{shared:?}"
    );
}

#[test]
fn a_hot_partition_gets_an_executor_for_itself_and_cold_ones_do_not_move_for_nothing() {
    let hot = [
        (Some(0), 600),
        (Some(0), 200),
        (Some(1), 100),
        (Some(1), 100),
    ];
    let plan = place(partitions(&hot), seats(&[0, 1]), true);
    assert_eq!(counts(&plan, 2), [1, 3]);
    assert_eq!(plan.reliefs[&1].before, FULL * 8 / 10);
    // Moving the cold one would relieve the full executor by a thirtieth.
    let cold = [(Some(0), 600), (Some(0), 10), (Some(1), 10), (Some(1), 10)];
    let plan = place(partitions(&cold), seats(&[0, 1]), true);
    assert_eq!(counts(&plan, 2), [2, 2]);
    assert!(plan.reliefs.is_empty());
}

#[test]
fn heavy_partitions_are_placed_first_and_on_what_other_jobs_leave() {
    let plan = place(
        partitions(&[(None, 100), (None, 500), (None, 100), (None, 100)]),
        seats(&[0, 1]),
        true,
    );
    assert_eq!(plan.targets[&1], executor(0));
    assert_eq!(counts(&plan, 2), [1, 3]);
    let mut busy = seats(&[0, 1]);
    busy.get_mut(&executor(0)).unwrap().others.cpu = FULL / 2;
    let plan = place(partitions(&[(None, 10)]), busy, true);
    assert_eq!(plan.targets[&0], executor(1));
}

#[test]
fn an_executor_with_more_cores_gets_more_and_one_without_memory_gets_less() {
    let mut executors = seats(&[0, 1]);
    executors.get_mut(&executor(1)).unwrap().room.cores = 3;
    let all = vec![(None, 10); 8];
    let mut idle = partitions(&all);
    idle.iter_mut().for_each(|p| p.load.memory = 0);
    assert_eq!(counts(&place(idle, executors.clone(), true), 2), [2, 6]);
    executors.get_mut(&executor(1)).unwrap().room.memory = 1 << 26;
    let full = place(partitions(&all), executors, true);
    assert!(counts(&full, 2)[0] >= 6, "{:?}", counts(&full, 2));
}

#[test]
fn a_partition_does_not_move_for_balance_to_where_it_failed() {
    let mut all = partitions(&[(Some(0), 300), (Some(0), 300), (Some(4), 10)]);
    all.iter_mut().for_each(|p| p.failed = vec![site(4)]);
    let plan = place(all.clone(), seats(&[0, 4]), true);
    assert!(moved(&all, &plan).is_empty());
    assert_eq!(plan.alternative(0), None);
    all.iter_mut().for_each(|p| p.failed.clear());
    assert_eq!(
        moved(&all, &place(all.clone(), seats(&[0, 4]), true)).len(),
        1
    );
}

#[test]
fn an_alternative_names_the_fill_from_which_on_the_partition_moves_and_it_moves_then() {
    let held = [
        (Some(0), 100),
        (Some(0), 100),
        (Some(1), 100),
        (Some(1), 60),
    ];
    let plan = place(partitions(&held), seats(&[0, 1]), true);
    let alternative = plan.alternative(0).unwrap();
    assert_eq!(alternative.executor, executor(1));
    assert_eq!(alternative.with, 260_000);
    assert_eq!(alternative.needs, 288_889);
    for (other, moves) in [(188, 0), (189, 1)] {
        let mut held = partitions(&held);
        held[1].load.cpu = other * FULL / 1_000;
        let plan = place(held.clone(), seats(&[0, 1]), true);
        assert_eq!(moved(&held, &plan).len(), moves, "{other}");
    }
    let alone = place(partitions(&held[..2]), seats(&[0]), true);
    assert_eq!(alone.alternative(0), None);
}
