//! A ranking as it was: the snapshots that the job keeps, which places creators had, and how many they gained since.

use std::collections::BTreeMap;
use std::sync::Arc;

use kol_common::Millis;
use kol_common::redis::history::{Name, PLACES, Snapshot};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
/// Bytes that each shared name has beside itself.
const COUNTS: usize = 2 * size_of::<usize>();

/// A ranking at one time, as far as it is kept.
#[derive(Debug)]
pub(crate) struct Moment {
    /// Its time, and the generation of the job that showed it.
    pub(crate) name: Name,
    /// Window end of the ranking, ISO 8601.
    pub(crate) window_end: String,
    /// Names and scores, the highest first.
    pub(crate) creators: Vec<(Arc<str>, f64)>,
    /// Who is not among those may have been among the first all the same.
    is_cut: bool,
}

/// All that is kept of a ranking.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The oldest first.
    moments: Vec<Arc<Moment>>,
    hour: Option<Places>,
    day: Option<Places>,
}

/// The places of a moment, from 1.
#[derive(Debug)]
struct Places {
    moment: Arc<Moment>,
    by_name: BTreeMap<Arc<str>, u64>,
}

/// Since when changes are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
pub(crate) enum Span {
    #[serde(rename = "1h")]
    Hour,
    #[serde(rename = "24h")]
    Day,
}

impl Span {
    fn length(self) -> u64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => 24 * HOUR,
        }
    }

    /// By how much a snapshot may be older than that: as far as snapshots are apart then, and some more.
    fn slack(self) -> u64 {
        match self {
            Self::Hour => 10 * MINUTE,
            Self::Day => HOUR + 10 * MINUTE,
        }
    }
}

/// How a place has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Places gained; less than 0: lost.
    Gained(i64),
    /// It was not among the creators that were kept then, and would be now. It has come from behind them, or from nowhere.
    New(i64),
    /// None is kept of that time, or the creator is behind all that were kept then.
    Unknown,
}

/// Changes of a place as they are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Changes {
    /// Places gained since an hour ago; below 0 they were lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    change_1h: Option<i64>,
    /// An hour ago it was not among the first 1,000.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    new_1h: bool,
    /// Places gained since a day ago; below 0 they were lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    change_24h: Option<i64>,
    /// A day ago it was not among the first 1,000.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    new_24h: bool,
}

impl Moment {
    /// From a snapshot. Names that are in `known` are shared with it.
    pub(crate) fn new(name: Name, snapshot: Snapshot, known: Option<&Moment>) -> Self {
        let known = known.map(Moment::names).unwrap_or_default();
        let creators = snapshot.creators.into_iter();
        let creators = creators.map(|(kol, score)| {
            let shared = known.get(kol.as_str()).map(|(kol, _)| Arc::clone(kol));
            (shared.unwrap_or_else(|| kol.into()), score)
        });
        Self {
            name,
            window_end: snapshot.window_end,
            creators: creators.collect(),
            is_cut: snapshot.cut,
        }
    }

    fn names(&self) -> BTreeMap<&str, (&Arc<str>, u64)> {
        let places = (1..).zip(&self.creators);
        places
            .map(|(place, (kol, _))| (&**kol, (kol, place)))
            .collect()
    }

    /// Place, from 1, and score of a creator.
    fn find(&self, kol: &str) -> Option<(u64, f64)> {
        let mut places = (1..).zip(&self.creators);
        let (place, (_, score)) = places.find(|(_, (name, _))| **name == *kol)?;
        Some((place, *score))
    }

    /// Without names, which it may share.
    fn weight(&self) -> usize {
        let creators = self.creators.len() * size_of::<(Arc<str>, f64)>();
        size_of::<Self>() + creators + self.window_end.len()
    }
}

impl Places {
    fn of(moment: &Arc<Moment>) -> Self {
        let names = moment.names().into_values();
        Self {
            moment: Arc::clone(moment),
            by_name: names.map(|(kol, place)| (Arc::clone(kol), place)).collect(),
        }
    }

