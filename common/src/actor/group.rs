//! Groups of tasks: spawned under a name, stopped together, awaited, and aborted when the
//! deadline passes. A panic is an exit reason that the group's owner receives.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::{KolError, world};

/// How a task ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Exit {
    /// It finished its work.
    Done,
    /// It ended with an error.
    Failed(KolError),
    /// It panicked: a bug.
    Panicked(String),
    /// It was aborted.
    Aborted,
}

/// A running task.
#[derive(Debug)]
pub struct Task {
    exit: oneshot::Receiver<Exit>,
}

impl Task {
    /// Waits for its end.
    pub async fn exit(&mut self) -> Exit {
        (&mut self.exit).await.unwrap_or(Exit::Aborted)
    }
}

/// Whether a group ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drained {
    /// All tasks ended before the deadline.
    InTime,
    /// Some had to be aborted.
    Aborted,
}

/// A set of tasks that are stopped together.
#[derive(Clone, Debug)]
pub struct Group {
    name: &'static str,
    stop: CancellationToken,
    kill: CancellationToken,
    tracker: TaskTracker,
}

impl Group {
    /// An empty group. `name` is what logs call it.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            stop: CancellationToken::new(),
            kill: CancellationToken::new(),
            tracker: TaskTracker::new(),
        }
    }

    /// What tasks of the group select on: cancelled when they should finish.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs a task. `task` names it in logs.
    pub fn spawn<F>(&self, task: &'static str, future: F) -> Task
    where
        F: Future<Output = Result<(), KolError>> + Send + 'static,
    {
        let (sender, exit) = oneshot::channel();
        let kill = self.kill.clone();
        let group = self.name;
        #[expect(
            clippy::disallowed_methods,
            reason = "the kernel is where tasks are spawned"
        )]
        let _its_end_comes_by_the_channel = self.tracker.spawn(world::task(async move {
            let guarded = AssertUnwindSafe(future).catch_unwind();
            let exit = tokio::select! {
                biased;
                () = kill.cancelled() => Exit::Aborted,
                ended = guarded => match ended {
                    Ok(Ok(())) => Exit::Done,
                    Ok(Err(error)) => Exit::Failed(error),
                    Err(payload) => Exit::Panicked(panic_text(payload.as_ref())),
                },
            };
            if let Exit::Panicked(text) = &exit {
                tracing::error!(code = "TASK_PANICKED", group, task, panic = %text, "a task panicked");
            }
            let _nobody_waits = sender.send(exit);
        }));
        Task { exit }
    }

    /// Stops the group: cancels the stop token, waits until the deadline, then aborts what is left.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait())
            .await
            .is_ok()
        {
            return Drained::InTime;
        }
        self.kill.cancel();
        self.tracker.wait().await;
        Drained::Aborted
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "unknown panic".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_exit_reason() {
        let group = Group::new("test");
        let mut task = group.spawn("boom", async { panic!("at offset {}", 7) });
        assert_eq!(task.exit().await, Exit::Panicked("at offset 7".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ignores_stop_is_aborted_at_the_deadline() {
        let group = Group::new("test");
        let token = group.stop_token();
        let mut polite = group.spawn("polite", async move {
            token.cancelled().await;
            Ok(())
        });
        let mut stubborn = group.spawn("stubborn", async {
            std::future::pending::<()>().await;
            Ok(())
        });
        assert_eq!(group.drain(Duration::from_secs(1)).await, Drained::Aborted);
        assert_eq!(polite.exit().await, Exit::Done);
        assert_eq!(stubborn.exit().await, Exit::Aborted);
    }
}
