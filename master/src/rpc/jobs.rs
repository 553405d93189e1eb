//! What people request.

use kol_common::checkpoint::{Stores, snapshot};
use kol_common::job::{JobSpec, SpecPolicy};
use kol_common::proto::job_service_server::JobService;
use kol_common::proto::{
    ExplainRequest, Explanation, JobRef, JobStatus, LeadershipReply, LeadershipRequest,
    ListCheckpointsReply, ListExecutorsReply, ListExecutorsRequest, ListJobsReply, ListJobsRequest,
    RewindRequest, Savepoint, SavepointRef, SavepointRequest, StopReply, StopRequest, SubmitReply,
    SubmitRequest,
};
use kol_common::{KolError, world};
use tonic::{Request, Response, Status};

use crate::controller::{Begin, Handle, Submission};
use crate::job::{End, lineage};
use crate::role::Roles;
use crate::specs;

/// Largest spec that is read, bytes.
const MAX_SPEC: usize = 1 << 20;

/// Answers `kol-client`.
#[derive(Debug)]
pub struct JobRpc {
    roles: Roles,
    policy: SpecPolicy,
    stores: Stores,
}

impl JobRpc {
    /// `policy` is what an operator allows every spec; `stores` opens the state that a job begins with.
    pub fn new(roles: Roles, policy: SpecPolicy, stores: Stores) -> Self {
        Self {
            roles,
            policy,
            stores,
        }
    }
}

/// A typed answer, or the typed error in the status.
fn answer<T>(outcome: Result<T, KolError>) -> Result<Response<T>, Status> {
    outcome.map(Response::new).map_err(|e| e.to_status())
}

impl JobRpc {
    /// Where a job is to begin. What a folder holds is looked at before anything is started or stopped.
    async fn begin(&self, request: &SubmitRequest, spec: &JobSpec) -> Result<Begin, KolError> {
        let name = match request.from_savepoint.as_str() {
            "" if request.discard_state => return Ok(Begin::WithoutState),
            "" => return Ok(Begin::Resume),
            name => name.to_owned(),
        };
        let folder = if name.contains("://") {
            Some(name.clone())
        } else {
            self.roles.leader()?.savepoint_folder(name.clone()).await?
        };
        let Some(folder) = folder else {
            return Ok(Begin::From(name));
        };
        let snapshot = snapshot::read(&self.stores, &folder).await?;
        lineage::fits(&lineage::spec_of(&folder, &snapshot)?, spec)?;
        Ok(Begin::Folder(folder))
    }

    fn leader(&self) -> Result<Handle, Status> {
        self.roles.leader().map_err(|e| e.to_status())
    }

    /// Whether a savepoint can be written below a location that a person named: tried with a small file before
    /// a job is stopped for it.
    async fn try_location(&self, location: &str) -> Result<(), KolError> {
        if location.is_empty() {
            // The job's own, in which its epochs are.
            return Ok(());
        }
        let store = self.stores.open(location).await?;
        let probe = format!("probe-{}", world::random_id().simple());
        store.put(&probe, Vec::new()).await?;
        store.delete(vec![probe]).await
    }
}

#[tonic::async_trait]
impl JobService for JobRpc {
    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitReply>, Status> {
        let controller = self.leader()?;
        let request = request.into_inner();
        if request.spec_toml.len() > MAX_SPEC {
            return Err(Status::invalid_argument("a spec of more than 1 MiB"));
        }
        let parsed = specs::read(&request.spec_toml, &request.origin, &self.policy);
        let parsed = parsed.map_err(|e| e.to_status())?;
        let begin = self.begin(&request, &parsed.spec).await;
        let submission = Submission {
            begin: begin.map_err(|e| e.to_status())?,
            spec: parsed.spec,
            warnings: parsed.warnings,
            replace: request.replace,
        };
        answer(controller.submit(submission).await)
    }

    async fn list_jobs(
        &self,
        _request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsReply>, Status> {
        let jobs = self.roles.jobs().await.map(|mut jobs| {
            for job in &mut jobs {
                job.partitions.clear();
            }
            ListJobsReply { jobs }
        });
        answer(jobs)
    }

    async fn get_job(&self, request: Request<JobRef>) -> Result<Response<JobStatus>, Status> {
        answer(self.roles.job(request.into_inner().job).await)
    }

    async fn stop_job(&self, request: Request<StopRequest>) -> Result<Response<StopReply>, Status> {
        let controller = self.leader()?;
        let request = request.into_inner();
        if request.savepoint {
            let tried = self.try_location(&request.location).await;
            tried.map_err(|e| e.to_status())?;
        }
        let savepoint = request.savepoint.then_some(request.location);
        let ended = controller.end(request.job, End::Stopped, savepoint);
        answer(ended.await.map(|(status, savepoint)| StopReply {
            status: Some(status),
            savepoint,
        }))
    }

    async fn cancel_job(&self, request: Request<JobRef>) -> Result<Response<JobStatus>, Status> {
        let job = request.into_inner().job;
        let ended = self.leader()?.end(job, End::Cancelled, None).await;
        answer(ended.map(|(status, _)| status))
    }

    async fn take_savepoint(
        &self,
        request: Request<SavepointRequest>,
    ) -> Result<Response<Savepoint>, Status> {
        let controller = self.leader()?;
        let request = request.into_inner();
        let tried = self.try_location(&request.location).await;
        tried.map_err(|e| e.to_status())?;
        answer(controller.savepoint(request.job, request.location).await)
    }

    async fn delete_savepoint(
        &self,
        request: Request<SavepointRef>,
    ) -> Result<Response<Savepoint>, Status> {
        let savepoint = request.into_inner().savepoint;
        answer(self.leader()?.delete_savepoint(savepoint).await)
    }

    async fn rewind(
        &self,
        request: Request<RewindRequest>,
    ) -> Result<Response<SubmitReply>, Status> {
        answer(self.leader()?.rewind(request.into_inner()).await)
    }

    async fn rollback(&self, request: Request<JobRef>) -> Result<Response<SubmitReply>, Status> {
        answer(self.leader()?.roll_back(request.into_inner().job).await)
    }

    async fn list_executors(
        &self,
        _request: Request<ListExecutorsRequest>,
    ) -> Result<Response<ListExecutorsReply>, Status> {
        let executors = self.roles.executors().await;
        answer(executors.map(|executors| ListExecutorsReply { executors }))
    }

    async fn list_checkpoints(
        &self,
        request: Request<JobRef>,
    ) -> Result<Response<ListCheckpointsReply>, Status> {
        answer(self.roles.checkpoints(request.into_inner().job).await)
    }

    async fn leadership(
        &self,
        _request: Request<LeadershipRequest>,
    ) -> Result<Response<LeadershipReply>, Status> {
        Ok(Response::new(self.roles.leadership()))
    }

    async fn explain(
        &self,
        request: Request<ExplainRequest>,
    ) -> Result<Response<Explanation>, Status> {
        answer(self.leader()?.explain(request.into_inner()).await)
    }
}
