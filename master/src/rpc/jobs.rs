//! What people ask.

use kol_common::job::SpecPolicy;
use kol_common::proto::job_service_server::JobService;
use kol_common::proto::{
    ExplainRequest, Explanation, JobRef, JobStatus, ListCheckpointsReply, ListExecutorsReply,
    ListExecutorsRequest, ListJobsReply, ListJobsRequest, SubmitReply, SubmitRequest,
};
use tonic::{Request, Response, Status};

use crate::controller::Handle;
use crate::job::End;
use crate::specs;

/// Largest spec that is read, bytes.
const MAX_SPEC: usize = 1 << 20;

/// Answers `kol-client`.
#[derive(Debug)]
pub struct JobRpc {
    controller: Handle,
    policy: SpecPolicy,
}

impl JobRpc {
    /// `policy` is what an operator allows every spec.
    pub fn new(controller: Handle, policy: SpecPolicy) -> Self {
        Self { controller, policy }
    }
}

/// A typed answer, or the typed error in the status.
fn answer<T>(outcome: Result<T, kol_common::KolError>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|e| e.to_status())
}

#[tonic::async_trait]
impl JobService for JobRpc {
    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitReply>, Status> {
        let request = request.into_inner();
        if request.spec_toml.len() > MAX_SPEC {
            return Err(Status::invalid_argument("a spec of more than 1 MiB"));
        }
        let parsed = specs::read(&request.spec_toml, &request.origin, &self.policy);
        let parsed = parsed.map_err(|e| e.to_status())?;
        answer(self.controller.submit(parsed.spec, parsed.warnings).await)
    }

    async fn list_jobs(
        &self,
        _request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsReply>, Status> {
        let jobs = self.controller.jobs().await.map(|mut jobs| {
            for job in &mut jobs {
                job.partitions.clear();
            }
            ListJobsReply { jobs }
        });
        answer(jobs)
    }

    async fn get_job(&self, request: Request<JobRef>) -> Result<Response<JobStatus>, Status> {
        answer(self.controller.job(request.into_inner().job).await)
    }

    async fn stop_job(&self, request: Request<JobRef>) -> Result<Response<JobStatus>, Status> {
        let job = request.into_inner().job;
        answer(self.controller.end(job, End::Stopped).await)
    }

    async fn cancel_job(&self, request: Request<JobRef>) -> Result<Response<JobStatus>, Status> {
        let job = request.into_inner().job;
        answer(self.controller.end(job, End::Cancelled).await)
    }

    async fn list_executors(
        &self,
        _request: Request<ListExecutorsRequest>,
    ) -> Result<Response<ListExecutorsReply>, Status> {
        let executors = self.controller.executors().await;
        answer(executors.map(|executors| ListExecutorsReply { executors }))
    }

    async fn list_checkpoints(
        &self,
        request: Request<JobRef>,
    ) -> Result<Response<ListCheckpointsReply>, Status> {
        answer(self.controller.checkpoints(request.into_inner().job).await)
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<Explanation>, Status> {
        answer(self.controller.explain(request.into_inner()).await)
    }
}
