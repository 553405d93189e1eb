//! What is looked at, side by side: masters, then what they tell, and Kafka and Redis from this host. Each look has a deadline, and
//! one that fails is evidence like any other.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::{join, join_all};
use kol_common::checkpoint::ABSENT;
use kol_common::checkpoint::marker::cluster_of;
use kol_common::job::JobSpec;
use kol_common::proto::{JobRef, JobState, JobStatus, ListExecutorsRequest, ListJobsRequest};
use kol_common::secrets::Secrets;
use kol_common::view::is_over;
use kol_common::{KolError, Millis};
use tokio::time::timeout;

use super::area::Area;
use super::evidence::{Evidence, Look, Master, Refused};
use crate::Context;
use crate::cmd::check::{Depth, Finding, reach_kafka, reach_redis};
use crate::context::Jobs;
use crate::exit::describe;

/// Longest time for one answer of a master.
const ANSWER: Duration = Duration::from_secs(5);
/// Longest time for a look from this host: it resolves, connects, logs in and requests.
const LOOK: Duration = Duration::from_secs(15);
/// Most jobs that are looked at.
const MOST_JOBS: usize = 16;

/// What a person wants to know about.
pub(super) struct Wanted {
    /// A job by id or name; all that run, if none is named.
    pub(super) job: Option<String>,
    /// A spec whose Kafka, Redis and checkpoint root are looked at while no master tells them.
    pub(super) spec: Option<JobSpec>,
    pub(super) secrets: Secrets,
}

/// Looks at everything.
///
/// # Errors
/// `--master` or `--tls` is wrong, or there is no such job.
pub(super) async fn gather(ctx: &Context, wanted: Wanted) -> anyhow::Result<Evidence> {
    let mut seen = Evidence::default();
    let mut masters = ctx.masters(ANSWER).await?;
    seen.wall = Millis::now();
    // The one that leads, or else any that answers: it tells what the store has.
    masters.sort_by_key(|master| !matches!(&master.answer, Ok((_, reply)) if reply.leads));
    let answering = masters.iter().find_map(|master| {
        let (client, reply) = master.answer.as_ref().ok()?;
        Some((client.clone(), reply.leads))
    });
    seen.masters = masters.into_iter().map(answer).collect();
    if let Some((client, leads)) = answering {
        cluster(&mut seen, &client, leads, wanted.job.as_deref()).await?;
    }
    let live = seen.jobs.iter().filter(|job| !is_over(job.state()));
    let mut specs: Vec<JobSpec> = live
        .filter_map(|job| serde_json::from_str(&job.spec_json).ok())
        .collect();
    let own = wanted
        .spec
        .filter(|own| specs.iter().all(|spec| spec.name != own.name));
    let nobody_answers = seen.masters.iter().all(|master| master.answer.is_err());
    let root = own.as_ref().filter(|_| nobody_answers).cloned();
    specs.extend(own);
    let from_here = specs.iter().map(|spec| from_here(spec, &wanted.secrets));
    let (looks, root) = join(join_all(from_here), root_from_here(ctx, root)).await;
    seen.looks = root
        .into_iter()
        .chain(looks.into_iter().flatten())
        .collect();
    Ok(seen)
}

fn answer(master: crate::context::Master) -> Master {
    let answer = master.answer.map(|(_, reply)| reply);
    Master {
        url: master.url,
        answer: answer.map_err(|error| describe(&error).0),
    }
}

/// What a master tells of executors and jobs.
async fn cluster(
    seen: &mut Evidence,
    client: &Jobs,
    leads: bool,
    wanted: Option<&str>,
) -> anyhow::Result<()> {
    let (mut of_executors, mut of_jobs) = (client.clone(), client.clone());
    let executors = async {
        if !leads {
            return Ok(None);
        }
        let listed = of_executors.list_executors(ListExecutorsRequest {}).await;
        listed.map(|reply| Some(reply.into_inner().executors))
    };
    let jobs = of_jobs.list_jobs(ListJobsRequest {});
    let (executors, jobs) = join(executors, jobs).await;
    match executors {
        Ok(executors) => seen.executors = executors,
        Err(status) => seen.refused.push(refused("executors", status)),
    }
    let listed = match jobs {
        Ok(reply) => reply.into_inner().jobs,
        Err(status) => {
            seen.refused.push(refused("jobs", status));
            return Ok(());
        }
    };
    let details = chosen(listed, wanted)?.into_iter().map(|job| {
        let mut client = client.clone();
        async move {
            let request = JobRef {
                job: job.job_id.clone(),
            };
            let answer = client.get_job(request).await;
            answer.map_err(|status| refused(&format!("job {}", job.name), status))
        }
    });
    for detail in join_all(details).await {
        match detail {
            Ok(reply) => seen.jobs.push(reply.into_inner()),
            Err(refused) => seen.refused.push(refused),
        }
    }
    Ok(())
}