    /// Without names and the moment, which others have, too.
    fn weight(&self) -> usize {
        // Nodes of the tree are partly empty.
        self.by_name.len() * size_of::<(Arc<str>, u64)>() * 3 / 2
    }

    fn change(&self, kol: &str, place: u64) -> Change {
        let count = self.moment.creators.len();
        match self.by_name.get(kol) {
            Some(before) => Change::Gained(*before as i64 - place as i64),
            // It may have been there, and not have fitted.
            None if self.moment.is_cut => Change::Unknown,
            // One that is behind all that were kept may have been there then, too.
            None if count == PLACES && place > PLACES as u64 => Change::Unknown,
            None => Change::New((count as i64 + 1 - place as i64).max(0)),
        }
    }
}

impl History {
    /// Of these moments, as of the time of the newest event.
    pub(crate) fn new(mut moments: Vec<Arc<Moment>>, newest_event: Option<Millis>) -> Self {
        moments.sort_unstable_by_key(|moment| moment.name);
        let newest = moments.last().map(|moment| moment.name.at);
        let before = |span: Span| {
            let wanted = newest.max(newest_event)?.0.checked_sub(span.length())?;
            let moment = at(&moments, Millis(wanted))?;
            let is_near = wanted - moment.name.at.0 <= span.slack();
            is_near.then(|| Places::of(moment))
        };
        Self {
            hour: before(Span::Hour),
            day: before(Span::Day),
            moments,
        }
    }

    /// The moment of this name, if it is one.
    pub(crate) fn named(&self, name: Name) -> Option<&Arc<Moment>> {
        let found = self.moments.binary_search_by_key(&name, |m| m.name);
        found.ok().map(|at| &self.moments[at])
    }

    /// The newest moment that is not after this time.
    pub(crate) fn at(&self, time: Millis) -> Option<&Moment> {
        at(&self.moments, time).map(|moment| &**moment)
    }

    /// From when on there are moments.
    pub(crate) fn begin(&self) -> Option<Millis> {
        self.moments.first().map(|moment| moment.name.at)
    }

    /// With which time places are compared.
    pub(crate) fn since(&self, span: Span) -> Option<Millis> {
        self.places(span).map(|places| places.moment.name.at)
    }

    /// How this place of a creator has changed.
    pub(crate) fn change(&self, span: Span, kol: &str, place: u64) -> Change {
        let places = self.places(span);
        places.map_or(Change::Unknown, |places| places.change(kol, place))
    }

    /// How this place of a creator has changed, as it is shown.
    pub(crate) fn changes(&self, kol: &str, place: u64) -> Changes {
        let [hour, day] = [Span::Hour, Span::Day].map(|span| self.change(span, kol, place));
        Changes {
            change_1h: hour.gained(),
            new_1h: hour.is_new(),
            change_24h: day.gained(),
            new_24h: day.is_new(),
        }
    }

    /// Time, generation, and place and score of a creator where it has one; the oldest first.
    pub(crate) fn of(&self, kol: &str) -> Vec<(Name, Option<(u64, f64)>)> {
        let all = self.moments.iter();
        all.map(|moment| (moment.name, moment.find(kol))).collect()
    }

    /// The places of those of these, the first of the ranking in its order, who have gained places: who gained most comes
    /// first. Those that are new come from the place behind the last one.
    pub(crate) fn climbers<'k>(
        &self,
        span: Span,
        first: impl Iterator<Item = &'k str>,
    ) -> Vec<u64> {
        let gained = (1..).zip(first).filter_map(|(place, kol)| {
            let (Change::Gained(gained) | Change::New(gained)) = self.change(span, kol, place)
            else {
                return None;
            };
            (gained > 0).then_some((gained, place))
        });
        let mut gained: Vec<(i64, u64)> = gained.collect();
        gained.sort_unstable_by_key(|(gained, place)| (-gained, *place));
        gained.into_iter().map(|(_, place)| place).collect()
    }

    /// What it takes of memory, about: each name counts once, also where several moments share it.
    pub(crate) fn weight(&self) -> usize {
        let names = self.moments.iter().flat_map(|moment| &moment.creators);
        let mut names: Vec<(*const u8, usize)> = names
            .map(|(kol, _)| (kol.as_ptr(), COUNTS + kol.len()))
            .collect();
        names.sort_unstable();
        names.dedup();
        let names = names.into_iter().map(|(_, bytes)| bytes);
        let moments = self.moments.iter().map(|moment| moment.weight());
        let places = [&self.hour, &self.day].into_iter().flatten();
        let places = places.map(Places::weight);
        names.chain(moments).chain(places).sum()
    }

    fn places(&self, span: Span) -> Option<&Places> {
        match span {
            Span::Hour => self.hour.as_ref(),
            Span::Day => self.day.as_ref(),
        }
    }
}

