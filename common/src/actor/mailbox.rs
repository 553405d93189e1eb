//! Bounded mailboxes: whoever sends waits for room, with a deadline.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

/// Where to send messages to an actor. Cheap to clone.
#[derive(Debug)]
pub struct Address<M> {
    name: &'static str,
    sender: mpsc::Sender<M>,
}

impl<M> Clone for Address<M> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            sender: self.sender.clone(),
        }
    }
}

/// The receiving end. `recv` returns `None` when every address is dropped.
pub type Mailbox<M> = mpsc::Receiver<M>;

/// Why a message was not delivered, or a request got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The actor has ended.
    #[error("{0} has ended")]
    Gone(&'static str),
    /// Its mailbox stayed full, or its answer did not come, until the deadline.
    #[error("{0} did not answer in time")]
    Deadline(&'static str),
    /// Its mailbox is full now.
    #[error("{0} has no room for another message")]
    Full(&'static str),
}

/// A mailbox for `capacity` messages; `name` is what errors call the actor.
pub fn mailbox<M>(name: &'static str, capacity: usize) -> (Address<M>, Mailbox<M>) {
    let (sender, receiver) = mpsc::channel(capacity);
    (Address { name, sender }, receiver)
}

impl<M> Address<M> {
    /// Sends; waits for room until the deadline.
    ///
    /// # Errors
    /// `Gone` or `Deadline`.
    pub async fn tell(&self, message: M, deadline: Duration) -> Result<(), AskError> {
        match tokio::time::timeout(deadline, self.sender.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(AskError::Gone(self.name)),
            Err(_) => Err(AskError::Deadline(self.name)),
        }
    }

    /// Sends if there is room now.
    ///
    /// # Errors
    /// `Gone` or `Full`.
    pub fn try_tell(&self, message: M) -> Result<(), AskError> {
        self.sender.try_send(message).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => AskError::Full(self.name),
            mpsc::error::TrySendError::Closed(_) => AskError::Gone(self.name),
        })
    }

    /// Sends a request and waits for its answer. An actor that drops the reply sender declines, which
    /// reads as `Gone`.
    ///
    /// # Errors
    /// `Gone` or `Deadline`.
    pub async fn ask<R>(
        &self,
        request: impl FnOnce(oneshot::Sender<R>) -> M,
        deadline: Duration,
    ) -> Result<R, AskError> {
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.sender
                .send(request(reply))
                .await
                .map_err(|_| AskError::Gone(self.name))?;
            answer.await.map_err(|_| AskError::Gone(self.name))
        };
        tokio::time::timeout(deadline, exchange)
            .await
            .unwrap_or(Err(AskError::Deadline(self.name)))
    }

    /// Messages that it has room for now. With several senders the number is outdated at once.
    pub fn room(&self) -> usize {
        self.sender.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_without_an_answer_ends_at_its_deadline() {
        let (address, mut inbox) = mailbox::<oneshot::Sender<u32>>("partition", 1);
        let second = Duration::from_secs(1);
        assert_eq!(
            address.ask(|r| r, second).await,
            Err(AskError::Deadline("partition"))
        );
        // The mailbox still holds that request: it is full, which a sender learns at once.
        let (reply, _answer) = oneshot::channel();
        assert_eq!(address.try_tell(reply), Err(AskError::Full("partition")));
        assert!(inbox.recv().await.is_some());
        drop(inbox);
        assert_eq!(
            address.ask(|r| r, second).await,
            Err(AskError::Gone("partition"))
        );
    }
}
