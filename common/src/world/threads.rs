//! Tasks, and work that may block a thread: file systems, librdkafka's synchronous calls, decoding of large files.

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::current::{ThisMachine, Threads, current};

/// Prepares a task for the world that spawns it ([`Threads::task`]).
pub(crate) fn task(task: impl Future<Output = ()> + Send + 'static) -> BoxFuture<'static, ()> {
    current().task(Box::pin(task))
}

/// Runs work that may take long where it does not hold up the actors; `None` when it panicked.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (reply, done) = oneshot::channel();
    current().blocking(Box::new(move || {
        let _nobody_waits = reply.send(work());
    }));
    done.await.ok()
}

impl Threads for ThisMachine {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that uses the runtime's blocking threads"
    )]
    fn blocking(&self, work: Box<dyn FnOnce() + Send>) {
        let _the_result_comes_by_the_channel = tokio::task::spawn_blocking(work);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_has_no_result() {
        assert_eq!(blocking(|| 7).await, Some(7));
        let answer = std::hint::black_box(42);
        assert_eq!(blocking(move || assert_eq!(answer, 0)).await, None);
    }
}
