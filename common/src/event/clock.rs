//! When an event happened, as far as its producer and Kafka can be believed.

use super::Reject;
use crate::Millis;

/// 2005-01-01: an older Kafka timestamp is in a wrong unit, or a clock that was never set. No
/// platform that is read here is older.
const OLDEST_KAFKA: Millis = Millis(1_104_537_600_000);

/// When an event happened: its own word, unless that is missing or lies after the Kafka timestamp,
/// so that one producer's wrong clock cannot move everyone's window. A Kafka timestamp before 2005 or
/// after `latest` says nothing.
///
/// `latest` is the present (the newest clock that the caller knows) plus `source.max_ahead`.
///
/// # Errors
/// `NoTime` when neither is known, `Ahead` when it is after `latest`.
pub fn effective_time(
    event_time: Option<Millis>,
    kafka_timestamp: Option<Millis>,
    latest: Millis,
) -> Result<Millis, Reject> {
    let kafka = kafka_timestamp.filter(|time| (OLDEST_KAFKA..=latest).contains(time));
    let time = match (event_time, kafka) {
        (Some(event), Some(kafka)) => event.min(kafka),
        (Some(time), None) | (None, Some(time)) => time,
        (None, None) => return Err(Reject::NoTime),
    };
    if time > latest {
        return Err(Reject::Ahead);
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRESENT: Millis = Millis(1_795_669_200_000);

    fn at(event: Option<u64>, kafka: Option<u64>) -> Result<u64, Reject> {
        let latest = Millis(PRESENT.0 + 600_000);
        effective_time(event.map(Millis), kafka.map(Millis), latest).map(|t| t.0)
    }

    #[test]
    fn an_event_cannot_be_newer_than_its_record() {
        let (a, b) = (PRESENT.0 - 20, PRESENT.0 - 10);
        assert_eq!(at(Some(b), Some(a)), Ok(a));
        assert_eq!(at(Some(a), Some(b)), Ok(a));
        assert_eq!(at(None, Some(b)), Ok(b));
        assert_eq!(at(None, None), Err(Reject::NoTime));
    }

    #[test]
    fn a_kafka_timestamp_in_a_wrong_unit_says_nothing() {
        let event = PRESENT.0 - 5_000;
        for kafka in [PRESENT.0 / 1_000, PRESENT.0 * 1_000, 0] {
            assert_eq!(at(Some(event), Some(kafka)), Ok(event), "{kafka}");
            assert_eq!(at(None, Some(kafka)), Err(Reject::NoTime), "{kafka}");
        }
    }

    #[test]
    fn an_event_ahead_of_the_present_is_rejected_beyond_the_bound_only() {
        let bound = PRESENT.0 + 600_000;
        assert_eq!(at(Some(bound), Some(bound)), Ok(bound));
        assert_eq!(at(Some(bound + 1), Some(bound + 1)), Err(Reject::Ahead));
        assert_eq!(at(Some(bound + 1), None), Err(Reject::Ahead));
        assert_eq!(at(Some(bound + 1), Some(bound)), Ok(bound));
        assert_eq!(at(None, Some(bound)), Ok(bound));
    }
}
