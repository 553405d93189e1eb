//! `plan`.

use kol_common::sizing::{EVENT_BYTES, FIGURES, MEASURED_ON};
use serde_json::{Value, json};

use crate::Context;
use crate::plan::{Demand, Executor, Limit, TIERS, Tier, needs, reaches};
use crate::print;
use crate::render;

/// Arguments of `kol-client plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Events a second: 500k, 1.5m.
    #[arg(long, value_parser = count)]
    rate: f64,
    /// How many creators there are: 500k, 1.5m.
    #[arg(long, value_parser = count)]
    kols: f64,
    /// Videos of each.
    #[arg(long, default_value = "20", value_parser = count)]
    videos_per_kol: f64,
    /// Size of a record value, bytes.
    #[arg(long, default_value_t = EVENT_BYTES)]
    event_bytes: u64,
    /// Memory of each executor: 4g, 512m.
    #[arg(long, default_value = "4g", value_parser = size)]
    executor_memory: f64,
    /// Cores that each executor has for itself.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_024))]
    executor_cores: u32,
    /// How old a change may be when it is in Redis, for what tiers reach.
    #[arg(long, default_value = "30s", value_parser = humantime::parse_duration)]
    freshness: std::time::Duration,
}

impl Args {
    fn demand(&self) -> Demand {
        Demand {
            rate: self.rate,
            kols: self.kols,
            videos: self.videos_per_kol,
            event_bytes: self.event_bytes as f64,
            freshness: self.freshness.as_secs_f64(),
        }
    }

    fn executor(&self) -> Executor {
        Executor {
            memory: self.executor_memory,
            cores: f64::from(self.executor_cores),
        }
    }
}

/// Prints what a cluster for that needs. No cluster is contacted.
///
/// # Errors
/// Standard output is closed or full.
pub fn run(args: &Args, ctx: &Context) -> anyhow::Result<()> {
    if ctx.json() {
        return Ok(print::json(&as_json(args))?);
    }
    let (demand, executor) = (args.demand(), args.executor());
    let (needs, tiers) = (needs(&demand, &executor), tiers(&demand));
    print::text(&render::plan::text(&demand, &executor, &needs, &tiers))?;
    Ok(())
}

/// What each tier reaches.
fn tiers(demand: &Demand) -> [(Tier, Limit); TIERS.len()] {
    TIERS.map(|tier| (tier, reaches(tier.executors, &tier.executor(), demand)))
}

pub(crate) fn as_json(args: &Args) -> Value {
    let demand = args.demand();
    let needs = needs(&demand, &args.executor());
    let tiers = tiers(&demand);
    let tier = |(tier, reaches): &(Tier, Limit)| {
        json!({
            "name": tier.name,
            "executors": tier.executors,
            "executor_memory_bytes": tier.memory_gib << 30,
            "meant_for_events_per_second": tier.rate,
            "reaches_events_per_second": reaches.rate() as u64,
            "limited_by": match reaches {
                Limit::Memory => "memory",
                Limit::Cores(_) => "cores",
                Limit::Redis(_) => "redis",
            },
            "suffices": reaches.rate() >= demand.rate,
        })
    };
    let figure = |figure: &kol_common::sizing::Figure| {
        json!({
            "name": figure.name,
            "value": figure.value,
            "unit": figure.unit,
            "bench": figure.bench,
        })
    };
    json!({
        "executors": needs.executors(),
        "executors_for_cores": needs.for_cores,
        "executors_for_memory": needs.for_memory,
        "busy_cores": needs.cores,
        "state_bytes": needs.state as u64,
        "partitions": needs.partitions,
        "input_bytes_per_second": needs.input as u64,
        "redis_merges_per_second": needs.merges as u64,
        "redis_busy": needs.redis_busy,
        "redis_freshness_ms": needs.freshness.map(|seconds| (seconds * 1e3) as u64),
        "redis_memory_bytes": needs.redis_memory as u64,
        "checkpoint_bytes_per_second": needs.checkpoint as u64,
        "tiers": tiers.iter().map(tier).collect::<Vec<_>>(),
        "measured_on": MEASURED_ON,
        "figures": FIGURES.iter().map(figure).collect::<Vec<_>>(),
    })
}

/// A number as people write it: `500k`, `1.5m`, `2_000`.
fn count(text: &str) -> Result<f64, String> {
    scaled(text, 1_000.0)
        .ok_or_else(|| format!("`{text}` is not a number: write 2000, 500k or 1.5m"))
}

/// A size in binary units.
fn size(text: &str) -> Result<f64, String> {
    scaled(text, 1_024.0).ok_or_else(|| format!("`{text}` is not a size: write 4g or 512m"))
}

fn scaled(text: &str, step: f64) -> Option<f64> {
    let lower = text.trim().to_ascii_lowercase().replace('_', "");
    let power = |unit| "kmgt".find(unit).map(|place| place as i32 + 1);
    let last = lower.chars().next_back()?;
    let (number, power) = match power(last) {
        Some(power) => (&lower[..lower.len() - 1], power),
        None => (lower.as_str(), 0),
    };
    let number: f64 = number.parse().ok()?;
    let number = number * step.powi(power);
    (number > 0.0 && number < 1e18).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes_are_written_as_people_write_them() {
        assert_eq!(count("500k").unwrap(), 500_000.0);
        assert_eq!(count("1.5M").unwrap(), 1_500_000.0);
        assert_eq!(count("2_000").unwrap(), 2_000.0);
        assert_eq!(size("4g").unwrap(), 4.0 * 1_073_741_824.0);
        for wrong in ["", "k", "0", "-1", "nan", "inf", "1e30", "many", "1kk"] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
    }
}
