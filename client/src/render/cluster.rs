//! Executors, and the partitions of a job with their owners.

use kol_common::Millis;
use kol_common::proto::{ExecutorStatus, HotKol, PartitionState, PartitionStatus};
use kol_common::view::{executor_word, partition_state};

use super::{Table, age, bytes, facts, grouped, known};
use crate::print::visible;

/// One line an executor, in the given order.
pub fn executors(executors: &[ExecutorStatus]) -> String {
    if executors.is_empty() {
        return "No executors: start one with kol-executor --master URL.\n".into();
    }
    let mut table = Table::new(&[
        "EXECUTOR",
        "HOST",
        "ZONE",
        "STATE",
        "PARTITIONS",
        "CORES",
        "MEMORY",
        "HEARTBEAT",
        "HTTP",
    ]);
    for e in executors {
        table.row([
            e.executor_id.clone(),
            e.host.clone(),
            e.zone.clone(),
            executor_word(e).to_owned(),
            e.partitions.to_string(),
            e.cores.to_string(),
            format!("{} of {}", bytes(e.rss_bytes), bytes(e.memory_bytes)),
            format!("{} ago", age(e.heartbeat_age_ms)),
            format!("http://{}", e.http),
        ]);
    }
    let warnings = executors.iter().flat_map(|e| {
        let warnings = e.warnings.iter();
        warnings.map(|warning| {
            let line = format!("{} on {}: {warning}", e.executor_id, e.host);
            format!("{}\n", visible(&line))
        })
    });
    table.render() + &warnings.collect::<String>()
}

/// One line a partition, as its owner reports it.
pub fn partitions(partitions: &[PartitionStatus]) -> String {
    let staged = partitions.iter().any(|p| p.first_stage);
    let mut table = Table::new(&[
        "TOPIC",
        "PARTITION",
        "STATE",
        "POSITION",
        "LAG",
        "EVENTS",
        "KOLS",
        "EXECUTOR",
    ]);
    for p in partitions {
        let place = p.partition.clone().unwrap_or_default();
        let position = p.report.as_ref().and_then(kol_common::view::position);
        let report = p.report.clone().unwrap_or_default();
        let stage = match (staged, p.first_stage) {
            (false, _) => "",
            (true, true) => " (first stage)",
            (true, false) => " (scores)",
        };
        table.row([
            format!("{}{stage}", place.topic),
            place.partition.to_string(),
            partition_state(p.state()).to_owned(),
            known(position),
            known(p.lag_records),
            grouped(report.counters.as_ref().map_or(0, |c| c.events)),
            grouped(report.kols),
            owner(p),
        ]);
    }
    table.render()
}

/// Who has a partition; while nobody that answers does, who had it last, and on which host.
fn owner(partition: &PartitionStatus) -> String {
    let id = &partition.executor_id;
    let (last, host) = (&partition.last_executor_id, &partition.last_host);
    let waits = partition.state() == PartitionState::Waiting;
    match (&partition.moving_to, id.is_empty()) {
        (_, true) if last.is_empty() => "none".to_owned(),
        (_, true) => format!("none, last {last} on {host}"),
        (_, false) if waits => format!("{id} on {host} does not answer"),
        (Some(next), false) => format!("{id}, moving to {next}"),
        (None, false) => id.clone(),
    }
}

/// Why each partition is where it is, and what would make it move: a paragraph a partition. `wall` is the
/// master's wall clock, ms.
pub fn placements(partitions: &[PartitionStatus], wall: u64) -> String {
    let all = partitions.iter().map(|p| placement(p, wall));
    all.collect::<Vec<_>>().join("\n")
}

fn placement(partition: &PartitionStatus, wall: u64) -> String {
    let name = partition.partition.clone().unwrap_or_default();
    let report = partition.report.clone().unwrap_or_default();
    let mut rows = vec![("partition", format!("{}/{}", name.topic, name.partition))];
    let Some(placed) = &partition.placement else {
        rows.push(("on", "no executor".to_owned()));
        return facts(&rows);
    };
    let since = placed.since_ms.map(|since| {
        let ago = age(wall.saturating_sub(since));
        format!(" since {} ({ago})", Millis(since).iso())
    });
    let rates = placed.rates.map_or_else(
        || "rates not measured yet".to_owned(),
        |r| {
            let (events, kib) = (grouped(r.events), grouped(r.bytes / 1_024));
            format!("{events} events/s, {kib} KiB/s")
        },
    );
    let hot = |hot: &HotKol| {
        let percent = f64::from(hot.permille) / 10.0;
        format!("{}/{} {percent:.0} %", hot.platform, hot.kol)
    };
    let hottest: Vec<_> = report.hottest.iter().map(hot).collect();
    rows.extend([
        (
            "on",
            format!(
                "{} ({}){}",
                partition.executor_id,
                partition.host,
                since.unwrap_or_default()
            ),
        ),
        ("why", placed.why.clone()),
        (
            "paused",
            partition.paused_ms.map_or_else(
                || "not known".to_owned(),
                |ms| format!("{} ms when it last changed hands", grouped(ms)),
            ),
        ),
        (
            "load",
            format!(
                "{} of that executor, which is {} full; {rates}, {} of state",
                percent(placed.load_ppm),
                percent(placed.executor_load_ppm),
                bytes(report.state_bytes),
            ),
        ),
        ("hottest", hottest.join(", ")),
        ("moves", placed.moves_when.clone()),
    ]);
    facts(&rows)
}

