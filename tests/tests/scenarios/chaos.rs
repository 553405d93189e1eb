//! One fault of every kind while events flow; `make chaos` does more of them.

use kol_tests::chaos::{KINDS, Plan, run};

#[test]
fn after_one_fault_of_every_kind_redis_equals_the_fold() {
    run(&Plan {
        rounds: KINDS,
        seed: 1,
        rate: 1_000,
        only: String::new(),
    });
}
