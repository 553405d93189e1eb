//! What is printed of a run.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::network::name;
use super::terms::Term;

/// Prints a row for each thing that happens.
#[derive(Debug)]
pub struct Timeline(Instant);

impl Timeline {
    /// Prints the head. Time begins.
    pub fn start() -> Self {
        println!(
            "{:>7}  {:<42}  {:<15}  {:<28}  longest pause",
            "time", "what", "leader", "partitions"
        );
        Self(Instant::now())
    }

    /// Prints a row. `longest` is the longest pause of a partition since the last link was cut.
    pub fn row(
        &self,
        what: &str,
        leader: Option<&Term>,
        owners: &BTreeMap<u64, usize>,
        longest: Duration,
    ) {
        let leader = leader.map_or_else(
            || "nobody".to_owned(),
            |term| format!("{} ({})", name(term.host), term.term),
        );
        let mut counts = BTreeMap::new();
        for host in owners.values() {
            *counts.entry(*host).or_insert(0) += 1;
        }
        let place = |(host, count): (&usize, &u32)| format!("{} {count}", name(*host));
        let places: Vec<String> = counts.iter().map(place).collect();
        println!(
            "{:>6.1}s  {what:<42}  {leader:<15}  {:<28}  {:.1}s",
            self.0.elapsed().as_secs_f64(),
            places.join(", "),
            longest.as_secs_f64()
        );
    }
}

/// Prints who led when.
pub fn print_terms(terms: &[Term]) {
    let mut sorted = terms.to_vec();
    sorted.sort_by_key(|term| term.from);
    for term in sorted {
        let until = term
            .until
            .map_or_else(|| "now".to_owned(), |until| until.to_string());
        let host = name(term.host);
        println!(
            "term {:<6} {host} from {} until {until}",
            term.term, term.from
        );
    }
}
