//! Who led when, as the masters themselves log it, and whether two led at one time. All hosts share one clock.

use jiff::Timestamp;

/// What a master logs when it begins to lead.
const BEGINS: &str = "code=\"MASTER_LEADING\"";
/// What a leader logs when its term is over.
const ENDS: [&str; 3] = ["LEADERSHIP_LOST", "LEADING_FAILED", "code=\"SIGNAL\""];

/// A term of a master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Number of its host.
    pub host: usize,
    /// Number of the term.
    pub term: u64,
    /// When the master began to lead.
    pub from: Timestamp,
    /// When it ended that; `None`: it leads now.
    pub until: Option<Timestamp>,
}

/// The terms of a master, by its log.
pub fn terms(host: usize, log: &str) -> Vec<Term> {
    let mut terms: Vec<Term> = Vec::new();
    for line in log.lines() {
        let time = line.split_whitespace().next().and_then(|t| t.parse().ok());
        let Some(time) = time else {
            continue;
        };
        let begins = line.contains(BEGINS);
        if let Some((_, term)) = line.split_once(" term=").filter(|_| begins) {
            let term = term.split_whitespace().next().and_then(|t| t.parse().ok());
            terms.extend(term.map(|term| Term {
                host,
                term,
                from: time,
                until: None,
            }));
        } else if let Some(last) = terms.last_mut()
            && ENDS.iter().any(|end| line.contains(end))
        {
            last.until.get_or_insert(time);
        }
    }
    terms
}

/// The one who leads, of the terms of all masters: nobody, if the newest of them is over.
pub fn leader(terms: &[Term]) -> Option<&Term> {
    let newest = terms.iter().max_by_key(|term| term.term);
    newest.filter(|term| term.until.is_none())
}

/// Where two masters led in one term, or at one time, or a lower term came after a higher one.
pub fn splits(terms: &[Term]) -> Vec<String> {
    let mut sorted = terms.to_vec();
    sorted.sort_by_key(|term| term.term);
    let pairs = sorted.iter().zip(sorted.iter().skip(1));
    let split = |before: &Term, after: &Term| {
        before.term == after.term || before.until.is_none_or(|until| until > after.from)
    };
    pairs
        .filter(|(before, after)| split(before, after))
        .map(|(before, after)| format!("{before:?} and {after:?}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(lines: &[(u32, &str)]) -> String {
        let line = |(second, text): &(u32, &str)| {
            format!("2026-11-26T10:00:{second:02}.5Z  INFO kol_master: {text}\n")
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn terms_are_read_from_what_masters_log() {
        let first = log(&[
            (1, "this master follows leader=None"),
            (2, "this master leads code=\"MASTER_LEADING\" term=7"),
            (
                9,
                "this master steps down code=\"LEADERSHIP_LOST\" why=\"the lease\"",
            ),
            (20, "this master leads code=\"MASTER_LEADING\" term=31"),
        ]);
        let terms = terms(0, &first);
        let numbers: Vec<_> = terms.iter().map(|t| (t.term, t.until.is_some())).collect();
        assert_eq!(numbers, [(7, true), (31, false)]);
        assert_eq!(leader(&terms).map(|t| t.term), Some(31));
        assert_eq!(leader(&terms[..1]), None);
    }

    #[test]
    fn two_who_lead_at_one_time_or_in_one_term_are_a_split() {
        let ended = terms(
            0,
            &log(&[
                (2, "this master leads code=\"MASTER_LEADING\" term=7"),
                (9, "LEADERSHIP_LOST"),
            ]),
        );
        let after = terms(
            1,
            &log(&[(11, "this master leads code=\"MASTER_LEADING\" term=8")]),
        );
        let meanwhile = terms(
            1,
            &log(&[(5, "this master leads code=\"MASTER_LEADING\" term=8")]),
        );
        let same = terms(
            1,
            &log(&[(11, "this master leads code=\"MASTER_LEADING\" term=7")]),
        );
        let older = terms(
            1,
            &log(&[(11, "this master leads code=\"MASTER_LEADING\" term=6")]),
        );
        let split = |others: &[Term]| splits(&[&ended[..], others].concat()).len();
        assert_eq!(split(&after), 0);
        assert_eq!(split(&meanwhile), 1);
        assert_eq!(split(&same), 1);
        assert_eq!(split(&older), 1);
        let lasting = terms(
            0,
            &log(&[(2, "this master leads code=\"MASTER_LEADING\" term=7")]),
        );
        assert_eq!(splits(&[&lasting[..], &after].concat()).len(), 1);
    }
}
