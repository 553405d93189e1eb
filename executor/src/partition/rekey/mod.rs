//! A partition of the first stage of a job that re-keys: reads a topic as it is, and writes its records to the internal
//! topic under the key of their creator. It has no state: Kafka keeps its position, in the transactions in which it
//! writes. The contract is `docs/protocol/rekeying.md`.
//!
//! | file | does |
//! |---|---|
//! | `machine` | decides what to do when: no I/O |
//! | `actor` | the loop: stop and control before answers before time before data |
//! | `report` | what it says of itself |

mod actor;
mod machine;
mod report;

pub use actor::Actor;
