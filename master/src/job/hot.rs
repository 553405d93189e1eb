//! Partitions that take much more than the others of their job, with the creators that are the reason.

use kol_common::SourcePartition;
use kol_common::proto::{HotKol, PartitionReport};

use super::load::{FULL, Load};

/// From how much of one core on a partition can be called hot: before that it hinders nobody.
const MUCH: u64 = FULL / 10;
/// How many times as much as the others take on average it must take.
const TIMES: u64 = 3;
/// Partitions that are named.
const MOST: usize = 3;

/// A sentence for each of the hottest ones.
pub fn hot_partitions<'a>(reports: impl Iterator<Item = &'a PartitionReport>) -> Vec<String> {
    let loads: Vec<_> = reports.map(|r| (Load::of(Some(r)).cpu, r)).collect();
    let all: u64 = loads.iter().map(|(cpu, _)| cpu).sum();
    let others = loads.len().saturating_sub(1) as u64;
    let is_hot = |(cpu, _): &&(u64, &PartitionReport)| {
        others > 0 && *cpu >= MUCH && cpu * others >= (all - cpu) * TIMES
    };
    let mut hot: Vec<_> = loads.iter().filter(is_hot).collect();
    hot.sort_by_key(|(cpu, _)| std::cmp::Reverse(*cpu));
    let named = hot.into_iter().take(MOST);
    named
        .map(|(cpu, report)| sentence(*cpu, all, report))
        .collect()
}

fn sentence(cpu: u64, all: u64, report: &PartitionReport) -> String {
    let partition = report.partition.clone().map(SourcePartition::from);
    let partition = partition.map_or_else(|| "a partition".to_owned(), |p| p.to_string());
    let rates = report.rates.unwrap_or_default();
    let who = |hot: &HotKol| {
        // Quoted with escapes: others wrote these.
        let percent = f64::from(hot.permille) / 10.0;
        format!("{:?} on {:?} ({percent:.0} %)", hot.kol, hot.platform)
    };
    let hottest: Vec<_> = report.hottest.iter().map(who).collect();
    let cause = if hottest.is_empty() {
        "no creator stands out in it: see how the producers choose the partition".to_owned()
    } else {
        format!(
            "its hottest creators are {}: a partition is not divided, so let the producers key by video_id, or \
             crawl these less often",
            hottest.join(", ")
        )
    };
    format!(
        "{partition} is hot: it takes {:.0} % of what all partitions take, with {} events a second; {cause}",
        cpu as f64 * 100.0 / all.max(1) as f64,
        rates.events,
    )
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{self, Rates};

    use super::*;

    fn report(partition: u32, events: u64) -> PartitionReport {
        PartitionReport {
            partition: Some(proto::SourcePartition {
                topic: "t".into(),
                partition,
            }),
            rates: Some(Rates { events, bytes: 0 }),
            ..PartitionReport::default()
        }
    }

    fn hot(reports: &[PartitionReport]) -> Vec<String> {
        hot_partitions(reports.iter())
    }

    #[test]
    fn a_partition_that_takes_several_times_as_much_is_named_with_its_hottest_creators() {
        let mut reports = [0, 1, 2, 3].map(|p| report(p, 30_000));
        assert_eq!(hot(&reports), [""; 0]);
        reports[2] = report(2, 400_000);
        let text = hot(&reports).remove(0);
        assert!(text.starts_with("t/2 is hot: it takes "), "{text}");
        assert!(text.contains("400000 events a second"), "{text}");
        assert!(text.contains("no creator stands out"), "{text}");
        reports[2].hottest = vec![HotKol {
            platform: "tiktok".into(),
            kol: "a\nb".into(),
            permille: 614,
        }];
        let text = hot(&reports).remove(0);
        assert!(
            text.contains("are \"a\\nb\" on \"tiktok\" (61 %)"),
            "{text}"
        );
    }

    #[test]
    fn a_partition_that_takes_little_or_is_alone_is_not_hot() {
        let little = [report(0, 4_000), report(1, 10)];
        assert_eq!(hot(&little), [""; 0]);
        assert_eq!(hot(&[report(0, 900_000)]), [""; 0]);
        assert_eq!(hot(&[]), [""; 0]);
    }
}
