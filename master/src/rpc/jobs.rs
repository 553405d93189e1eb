//! What people request.

use kol_common::KolError;
use kol_common::checkpoint::{Stores, snapshot};
use kol_common::job::JobSpec;
use kol_common::proto::job_service_server::JobService;
use kol_common::proto::{
    DrainRequest, ExecutorStatus, ExplainRequest, Explanation, JobRef, JobStatus, LeadershipReply,
    LeadershipRequest, ListCheckpointsReply, ListExecutorsReply, ListExecutorsRequest,
    ListJobsReply, ListJobsRequest, RewindRequest, Savepoint, SavepointRef, SavepointRequest,
    StopReply, StopRequest, SubmitReply, SubmitRequest,
};
use kol_common::traces::{Span, SpanKind, TRACEPARENT};
use tonic::{Request, Response, Status};

use super::auth::Subject;
use super::limits::are_short;
use crate::controller::{Begin, Handle, Submission};
use crate::job::{End, lineage};
use crate::role::Roles;
use crate::specs::Admission;

/// Largest spec that is read, bytes.
const MAX_SPEC: usize = 1 << 20;

/// Answers requests of `kol-client`.
#[derive(Debug)]
pub struct JobRpc {
    roles: Roles,
    admission: Admission,
    stores: Stores,
    warnings: Vec<String>,
}

impl JobRpc {
    /// `admission` is what an operator allows; `stores` opens the state that a job begins with; `warnings` are
    /// what people must know of this process.
    pub fn new(roles: Roles, admission: Admission, stores: Stores, warnings: Vec<String>) -> Self {
        Self {
            roles,
            admission,
            stores,
            warnings,
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
            let policy = &self.admission.policy;
            policy.check_place("the savepoint", &name)?;
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

    /// Whether a savepoint may lie at a location that a person named. Empty is the job's own, in which its epochs are.
    fn check_place(&self, location: &str) -> Result<(), KolError> {
        if location.is_empty() {
            return Ok(());
        }
        self.admission.policy.check_place("the savepoint", location)
    }
}

#[tonic::async_trait]
impl JobService for JobRpc {
    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitReply>, Status> {
        let subject = Subject::of(&request);
        let named = request.get_ref();
        are_short([&*named.origin, &named.from_savepoint])?;
        let controller = self.leader()?;
        let parent = request.metadata().get(TRACEPARENT);
        let parent = parent.and_then(|text| text.to_str().ok());
        let span = Span::begin("accept", SpanKind::Server, parent.unwrap_or_default(), []);
        let request = request.into_inner();
        if request.spec_toml.len() > MAX_SPEC {
            return Err(Status::invalid_argument("a spec of more than 1 MiB"));
        }
        let parsed = self.admission.read(&request.spec_toml, &request.origin);
        let parsed = parsed.map_err(|e| e.to_status())?;
        subject.note(&parsed.spec.name);
        let begin = self.begin(&request, &parsed.spec).await;
        let submission = Submission {
            begin: begin.map_err(|e| e.to_status())?,
            spec: parsed.spec,
            warnings: parsed.warnings,
            replace: request.replace,
            take_over: request.take_over,
            traceparent: span.traceparent(),
        };
        let reply = controller.submit(submission).await;
        answer(reply.inspect_err(|error| span.fail(error.code)))
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
        are_short([&*request.get_ref().job])?;
        let found = self.roles.job(request.into_inner().job).await;
        answer(found.map(|mut status| {
            status.warnings.extend(self.warnings.iter().cloned());
            status
        }))
    }

    async fn stop_job(&self, request: Request<StopRequest>) -> Result<Response<StopReply>, Status> {
        let named = request.get_ref();
        are_short([&*named.job, &named.location])?;
        Subject::of(&request).note(&named.job);
        let controller = self.leader()?;
        let request = request.into_inner();
        if request.savepoint {
            self.check_place(&request.location)
                .map_err(|e| e.to_status())?;
        }
        let savepoint = request.savepoint.then_some(request.location);
        let ended = controller.end(request.job, End::Stopped, savepoint);
        answer(ended.await.map(|(status, savepoint)| StopReply {
            status: Some(status),
            savepoint,
        }))
    }

    async fn cancel_job(&self, request: Request<JobRef>) -> Result<Response<JobStatus>, Status> {
        let named = &request.get_ref().job;
        are_short([&**named])?;
        Subject::of(&request).note(named);
        let job = request.into_inner().job;
        let ended = self.leader()?.end(job, End::Cancelled, None).await;
        answer(ended.map(|(status, _)| status))
    }

    async fn take_savepoint(
        &self,
        request: Request<SavepointRequest>,
    ) -> Result<Response<Savepoint>, Status> {
        let named = request.get_ref();
        are_short([&*named.job, &named.location])?;
        Subject::of(&request).note(&named.job);
        let controller = self.leader()?;
        let request = request.into_inner();
        self.check_place(&request.location)
            .map_err(|e| e.to_status())?;
        answer(controller.savepoint(request.job, request.location).await)
    }

    async fn delete_savepoint(
        &self,
        request: Request<SavepointRef>,
    ) -> Result<Response<Savepoint>, Status> {
        let named = &request.get_ref().savepoint;
        are_short([&**named])?;
        Subject::of(&request).note(named);
        let savepoint = request.into_inner().savepoint;
        answer(self.leader()?.delete_savepoint(savepoint).await)
    }

    async fn rewind(
        &self,
        request: Request<RewindRequest>,
    ) -> Result<Response<SubmitReply>, Status> {
        let named = &request.get_ref().job;
        are_short([&**named])?;
        Subject::of(&request).note(named);
        answer(self.leader()?.rewind(request.into_inner()).await)
    }

    async fn rollback(&self, request: Request<JobRef>) -> Result<Response<SubmitReply>, Status> {
        let named = &request.get_ref().job;
        are_short([&**named])?;
        Subject::of(&request).note(named);
        answer(self.leader()?.roll_back(request.into_inner().job).await)
    }

    async fn list_executors(
        &self,
        _request: Request<ListExecutorsRequest>,
    ) -> Result<Response<ListExecutorsReply>, Status> {
        let executors = self.roles.executors().await;
        answer(executors.map(|executors| ListExecutorsReply { executors }))
    }

    async fn drain_executor(
        &self,
        request: Request<DrainRequest>,
    ) -> Result<Response<ExecutorStatus>, Status> {
        let named = &request.get_ref().executor;
        are_short([&**named])?;
        Subject::of(&request).note(named);
        let controller = self.leader()?;
        let DrainRequest { executor, cancel } = request.into_inner();
        answer(controller.drain(executor, !cancel).await)
    }

    async fn list_checkpoints(
        &self,
        request: Request<JobRef>,
    ) -> Result<Response<ListCheckpointsReply>, Status> {
        are_short([&*request.get_ref().job])?;
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
        let named = request.get_ref();
        are_short([&*named.job, &named.platform, &named.kol])?;
        answer(self.leader()?.explain(request.into_inner()).await)
    }
}
