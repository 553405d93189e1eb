//! The containers of `deploy/docker-compose.yml`, and a person who uses them from the host.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kol_client::{Context, OutputFormat};
use kol_common::Millis;
use kol_common::checkpoint::Stores;
use kol_common::proto::{JobRef, JobStatus, LeadershipRequest, PartitionStatus};
use kol_fold::Fold;
use kol_harness::{
    Docker, Topic, compare, compare_market, http, root, scoring, unexpected, wait_for,
};
use tokio::runtime::Runtime;

/// The job that is submitted.
pub const JOB: &str = "kol-trending";
/// Partitions of its topic, when nothing else is said.
pub const PARTITIONS: u32 = 8;
const LIMIT: Duration = Duration::from_secs(60);
const SERVICES: [&str; 3] = ["master-1", "master-2", "executor"];
/// What is said when processes die on purpose.
const ALLOWED: [(&str, &str); 7] = [
    ("SESSION_LOST", "masters and executors die"),
    ("SESSION_ENDED", "a master leaves"),
    ("MASTER_STALLED", "a master dies"),
    ("EXECUTOR_SUSPECT", "an executor dies"),
    ("EXECUTOR_LOST", "an executor dies"),
    ("EPOCH_ABORTED", "an executor dies"),
    ("ETCD_UNREACHABLE", "etcd waits for a disk that is busy"),
];

/// The compose file.
pub fn file() -> String {
    std::fs::read_to_string(root().join("deploy/docker-compose.yml")).unwrap()
}

/// See the module.
pub struct Composed<'d> {
    docker: &'d Docker,
    runtime: Runtime,
    /// The operator's `ca.crt` and `token`.
    operator: tempfile::TempDir,
}

impl<'d> Composed<'d> {
    /// Starts everything, and takes the operator's token out.
    pub fn up(docker: &'d Docker) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build();
        let composed = Self {
            docker,
            runtime: runtime.unwrap(),
            operator: tempfile::tempdir().unwrap(),
        };
        composed.compose(&["up", "--detach"]);
        let submit = composed.container("submit");
        let to = composed.operator.path().join("tls");
        let from = format!("{submit}:/etc/kol/tls");
        docker.run(&["cp", &from, to.to_str().unwrap()]);
        composed
    }

    /// The container engine that runs it.
    pub fn docker(&self) -> &Docker {
        self.docker
    }

    /// What `docker-compose` prints; it must succeed.
    pub fn compose(&self, arguments: &[&str]) -> String {
        self.try_compose(arguments)
            .unwrap_or_else(|why| panic!("{why}"))
    }

    fn try_compose(&self, arguments: &[&str]) -> Result<String, String> {
        let file = root().join("deploy/docker-compose.yml");
        let mut command = self.docker.command("docker-compose");
        command
            .env("COMPOSE_HTTP_TIMEOUT", "120")
            .arg("--file")
            .arg(file);
        let output = command
            .args(["--project-name", "kol"])
            .args(arguments)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        if !output.status.success() {
            return Err(format!("docker-compose {arguments:?}: {out}\n{err}"));
        }
        Ok(out)
    }

    /// The first container of a service.
    pub fn container(&self, service: &str) -> String {
        let all = self.compose(&["ps", "--quiet", service]);
        let first = all.lines().next();
        first
            .unwrap_or_else(|| panic!("{service} has no container"))
            .to_owned()
    }

    /// Name and tag of the product's image.
    pub fn image(&self) -> String {
        let executor = self.container("executor");
        let image = ["inspect", "--format", "{{.Config.Image}}", &executor];
        self.docker.run(&image).trim().to_owned()
    }

    /// A connection to the published Redis.
    pub fn redis(&self) -> redis::Connection {
        let client = redis::Client::open("redis://127.0.0.1:6379/0").unwrap();
        client.get_connection().unwrap()
    }

    fn context(&self, masters: &str) -> Context {
        Context {
            master: masters.to_owned(),
            output: OutputFormat::Json,
            tls: Some(self.operator.path().join("tls")),
            stores: Stores::of_this_machine(),
        }
    }

    fn status(&self) -> Result<JobStatus, String> {
        let context = self.context("https://localhost:7077,https://localhost:7078");
        self.runtime.block_on(async {
            let mut jobs = context.jobs().await.map_err(|e| e.to_string())?;
            let job = JobRef {
                job: JOB.to_owned(),
            };
            let status = jobs.get_job(job).await.map_err(|e| e.to_string())?;
            Ok(status.into_inner())
        })
    }

    /// Waits until a status pleases.
    pub fn wait(&self, what: &str, pleases: impl Fn(&JobStatus) -> bool) -> JobStatus {
        wait_for(what, LIMIT, || {
            let status = self.status()?;
            if pleases(&status) {
                return Ok(status);
            }
            let (state, problems) = (status.state(), &status.problems);
            Err(format!("{state:?} {problems:?} {:#?}", status.partitions))
        })
    }

    /// The host of each partition's owner, which is the beginning of its container's id.
    pub fn owners(&self) -> BTreeMap<u32, String> {
        let status = self.wait("every partition has an owner", |status| {
            let owned = status.partitions.iter().filter(|p| !p.host.is_empty());
            owned.count() == PARTITIONS as usize
        });
        owners(&status)
    }

