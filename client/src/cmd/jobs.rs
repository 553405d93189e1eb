//! `jobs`.

use kol_common::proto::{JobState, JobStatus, ListJobsRequest};
use kol_common::view::{self, is_over};
use serde_json::Value;

use crate::Context;
use crate::complete;
use crate::print;
use crate::render;

/// Arguments of `kol-client jobs`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Only jobs of this name, those that are over too: each submission is one.
    #[arg(long, add = complete::jobs())]
    name: Option<String>,
    /// Only jobs in one of these states, separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    state: Vec<Wanted>,
}

/// States that a list can be of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Wanted {
    /// It is not over.
    Live,
    /// Waits for its partitions to be assigned.
    Starting,
    /// All partitions are read.
    Running,
    /// It runs, and something is wrong.
    Degraded,
    /// Makes its last checkpoint.
    Stopping,
    /// Was stopped with a last checkpoint.
    Stopped,
    /// Was ended at once.
    Cancelled,
    /// Has ended by an error.
    Failed,
}

impl Wanted {
    fn includes(self, state: JobState) -> bool {
        match self {
            Self::Live => !is_over(state),
            Self::Starting => state == JobState::Starting,
            Self::Running => state == JobState::Running,
            Self::Degraded => state == JobState::Degraded,
            Self::Stopping => state == JobState::Stopping,
            Self::Stopped => state == JobState::Stopped,
            Self::Cancelled => state == JobState::Cancelled,
            Self::Failed => state == JobState::Failed,
        }
    }
}

impl Args {
    fn includes(&self, job: &JobStatus) -> bool {
        let is_named = self.name.as_ref().is_none_or(|name| *name == job.name);
        let state = job.state();
        is_named && (self.state.is_empty() || self.state.iter().any(|w| w.includes(state)))
    }
}

/// Prints the jobs that the master knows.
///
/// # Errors
/// The master cannot be reached.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let reply = ctx.jobs().await?.list_jobs(ListJobsRequest {}).await?;
    let mut jobs = reply.into_inner().jobs;
    let all = jobs.len();
    jobs.retain(|job| args.includes(job));
    if ctx.json() {
        print::json(&Value::from_iter(jobs.iter().map(view::job_json)))?;
    } else if jobs.is_empty() && all > 0 {
        print::line(&format!("None of {all} jobs is of that name and state."))?;
    } else {
        print::text(&render::job::list(&jobs))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_jobs_can_be_of_one_name_and_of_some_states() {
        let job = |name: &str, state: JobState| JobStatus {
            name: name.into(),
            state: state.into(),
            ..JobStatus::default()
        };
        let jobs = [
            job("a", JobState::Degraded),
            job("a", JobState::Failed),
            job("b", JobState::Running),
        ];
        let of = |name: Option<&str>, state: &[Wanted]| {
            let (name, state) = (name.map(str::to_owned), state.to_vec());
            let args = Args { name, state };
            jobs.each_ref().map(|job| args.includes(job))
        };
        assert_eq!(of(None, &[]), [true, true, true]);
        assert_eq!(of(Some("a"), &[]), [true, true, false]);
        assert_eq!(of(None, &[Wanted::Live]), [true, false, true]);
        assert_eq!(
            of(Some("a"), &[Wanted::Failed, Wanted::Running]),
            [false, true, false]
        );
    }
}
