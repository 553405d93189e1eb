//! Faults on a virtual cluster.

use std::sync::atomic::{AtomicU64, Ordering};

use kol_sim::run;

/// Schedules that are played on every run of the tests; `make sim ROUNDS=1000` plays more.
const SCHEDULES: u64 = 100;
/// Of these, how many are played twice.
const TWICE: u64 = 5;

#[test]
fn whatever_fails_redis_equals_the_fold_in_the_end_and_no_reader_sees_it_go_back() {
    let next = AtomicU64::new(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let play = || {
        let mut failed = Vec::new();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > SCHEDULES {
                return failed;
            }
            let outcome = run(seed, false);
            if !outcome.problems.is_empty() {
                failed.push((seed, outcome.problems, outcome.deeds));
            }
        }
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        let played = players.into_iter().map(|player| player.join());
        played.flat_map(|failed| failed.unwrap()).collect()
    });
    assert!(
        failed.is_empty(),
        "replay with SEED=… make sim: {failed:#?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 1..=TWICE {
        let (first, second) = (run(seed, true), run(seed, true));
        assert_eq!(first.parts_from(&second), None, "seed {seed}");
        assert!(
            first.sum.1 > 500,
            "seed {seed} says little: {:?}",
            first.sum
        );
    }
    assert_ne!(run(1, false).sum, run(2, false).sum);
}
