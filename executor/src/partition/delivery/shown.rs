//! The last record that Redis was shown the effect of, as the fence record keeps it. The next owner may never read
//! it: by it that one knows the log again.
//!
//! The name of the log is part of it: a version that knows nothing of this leaves it there when it claims the fence
//! for another log.

use kol_common::proto::RecordMark;
use uuid::Uuid;

/// Stands for a timestamp that the log does not keep.
const NO_TIME: &str = "-";

/// What a fence record calls a log: by its topic, and how often it lost its tail.
pub fn name_of_log(topic_id: Option<Uuid>, lineage: u64) -> String {
    topic_id.map_or_else(String::new, |id| format!("{id}/{lineage}"))
}

/// For the fence record; empty where the record or the log is not known.
pub fn text(log: &str, last: Option<RecordMark>) -> String {
    let last = last.filter(|_| !log.is_empty());
    last.map_or_else(String::new, |last| {
        let time = last.timestamp_ms;
        let time = time.map_or_else(|| NO_TIME.to_owned(), |ms| ms.to_string());
        format!("{} {} {time} {log}", last.offset, last.crc32c)
    })
}

/// What the fence record says, if it is of this log.
pub fn mark(log: &str, text: &str) -> Option<RecordMark> {
    let mut words = text.splitn(4, ' ');
    let (offset, crc32c) = (words.next()?.parse(), words.next()?.parse());
    let time = words.next()?;
    let timestamp_ms = match time {
        NO_TIME => None,
        known => Some(known.parse().ok()?),
    };
    let same = words.next()? == log;
    Some(RecordMark {
        offset: offset.ok()?,
        timestamp_ms,
        crc32c: crc32c.ok()?,
    })
    .filter(|_| same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_again_in_the_same_log_only() {
        for timestamp_ms in [None, Some(1_760_000_000_000)] {
            let last = RecordMark {
                offset: 41,
                timestamp_ms,
                crc32c: u32::MAX,
            };
            let kept = text("x/1", Some(last));
            assert_eq!(mark("x/1", &kept), Some(last), "{kept}");
            assert_eq!(mark("x/0", &kept), None);
            assert_eq!(text("", Some(last)), "", "a log of which nothing is known");
        }
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        assert_eq!(text("x/1", None), "");
        for kept in [
            "",
            "41",
            "41 7",
            "41 7 -",
            "41 7 soon x/1",
            "a 7 - x/1",
            "41 -1 - x/1",
        ] {
            assert_eq!(mark("x/1", kept), None, "{kept}");
        }
    }
}
