//! The executor's supervisor: it starts and ends partitions as the master says.
//!
//! | file | does |
//! |---|---|
//! | `machine` | decides what to start, drain and end: no I/O |
//! | `driver` | the loop: takes messages and ends, executes the machine's effects |
//! | `leaving`, `reports` | how it leaves; what it sends by itself |
//! | `news` | which reports the master needs: no I/O |
//! | `ahead`, `preparing` | states that are read ahead, of partitions that move here soon |
//! | `requests` | barriers and queries: requests to all partitions of a job |
//! | `jobs` | what the partitions of one job share |
//! | `options` | what a supervisor is started with |

mod ahead;
mod driver;
mod jobs;
mod leaving;
mod machine;
mod news;
mod options;
mod preparing;
mod reports;
mod requests;
mod starting;

pub use driver::Supervisor;
pub use machine::{Effect, Event, Key, Machine};
pub use options::Options;
