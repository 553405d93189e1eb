//! A process that is stopped, as SIGSTOP does, and continues later: none of its tasks runs and it reads and writes
//! nothing, while time passes and what others send it waits.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures::future::BoxFuture;

/// Of one life of a host; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Pause(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stopped: bool,
    /// What wants to continue, in the order in which it came.
    waiting: Vec<Waker>,
}

impl Pause {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the process is stopped, or continues.
    pub fn set(&self, stopped: bool) {
        let waiting = {
            let mut state = self.state();
            state.stopped = stopped;
            if stopped {
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Whether the process is stopped.
    pub fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// `Pending` while the process is stopped; whoever waits is woken when it continues.
    pub fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.stopped {
            return Poll::Ready(());
        }
        state.waiting.push(cx.waker().clone());
        Poll::Pending
    }
}

/// A task of the process.
pub struct Held {
    /// Of the process.
    pub pause: Pause,
    /// What it does.
    pub task: BoxFuture<'static, ()>,
}

impl Future for Held {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.pause.poll(cx) {
            Poll::Ready(()) => self.task.as_mut().poll(cx),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_task_of_a_stopped_process_does_nothing_until_the_process_continues() {
        let pause = Pause::default();
        let mut task = Held {
            pause: pause.clone(),
            task: Box::pin(async {}),
        };
        pause.set(true);
        assert_eq!((&mut task).now_or_never(), None);
        assert!(pause.is_stopped());
        pause.set(false);
        assert_eq!(task.now_or_never(), Some(()));
    }
}
