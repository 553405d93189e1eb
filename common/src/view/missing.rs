//! Executors that people should look for.

use crate::proto::{ExecutorState, ExecutorStatus};
use crate::{KolError, Millis};

/// Executors that are silent, and, the newest first, those that are lost until as many others have registered since. `wall` is
/// the wall clock of the master that lists them, when it did.
pub fn missing(wall: Millis, executors: &[ExecutorStatus]) -> Vec<(&ExecutorStatus, KolError)> {
    let silent = of(executors, ExecutorState::Suspect).map(|executor| {
        let message = format!(
            "executor {} on {} is silent or cut off; it keeps its partitions for now",
            executor.executor_id, executor.host
        );
        let error = KolError::external("EXECUTOR_SUSPECT", message);
        (
            executor,
            error.help("Look at the executor and the network."),
        )
    });
    let mut newest_first: Vec<_> = of(executors, ExecutorState::Lost).collect();
    newest_first.sort_by_key(|executor| std::cmp::Reverse(heard(wall, executor)));
    // Each of those that came since replaces one.
    let mut replaced = 0;
    newest_first.retain(|lost| {
        let since = heard(wall, lost).0;
        let others = of(executors, ExecutorState::Alive);
        let came = others.filter(|other| other.registered_ms >= since).count();
        let is_replaced = came > replaced;
        replaced += usize::from(is_replaced);
        !is_replaced
    });
    let lost = newest_first.into_iter().map(|executor| {
        let message = format!(
            "executor {} on {} is gone; its partitions move to others",
            executor.executor_id, executor.host
        );
        let error = KolError::external("EXECUTOR_LOST", message);
        (executor, error.help("Start it again, or another one."))
    });
    silent.chain(lost).collect()
}

/// When an executor was last heard, by the same clock.
pub fn heard(wall: Millis, executor: &ExecutorStatus) -> Millis {
    wall.since(Millis(executor.heartbeat_age_ms))
}

fn of(executors: &[ExecutorStatus], state: ExecutorState) -> impl Iterator<Item = &ExecutorStatus> {
    executors.iter().filter(move |e| e.state() == state)
}