impl Change {
    fn gained(self) -> Option<i64> {
        match self {
            Self::Gained(places) => Some(places),
            Self::New(_) | Self::Unknown => None,
        }
    }

    fn is_new(self) -> bool {
        matches!(self, Self::New(_))
    }
}

fn at(moments: &[Arc<Moment>], time: Millis) -> Option<&Arc<Moment>> {
    let after = moments.partition_point(|moment| moment.name.at <= time);
    moments[..after].last()
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: u64 = 500_000 * HOUR;

    fn moment(minutes: u64, kols: &[&str]) -> Arc<Moment> {
        let name = Name {
            at: Millis(T0 + minutes * MINUTE),
            generation: 1,
        };
        let creators = kols.iter().map(|kol| ((*kol).to_owned(), 1.0));
        let snapshot = Snapshot {
            window_end: String::new(),
            creators: creators.collect(),
            cut: false,
        };
        Arc::new(Moment::new(name, snapshot, None))
    }

    fn event(minutes: u64) -> Option<Millis> {
        Some(Millis(T0 + minutes * MINUTE))
    }

    fn since(history: &History, span: Span) -> Option<u64> {
        let since = history.since(span)?;
        Some((since.0 - T0) / MINUTE)
    }

    fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
        numbers.map(|number| format!("k{number}")).collect()
    }

    #[test]
    fn places_are_compared_with_the_newest_snapshot_that_is_old_enough_and_not_much_older() {
        let moments = || [0, 55, 60, 65].map(|m| moment(m, &["a"])).to_vec();
        let history = |newest| History::new(moments(), newest);
        assert_eq!(since(&history(None), Span::Hour), Some(0));
        assert_eq!(since(&history(event(119)), Span::Hour), Some(55));
        assert_eq!(since(&history(event(120)), Span::Hour), Some(60));
        let unknown = history(event(65 + 60 + 11));
        assert_eq!(since(&unknown, Span::Hour), None, "nobody knows that hour");
        assert_eq!(unknown.changes("a", 1), Changes::default());
        assert_eq!(since(&history(event(24 * 60 + 70)), Span::Day), Some(65));
        assert_eq!(since(&history(event(26 * 60 + 16)), Span::Day), None);
        assert_eq!(since(&history(event(23 * 60)), Span::Day), None);
    }

    #[test]
    fn a_change_is_the_places_gained_or_that_a_creator_is_new() {
        let moments = vec![moment(0, &["a", "b", "c"]), moment(60, &["a"])];
        let history = History::new(moments, None);
        let changes = |kol, place| serde_json::to_value(history.changes(kol, place)).unwrap();
        assert_eq!(changes("c", 1), serde_json::json!({"change_1h": 2}));
        assert_eq!(changes("a", 3), serde_json::json!({"change_1h": -2}));
        assert_eq!(changes("b", 2), serde_json::json!({"change_1h": 0}));
        assert_eq!(changes("d", 4), serde_json::json!({"new_1h": true}));
    }

    #[test]
    fn whether_one_behind_all_that_are_kept_is_new_is_not_known() {
        let names = numbered(0..PLACES);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let history = History::new(vec![moment(0, &names), moment(60, &["a"])], None);
        let change = |place| history.change(Span::Hour, "x", place);
        assert_eq!(change(1_000), Change::New(1));
        assert_eq!(change(1_001), Change::Unknown);
        let known = history.change(Span::Hour, "k999", 1_500);
        assert_eq!(known, Change::Gained(-500));
    }

    #[test]
    fn whether_one_is_new_that_a_snapshot_cut_short_does_not_have_is_not_known() {
        let name = Name {
            at: Millis(T0),
            generation: 1,
        };
        let snapshot = Snapshot {
            window_end: String::new(),
            creators: vec![("a".to_owned(), 1.0), ("b".to_owned(), 1.0)],
            cut: true,
        };
        let cut = Arc::new(Moment::new(name, snapshot, None));
        let history = History::new(vec![cut, moment(60, &["a"])], None);
        for place in [1, 2, 3] {
            let change = history.change(Span::Hour, "x", place);
            assert_eq!(change, Change::Unknown, "{place}");
        }
        assert_eq!(history.change(Span::Hour, "b", 1), Change::Gained(1));
        let climbers = history.climbers(Span::Hour, ["x", "b", "a"].into_iter());
        assert_eq!(climbers, [0_u64; 0]);
    }

    #[test]
    fn who_gained_most_places_comes_first_and_new_ones_come_from_behind_the_last() {
        let moments = vec![moment(0, &["a", "b", "c", "d"]), moment(60, &["a"])];
        let history = History::new(moments, None);
        let now = ["c", "x", "a", "d", "b", "y"];
        let climbers = |span| history.climbers(span, now.into_iter());
        // x by 3, c by 2; y is where it came from.
        assert_eq!(climbers(Span::Hour), [2, 1]);
        assert_eq!(climbers(Span::Day), [0_u64; 0], "nothing is known");
    }

    #[test]
    fn what_a_history_weighs_has_each_name_once_however_many_snapshots_have_it_and_its_places() {
        let long = |number: usize| format!("{number}{}", "x".repeat(9_999));
        let names: Vec<String> = (0..9).map(long).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let first = moment(0, &names);
        let second = Arc::new(Moment::new(
            Name {
                at: Millis(T0 + MINUTE),
                generation: 1,
            },
            Snapshot {
                window_end: String::new(),
                creators: names.iter().map(|kol| ((*kol).to_owned(), 2.0)).collect(),
                cut: false,
            },
            Some(&first),
        ));
        let weight = |moments: &[&Arc<Moment>]| {
            History::new(moments.iter().map(|m| Arc::clone(m)).collect(), None).weight()
        };
        let (one, both) = (weight(&[&first]), weight(&[&first, &second]));
        assert!((90_000..91_000).contains(&one), "{one}");
        assert!((1..1_000).contains(&(both - one)), "{one} {both}");
        let equal = moment(60, &names);
        let others = weight(&[&equal]);
        let compared = weight(&[&first, &equal]);
        // The places of an hour ago share the names, too.
        let places = (compared - one).checked_sub(others);
        assert!(
            places.is_some_and(|places| (9 * 24..1_000).contains(&places)),
            "{places:?}"
        );
    }

    #[test]
    fn the_ranking_of_a_time_is_the_newest_that_is_not_after_it() {
        let history = History::new(vec![moment(60, &["b"]), moment(0, &["a"])], None);
        let at = |minutes| {
            let moment = history.at(Millis(T0 + minutes * MINUTE))?;
            Some(moment.creators[0].0.to_string())
        };
        assert_eq!(at(0).as_deref(), Some("a"));
        assert_eq!(at(59).as_deref(), Some("a"));
        assert_eq!(at(60).as_deref(), Some("b"));
        assert_eq!(at(9_999).as_deref(), Some("b"));
        assert_eq!(history.at(Millis(T0 - 1)).map(|_| ()), None);
        assert_eq!(history.begin(), Some(Millis(T0)));
        assert_eq!(History::default().begin(), None);
    }

    #[test]
    fn a_creator_has_a_place_only_where_it_was_among_those_that_were_kept() {
        let moments = vec![moment(0, &["a", "b"]), moment(60, &["a"])];
        let history = History::new(moments, None);
        let places: Vec<_> = history
            .of("b")
            .into_iter()
            .map(|(_, place)| place)
            .collect();
        assert_eq!(places, [Some((2, 1.0)), None]);
    }
}
