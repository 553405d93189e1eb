//! A job under steady load, alone and with strangers at every port: they may cost it neither its rate nor memory.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kol_common::proto::job_service_client::JobServiceClient;
use kol_common::proto::{JobRef, JobStatus, ListJobsRequest};
use kol_harness::{Cluster, Job, Kafka, Process, RedisServer, Topic};
use tokio::runtime::Runtime;

use super::figures::{Report, Section};
use super::steady::produce;
use super::{Plan, cpu};

/// Connections that strangers keep open, or want to, at each port.
const STRANGERS: usize = 10_000;
/// How long each phase is; before the first the job gets going.
const PHASE: Duration = Duration::from_secs(30);
const BEFORE: Duration = Duration::from_secs(10);
/// Between two looks.
const EVERY: Duration = Duration::from_millis(500);
const START: Duration = Duration::from_secs(30);
const LIMIT: Duration = Duration::from_secs(120);
/// The row of what matters.
const WITH: &str = "with strangers";

/// Shows what a job does before, while and after strangers are there.
pub fn hostile(plan: &Plan, report: &mut Report) {
    let topic = Topic::create(Kafka::shared(), "bench-hostile", 4);
    let redis = RedisServer::start();
    let mut cluster = Cluster::start(1);
    let job = cluster.submit(&Job::replay(""), &topic, &redis);
    let admin = cluster.executors[0].wait_line("kol-executor ready", 0, START);
    let admin = admin.split_once("http=").unwrap().1.trim().to_owned();
    let ports = [cluster.grpc().to_owned(), cluster.http().to_owned(), admin];
    let about = format!(
        "{} events/s, {STRANGERS} strangers at each of {} ports of master and executor, {PHASE:?} each",
        plan.rate,
        ports.len()
    );
    let mut section = Section::new("hostile", about);
    let (bootstrap, name) = (topic.kafka().bootstrap().to_owned(), topic.name.clone());
    let producing = Plan {
        steady: BEFORE + PHASE * 3 + EVERY * 8,
        ..plan.clone()
    };
    let producer = std::thread::spawn(move || produce(&bootstrap, &name, &producing));
    let mut look = Look::at(&cluster, &job);
    std::thread::sleep(BEFORE);
    let before = look.phase();
    before.note("alone", &mut section);
    let strangers = ports.each_ref().map(|port| strangers(&cluster, port));
    let newcomer = newcomer(cluster.grpc().to_owned());
    let meanwhile = look.phase();
    meanwhile.note(WITH, &mut section);
    let waited = newcomer.join().unwrap();
    section.note(WITH, &[("new client answered s", waited.as_secs_f64())]);
    for mut process in strangers {
        let log = process.log();
        let counts = log.lines().last().unwrap_or_default().to_owned();
        println!("    at {}: opened, failed: {counts}", process.name());
        process.kill();
    }
    let after = look.phase();
    after.note("alone again", &mut section);
    let alone = (before.rate + after.rate) / 2.0;
    section.note(WITH, &[("× rate alone", meanwhile.rate / alone)]);
    let written = producer.join().unwrap();
    cluster.wait_caught_up(&job, written, LIMIT);
    report.add(section);
}

fn strangers(cluster: &Cluster, port: &str) -> Process {
    let program = std::env::current_exe().unwrap();
    let program = program.to_str().unwrap();
    // The machine is the system's: strangers have machines of their own.
    let connections = STRANGERS.to_string();
    let arguments = [
        "-n",
        "19",
        program,
        "--flood",
        port,
        "--strangers",
        &connections,
    ];
    let name = format!("strangers-{}", port.rsplit_once(':').unwrap().1);
    Process::start(&name, cluster.folder(), "nice".as_ref(), &arguments)
}

/// Who connects to the master when strangers are there: how long until there is an answer.
fn newcomer(grpc: String) -> JoinHandle<Duration> {
    std::thread::spawn(move || {
        std::thread::sleep(BEFORE);
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            let answered = runtime().block_on(async {
                let mut client = JobServiceClient::connect(format!("http://{grpc}"))
                    .await
                    .ok()?;
                client.list_jobs(ListJobsRequest {}).await.ok()
            });
            if answered.is_some() {
                break;
            }
        }
        begun.elapsed()
    })
}

/// With a thread of its own, which answers what the master wants to know of a connection between two looks.
fn runtime() -> Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap()
}

/// What a phase came to.
struct Phase {
    /// Events a second.
    rate: f64,
    /// Records that waited at most.
    lag: u64,
    /// Share of a core, and most memory in bytes, of the executor and of the master.
    used: [(f64, u64); 2],
}

impl Phase {
    fn note(&self, row: &str, section: &mut Section) {
        section.note(
            row,
            &[("events/s", self.rate), ("most lag", self.lag as f64)],
        );
        let names = [
            ("executor % of a core", "executor MiB"),
            ("master % of a core", "master MiB"),
        ];
        for ((share, memory), (used, bytes)) in names.into_iter().zip(self.used) {
            section.note(
                row,
                &[(share, 100.0 * used), (memory, (bytes >> 20) as f64)],
            );
        }
    }
}

/// Looks at the job over one connection, which was there before the strangers, as an executor's is.
struct Look<'a> {
    cluster: &'a Cluster,
    statuses: Box<dyn FnMut() -> JobStatus>,
}

impl<'a> Look<'a> {
    fn at(cluster: &'a Cluster, job: &str) -> Self {
        let runtime = runtime();
        let url = format!("http://{}", cluster.grpc());
        let mut client = runtime.block_on(JobServiceClient::connect(url)).unwrap();
        let job = JobRef {
            job: job.to_owned(),
        };
        let statuses = Box::new(move || {
            let status = runtime.block_on(client.get_job(job.clone()));
            status.unwrap().into_inner()
        });
        Self { cluster, statuses }
    }

    fn phase(&mut self) -> Phase {
        let processes = [&self.cluster.executors[0], &self.cluster.master];
        let events = |status: &JobStatus| status.totals.as_ref().map_or(0, |totals| totals.events);
        let (begun, first) = (Instant::now(), events(&(self.statuses)()));
        let before = processes.map(|process| cpu(process.pid()));
        let (mut lag, mut memory) = (0, [0; 2]);
        let mut last = first;
        while begun.elapsed() < PHASE {
            std::thread::sleep(EVERY);
            let status = (self.statuses)();
            last = events(&status);
            lag = lag.max(status.lag_records.unwrap_or_default());
            for (most, process) in memory.iter_mut().zip(processes) {
                *most = process.rss().max(*most);
            }
        }
        let time = begun.elapsed().as_secs_f64();
        let share = |at: usize| (cpu(processes[at].pid()) - before[at]).as_secs_f64() / time;
        Phase {
            rate: (last - first) as f64 / time,
            lag,
            used: [(share(0), memory[0]), (share(1), memory[1])],
        }
    }
}
