//! Where to resume when the log does not have the record at the position.

/// Where to resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The log has the position after all: a broker answered before it knew.
    Here,
    /// Records were deleted before they were read.
    BehindGap {
        /// Oldest record that is left.
        at: u64,
        /// Records that are gone.
        lost: u64,
    },
    /// The log ends before the position, so this is another log: the topic was recreated. All state
    /// belonged to the old one.
    NewLog {
        /// Oldest record of the new one.
        at: u64,
    },
}

/// Decides from the oldest offset that is there and the one past the newest.
pub fn resume(position: u64, oldest: u64, end: u64) -> Resume {
    if position > end {
        Resume::NewLog { at: oldest }
    } else if position < oldest {
        Resume::BehindGap {
            at: oldest,
            lost: oldest - position,
        }
    } else {
        Resume::Here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_counted_and_a_new_log_is_read_from_its_beginning() {
        assert_eq!(resume(5, 9, 20), Resume::BehindGap { at: 9, lost: 4 });
        assert_eq!(resume(21, 0, 20), Resume::NewLog { at: 0 });
        assert_eq!(resume(20, 0, 20), Resume::Here);
        assert_eq!(resume(9, 9, 20), Resume::Here);
    }
}
