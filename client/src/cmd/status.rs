//! `status [JOB]`.

use std::time::Duration;

use kol_common::proto::{JobRef, JobState, JobStatus};
use kol_common::view::{self, is_over};
use tokio::time::Instant;

use super::chosen;
use crate::Context;
use crate::exit::Ended;
use crate::print;
use crate::render;

/// Time between two requests of a wait.
const POLL: Duration = Duration::from_millis(100);

/// Arguments of `kol-client status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Job id or name; when left out the only one that runs, or the newest where none does.
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
    /// All records that are in the log now were read, and Redis has confirmed them.
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
    let mut wait_began = None;
    loop {
        let answer = get(ctx, job).await;
        if let Ok(status) = &answer {
            let since = *wait_began.get_or_insert(status.now_ms);
            match judge(status, until, since) {
                Verdict::Reached => return answer,
                Verdict::Never => {
                    let text = format!(
                        "job {} is {}: {}",
                        status.name,
                        view::job_state(status.state()),
                        status.reason
                    );
                    return Err(Ended::JobFailed(text).into());
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

/// `since`: the master's time when the wait began. "Caught up" counts only with log ends
/// that were looked up after that, so records that existed when the wait began are included.
fn judge(status: &JobStatus, until: Until, since: u64) -> Verdict {
    let over = is_over(status.state());
    let reached = match until {
        Until::Stopped => over,
        Until::Running => status.state() == JobState::Running,
        Until::CaughtUp => {
            status.caught_up && status.ends_probed_ms.is_some_and(|probed| probed >= since)
        }
    };
    match (reached, over) {
        (true, _) => Verdict::Reached,
        (false, true) => Verdict::Never,
        (false, false) => Verdict::NotYet,
    }
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
        "job {} was not {what} within {}; it is {} with {} records to read{reason}",
        status.name,
        humantime::format_duration(timeout),
        view::job_state(status.state()),
        status.lag_records,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: JobState, caught_up: bool, probed: u64) -> JobStatus {
        JobStatus {
            state: state.into(),
            caught_up,
            ends_probed_ms: Some(probed),
            ..JobStatus::default()
        }
    }

    #[test]
    fn caught_up_counts_only_with_log_ends_from_after_the_wait_began() {
        let early = status(JobState::Running, true, 99);
        assert_eq!(judge(&early, Until::CaughtUp, 100), Verdict::NotYet);
        let late = status(JobState::Running, true, 100);
        assert_eq!(judge(&late, Until::CaughtUp, 100), Verdict::Reached);
    }

    #[test]
    fn a_wait_for_a_job_that_is_over_ends() {
        let failed = status(JobState::Failed, false, 0);
        assert_eq!(judge(&failed, Until::Running, 0), Verdict::Never);
        assert_eq!(judge(&failed, Until::CaughtUp, 0), Verdict::Never);
        assert_eq!(judge(&failed, Until::Stopped, 0), Verdict::Reached);
    }
}