fn refused(what: &str, status: tonic::Status) -> Refused {
    Refused {
        what: what.to_owned(),
        error: describe(&status.into()).0,
    }
}

/// The job that was named; otherwise all that are not over, and of each name the newest, if that one has failed.
///
/// # Errors
/// There is no such job.
fn chosen(jobs: Vec<JobStatus>, wanted: Option<&str>) -> Result<Vec<JobStatus>, KolError> {
    if wanted.is_some() {
        return crate::cmd::chosen::choose(jobs, wanted).map(|job| vec![job]);
    }
    let mut names = BTreeSet::new();
    let mut jobs = jobs;
    jobs.retain(|job| {
        let newest = names.insert(job.name.clone());
        !is_over(job.state()) || (newest && job.state() == JobState::Failed)
    });
    jobs.truncate(MOST_JOBS);
    Ok(jobs)
}

/// Kafka and Redis of a job, as this host sees them.
async fn from_here(spec: &JobSpec, secrets: &Secrets) -> Vec<Look> {
    let kafka = reach_kafka(spec.clone(), secrets.clone(), Depth::Topics);
    let redis = reach_redis(spec, secrets);
    let (kafka, redis) = join(timeout(LOOK, kafka), timeout(LOOK, redis)).await;
    let kafka = kafka.unwrap_or_else(|_| {
        let what = format!("Kafka {}", spec.source.kafka().bootstrap);
        vec![Finding::new(
            what,
            Err(silent("SOURCE_UNREACHABLE", "Kafka")),
        )]
    });
    let redis = redis.unwrap_or_else(|_| {
        let what = format!("Redis {}", spec.sink.url);
        Finding::new(what, Err(silent("SINK_UNREACHABLE", "Redis")))
    });
    let kafka = kafka.into_iter().map(|finding| (Area::Kafka, finding));
    let looks = kafka
        .chain([(Area::Redis, redis)])
        .map(|(area, finding)| Look {
            area,
            job: spec.name.clone(),
            what: finding.what,
            outcome: finding.outcome.map_err(|error| error.to_info()),
        });
    looks.collect()
}

fn silent(code: &'static str, who: &str) -> KolError {
    let what = format!("{who} has not answered within {} s", LOOK.as_secs());
    KolError::external(code, what)
}

/// The checkpoint root of a spec as this host sees it: of use only while no master tells how it is.
async fn root_from_here(ctx: &Context, spec: Option<JobSpec>) -> Option<Look> {
    let spec = spec.filter(|spec| !spec.checkpoint.location.is_empty())?;
    let location = &spec.checkpoint.location;
    let found = match timeout(LOOK, cluster_of(&ctx.stores, location)).await {
        Ok(Ok(Some(cluster))) => Ok(format!("the root of cluster {cluster}")),
        Ok(Ok(None)) => {
            let what = format!("{location} is not there, or has no marker of a cluster");
            Err(KolError::external(ABSENT, what).help("Mount it there under the same path."))
        }
        Ok(Err(error)) => Err(error),
        Err(_) => Err(silent("CHECKPOINT_STORE", location)),
    };
    Some(Look {
        area: Area::Checkpoints,
        job: spec.name.clone(),
        what: format!("checkpoint root {location}"),
        outcome: found.map_err(|error| error.to_info()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_that_run_are_looked_at_and_those_that_failed_and_were_not_replaced() {
        let job = |name: &str, id: &str, state: JobState| JobStatus {
            name: name.into(),
            job_id: id.into(),
            state: state.into(),
            ..JobStatus::default()
        };
        let jobs = || {
            vec![
                job("a", "job_5", JobState::Running),
                job("b", "job_4", JobState::Failed),
                job("a", "job_3", JobState::Failed),
                job("c", "job_2", JobState::Stopped),
                job("b", "job_1", JobState::Stopping),
            ]
        };
        let ids = |wanted: Option<&str>| {
            let chosen = chosen(jobs(), wanted);
            let ids = |jobs: Vec<JobStatus>| jobs.into_iter().map(|job| job.job_id);
            chosen
                .map(|jobs| ids(jobs).collect::<Vec<_>>())
                .map_err(|e| e.code)
        };
        assert_eq!(ids(None).unwrap(), ["job_5", "job_4", "job_1"]);
        assert_eq!(ids(Some("c")).unwrap(), ["job_2"]);
        assert_eq!(ids(Some("d")), Err("JOB_NOT_FOUND"));
    }
}
