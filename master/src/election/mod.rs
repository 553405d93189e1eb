//! Who leads: one master at a time, in terms whose numbers grow. With the store on its own disk a master is alone,
//! and leads in term 0; with etcd masters are elected.
//!
//! | file | what is there |
//! |---|---|
//! | `elected` | the permit to write, and the store as a leader has it |
//! | `machine` | when to look, campaign, renew and step down |
//! | `candidate` | the same as calls to etcd |
//! | `past` | the lease of a process that was killed |
//! | `driver` | the loop that does what the machine decides |

mod candidate;
mod driver;
mod elected;
mod machine;
mod past;

pub use candidate::Candidate;
pub use driver::{News, Tenure, run};
pub use elected::{Elected, LeaderStore};
pub use past::{LeaseFile, Past};

#[cfg(test)]
#[path = "machine_tests.rs"]
mod machine_tests;
