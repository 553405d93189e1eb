//! Executors that people should look for.

use crate::proto::{ExecutorState, ExecutorStatus};
use crate::{KolError, Millis};

/// Executors that are silent, and, the newest first, those that are lost and were not replaced. `wall` is the wall clock of
/// the master that lists them, when it did.
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
    let lost = unreplaced(wall, executors)
        .into_iter()
        .rev()
        .map(|executor| {
            let message = format!(
                "executor {} on {} is gone; its partitions move to others",
                executor.executor_id, executor.host
            );
            let error = KolError::external("EXECUTOR_LOST", message);
            (executor, error.help("Start it again, or another one."))
        });
    silent.chain(lost).collect()
}

/// Those that are lost and that nobody replaced, the newest last: one that registers replaces the one lost last that nobody
/// has replaced before, also if it is lost later itself. So there are as many as are fewer than before.
fn unreplaced(wall: Millis, executors: &[ExecutorStatus]) -> Vec<&ExecutorStatus> {
    let losses = of(executors, ExecutorState::Lost).map(|lost| (heard(wall, lost).0, Some(lost)));
    let came = executors.iter().map(|executor| {
        let latest = match executor.state() {
            // It does not replace itself.
            ExecutorState::Lost => heard(wall, executor).0.saturating_sub(1),
            _ => u64::MAX,
        };
        (executor.registered_ms.min(latest), None)
    });
    let mut events: Vec<_> = losses.chain(came).collect();
    // In one moment losses come first.
    events.sort_by_key(|(at, lost)| (*at, lost.is_none()));
    let mut unreplaced = Vec::new();
    for (_, lost) in events {
        match lost {
            Some(lost) => unreplaced.push(lost),
            None => drop(unreplaced.pop()),
        }
    }
    unreplaced
}

/// When an executor was last heard, by the same clock.
pub fn heard(wall: Millis, executor: &ExecutorStatus) -> Millis {
    wall.since(Millis(executor.heartbeat_age_ms))
}

fn of(executors: &[ExecutorStatus], state: ExecutorState) -> impl Iterator<Item = &ExecutorStatus> {
    executors.iter().filter(move |e| e.state() == state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000);

    /// One that registered then, and was lost then if at all.
    fn of(id: &str, came: u64, lost: Option<u64>) -> ExecutorStatus {
        let state = lost.map_or(ExecutorState::Alive, |_| ExecutorState::Lost);
        ExecutorStatus {
            executor_id: id.into(),
            state: state.into(),
            registered_ms: came,
            heartbeat_age_ms: lost.map_or(0, |lost| NOW.0 - lost),
            ..ExecutorStatus::default()
        }
    }

    fn names(executors: &[ExecutorStatus]) -> Vec<String> {
        let missing = missing(NOW, executors).into_iter();
        missing.map(|(e, _)| e.executor_id.clone()).collect()
    }

    #[test]
    fn as_many_executors_are_missing_as_are_fewer_than_before() {
        let mut all = vec![
            of("a", 1, Some(100)),
            of("b", 1, Some(101)),
            of("c", 200, Some(300)),
            of("d", 201, None),
        ];
        assert_eq!(names(&all), ["c"], "a and b were replaced");
        all.push(of("e", 400, None));
        assert_eq!(names(&all), [""; 0], "two are there, as at first");
        let spare = [of("a", 1, Some(100)), of("b", 1, None), of("c", 50, None)];
        assert_eq!(names(&spare), ["a"], "c came before");
        let again = [
            of("a", 1, Some(100)),
            of("b", 1, Some(101)),
            of("c", 200, None),
        ];
        assert_eq!(names(&again), ["a"]);
    }
}
