//! A ranking as it was: the snapshots that the job keeps, which places creators had, and how many they gained since.

use std::collections::BTreeMap;
use std::sync::Arc;

use kol_common::Millis;
use kol_common::redis::history::{Name, PLACES, Snapshot, slack};
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
            let is_near = wanted - moment.name.at.0 <= slack(Millis(span.length())).0;
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
#[path = "history_tests.rs"]
mod tests;
