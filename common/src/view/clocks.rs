//! Whether the wall clocks of the hosts agree. Nothing that the master decides depends on them; what people
//! read does, and events are judged by the newest of them.

use crate::Millis;

/// Difference between two hosts that is worth a warning, milliseconds.
const TOLERATED: u64 = 60_000;
/// Hosts that are named.
const MOST: usize = 5;
/// What the master's own host is called.
const MASTER: &str = "the master";

/// A host and how far its wall clock is ahead of the master's, milliseconds.
pub type Reading<'a> = (&'a str, i64);

/// What is wrong with the clocks, for a person: `None` while all of them, the master's included, are within a
/// minute of each other. Named are the hosts that are away from the middle one.
pub fn disagreement<'a>(executors: impl Iterator<Item = Reading<'a>>) -> Option<String> {
    let mut all: Vec<Reading<'a>> = executors.chain([(MASTER, 0)]).collect();
    all.sort_by_key(|(host, ahead)| (*ahead, *host));
    all.dedup();
    let (first, last) = (all.first()?, all.last()?);
    let spread = last.1.abs_diff(first.1);
    if spread <= TOLERATED {
        return None;
    }
    let middle = middle(&all)?;
    let distance = |reading: &Reading<'_>| reading.1.abs_diff(middle.1);
    all.retain(|reading| distance(reading) > TOLERATED / 2);
    all.sort_by_key(|reading| std::cmp::Reverse(distance(reading)));
    let named = all.iter().take(MOST).map(|reading| {
        let direction = if reading.1 > middle.1 {
            "ahead of"
        } else {
            "behind"
        };
        let far = length(distance(reading));
        format!("{} is {far} {direction} {}", reading.0, middle.0)
    });
    let named: Vec<String> = named.collect();
    let more = match all.len().saturating_sub(MOST) {
        0 => String::new(),
        count => format!(", and {count} more"),
    };
    Some(format!(
        "the wall clocks of hosts differ by {}: {}{more}; synchronize them (NTP: `timedatectl`, `chronyc \
         tracking`), because events are judged by the newest clock",
        length(spread),
        named.join(", "),
    ))
}

/// Of two in the middle the master, if it is one of them.
fn middle<'a>(sorted: &[Reading<'a>]) -> Option<Reading<'a>> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(if upper.0 == MASTER { *upper } else { *lower })
}

/// In whole seconds.
fn length(ms: u64) -> Millis {
    Millis(ms / 1_000 * 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(readings: &[Reading<'_>]) -> Option<String> {
        disagreement(readings.iter().copied())
    }

    #[test]
    fn clocks_within_a_minute_of_each_other_agree() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("a", 60_000), ("b", 3)]), None);
        assert_eq!(of(&[("a", 30_000), ("b", -30_000)]), None);
        assert!(of(&[("a", 60_001)]).is_some());
    }

    #[test]
    fn the_hosts_away_from_the_middle_are_named_with_the_difference() {
        let one = of(&[("a", 7_200_000), ("b", 900), ("c", -40)]).unwrap();
        let start = "the wall clocks of hosts differ by 2h: a is 2h ahead of the master;";
        assert!(one.starts_with(start), "{one}");
        let both_sides = of(&[("a", 40_000), ("b", -40_000)]).unwrap();
        assert!(
            both_sides.contains("a is 40s ahead of the master"),
            "{both_sides}"
        );
        assert!(both_sides.contains("b is 40s behind the master"));
        let master = of(&[("a", 7_200_000), ("b", 7_200_000)]).unwrap();
        assert!(master.contains("the master is 2h behind a"), "{master}");
        let two = of(&[("a", -3_600_000)]).unwrap();
        assert!(two.contains("a is 1h behind the master"), "{two}");
    }

    #[test]
    fn a_cluster_of_wrong_clocks_is_not_listed_in_whole() {
        let names: Vec<String> = (0..20).map(|n| format!("h{n}")).collect();
        let readings: Vec<Reading<'_>> = (0..)
            .zip(&names)
            .map(|(n, name): (i64, _)| (name.as_str(), n * 100_000))
            .collect();
        let text = of(&readings).unwrap();
        assert_eq!(text.matches(" is ").count(), MOST, "{text}");
        assert!(text.contains(" more;"), "{text}");
    }
}
