//! Shows jobs and their partitions to people.

use kol_common::Millis;
use kol_common::error::Shown;
use kol_common::proto::{JobStatus, RekeyStatus, ScalingAdvice};
use kol_common::view::{is_over, job_state};

use super::{Table, age, bytes, facts, grouped, known};
use crate::print::lines;

/// Largest lead of the job clock over the present that ordinary differences between machines explain, ms.
const AHEAD: u64 = 60_000;

/// One line a job, in the given order.
pub fn list(jobs: &[JobStatus]) -> String {
    if jobs.is_empty() {
        return "No jobs yet: submit one with kol-client submit FILE.\n".into();
    }
    let mut table = Table::new(&[
        "JOB",
        "NAME",
        "STATE",
        "AGE",
        "PARTITIONS",
        "EXECUTORS",
        "LAG",
        "EVENTS",
        "REASON",
    ]);
    for job in jobs {
        table.row([
            job.job_id.clone(),
            job.name.clone(),
            job_state(job.state()).to_owned(),
            age(job.wall_ms.saturating_sub(job.submitted_ms)),
            job.partition_count.to_string(),
            job.executors.to_string(),
            known(job.lag_records),
            grouped(job.totals.clone().unwrap_or_default().events),
            job.reason.clone(),
        ]);
    }
    table.render()
}

/// Everything that a status says of one job, one fact a line; problems and warnings last.
pub fn details(job: &JobStatus) -> String {
    let totals = job.totals.clone().unwrap_or_default();
    let mut rows = vec![
        ("job", format!("{} ({})", job.name, job.job_id)),
        ("state", job_state(job.state()).to_owned()),
        ("reason", job.reason.clone()),
        ("began with", job.origin.clone()),
        (
            "runs on",
            format!(
                "{} partitions, {} executors",
                job.partition_count, job.executors
            ),
        ),
    ];
    // Nobody reads for a job that is over.
    if !is_over(job.state()) {
        rows.push(("lag", records(job.lag_records)));
        rows.extend(
            job.rekeying
                .as_ref()
                .map(|stage| ("rekeying", rekeying(stage))),
        );
        rows.push(("live", live(job).to_owned()));
        rows.push(("redis", freshness(job.staleness_ms)));
    }
    rows.extend([
        (
            "read",
            format!(
                "{} events, {} late, {} unusable, {} lost",
                grouped(totals.events),
                grouped(totals.late),
                grouped(totals.dead_letter),
                grouped(totals.lost)
            ),
        ),
        (
            "state size",
            format!("{} KOLs, {}", grouped(job.kols), bytes(job.state_bytes)),
        ),
    ]);
    if !totals.rejected.is_empty() {
        let reasons = totals.rejected.iter();
        let reasons = reasons.map(|(reason, count)| format!("{reason} {}", grouped(*count)));
        let reasons: Vec<_> = reasons.collect();
        let written = grouped(totals.dead_letters_written);
        let line = format!("{}; {written} dead letters written", reasons.join(", "));
        rows.push(("rejected", line));
    }
    if let Some(clock) = job.clock_ms {
        rows.push(("job clock", clock_text(clock, job.wall_ms)));
    }
    if let Some(end) = job.window_end_ms {
        rows.push(("window end", Millis(end).iso()));
    }
    if let Some(checkpoint) = &job.checkpoint {
        let line = super::checkpoint::line(checkpoint, job.wall_ms);
        rows.push(("checkpoint", line));
    }
    for market in &job.market {
        rows.push(("market", format!("{} {}", market.platform, market.mean)));
    }
    let problems = job.problems.iter();
    rows.extend(problems.map(|problem| ("problem", Shown(problem).to_string())));
    rows.extend(job.warnings.iter().map(|w| ("warning", w.clone())));
    facts(&rows)
}

/// How many executors it wants, with what that comes from.
pub fn scaling(advice: &ScalingAdvice) -> String {
    let unknown = || "unknown".to_owned();
    let percent = |permille: Option<u32>| {
        let known = permille.map(|permille| format!("{:.1} %", f64::from(permille) / 10.0));
        known.unwrap_or_else(unknown)
    };
    let grows = advice.lag_per_second.map(|grows| {
        let sign = if grows < 0 { "-" } else { "+" };
        format!(", {sign}{} a second", grouped(grows.unsigned_abs()))
    });
    let read = advice.read_per_second.map_or_else(
        || "; how many are read is unknown".to_owned(),
        |read| format!("; {} a second are read", grouped(read)),
    );
    let used = match (advice.cores_permille, advice.memory_permille) {
        (None, None) => unknown(),
        (cores, memory) => format!(
            "{} of all cores, {} of all memory",
            percent(cores),
            percent(memory)
        ),
    };
    facts(&[
        (
            "wanted",
            format!(
                "{} executors; there are {}",
                advice.wanted, advice.executors
            ),
        ),
        ("because", advice.reason.clone()),
        (
            "lag",
            format!(
                "{} records{}{read}",
                grouped(advice.lag_records),
                grows.unwrap_or_default(),
            ),
        ),
        ("used", used),
    ])
}

/// The state of a job that was just changed.
pub fn state(job: &JobStatus) -> String {
    lines(&[format!("{} {}", job_state(job.state()), job.job_id)])
}

/// Whether it keeps up with its input.
fn live(job: &JobStatus) -> &'static str {
    match (job.live, job.caught_up) {
        (true, true) => "yes, and everything is in Redis",
        (true, false) => "yes",
        (false, _) => "not yet",
    }
}

