//! What a cluster needs.

use kol_common::sizing::{FIGURES, MEASURED_ON};

use super::{Table, bytes, facts, grouped};
use crate::plan::{BUSY, Demand, Executor, FULL, Limit, Needs, Tier};

/// Needs one a line, then the tiers, then the figures that all of it comes from.
pub fn text(
    demand: &Demand,
    executor: &Executor,
    needs: &Needs,
    tiers: &[(Tier, Limit)],
) -> String {
    let mut out = needed(demand, executor, needs);
    out.push('\n');
    out.push_str(&table(demand, tiers));
    out.push_str("\nFigures from `make bench`, here of ");
    out.push_str(MEASURED_ON);
    out.push_str(":\n");
    let mut figures = Table::new(&["FIGURE", "VALUE", "UNIT", "BENCH"]);
    for figure in FIGURES {
        figures.row([
            figure.name.to_owned(),
            grouped(figure.value),
            figure.unit.to_owned(),
            figure.bench.to_owned(),
        ]);
    }
    out.push_str(&figures.render());
    out.push_str(
        "They are of one executor and one Redis; that executors add up is assumed. Measure your own machine.\n",
    );
    out
}

fn needed(demand: &Demand, executor: &Executor, needs: &Needs) -> String {
    let percent = |part: f64| format!("{:.0} %", part * 100.0);
    let freshness = match needs.freshness {
        Some(seconds) if seconds < 1.0 => format!("{:.0} ms", seconds * 1e3),
        Some(seconds) => format!("{seconds:.1} s"),
        None => "more than an hour: divide the creators between jobs with a Redis each".to_owned(),
    };
    facts(&[
        (
            "for",
            format!(
                "{} events/s of {} bytes; {} creators with {} videos each",
                grouped(demand.rate as u64),
                grouped(demand.event_bytes as u64),
                grouped(demand.kols as u64),
                demand.videos,
            ),
        ),
        (
            "executors",
            format!(
                "{} with {} and {} core(s): {} for the events, {} for the state; one more to lose one",
                needs.executors(),
                bytes(executor.memory as u64),
                executor.cores,
                needs.for_cores,
                needs.for_memory,
            ),
        ),
        (
            "cores",
            format!(
                "{:.2} busy, planned for {} of the time",
                needs.cores,
                percent(BUSY)
            ),
        ),
        (
            "memory",
            format!(
                "{} of state in all, planned for {} of an executor's memory",
                bytes(needs.state as u64),
                percent(FULL)
            ),
        ),
        (
            "partitions",
            format!("{}; twice as many leave room to grow", needs.partitions),
        ),
        ("Kafka", format!("{}/s", bytes(needs.input as u64))),
        (
            "Redis",
            format!(
                "{} of memory, {} merges/s with {} of its one core",
                bytes(needs.redis_memory as u64),
                grouped(needs.merges as u64),
                percent(needs.redis_busy),
            ),
        ),
        (
            "freshness",
            format!("{freshness} until a change is in Redis"),
        ),
        (
            "checkpoints",
            format!(
                "{}/s to the checkpoint root",
                bytes(needs.checkpoint as u64)
            ),
        ),
    ])
}

/// The tiers of `deploy/tiers`, beside what they reach with this demand.
fn table(demand: &Demand, tiers: &[(Tier, Limit)]) -> String {
    let headings = [
        "TIER",
        "EXECUTORS",
        "MEMORY",
        "MEANT FOR",
        "REACHES",
        "SUFFICES",
    ];
    let mut table = Table::new(&headings);
    for (tier, reaches) in tiers {
        let suffices = reaches.rate() >= demand.rate;
        let rate = format!("{}/s", grouped(reaches.rate() as u64));
        table.row([
            tier.name.to_owned(),
            tier.executors.to_string(),
            format!("{} GiB", tier.memory_gib),
            format!("{}/s", grouped(tier.rate)),
            match reaches {
                Limit::Memory => "too little memory for the state".to_owned(),
                Limit::Cores(_) => rate,
                Limit::Redis(_) => format!("{rate}, then Redis is too slow"),
            },
            if suffices { "yes" } else { "no" }.to_owned(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{TIERS, needs, reaches};

    #[test]
    fn a_plan_names_what_is_needed_and_which_tier_suffices_and_where_figures_are_from() {
        let demand = Demand {
            rate: 5_000.0,
            kols: 1e9,
            videos: 20.0,
            event_bytes: 320.0,
            freshness: 30.0,
        };
        let executor = TIERS[0].executor();
        let tiers = TIERS.map(|t| (t, reaches(t.executors, &t.executor(), &demand)));
        let shown = text(&demand, &executor, &needs(&demand, &executor), &tiers);
        for line in [
            "for         5,000 events/s of 320 bytes; 1,000,000,000 creators with 20 videos each\n",
            "too little memory for the state",
            "dev ",
            MEASURED_ON,
            "BENCH",
        ] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        let few = Demand {
            kols: 1_000.0,
            ..demand
        };
        let tiers = TIERS.map(|t| (t, reaches(t.executors, &t.executor(), &few)));
        assert!(!table(&few, &tiers).contains(" no\n"));
    }
}
