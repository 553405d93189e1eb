//! A master, executors, and a client's connection to them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kol_common::Millis;
use kol_common::job::{JobSpec, ScoringSpec};
use kol_common::proto::job_service_client::JobServiceClient;
use kol_common::proto::{JobRef, JobState, JobStatus, StopRequest, SubmitReply, SubmitRequest};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tonic::transport::Channel;

use super::client::{Answer, client};
use super::masters::Standby;
use super::{
    Clock, Process, RedisServer, Topic, compare_below, compare_market, unexpected, wait_for,
};
use kol_fold::{Fold, Record};

const START: Duration = Duration::from_secs(20);

/// Three kinds of real processes on free ports.
pub struct Cluster {
    pub(super) runtime: Runtime,
    /// The master.
    pub master: Process,
    /// The executors that were started, also those that ended since.
    pub executors: Vec<Process>,
    pub(super) grpc: String,
    /// URLs at which executors find the masters.
    pub(super) door: String,
    pub(super) http: String,
    /// Masters besides the one that is called.
    pub(super) standbys: Vec<Standby>,
    environment: Vec<(String, String)>,
    /// What only the master has.
    of_master: Vec<(String, String)>,
    allowed: Vec<(&'static str, &'static str)>,
    /// Last, so that it goes when nobody writes into it any more.
    pub(super) folder: TempDir,
}

/// What a scenario says of its job; the rest is default.
#[derive(Clone, Debug)]
pub struct Job {
    /// Name.
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

/// A binary of the profile under test: beside the own binary, or, for a test, one folder up.
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of the test");
    let folders = own.ancestors().skip(1).take(2);
    let built = folders.map(|f| f.join(name)).find(|path| path.is_file());
    built.unwrap_or_else(|| {
        panic!(
            "{name} is not built beside {}: run `make build`",
            own.display()
        )
    })
}

impl Cluster {
    /// Starts a master and `executors` executors.
    pub fn start(executors: usize) -> Self {
        Self::start_with::<&str, &str>(executors, &[])
    }

    /// The same with variables in the environment of all of them, and of kol-client.
    pub fn start_with<N: AsRef<str>, V: AsRef<str>>(
        executors: usize,
        environment: &[(N, V)],
    ) -> Self {
        Self::launch(executors, owned(environment), Vec::new())
    }

    /// Starts a master with this wall clock and no executor yet; those that are added have the machine's.
    pub fn start_on(clock: &Clock) -> Self {
        Self::launch(0, Vec::new(), clock.environment())
    }

    fn launch(
        executors: usize,
        environment: Vec<(String, String)>,
        of_master: Vec<(String, String)>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let any = "127.0.0.1:0";
        let all = [&environment[..], &of_master].concat();
        let mut master = start_master("master", folder.path(), any, any, &borrowed(&all));
        let (grpc, http) = addresses(&mut master, 0);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let mut cluster = Self {
            folder,
            runtime,
            master,
            executors: Vec::new(),
            door: format!("http://{grpc}"),
            grpc,
            http,
            standbys: Vec::new(),
            environment,
            of_master,
            allowed: Vec::new(),
        };
        for _ in 0..executors {
            cluster.add_executor();
        }
        cluster
    }

    /// The code of a WARN or ERROR line (see `docs/errors.md`) that this scenario provokes, and why.
    pub fn allow(&mut self, code: &'static str, reason: &'static str) {
        self.allowed.push((code, reason));
    }

    /// What is started from here on has these variables as well, or other values for them.
    pub fn set_environment<N: AsRef<str>, V: AsRef<str>>(&mut self, environment: &[(N, V)]) {
        self.environment.extend(owned(environment));
    }

    /// Executors that are started from here on find the master at this address.
    pub fn executors_connect_to(&mut self, address: String) {
        self.door = format!("http://{address}");
    }

    /// Starts one more executor; answers its place in `executors`.
    pub fn add_executor(&mut self) -> usize {
        self.add_executor_by(&[])
    }

    /// Starts one more executor, by a command that gets program and arguments behind its own.
    pub fn add_executor_by(&mut self, command: &[&str]) -> usize {
        let number = self.executors.len();
        let name = format!("executor-{number}");
        let arguments = [
            "--master",
            &self.door,
            "--http",
            "127.0.0.1:0",
            "--memory",
            "512m",
            "--cores",
            "1",
            "--host",
            &name,
        ];
        let program = binary("kol-executor");
        let program = program.to_str().expect("UTF-8");
        let line: Vec<&str> = command.iter().copied().chain([program]).collect();
        let (first, rest) = line.split_first().expect("a program");
        let arguments: Vec<&str> = rest.iter().copied().chain(arguments).collect();
        let folder = self.folder.path();
        let mut process = Process::start_with(
            &name,
            folder,
            Path::new(first),
            &arguments,
            &borrowed(&self.environment),
        );
        process.wait_line("kol-executor ready", 0, START);
        self.executors.push(process);
        number
    }

    /// Kills the master and starts it again on the same ports and state.
    pub fn restart_master(&mut self) {
        self.master.kill();
        let from = self.master.log().len();
        let folder = self.folder.path();
        let all = self.environment_of_master();
        self.master = start_master("master", folder, &self.grpc, &self.http, &all);
        addresses(&mut self.master, from);
    }

    pub(super) fn environment_of_master(&self) -> Vec<(&str, &str)> {
        let mut all = borrowed(&self.environment);
        all.extend(borrowed(&self.of_master));
        all
    }

    /// The master's gRPC address, `host:port`.
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// The master's HTTP address, `host:port`.
    pub fn http(&self) -> &str {
        &self.http
    }

