//! `status [JOB]`.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::{JobRef, JobState, JobStatus, PartitionStatus};
use kol_common::view::{self, is_over};
use tokio::time::Instant;

use super::chosen;
use crate::Context;
use crate::complete;
use crate::exit::Ended;
use crate::print;
use crate::render;

/// Time between two requests of a wait.
const POLL: Duration = Duration::from_millis(100);

/// Arguments of `kol-client status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name; when left out the only one that runs, or the newest where none does.
    #[arg(add = complete::jobs())]
    job: Option<String>,
    /// Wait until the job has reached this state.
    #[arg(long, value_enum)]
    wait: Option<Until>,
    /// How long to wait.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// The state that `--wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Until {
    /// Redis has everything of the records that are in the log now, whatever comes after them.
    CaughtUp,
    /// The job runs.
    Running,
    /// The job has ended, in whichever way.
    Stopped,
}

/// Prints the job, at once or when it has reached the state that was waited for.
///
/// # Errors
/// No such job; the wait times out; the job fails meanwhile.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    // Of a wait, too, it is one job: another one may be the newest before it ends.
    let job = chosen::name(ctx, args.job).await?;
    let status = match args.wait {
        Some(until) => wait(ctx, &job, until, args.timeout).await?,
        None => get(ctx, &job).await?,
    };
    if ctx.json() {
        print::json(&view::job_json(&status))?;
    } else {
        print::text(&render::job::details(&status))?;
    }
    Ok(())
}

async fn get(ctx: &Context, job: &str) -> anyhow::Result<JobStatus> {
    let request = JobRef {
        job: job.to_owned(),
    };
    Ok(ctx.jobs().await?.get_job(request).await?.into_inner())
}

