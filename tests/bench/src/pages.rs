//! Pages of the documentation show committed figures: what stands in them between two marks is written from the JSON of
//! `make bench KEEP=1`, and a test compares them.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::figures::{Measured, Series, read, short};

/// Where the figures are that pages show, below the root of the repository.
const FIGURES: &str = "docs/performance.json";
/// Pages with marks.
const PAGES: [&str; 2] = ["docs/performance.md", "README.md"];
/// Where plots are.
const PLOTS: &str = "docs/images";
const BEGIN: &str = "<!-- figures: ";
const END: &str = "<!-- end of figures -->";
/// The name of the block that has a line for each of [`SUMMARY`].
const IN_SHORT: &str = "in short";

/// A figure of one row.
type Place = (&'static str, &'static str, &'static str);

/// What a line of the summary shows.
enum Shown {
    /// Medians, one behind the other, and their unit.
    Each(&'static [Place], &'static str),
    /// The quotient of two medians.
    Ratio(Place, Place),
}

const CUMULATIVE: &str = "executor, cumulative";

/// The lines of the summary: what it is, and which figures.
const SUMMARY: [(&str, Shown); 16] = [
    (
        "backlog of cumulative counters, one executor on two cores with Kafka and Redis beside it",
        Shown::Each(&[("drain", CUMULATIVE, "events/s")], "events/s"),
    ),
    (
        "the same for each processor second of the executor",
        Shown::Each(&[("drain", CUMULATIVE, "events/CPU-s")], "events"),
    ),
    (
        "beside the bare Kafka client in the same rounds",
        Shown::Each(&[("drain", CUMULATIVE, "× consume")], "×"),
    ),
    (
        "beside the bare Kafka client that parses and counts in a map",
        Shown::Each(&[("drain", CUMULATIVE, "× parse")], "×"),
    ),
    (
        "merges into Redis for each creator of that backlog",
        Shown::Each(&[("drain", CUMULATIVE, "merges a creator")], ""),
    ),
    (
        "backlog of counters of new engagement, each processor second",
        Shown::Each(&[("drain", "executor, delta", "events/CPU-s")], "events"),
    ),
    (
        "age of what a reader finds at half of the highest rate: p50, p99, p99.9",
        Shown::Each(
            &[
                ("loaded", "50 %", "p50 ms"),
                ("loaded", "50 %", "p99 ms"),
                ("loaded", "50 %", "p99.9 ms"),
            ],
            "ms",
        ),
    ),
    (
        "one event while everything is idle, until Redis has it: p50, p99",
        Shown::Each(
            &[
                ("latency", "one event", "p50 ms"),
                ("latency", "one event", "p99 ms"),
            ],
            "ms",
        ),
    ),
    (
        "a merge beside pipelined HSET and ZADD of the same fields",
        Shown::Each(&[("merges", "merge, more events came", "× floor")], "×"),
    ),
    (
        "an event with 1 M creators beside 1 K",
        Shown::Ratio(
            ("growth", "1 M creators", "ns an event"),
            ("growth", "1 K creators", "ns an event"),
        ),
    ),
    (
        "an event with 256 partitions beside 4",
        Shown::Ratio(
            ("growth", "256 partitions", "ns an event"),
            ("growth", "100 K creators, 4 partitions", "ns an event"),
        ),
    ),
    (
        "two executors beside one, a core each, which Kafka and Redis share",
        Shown::Ratio(
            ("growth", "2 executors, pinned", "events/s"),
            ("growth", "1 executor, pinned", "events/s"),
        ),
    ),
    (
        "1,000 partitions in which nothing happens",
        Shown::Each(&[("idle", "executor", "% of a core")], "% of a core"),
    ),
    (
        "the same rankings by Spark 3.5.1: events/s, events for each processor second",
        Shown::Each(
            &[
                ("spark", "executor, delta", "× Spark"),
                ("spark", "executor, delta", "× Spark of CPU"),
            ],
            "×",
        ),
    ),
    (
        "rate of a job with 10,000 strangers at each port beside its rate alone",
        Shown::Each(&[("hostile", "with strangers", "× rate alone")], "×"),
    ),
    (
        "`kol-client serve` on one core, 2,000 requests a second for the first 100: p99",
        Shown::Each(&[("serve", "equal, 2000/s", "p99 ms")], "ms"),
    ),
];

/// Where figures and plots go that pages show.
pub fn kept() -> (PathBuf, PathBuf) {
    let root = kol_harness::root();
    (root.join(FIGURES), root.join(PLOTS))
}

/// Writes the committed figures into the pages.
///
/// # Panics
/// A page has a mark without its end or of figures that there are not, or cannot be written.
pub fn write_pages() {
    let root = kol_harness::root();
    let figures = read(&root.join(FIGURES));
    for page in PAGES {
        let file = root.join(page);
        let text = std::fs::read_to_string(&file).expect(page);
        std::fs::write(&file, filled(&text, &figures)).expect(page);
        println!("{}", file.display());
    }
}

/// A page with its blocks written anew.
fn filled(page: &str, figures: &[Measured]) -> String {
    let mut text = String::new();
    let mut rest = page;
    while let Some((before, from_mark)) = rest.split_once(BEGIN) {
        let (name, from_block) = from_mark.split_once(" -->").expect("the end of a mark");
        let (_, after) = from_block
            .split_once(END)
            .expect("the end of figures behind each mark");
        let block = match name {
            IN_SHORT => in_short(figures),
            name => table(of(figures, name).expect(name)),
        };
        let _infallible = write!(text, "{before}{BEGIN}{name} -->\n{block}{END}");
        rest = after;
    }
    text + rest
}

fn of<'a>(figures: &'a [Measured], name: &str) -> Option<&'a Measured> {
    figures.iter().find(|m| m.section.name() == name)
}