/// How much of the lag is before the internal topic.
fn rekeying(stage: &RekeyStatus) -> String {
    let waits = records(stage.lag_records);
    format!(
        "through topic {}: {waits} of the lag are not there yet",
        stage.topic
    )
}

/// How many records, if that is known.
pub fn records(count: Option<u64>) -> String {
    match count {
        Some(count) => format!("{} records", grouped(count)),
        None => "an unknown number of records".to_owned(),
    }
}

/// How much older what Redis shows is than what was read.
fn freshness(staleness_ms: u64) -> String {
    match staleness_ms {
        0 => "has everything that was read".to_owned(),
        old => format!("lacks changes that are up to {} old", age(old)),
    }
}

/// The job clock beside the time now. Clocks of machines differ a little; one that is far ahead came
/// from a producer, and makes all other events late.
fn clock_text(clock: u64, now: u64) -> String {
    let time = Millis(clock).iso();
    let ahead = clock.saturating_sub(now);
    if ahead < AHEAD {
        return format!("{time} ({} ago)", age(now.saturating_sub(clock)));
    }
    format!(
        "{time} ({} ahead: records came from a producer whose clock is wrong)",
        age(ahead)
    )
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{JobState, PartitionCounters};

    use super::*;

    #[test]
    fn the_details_of_a_degraded_job_show_its_problems_and_warnings() {
        let problem = kol_common::KolError::external("SINK_UNREACHABLE", "Redis cannot be reached")
            .help("Start Redis.");
        let job = JobStatus {
            job_id: "job_1".into(),
            name: "kol".into(),
            state: JobState::Degraded.into(),
            reason: "Redis cannot be reached".into(),
            totals: Some(PartitionCounters {
                events: 1_234,
                ..Default::default()
            }),
            problems: vec![problem.to_info()],
            warnings: vec!["gains are wrong".into()],
            ..JobStatus::default()
        };
        let text = details(&job);
        assert!(text.contains("state       degraded\n"));
        assert!(text.contains("read        1,234 events, 0 late, 0 unusable, 0 lost\n"));
        assert!(
            text.contains("problem     SINK_UNREACHABLE: Redis cannot be reached. Start Redis.\n")
        );
        assert!(text.contains("warning     gains are wrong\n"));
        let of_old = JobStatus {
            submitted_ms: 1_000,
            wall_ms: 7_201_000,
            ..job
        };
        assert!(list(&[of_old]).contains("degraded  2.0 h"));
        assert!(list(&[]).contains("submit"));
    }

    #[test]
    fn advice_says_how_many_why_and_what_it_saw() {
        let text = scaling(&ScalingAdvice {
            wanted: 5,
            executors: 2,
            reason: "cores are busy".into(),
            lag_records: 120_000,
            lag_per_second: Some(-1_500),
            read_per_second: Some(2_000),
            cores_permille: Some(995),
            memory_permille: Some(100),
        });
        for line in [
            "wanted      5 executors; there are 2\n",
            "because     cores are busy\n",
            "lag         120,000 records, -1,500 a second; 2,000 a second are read\n",
            "used        99.5 % of all cores, 10.0 % of all memory\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn advice_before_a_minute_is_known_shows_nothing_as_0() {
        let text = scaling(&ScalingAdvice {
            wanted: 2,
            executors: 2,
            reason: "less than a minute is known".into(),
            lag_records: 40,
            ..ScalingAdvice::default()
        });
        for line in [
            "lag         40 records; how many are read is unknown\n",
            "used        unknown\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn a_job_that_rekeys_says_how_much_of_its_lag_is_before_the_internal_topic() {
        let job = JobStatus {
            state: JobState::Running.into(),
            lag_records: Some(12),
            rekeying: Some(RekeyStatus {
                topic: "kol-rekey.kol".into(),
                lag_records: Some(5),
                ..RekeyStatus::default()
            }),
            ..JobStatus::default()
        };
        let text = details(&job);
        assert!(text.contains("lag         12 records\n"), "{text}");
        let line =
            "rekeying    through topic kol-rekey.kol: 5 records of the lag are not there yet\n";
        assert!(text.contains(line), "{text}");
    }

    #[test]
    fn a_job_that_is_over_has_no_lag() {
        let text = |state: JobState| {
            details(&JobStatus {
                state: state.into(),
                ..JobStatus::default()
            })
        };
        for over in [JobState::Stopped, JobState::Cancelled, JobState::Failed] {
            let text = text(over);
            assert!(!text.contains("lag") && !text.contains("redis"), "{text}");
            assert!(!text.contains("live"), "{text}");
        }
        let stopping = text(JobState::Stopping);
        assert!(stopping.contains("lag  "), "{stopping}");
        assert!(
            stopping.contains("redis       has everything"),
            "{stopping}"
        );
        assert!(stopping.contains("live        not yet"), "{stopping}");
    }

    #[test]
    fn what_is_not_live_is_not_called_so_although_all_that_was_known_is_in_redis() {
        let text = |live, caught_up| {
            let job = JobStatus {
                live,
                caught_up,
                ..JobStatus::default()
            };
            super::live(&job)
        };
        assert_eq!(text(true, true), "yes, and everything is in Redis");
        assert_eq!(text(true, false), "yes");
        assert_eq!(text(false, true), "not yet");
    }

    #[test]
    fn a_job_clock_ahead_of_now_is_not_called_old() {
        assert!(clock_text(60_000, 90_000).ends_with(" (30.0 s ago)"));
        assert!(clock_text(90_000, 89_000).ends_with(" (0 ms ago)"));
        assert!(clock_text(86_400_000, 0).contains(" (1.0 d ahead: "));
    }
}
