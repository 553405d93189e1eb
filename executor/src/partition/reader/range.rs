//! What to do when the log does not have the record at the position.

/// Where to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoOn {
    /// The log has the position after all: a broker answered before it knew.
    Here,
    /// Records were deleted before they were read.
    BehindGap {
        /// Oldest record that is left.
        at: u64,
        /// Records that are gone.
        lost: u64,
    },
    /// The log ends before the position, so this is another log: the topic was made anew. All state
    /// belonged to the old one.
    NewLog {
        /// Oldest record of the new one.
        at: u64,
    },
}

/// Decides from the oldest offset that is there and the one past the newest.
pub fn go_on(position: u64, oldest: u64, end: u64) -> GoOn {
    if position > end {
        GoOn::NewLog { at: oldest }
    } else if position < oldest {
        GoOn::BehindGap {
            at: oldest,
            lost: oldest - position,
        }
    } else {
        GoOn::Here
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_counted_and_a_new_log_begins_anew() {
        assert_eq!(go_on(5, 9, 20), GoOn::BehindGap { at: 9, lost: 4 });
        assert_eq!(go_on(21, 0, 20), GoOn::NewLog { at: 0 });
        assert_eq!(go_on(20, 0, 20), GoOn::Here);
        assert_eq!(go_on(9, 9, 20), GoOn::Here);
    }
}
