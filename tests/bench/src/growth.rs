//! How the cost of an event grows with creators, partitions and executors.

use std::path::Path;

use kol_harness::Cluster;

use super::Plan;
use super::bare::Bare;
use super::drain::{Drained, EACH};
use super::figures::{Report, Section};
use super::input::{Filled, Input};
use super::plots::{Line, draw};

/// A topic, and who drains it.
struct Case {
    name: &'static str,
    kols: u64,
    partitions: u32,
    /// The cores to which the executors are pinned; `None`: one that is not.
    pinned: Option<&'static [&'static str]>,
}

const fn case(name: &'static str, kols: u64, partitions: u32) -> Case {
    Case {
        name,
        kols,
        partitions,
        pinned: None,
    }
}

const CASES: [Case; 8] = [
    case("1 K creators", 1_000, 4),
    case("100 K creators, 4 partitions", 100_000, 4),
    case("1 M creators", 1_000_000, 4),
    case("1 partition", 100_000, 1),
    case("64 partitions", 100_000, 64),
    case("256 partitions", 100_000, 256),
    Case {
        pinned: Some(&["0"]),
        ..case("1 executor, pinned", 100_000, 4)
    },
    Case {
        pinned: Some(&["0", "1"]),
        ..case("2 executors, pinned", 100_000, 4)
    },
];

/// Memory of an executor: a million creators are in it.
const MEMORY: &str = "4g";

/// The cases of a plot, with what they have more or less of.
const CREATORS: [(usize, f64); 3] = [(0, 1e3), (1, 1e5), (2, 1e6)];
const PARTITIONS: [(usize, f64); 4] = [(3, 1.0), (1, 4.0), (4, 64.0), (5, 256.0)];

/// Shows the figures, and draws them into a folder.
pub fn growth(plan: &Plan, report: &mut Report, plots: &Path) {
    let about = format!(
        "{} events of crawls, cumulative counters, {} rounds",
        plan.events, plan.rounds
    );
    let mut section = Section::new("growth", about);
    let topics = CASES.map(|case| {
        let filled = Filled::with(Input::Crawls, case.partitions, plan.events, case.kols);
        (case, filled)
    });
    for _ in 0..plan.rounds {
        for (case, filled) in &topics {
            let of_cpu = [Bare::Consume, Bare::Parse].map(|bare| {
                let (_, cpu) = bare.run(filled);
                let each = cpu.as_secs_f64() * 1e9 / filled.events as f64;
                section.note(case.name, &[(each_of(bare), each)]);
                filled.events as f64 / cpu.as_secs_f64()
            });
            let mut cluster = Cluster::start(0);
            cluster.set_memory(MEMORY);
            match case.pinned {
                None => drop(cluster.add_executor()),
                Some(cores) => {
                    for core in cores {
                        cluster.add_executor_by(&["taskset", "-c", core]);
                    }
                }
            }
            Drained::of(&cluster, filled, "").note(case.name, of_cpu, &mut section);
        }
    }
    std::fs::create_dir_all(plots).expect("a folder for plots");
    for (name, axis, cases) in [
        ("creators", "creators", &CREATORS[..]),
        ("partitions", "partitions", &PARTITIONS),
    ] {
        let lines = lines(&section, cases);
        let file = plots.join(format!("growth-{name}.svg"));
        let title = format!("Processor time of an event, by {axis}");
        draw(&file, &title, [axis, "ns an event"], &lines).expect("a plot");
        println!("{}", file.display());
    }
    report.add(section);
}

/// What a bare loop takes for an event of the same topic.
fn each_of(bare: Bare) -> &'static str {
    match bare {
        Bare::Consume => "bare consume ns",
        Bare::Parse => "bare parse ns",
    }
}

/// Medians of some cases, of the executor and of the bare loops.
fn lines(section: &Section, cases: &[(usize, f64)]) -> Vec<Line> {
    let figures = [
        ("executor", EACH),
        ("bare parse + map", each_of(Bare::Parse)),
        ("bare consume", each_of(Bare::Consume)),
    ];
    let line = |(name, figure): (&'static str, &'static str)| {
        let point = |(case, x): &(usize, f64)| {
            let series = section.of(CASES[*case].name, figure)?;
            Some((*x, series.median()))
        };
        (name, cases.iter().filter_map(point).collect())
    };
    figures.into_iter().map(line).collect()
}