    /// Waits until so many executors have the partitions in equal parts, and no others are alive.
    pub fn wait_owners(&self, executors: usize) {
        self.wait(&format!("{executors} owners"), |status| {
            let owners = owners(status);
            let hosts: BTreeSet<&String> = owners.values().collect();
            let share = |host: &&String| owners.values().filter(|h| h == host).count();
            let (least, most) = (PARTITIONS as usize / executors, PARTITIONS as usize);
            let most = most.div_ceil(executors);
            let is_equal = hosts
                .iter()
                .all(|host| (least..=most).contains(&share(host)));
            owners.len() == PARTITIONS as usize && hosts.len() == executors && is_equal
        });
    }

    /// The assignment epochs of what an executor owns.
    pub fn assignments(&self, host: &str) -> BTreeMap<u32, u64> {
        let status = self.wait("a status", |_| true);
        let of_host = status.partitions.iter().filter(|p| p.host == host);
        of_host.filter_map(assignment).collect()
    }

    /// Waits until all of these were assigned again.
    pub fn wait_assigned_again(&self, before: &BTreeMap<u32, u64>) {
        self.wait("what the executor had is assigned again", |status| {
            let now: BTreeMap<u32, u64> = status.partitions.iter().filter_map(assignment).collect();
            before
                .iter()
                .all(|(partition, epoch)| now.get(partition).is_some_and(|e| e > epoch))
        });
    }

    /// The service that leads, its term, and the newest epoch.
    pub fn leader(&self) -> (String, u64, u64) {
        let status = self.wait("an epoch", |status| status.checkpoint.is_some());
        let epoch = status.checkpoint.map_or(0, |checkpoint| checkpoint.epoch);
        let (service, term) = self.leading().unwrap();
        (service, term, epoch)
    }

    fn leading(&self) -> Result<(String, u64), String> {
        let masters = [("master-1", 7077), ("master-2", 7078)];
        let leads = masters.into_iter().find_map(|(service, port)| {
            let context = self.context(&format!("https://localhost:{port}"));
            self.runtime.block_on(async {
                let mut jobs = context.jobs().await.ok()?;
                let reply = jobs
                    .leadership(LeadershipRequest {})
                    .await
                    .ok()?
                    .into_inner();
                reply.leads.then_some((service.to_owned(), reply.term))
            })
        });
        leads.ok_or_else(|| "nobody leads".to_owned())
    }

    /// Waits for a leader of a later term, and for an epoch of its own.
    pub fn wait_leader_after(&self, term: u64, epoch: u64) {
        wait_for("another leader", LIMIT, || match self.leading()? {
            (_, newer) if newer > term => Ok(()),
            same => Err(format!("{same:?}")),
        });
        self.wait("an epoch of the new leader", |status| {
            status.checkpoint.as_ref().is_some_and(|c| c.epoch > epoch)
        });
    }

    /// Waits until Prometheus scrapes both masters and so many executors.
    pub fn wait_scraped(&self, executors: usize) {
        wait_for("Prometheus to scrape everything", LIMIT, || {
            let answer = self.runtime.block_on(async {
                kol_common::net::check_health("http://127.0.0.1:9090/-/ready", None).await
            });
            answer.map_err(|e| e.to_string())?;
            let up = http::json("127.0.0.1:9090", "/api/v1/query?query=sum(up)by(job)");
            let value = |job: &str| {
                let results = up["data"]["result"].as_array()?;
                let one = results.iter().find(|one| one["metric"]["job"] == job)?;
                one["value"][1].as_str()?.parse::<usize>().ok()
            };
            let both = (value("kol-master"), value("kol-executor"));
            (both == (Some(2), Some(executors)))
                .then_some(())
                .ok_or_else(|| up.to_string())
        });
    }

    /// The law of the whole system.
    pub fn equals_the_fold(&self, topic: &Topic) {
        let log = topic.read();
        let status = self.wait("everything is read and confirmed", |status| {
            let positions = status.partitions.iter();
            let positions = positions.map(|p| p.report.as_ref().map_or(0, |r| r.position));
            status.caught_up && positions.sum::<u64>() >= log.len() as u64
        });
        let mut fold = Fold::new(&scoring(&status));
        fold.set_present(Millis::now().0);
        for record in &log {
            fold.apply(record);
        }
        let view = fold.view().unwrap();
        let mut differences = compare(&mut self.redis(), &view);
        differences.extend(compare_market(&status, &view));
        let first: Vec<_> = differences.iter().take(20).collect();
        assert!(
            differences.is_empty(),
            "{} differences from the fold: {first:#?}",
            differences.len()
        );
        println!(
            "{} records, {} creators: equal to the fold",
            log.len(),
            view.kols.len()
        );
    }

    /// Nothing but what this check does was complained about.
    pub fn has_no_complaints(&self) {
        let complaints = unexpected(&self.logs(), &ALLOWED);
        assert!(complaints.is_empty(), "{complaints:#?}");
    }

    fn logs(&self) -> String {
        let arguments = [&["logs", "--no-color"][..], &SERVICES].concat();
        self.compose(&arguments)
    }
}

impl Drop for Composed<'_> {
    /// What everything said goes with the containers.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.try_compose(&["logs", "--no-color", "--tail", "40"]);
            eprintln!("{}", last.unwrap_or_else(|why| why));
        }
    }
}

fn owners(status: &JobStatus) -> BTreeMap<u32, String> {
    let owned = status.partitions.iter().filter(|p| !p.host.is_empty());
    let owned = owned.filter_map(|p| Some((p.partition.as_ref()?.partition, p.host.clone())));
    owned.collect()
}

/// A partition and its assignment epoch, as its owner reports it.
fn assignment(status: &PartitionStatus) -> Option<(u32, u64)> {
    let partition = status.partition.as_ref()?.partition;
    Some((partition, status.report.as_ref()?.assignment_epoch))
}
