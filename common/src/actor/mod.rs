//! The actor kernel: bounded mailboxes, requests with a deadline, and groups of tasks that end
//! together. Restarting is not its business: a dead partition comes back through the master, under a
//! new assignment epoch, which is the opposite of a local restart.

mod group;
mod mailbox;

pub use group::{Drained, Exit, Group, Task};
pub use mailbox::{Address, AskError, Mailbox, mailbox};
