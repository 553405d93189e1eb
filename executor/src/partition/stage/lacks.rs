//! What the newest events of a partition lack, with an example of each: what a person must know of the
//! input although the job runs.

use kol_common::SourcePartition;
use kol_common::proto::{self, PartitionCounters};

/// Once so many events were counted, all of them count half: the share is that of the newest events.
const MANY: u64 = 10_000;

/// See the module.
#[derive(Debug, Default)]
pub struct Lacks {
    recent: u64,
    /// A handful: looking along the list is faster than hashing.
    found: Vec<Found>,
}

#[derive(Debug)]
struct Found {
    reason: Box<str>,
    count: u64,
    /// Offset of the newest example.
    offset: u64,
}

impl Lacks {
    /// Resumes with what a checkpoint had counted.
    pub fn restored(counters: &PartitionCounters) -> Self {
        let found = counters.lacks.iter().map(|(reason, lack)| Found {
            reason: reason.as_str().into(),
            count: lack.count,
            offset: lack.offset,
        });
        Self {
            recent: counters.recent,
            found: found.collect(),
        }
    }

    /// Another event came.
    pub fn event(&mut self) {
        self.recent += 1;
        if self.recent >= MANY {
            self.recent /= 2;
            for found in &mut self.found {
                found.count /= 2;
            }
        }
    }

    /// The newest event lacks something: `reason` is a stable code.
    pub fn note(&mut self, reason: &'static str, offset: u64) {
        match self.found.iter_mut().find(|f| *f.reason == *reason) {
            Some(found) => {
                found.count += 1;
                found.offset = offset;
            }
            None => self.found.push(Found {
                reason: reason.into(),
                count: 1,
                offset,
            }),
        }
    }

    /// Counters with what is known here.
    pub fn counted(
        &self,
        partition: &SourcePartition,
        counters: PartitionCounters,
    ) -> PartitionCounters {
        let lacks = self.found.iter().filter(|found| found.count > 0);
        let lack = |found: &Found| proto::Lack {
            count: found.count,
            offset: found.offset,
            partition: Some(partition.into()),
        };
        PartitionCounters {
            recent: self.recent,
            lacks: lacks.map(|f| (f.reason.to_string(), lack(f))).collect(),
            ..counters
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_the_newest_events_and_survives_a_checkpoint() {
        let partition = SourcePartition::new("t", 3);
        let mut lacks = Lacks::default();
        for _ in 0..1_000_000 {
            lacks.event();
        }
        for offset in 0..200 {
            lacks.event();
            lacks.note("no_counters", offset);
        }
        let counted = lacks.counted(&partition, PartitionCounters::default());
        let lack = &counted.lacks["no_counters"];
        assert_eq!((lack.count, lack.offset), (200, 199));
        assert!(lack.count * 100 > counted.recent, "{counted:?}");
        let again = Lacks::restored(&counted).counted(&partition, PartitionCounters::default());
        assert_eq!(again, counted);
        for _ in 0..1_000_000 {
            lacks.event();
        }
        let counted = lacks.counted(&partition, PartitionCounters::default());
        assert_eq!(counted.lacks.len(), 0, "long ago");
    }
}
