//! A short run of each target.

use std::sync::atomic::{AtomicUsize, Ordering};

use kol_fuzz::{Until, all, fuzz, memory};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// Inputs of each target; `make fuzz` gives more.
const EXECUTIONS: u64 = 2_000;

#[test]
fn whatever_is_read_nothing_panics_or_takes_more_memory_than_its_input_accounts_for() {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let play = || {
        let mut failed = Vec::new();
        while let Some(target) = all().get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = fuzz(target, 1, Until::Executions(EXECUTIONS));
            if let Err(failure) = outcome {
                let input = String::from_utf8_lossy(&failure.input[..failure.input.len().min(500)])
                    .into_owned();
                failed.push((target.name, failure.what, input));
            }
        }
        failed
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        let played = players.into_iter().map(|player| player.join());
        played.flat_map(|failed| failed.unwrap()).collect()
    });
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn the_memory_of_a_reader_is_counted() {
    let (kept, most) = memory::most_held(|| {
        drop(vec![0u8; 1 << 20]);
        vec![0u8; 10]
    });
    assert!(most >= 1 << 20, "{most}");
    drop(kept);
    let ((), most) = memory::most_held(|| {});
    assert_eq!(most, 0);
}