    /// The folder that kol-client runs in, and that the logs of all processes lie in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs kol-client against this master, and the others if there are any.
    pub fn client(&self, arguments: &[&str]) -> Answer {
        let others = self.standbys.iter().map(|standby| &standby.grpc);
        let all = others.chain([&self.grpc]);
        let all: Vec<_> = all.map(|grpc| format!("http://{grpc}")).collect();
        let master = all.join(",");
        let mut environment = borrowed(&self.environment);
        environment.push(("KOL_MASTER", &master));
        client(self.folder.path(), arguments, &environment)
    }

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

    /// The same without the state of a job of its name before it.
    pub fn submit_anew(&self, job: &Job, topic: &Topic, redis: &RedisServer) -> String {
        let reply = self.try_submit_as(SubmitRequest {
            spec_toml: job.toml(topic.kafka().bootstrap(), &[&topic.name], &redis.url()),
            discard_state: true,
            ..SubmitRequest::default()
        });
        reply.expect("the job is accepted").job_id
    }

    /// A job's status; an error while the master is away.
    pub fn try_status(&self, job: &str) -> Result<JobStatus, tonic::Status> {
        let job = JobRef {
            job: job.to_owned(),
        };
        self.runtime.block_on(async {
            let mut client = connect(&self.grpc).await?;
            Ok(client.get_job(job).await?.into_inner())
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

    /// The law of the whole system: caught up, Redis equals the fold of what is in the log.
    pub fn assert_equals_fold(
        &self,
        job: &str,
        topic: &Topic,
        redis: &RedisServer,
        limit: Duration,
    ) {
        let log = topic.read();
        self.assert_equals_fold_of(job, &log, redis, limit);
    }

    /// The same for records that the log does not have any more, or not yet in that order.
    pub fn assert_equals_fold_of(
        &self,
        job: &str,
        log: &[Record],
        redis: &RedisServer,
        limit: Duration,
    ) {
        self.assert_equals_fold_below("", job, log, redis, limit);
    }

    /// The same where all keys begin with `prefix`.
    pub fn assert_equals_fold_below(
        &self,
        prefix: &str,
        job: &str,
        log: &[Record],
        redis: &RedisServer,
        limit: Duration,
    ) {
        let status = self.wait_caught_up(job, log.len() as u64, limit);
        let mut fold = Fold::new(&scoring(&status));
        fold.set_present(Millis::now().0);
        for record in log {
            fold.apply(record);
        }
        let view = fold.view().expect("events");
        let mut differences = compare_below(&mut redis.connect(), prefix, &view);
        if scoring(&status).profile == kol_common::job::Profile::Default {
            differences.extend(compare_market(&status, &view));
        }
        let first: Vec<_> = differences.iter().take(20).collect();
        assert!(
            differences.is_empty(),
            "{} differences from the fold of {} KOLs: {first:#?}\nmarket {:?}\nstatus {}",
            differences.len(),
            view.kols.len(),
            view.market,
            explain(&status)
        );
    }

    /// Fails when a server complained about something the scenario does not explain.
    pub fn assert_no_complaints(&self) {
        let standbys = self.standbys.iter().map(|standby| &standby.process);
        for process in self.executors.iter().chain([&self.master]).chain(standbys) {
            let complaints = unexpected(&process.log(), &self.allowed);
            assert!(
                complaints.is_empty(),
                "{} complains: {complaints:#?}",
                process.name()
            );
        }
    }
}

fn owned<N: AsRef<str>, V: AsRef<str>>(environment: &[(N, V)]) -> Vec<(String, String)> {
    let pairs = environment.iter();
    let owned = pairs.map(|(name, value)| (name.as_ref().to_owned(), value.as_ref().to_owned()));
    owned.collect()
}

fn borrowed(environment: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = environment.iter();
    pairs.map(|(name, value)| (&**name, &**value)).collect()
}

/// The scoring that a job really runs with, every default filled in.
pub fn scoring(status: &JobStatus) -> ScoringSpec {
    let spec: JobSpec = serde_json::from_str(&status.spec_json).expect("a spec as JSON");
    spec.scoring
}

fn explain(status: &JobStatus) -> String {
    let partitions: Vec<_> = status.partitions.iter().take(4).collect();
    format!(
        "{:?} `{}` lag {} caught_up {} totals {:?} problems {:?} partitions {partitions:#?}",
        status.state(),
        status.reason,
        status.lag_records,
        status.caught_up,
        status.totals,
        status.problems
    )
}

pub(super) async fn connect(grpc: &str) -> Result<JobServiceClient<Channel>, tonic::Status> {
    let client = JobServiceClient::connect(format!("http://{grpc}")).await;
    client.map_err(|e| tonic::Status::unavailable(e.to_string()))
}

pub(super) fn start_master(
    name: &str,
    folder: &Path,
    listen: &str,
    http: &str,
    environment: &[(&str, &str)],
) -> Process {
    let state = folder.join("state");
    let arguments = [
        "--listen",
        listen,
        "--http",
        http,
        "--state-dir",
        state.to_str().expect("UTF-8"),
    ];
    let program = binary("kol-master");
    Process::start_with(name, folder, &program, &arguments, environment)
}

/// gRPC and HTTP addresses from the line that says the master is ready.
pub(super) fn addresses(master: &mut Process, from: usize) -> (String, String) {
    let line = master.wait_line("kol-master ready", from, START);
    let value = |name: &str| {
        let rest = line
            .split_once(name)
            .unwrap_or_else(|| panic!("no {name} in `{line}`"))
            .1;
        rest.split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    (value("grpc="), value("http="))
}