fn percent(ppm: u64) -> String {
    format!("{:.1} %", ppm as f64 / 10_000.0)
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{PartitionReport, Placement, Rates, SourcePartition};

    use super::*;

    #[test]
    fn a_partition_that_moves_is_shown_with_where_it_is_and_where_it_goes() {
        let on = |executor: &str, next: Option<&str>| PartitionStatus {
            executor_id: executor.into(),
            moving_to: next.map(str::to_owned),
            ..PartitionStatus::default()
        };
        let all = [on("exe_1", None), on("exe_1", Some("exe_2")), on("", None)];
        let shown = partitions(&all);
        let lines = shown.lines().skip(1);
        let last: Vec<_> = lines.map(|l| l.trim_end().rsplit("  ").next()).collect();
        assert_eq!(
            last,
            [Some("exe_1"), Some("exe_1, moving to exe_2"), Some("none")],
            "{shown}"
        );
    }

    #[test]
    fn a_partition_without_an_owner_that_answers_waits_for_the_last_one_and_its_lag_may_be_unknown()
    {
        let waiting = |executor: &str, last: &str, lag_records| PartitionStatus {
            state: PartitionState::Waiting as i32,
            executor_id: executor.into(),
            last_executor_id: last.into(),
            last_host: "web-1".into(),
            lag_records,
            // It ran, when that one was last heard.
            report: Some(PartitionReport {
                state: PartitionState::Running as i32,
                end_offset: Some(0),
                ..PartitionReport::default()
            }),
            ..PartitionStatus::default()
        };
        let all = [
            waiting("exe_1", "exe_1", Some(1_234)),
            waiting("", "exe_1", None),
            waiting("", "", None),
        ];
        let shown = partitions(&all);
        let lines: Vec<_> = shown.lines().skip(1).collect();
        for (line, parts) in lines.iter().zip([
            ["waiting", "1,234", "exe_1 on web-1 does not answer"],
            ["waiting", "unknown", "none, last exe_1 on web-1"],
            ["waiting", "unknown", "none"],
        ]) {
            assert!(parts.iter().all(|part| line.contains(part)), "{shown}");
            assert!(!line.contains("running"), "{shown}");
        }
    }

    #[test]
    fn a_placement_says_where_since_when_why_and_what_would_change_it() {
        let partition = PartitionStatus {
            partition: Some(SourcePartition {
                topic: "t".into(),
                partition: 3,
            }),
            executor_id: "exe_1".into(),
            host: "web-1".into(),
            report: Some(PartitionReport {
                state_bytes: 5 << 20,
                hottest: vec![HotKol {
                    platform: "tiktok".into(),
                    kol: "ann".into(),
                    permille: 412,
                }],
                ..PartitionReport::default()
            }),
            placement: Some(Placement {
                since_ms: Some(60_000),
                why: "exe_2 was lost".into(),
                load_ppm: 120_000,
                executor_load_ppm: 334_500,
                moves_when: "when exe_1 is 60.0 % full".into(),
                rates: Some(Rates {
                    events: 12_345,
                    bytes: 4 << 20,
                }),
                ..Placement::default()
            }),
            paused_ms: Some(1_234),
            ..PartitionStatus::default()
        };
        let text = placements(&[partition, PartitionStatus::default()], 150_000);
        for line in [
            "partition   t/3\n",
            "on          exe_1 (web-1) since 1970-01-01T00:01:00.000Z (1.5 min)\n",
            "why         exe_2 was lost\n",
            "paused      1,234 ms when it last changed hands\n",
            "load        12.0 % of that executor, which is 33.5 % full; 12,345 events/s, 4,096 KiB/s, 5 MiB of state\n",
            "hottest     tiktok/ann 41 %\n",
            "moves       when exe_1 is 60.0 % full\n",
            "on          no executor\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
