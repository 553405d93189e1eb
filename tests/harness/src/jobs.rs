//! The jobs of a cluster: how they are submitted, looked at, waited for and ended.

use std::time::Duration;

use kol_common::job::{JobSpec, ScoringSpec};
use kol_common::proto::job_service_client::JobServiceClient;
use kol_common::proto::{JobRef, JobState, JobStatus, StopRequest, SubmitReply, SubmitRequest};
use tonic::transport::Channel;

use super::{Cluster, RedisServer, Topic, wait_for};

/// What a scenario says of its job; the rest is default.
#[derive(Clone, Debug)]
pub struct Job {
    /// Name of the job.
    pub name: String,
    /// Value of `starting_offsets`.
    pub starting_offsets: String,
    /// Lines of `[source]` after bootstrap, topics and starting offsets.
    pub source: String,
    /// Lines of `[scoring]`.
    pub scoring: String,
    /// Lines of `[sink]` after the URL.
    pub sink: String,
}

impl Job {
    /// A replay: the clock does not advance when the input ends.
    pub fn replay(scoring: &str) -> Self {
        Self {
            name: "scenario".into(),
            starting_offsets: "\"earliest\"".into(),
            source: String::new(),
            scoring: format!("idle_timeout = \"off\"\n{scoring}"),
            sink: String::new(),
        }
    }

    /// The spec file.
    pub fn toml(&self, bootstrap: &str, topics: &[&str], redis: &str) -> String {
        format!(
            "name = \"{}\"\n[source]\nbootstrap = \"{bootstrap}\"\ntopics = {topics:?}\n\
             starting_offsets = {}\n{}\n[scoring]\n{}\n[sink]\nurl = \"{redis}\"\n{}\n",
            self.name, self.starting_offsets, self.source, self.scoring, self.sink
        )
    }
}

impl Cluster {
    /// Submits a spec, or says why it was refused.
    pub fn try_submit(&self, spec_toml: String) -> Result<SubmitReply, tonic::Status> {
        self.try_submit_as(SubmitRequest {
            spec_toml,
            ..SubmitRequest::default()
        })
    }

    fn try_submit_as(&self, mut request: SubmitRequest) -> Result<SubmitReply, tonic::Status> {
        request.origin = "scenario.toml".to_owned();
        self.runtime.block_on(async {
            let reply = connect(&self.grpc).await?.submit(request).await?;
            Ok(reply.into_inner())
        })
    }

    /// Submits a job that reads `topic` and writes to `redis`; answers its id.
    pub fn submit(&self, job: &Job, topic: &Topic, redis: &RedisServer) -> String {
        self.submit_to(job, topic, &redis.url())
    }

    /// The same with the URL of a Redis.
    pub fn submit_to(&self, job: &Job, topic: &Topic, redis: &str) -> String {
        let toml = job.toml(topic.kafka().bootstrap(), &[&topic.name], redis);
        self.try_submit(toml).expect("the job is accepted").job_id
    }

    /// The same, discarding the state of the job of its name before it.
    pub fn submit_discarding(&self, job: &Job, topic: &Topic, redis: &RedisServer) -> String {
        let reply = self.try_submit_as(SubmitRequest {
            spec_toml: job.toml(topic.kafka().bootstrap(), &[&topic.name], &redis.url()),
            discard_state: true,
            ..SubmitRequest::default()
        });
        reply.expect("the job is accepted").job_id
    }

    /// A job's status; an error while the master is away.
    pub fn try_status(&self, job: &str) -> Result<JobStatus, tonic::Status> {
        self.runtime.block_on(get_job(&self.grpc, job))
    }

    /// The same; an error, too, once the master has not answered for that long.
    pub fn try_status_within(
        &self,
        job: &str,
        limit: Duration,
    ) -> Result<JobStatus, tonic::Status> {
        let silent = |_| tonic::Status::deadline_exceeded("the master does not answer");
        self.runtime.block_on(async {
            let status = tokio::time::timeout(limit, get_job(&self.grpc, job)).await;
            status.map_err(silent)?
        })
    }

    /// Stops a job with all its data in Redis.
    pub fn stop(&self, job: &str) -> JobStatus {
        let request = StopRequest {
            job: job.to_owned(),
            ..StopRequest::default()
        };
        let stopping = self
            .runtime
            .block_on(async { connect(&self.grpc).await?.stop_job(request).await });
        stopping.expect("the job stops");
        self.wait_state(job, JobState::Stopped)
    }

    /// Ends a job at once.
    pub fn cancel(&self, job: &str) -> JobStatus {
        let reference = JobRef {
            job: job.to_owned(),
        };
        let ending = self
            .runtime
            .block_on(async { connect(&self.grpc).await?.cancel_job(reference).await });
        ending.expect("the job is cancelled");
        self.wait_state(job, JobState::Cancelled)
    }

    /// Waits for a state.
    pub fn wait_state(&self, job: &str, state: JobState) -> JobStatus {
        self.wait_status(
            job,
            &format!("{state:?}"),
            Duration::from_secs(30),
            |status| status.state() == state,
        )
    }

    /// Waits until a status pleases.
    pub fn wait_status(
        &self,
        job: &str,
        what: &str,
        limit: Duration,
        pleases: impl Fn(&JobStatus) -> bool,
    ) -> JobStatus {
        wait_for(&format!("job {job}: {what}"), limit, || {
            let status = self.try_status(job).map_err(|e| e.to_string())?;
            if pleases(&status) {
                return Ok(status);
            }
            Err(explain(&status))
        })
    }

    /// Waits until everything up to `events` records is read and confirmed by Redis.
    pub fn wait_caught_up(&self, job: &str, events: u64, limit: Duration) -> JobStatus {
        self.wait_status(
            job,
            &format!("caught up with {events} events"),
            limit,
            |status| {
                let ends = status
                    .partitions
                    .iter()
                    .map(|p| p.report.as_ref().map_or(0, |r| r.position));
                status.caught_up && ends.sum::<u64>() >= events
            },
        )
    }
}

/// The scoring that a job really runs with, every default filled in.
pub fn scoring(status: &JobStatus) -> ScoringSpec {
    let spec: JobSpec = serde_json::from_str(&status.spec_json).expect("a spec as JSON");
    spec.scoring
}

pub(super) fn explain(status: &JobStatus) -> String {
    let partitions: Vec<_> = status.partitions.iter().take(4).collect();
    format!(
        "{:?} `{}` lag {:?} caught_up {} totals {:?} problems {:?} partitions {partitions:#?}",
        status.state(),
        status.reason,
        status.lag_records,
        status.caught_up,
        status.totals,
        status.problems
    )
}

async fn get_job(grpc: &str, job: &str) -> Result<JobStatus, tonic::Status> {
    let job = JobRef {
        job: job.to_owned(),
    };
    Ok(connect(grpc).await?.get_job(job).await?.into_inner())
}

pub(super) async fn connect(grpc: &str) -> Result<JobServiceClient<Channel>, tonic::Status> {
    let client = JobServiceClient::connect(format!("http://{grpc}")).await;
    client.map_err(|e| tonic::Status::unavailable(e.to_string()))
}