/// A section: on what, what, and its figures.
fn table(measured: &Measured) -> String {
    let Measured { machine, section } = measured;
    let mut text = format!("{}. *{}*\n\n", section.about(), machine.in_short());
    for (number, line) in section.table().iter().enumerate() {
        let _infallible = writeln!(text, "| {} |", line.join(" | "));
        if number == 0 {
            let right = "---:|".repeat(line.len() - 1);
            let _infallible = writeln!(text, "|---|{right}");
        }
    }
    text
}

/// A line for each figure of the summary that was measured.
fn in_short(figures: &[Measured]) -> String {
    let median = |(section, row, figure): &Place| {
        let measured = of(figures, section)?;
        measured.section.of(row, figure).map(Series::median)
    };
    let mut text = "| what | figure |\n|---|---|\n".to_owned();
    for (what, shown) in SUMMARY {
        let figure = match shown {
            Shown::Each(places, unit) => {
                let all = places.iter().map(|place| median(place).map(short));
                let all: Option<Vec<_>> = all.collect();
                all.map(|all| format!("{} {unit}", all.join(", ")))
            }
            Shown::Ratio(one, other) => {
                let both = median(&one).zip(median(&other));
                both.map(|(one, other)| format!("{} ×", short(one / other)))
            }
        };
        if let Some(figure) = figure {
            let _infallible = writeln!(text, "| {what} | {} |", figure.trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;
    use crate::figures::Section;

    fn measured(name: &str, row: &str, figure: &str, value: f64) -> Measured {
        let mut section = Section::new(name, "of three rounds".into());
        section.note(row, &[(figure, value)]);
        Measured {
            machine: Machine::default(),
            section,
        }
    }

    #[test]
    fn the_pages_show_the_figures_that_are_committed() {
        let root = kol_harness::root();
        let figures = read(&root.join(FIGURES));
        assert!(!figures.is_empty(), "{FIGURES}");
        let mut marks = String::new();
        for page in PAGES {
            let text = std::fs::read_to_string(root.join(page)).unwrap();
            assert_eq!(
                filled(&text, &figures),
                text,
                "{page} has other figures: make bench KEEP=1 ONLY=pages writes it"
            );
            marks.push_str(&text);
        }
        for name in figures.iter().map(|m| m.section.name()) {
            let mark = format!("{BEGIN}{name} -->");
            assert!(marks.contains(&mark), "{name} is on no page");
        }
    }

    #[test]
    fn a_block_is_replaced_by_what_was_measured_and_the_rest_of_a_page_stays() {
        let figures = [measured("drain", CUMULATIVE, "events/s", 610_000.0)];
        let page = format!("# P\n\n{BEGIN}drain -->\nold\n{END}\n\nBehind it.\n");
        let text = filled(&page, &figures);
        assert!(text.starts_with("# P\n\n<!-- figures: drain -->\nof three rounds. *"));
        assert!(
            text.contains("|  | events/s |\n|---|---:|\n| executor, cumulative | 610 k |\n"),
            "{text}"
        );
        assert!(text.ends_with(&format!("{END}\n\nBehind it.\n")), "{text}");
        assert_eq!(filled(&text, &figures), text);
    }

    #[test]
    fn the_summary_has_what_was_measured_and_ratios_of_medians() {
        let mut growth = measured("growth", "1 M creators", "ns an event", 1_500.0);
        growth
            .section
            .note("1 K creators", &[("ns an event", 1_000.0)]);
        let text = in_short(&[growth]);
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            ["| an event with 1 M creators beside 1 K | 1.50 × |"]
        );
    }
}
