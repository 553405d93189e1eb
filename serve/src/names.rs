//! The names of a ranking, for searches: they are read once and shared by all searches of a while.

use kol_common::redis::ranking::Members;

/// See the module.
#[derive(Debug)]
pub(crate) struct Names {
    /// In the order of the ranking: the name, the same in lower case, the score.
    all: Vec<(String, String, f64)>,
    /// When Redis was last written, ISO 8601.
    pub(crate) updated: Option<String>,
}

/// Where a text must stand in a name; letters of either case are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Anywhere,
    First,
}

impl Names {
    /// Of the first creators of a ranking.
    pub(crate) fn new(members: Members, updated: Option<String>) -> Self {
        let all = members.into_iter().map(|(kol, score)| {
            let lower = kol.to_lowercase();
            (kol, lower, score)
        });
        Self {
            all: all.collect(),
            updated,
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    /// Names from an offset on, in their order.
    pub(crate) fn part(&self, offset: u64, count: u64) -> impl Iterator<Item = &str> + Clone {
        let [offset, count] = [offset, count].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let part = self.all.iter().skip(offset).take(count);
        part.map(|(kol, ..)| kol.as_str())
    }

    /// Place, from 1, name and score at a place.
    pub(crate) fn at(&self, place: u64) -> Option<(u64, String, f64)> {
        let at = usize::try_from(place.checked_sub(1)?).ok()?;
        let (kol, _, score) = self.all.get(at)?;
        Some((place, kol.clone(), *score))
    }

    /// What they take of memory.
    pub(crate) fn weight(&self) -> usize {
        let bytes = |(kol, lower, _): &(String, String, f64)| {
            kol.len() + lower.len() + size_of::<(String, String, f64)>()
        };
        self.all.iter().map(bytes).sum()
    }

    /// Those with this text in them, highest score first: places from 1, names and scores of at most `limit`, and how
    /// many there are.
    pub(crate) fn find(
        &self,
        text: &str,
        place: Place,
        limit: usize,
    ) -> (Vec<(u64, String, f64)>, usize) {
        let text = text.to_lowercase();
        let fits = |lower: &str| match place {
            Place::Anywhere => lower.contains(&text),
            Place::First => lower.starts_with(&text),
        };
        let (mut found, mut count) = (Vec::new(), 0);
        for (place, (kol, lower, score)) in (1..).zip(&self.all) {
            if fits(lower) {
                count += 1;
                if found.len() < limit {
                    found.push((place, kol.clone(), *score));
                }
            }
        }
        (found, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_a_part_or_by_their_beginning_whatever_the_case() {
        let members = [("Anna", 90.0), ("johanna", 80.0), ("bob", 70.0)];
        let members = members.map(|(kol, score)| (kol.to_owned(), score));
        let names = Names::new(members.into(), None);
        let find = |text, place, limit| {
            let (found, count) = names.find(text, place, limit);
            let found: Vec<_> = found
                .into_iter()
                .map(|(place, kol, _)| (place, kol))
                .collect();
            (found, count)
        };
        let named = |place, kol: &str| (place, kol.to_owned());
        let both = vec![named(1, "Anna"), named(2, "johanna")];
        assert_eq!(find("ANNA", Place::Anywhere, 9), (both, 2));
        let first = vec![named(1, "Anna")];
        assert_eq!(find("ann", Place::First, 9), (first.clone(), 1));
        assert_eq!(find("ann", Place::Anywhere, 1), (first, 2));
        assert_eq!(find("x", Place::Anywhere, 9), (vec![], 0));
    }
}
