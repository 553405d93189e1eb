//! What a partition is given to work with.

use kol_common::actor::Group;

use super::message::Ticks;
use crate::alerts::Alerts;
use crate::memory::Memory;
use crate::present::Present;
use crate::roots::Roots;
use crate::sink::{Sink, Turns};
use crate::source::{DeadLetters, Source};

/// What a partition uses and shares with others.
#[derive(Clone, Debug)]
pub struct Deps {
    /// Kafka client of the job.
    pub source: Source,
    /// Redis writer of the job.
    pub sink: Sink,
    /// Turns to write to its Redis.
    pub turns: Turns,
    /// Producer for records that cannot be used.
    pub dead_letters: Option<DeadLetters>,
    /// Delivers alerts of a job with rules.
    pub alerts: Option<Alerts>,
    /// Newest word of the master about the job.
    pub ticks: Ticks,
    /// By what event times are judged.
    pub present: Present,
    /// Memory of the process.
    pub memory: Memory,
    /// Where state files are read and written.
    pub roots: Roots,
    /// Tasks that write state files.
    pub files: Group,
}
