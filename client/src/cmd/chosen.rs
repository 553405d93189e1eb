//! Which job a command that only reads is about. Without a name it is the only one that is not over, or, where all
//! are, the newest. Commands that change something want a name.

use kol_common::KolError;
use kol_common::proto::{JobStatus, ListJobsRequest};
use kol_common::view::is_over;

use crate::Context;

/// What to call the job in a request: its id, if no name was given.
///
/// # Errors
/// There is none, there are several, or no master answers.
pub(super) async fn name(ctx: &Context, given: Option<String>) -> anyhow::Result<String> {
    match given {
        Some(name) => Ok(name),
        None => Ok(status(ctx, None).await?.job_id),
    }
}

/// The job with its spec.
///
/// # Errors
/// As [`name`].
pub(super) async fn status(ctx: &Context, given: Option<&str>) -> anyhow::Result<JobStatus> {
    let jobs = ctx.jobs().await?.list_jobs(ListJobsRequest {}).await?;
    Ok(choose(jobs.into_inner().jobs, given)?)
}

/// The job to show after the one with the id `shown`: the same while it is not over, then the one that runs.
///
/// # Errors
/// No master answers, or it no longer knows any such job.
pub(super) async fn next(
    ctx: &Context,
    given: Option<&str>,
    shown: &str,
) -> anyhow::Result<JobStatus> {
    let jobs = ctx.jobs().await?.list_jobs(ListJobsRequest {}).await?;
    Ok(follow(jobs.into_inner().jobs, given, shown)?)
}

fn follow(jobs: Vec<JobStatus>, given: Option<&str>, shown: &str) -> Result<JobStatus, KolError> {
    let same = jobs.iter().find(|job| job.job_id == shown).cloned();
    match (same, choose(jobs, given)) {
        (Some(same), _) if !is_over(same.state()) => Ok(same),
        (Some(same), Ok(next)) if is_over(next.state()) => Ok(same),
        (Some(same), Err(_)) => Ok(same),
        (_, next) => next,
    }
}

/// `jobs` has the newest first: of several of a name that one counts.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn choose(jobs: Vec<JobStatus>, name: Option<&str>) -> Result<JobStatus, KolError> {
    if let Some(name) = name {
        let is_it = |job: &JobStatus| job.job_id == name || job.name == name;
        return jobs.into_iter().find(is_it).ok_or_else(|| {
            KolError::user("JOB_NOT_FOUND", format!("there is no job `{name}`"))
                .help("kol-client jobs lists them.")
        });
    }
    let live = jobs.iter().filter(|job| !is_over(job.state()));
    let live: Vec<&str> = live.map(|job| job.name.as_str()).collect();
    if live.len() > 1 {
        let what = format!("several jobs run: {}", live.join(", "));
        return Err(KolError::user("JOB_AMBIGUOUS", what).help("Name one of them."));
    }
    let none_runs = live.is_empty();
    let mut fitting = jobs.into_iter();
    let chosen = fitting.find(|job| none_runs || !is_over(job.state()));
    chosen.ok_or_else(|| {
        KolError::user("JOB_NOT_FOUND", "no job was submitted yet").help(
            "Submit one with kol-client submit FILE; kol-client top --redis URL reads a Redis directly.",
        )
    })
}

#[cfg(test)]
mod tests {
    use kol_common::proto::JobState;

    use super::*;

    fn job(name: &str, id: &str, state: JobState) -> JobStatus {
        JobStatus {
            name: name.into(),
            job_id: id.into(),
            state: state.into(),
            ..JobStatus::default()
        }
    }

    fn chosen(jobs: &[JobStatus], name: Option<&str>) -> Result<String, &'static str> {
        let chosen = choose(jobs.to_vec(), name);
        chosen.map(|job| job.job_id).map_err(|e| e.code)
    }

    #[test]
    fn without_a_name_the_only_job_that_runs_is_shown_or_else_the_newest() {
        let stopped = job("b", "job_3", JobState::Stopped);
        let running = job("a", "job_2", JobState::Degraded);
        let failed = job("a", "job_1", JobState::Failed);
        let jobs = [stopped.clone(), running, failed.clone()];
        assert_eq!(chosen(&jobs, None), Ok("job_2".into()));
        assert_eq!(chosen(&[stopped, failed], None), Ok("job_3".into()));
        assert_eq!(chosen(&[], None), Err("JOB_NOT_FOUND"));
        assert_eq!(chosen(&jobs, Some("a")), Ok("job_2".into()));
        assert_eq!(chosen(&jobs, Some("job_1")), Ok("job_1".into()));
        assert_eq!(chosen(&jobs, Some("c")), Err("JOB_NOT_FOUND"));
    }

    #[test]
    fn of_several_jobs_that_run_one_must_be_named() {
        let jobs = [
            job("b", "job_2", JobState::Running),
            job("a", "job_1", JobState::Starting),
        ];
        assert_eq!(chosen(&jobs, None), Err("JOB_AMBIGUOUS"));
        assert_eq!(chosen(&jobs, Some("a")), Ok("job_1".into()));
    }

    #[test]
    fn a_job_is_shown_until_it_is_over_and_then_the_one_that_runs() {
        let (old, new) = (
            job("a", "job_1", JobState::Running),
            job("b", "job_2", JobState::Running),
        );
        let over = job("a", "job_1", JobState::Stopped);
        let next = |jobs: &[JobStatus], given: Option<&str>| {
            follow(jobs.to_vec(), given, "job_1").map(|job| job.job_id)
        };
        assert_eq!(next(&[new.clone(), old], None), Ok("job_1".into()));
        assert_eq!(next(&[new.clone(), over.clone()], None), Ok("job_2".into()));
        assert_eq!(
            next(&[new.clone(), over.clone()], Some("a")),
            Ok("job_1".into())
        );
        assert_eq!(next(&[over], None), Ok("job_1".into()));
        assert_eq!(next(&[new], None), Ok("job_2".into()), "it was forgotten");
    }
}