/// Waits for a state of the job.
///
/// # Errors
/// The deadline passes, the job fails, or the master is away at the deadline.
pub(super) async fn wait(
    ctx: &Context,
    job: &str,
    until: Until,
    timeout: Duration,
) -> anyhow::Result<JobStatus> {
    let deadline = Instant::now() + timeout;
    let mut wait = Wait::new(until);
    loop {
        let answer = get(ctx, job).await;
        if let Ok(status) = &answer {
            match wait.look(status) {
                Verdict::Reached => return answer,
                Verdict::Never => {
                    return Err(Ended::JobFailed(with_reason(status)).into());
                }
                Verdict::NotYet => {}
            }
        }
        // A master that is down may come back; no other error goes away by waiting.
        let away = answer.as_ref().err().is_some_and(may_recover);
        if Instant::now() >= deadline || (answer.is_err() && !away) {
            let status = answer?;
            return Err(Ended::TimedOut(timed_out(&status, until, timeout)).into());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The state of a job and why it is in it.
pub(super) fn with_reason(status: &JobStatus) -> String {
    let state = view::job_state(status.state());
    format!("job {} is {state}: {}", status.name, status.reason)
}

fn may_recover(error: &anyhow::Error) -> bool {
    let own = error.downcast_ref::<kol_common::KolError>();
    let status = error.downcast_ref::<tonic::Status>();
    own.is_some_and(|e| e.retryable) || status.is_some_and(|s| s.code() == tonic::Code::Unavailable)
}

/// Whether a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Reached,
    NotYet,
    Never,
}

/// A wait. Rules of "caught up":
///
/// 1. The goal is where the logs ended when the wait began: the first ends that were looked up after that.
/// 2. It is reached once Redis has confirmed everything before the goal, in every partition.
/// 3. Where nothing came after the goal, rankings must be final, too: at the last window end, and with the exact market.
/// 4. A log that now ends before the goal was recreated, or lost its tail: its end is the goal.
#[derive(Debug)]
struct Wait {
    until: Until,
    /// The master's time when it began.
    began: Option<u64>,
    goal: Option<BTreeMap<(String, u32), u64>>,
}

impl Wait {
    fn new(until: Until) -> Self {
        Self {
            until,
            began: None,
            goal: None,
        }
    }

    fn look(&mut self, status: &JobStatus) -> Verdict {
        let over = is_over(status.state());
        let reached = match self.until {
            Until::Stopped => over,
            Until::Running => status.state() == JobState::Running,
            Until::CaughtUp => self.caught_up(status),
        };
        match (reached, over) {
            (true, _) => Verdict::Reached,
            (false, true) => Verdict::Never,
            (false, false) => Verdict::NotYet,
        }
    }

    fn caught_up(&mut self, status: &JobStatus) -> bool {
        let began = *self.began.get_or_insert(status.now_ms);
        let probed = status.ends_probed_ms.is_some_and(|at| at >= began);
        if self.goal.is_none() && probed {
            let goal = status
                .partitions
                .iter()
                .filter_map(|p| Some((name(p), end(p)?)));
            self.goal = Some(goal.collect());
        }
        let Some(goal) = &self.goal else {
            return false;
        };
        let mut is_exceeded = false;
        for partition in &status.partitions {
            let Some(goal) = goal.get(&name(partition)) else {
                continue;
            };
            let goal = end(partition).map_or(*goal, |end| end.min(*goal));
            let report = partition.report.as_ref();
            let position = report.map_or(0, |r| r.position);
            // Of an empty log nothing is confirmed.
            let confirmed = report.and_then(|r| r.confirmed).map_or(0, |c| c.position);
            if confirmed.min(position) < goal && !(status.caught_up && position >= goal) {
                return false;
            }
            is_exceeded |= position > goal;
        }
        is_exceeded || status.caught_up
    }
}

fn name(partition: &PartitionStatus) -> (String, u32) {
    let name = partition.partition.clone().unwrap_or_default();
    (name.topic, name.partition)
}

/// Where its log ends, as far as that is known.
fn end(partition: &PartitionStatus) -> Option<u64> {
    let of_owner = || partition.report.as_ref()?.end_offset;
    partition.end_offset.or_else(of_owner)
}

fn timed_out(status: &JobStatus, until: Until, timeout: Duration) -> String {
    let what = match until {
        Until::CaughtUp => "caught up",
        Until::Running => "running",
        Until::Stopped => "over",
    };
    let reason = if status.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", status.reason)
    };
    format!(
        "job {} was not {what} within {}; it is {} with {} to read{reason}",
        status.name,
        humantime::format_duration(timeout),
        view::job_state(status.state()),
        render::job::records(status.lag_records),
    )
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{Confirmed, PartitionReport, SourcePartition};

    use super::*;

    fn status(state: JobState) -> JobStatus {
        JobStatus {
            state: state.into(),
            now_ms: 100,
            ..JobStatus::default()
        }
    }

    /// A job that runs, whose partitions end, are read and are confirmed up to there.
    fn reading(probed: u64, caught_up: bool, partitions: &[(u64, u64, u64)]) -> JobStatus {
        let partition = |(number, (end, position, confirmed)): (u32, &(u64, u64, u64))| {
            let confirmed = Confirmed {
                position: *confirmed,
                ..Confirmed::default()
            };
            PartitionStatus {
                partition: Some(SourcePartition {
                    topic: "t".into(),
                    partition: number,
                }),
                end_offset: Some(*end),
                report: Some(PartitionReport {
                    position: *position,
                    confirmed: Some(confirmed),
                    ..PartitionReport::default()
                }),
                ..PartitionStatus::default()
            }
        };
        JobStatus {
            caught_up,
            ends_probed_ms: Some(probed),
            partitions: (0..).zip(partitions).map(partition).collect(),
            ..status(JobState::Running)
        }
    }

    #[test]
    fn caught_up_counts_only_with_log_ends_from_after_the_wait_began() {
        let mut wait = Wait::new(Until::CaughtUp);
        assert_eq!(wait.look(&reading(99, true, &[(7, 7, 7)])), Verdict::NotYet);
        assert_eq!(
            wait.look(&reading(100, true, &[(9, 9, 9)])),
            Verdict::Reached
        );
    }

    #[test]
    fn a_wait_under_a_steady_input_ends_once_redis_has_what_was_there_when_it_began() {
        let mut wait = Wait::new(Until::CaughtUp);
        let steps = [
            ([(50, 40, 30), (60, 60, 60)], Verdict::NotYet),
            ([(70, 65, 49), (80, 75, 75)], Verdict::NotYet),
            ([(90, 85, 50), (99, 98, 97)], Verdict::Reached),
        ];
        for (partitions, verdict) in steps {
            let status = reading(100, false, &partitions);
            assert_eq!(wait.look(&status), verdict, "{partitions:?}");
        }
    }

    #[test]
    fn where_nothing_came_after_that_rankings_must_be_final_too() {
        let mut wait = Wait::new(Until::CaughtUp);
        let at_the_end = |caught_up| reading(100, caught_up, &[(50, 50, 50), (60, 60, 60)]);
        assert_eq!(wait.look(&at_the_end(false)), Verdict::NotYet);
        assert_eq!(wait.look(&at_the_end(true)), Verdict::Reached);
    }

    #[test]
    fn of_a_topic_that_was_recreated_meanwhile_the_new_end_is_the_goal() {
        let mut wait = Wait::new(Until::CaughtUp);
        assert_eq!(
            wait.look(&reading(100, false, &[(50, 9, 9)])),
            Verdict::NotYet
        );
        assert_eq!(
            wait.look(&reading(150, true, &[(3, 3, 3)])),
            Verdict::Reached
        );
    }

    #[test]
    fn a_wait_for_a_job_that_is_over_ends() {
        let verdict = |until| Wait::new(until).look(&status(JobState::Failed));
        assert_eq!(verdict(Until::Running), Verdict::Never);
        assert_eq!(verdict(Until::CaughtUp), Verdict::Never);
        assert_eq!(verdict(Until::Stopped), Verdict::Reached);
    }
}
