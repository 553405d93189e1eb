//! Reads rankings as dashboards do: members and scores from a sorted set, everything else from the
//! creators' hashes. Here are the commands and what their answers mean; who calls sends them over a
//! connection of its own, which may block or not.

use redis::{Cmd, Pipeline};

use crate::event::parse_time;
use crate::time::Millis;

/// Fields of a creator's hash that [`rows`] expects, in this order.
const FIELDS: [&str; 6] = [
    "trending_label",
    "velocity",
    "momentum",
    "total_engagement",
    "event_count",
    "updated_at",
];

/// A creator in a ranking. What its hash does not have is empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ranked {
    /// From 1, highest score first.
    pub place: u64,
    /// The creator's name, as events have it after cleaning.
    pub kol: String,
    /// As the sorted set has it: not rounded.
    pub score: f64,
    /// `Viral`, `Hot`, `Warm`, `Normal` or `Cold`.
    pub label: String,
    /// Engagements a minute.
    pub velocity: String,
    /// Relative change of velocity from one window to the next, −1 to 5.
    pub momentum: String,
    /// Engagements in the window.
    pub engagement: String,
    /// Events in the window.
    pub events: String,
    /// When the hash was last written.
    pub updated: Option<Millis>,
}

/// Members and scores of a ranking from the `first` (0 is the best) on, `count` (at least one) or all of
/// them. Answers with [`Members`].
pub fn members(ranking: &str, first: u64, count: Option<u64>) -> Cmd {
    let mut command = redis::cmd("ZREVRANGE");
    command.arg(ranking).arg(first);
    match count {
        Some(count) => command.arg(first.saturating_add(count.max(1)) - 1),
        None => command.arg(-1),
    };
    command.arg("WITHSCORES");
    command
}

/// What [`members`] answers.
pub type Members = Vec<(String, f64)>;

/// What a ranking shows of the creators with these hashes. Answers with [`Fields`]; not to be sent
/// without any.
pub fn fields(hashes: impl IntoIterator<Item = String>) -> Pipeline {
    let mut pipeline = redis::pipe();
    for key in hashes {
        pipeline.cmd("HMGET").arg(key).arg(&FIELDS);
    }
    pipeline
}

/// What [`fields`] answers: for each hash its fields.
pub type Fields = Vec<Vec<Option<String>>>;

/// Rows from the answers; the first has the place `first`, from 0.
pub fn rows(first: u64, members: Members, fields: Fields) -> Vec<Ranked> {
    let rows = (first + 1..).zip(members.into_iter().zip(fields));
    rows.map(|(place, ((kol, score), fields))| {
        let mut fields = fields.into_iter().map(Option::unwrap_or_default);
        let mut next = || fields.next().unwrap_or_default();
        Ranked {
            place,
            kol,
            score,
            label: next(),
            velocity: next(),
            momentum: next(),
            engagement: next(),
            events: next(),
            updated: parse_time(&next()),
        }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(command: &Cmd) -> String {
        let packed = String::from_utf8(command.get_packed_command()).unwrap();
        let words = packed.split("\r\n").skip(2).step_by(2);
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_slice_of_a_ranking_ends_where_it_should() {
        let slice = |first, count| text(&members("r", first, count));
        assert_eq!(slice(0, Some(10)), "ZREVRANGE r 0 9 WITHSCORES");
        assert_eq!(slice(7, Some(1)), "ZREVRANGE r 7 7 WITHSCORES");
        assert_eq!(slice(0, None), "ZREVRANGE r 0 -1 WITHSCORES");
    }

    #[test]
    fn a_row_has_its_place_and_what_the_hash_has() {
        let hash = |label: &str| {
            let mut fields = vec![None; FIELDS.len()];
            fields[0] = Some(label.to_owned());
            fields[5] = Some("2025-07-01T08:29:25.000Z".to_owned());
            fields
        };
        let members = vec![("a".to_owned(), 84.1), ("b".to_owned(), 61.0)];
        let rows = rows(5, members, vec![hash("Viral"), vec![None; FIELDS.len()]]);
        assert_eq!((rows[0].place, rows[1].place), (6, 7));
        assert_eq!(rows[0].label, "Viral");
        assert_eq!(rows[0].updated, Some(Millis(1_751_358_565_000)));
        let empty = Ranked {
            place: 7,
            kol: "b".into(),
            score: 61.0,
            ..Ranked::default()
        };
        assert_eq!(rows[1], empty, "its hash is gone");
    }
}
