//! Faults on a virtual cluster.

use std::sync::atomic::{AtomicU64, Ordering};

use kol_sim::{Masters, run};

/// Schedules that are played on every run of the tests; `make sim ROUNDS=1000` plays more.
const SCHEDULES: u64 = 100;
/// Of these, how many are played twice.
const TWICE: u64 = 5;

/// Plays all schedules on all processors; each must end with the laws kept. Answers how many terms began in all.
fn play_all(masters: Masters) -> u64 {
    let next = AtomicU64::new(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let play = || {
        let (mut failed, mut terms) = (Vec::new(), 0);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            // Once one has failed, nobody waits for the others: `make sim` shows all.
            if seed > SCHEDULES || !failed.is_empty() {
                next.fetch_max(SCHEDULES, Ordering::Relaxed);
                return (failed, terms);
            }
            let outcome = run(masters, seed, false);
            terms += outcome.terms;
            if !outcome.problems.is_empty() {
                failed.push((seed, outcome.problems, outcome.deeds));
            }
        }
    };
    let played: Vec<_> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        let played = players.into_iter().map(|player| player.join().unwrap());
        played.collect()
    });
    let terms = played.iter().map(|(_, terms)| *terms).sum();
    let failed: Vec<_> = played.into_iter().flat_map(|(failed, _)| failed).collect();
    assert!(
        failed.is_empty(),
        "replay with SEED=… make sim: {failed:#?}"
    );
    terms
}

#[test]
fn whatever_fails_redis_equals_the_fold_in_the_end_and_no_reader_sees_it_go_back() {
    play_all(Masters::One);
}

#[test]
fn of_several_masters_one_leads_at_a_time_and_whatever_fails_no_epoch_is_lost() {
    let terms = play_all(Masters::Several);
    let few = SCHEDULES * 5 / 4;
    assert!(terms > few, "leaders hardly ever changed: {terms} terms");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for masters in [Masters::One, Masters::Several] {
        for seed in 1..=TWICE {
            let play = || run(masters, seed, true);
            let (first, second) = (play(), play());
            assert_eq!(first.parts_from(&second), None, "{masters:?}, seed {seed}");
            let sum = first.sum;
            assert!(sum.1 > 500, "{masters:?}, seed {seed} says little: {sum:?}");
        }
        let sum = |seed| run(masters, seed, false).sum;
        assert_ne!(sum(1), sum(2));
    }
}
