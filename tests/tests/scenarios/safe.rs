//! A cluster with TLS and login, made as an operator makes it, and people who should not get in.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use kol_fold::Record;
use kol_harness::{
    ClientRun, Job, Kafka, Key, Process, RedisServer, Topic, binary, client, compare_below,
    fold_of, generated, unexpected, wait_for,
};

const LIMIT: Duration = Duration::from_secs(60);
const START: Duration = Duration::from_secs(20);
const DAYS: &str = "window = \"24h\"\nslide = \"1h\"";
/// Connections that each port gets and that say nothing sensible: more than it takes at one time.
const GARBAGE: usize = 600;
/// How much more memory they may cost a process, bytes.
const COST: u64 = 64 << 20;

/// A master and an executor with certificates that kol-client made.
struct Cluster {
    master: Process,
    executor: Process,
    grpc: String,
    http: String,
    admin: String,
    folder: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        client(
            path,
            &["certs", "init", "certs", "--host", "kol.example"],
            &[],
        )
        .done();
        let certs = path.join("certs");
        let state = path.join("state");
        let arguments = [
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--state-dir",
            state.to_str().unwrap(),
            "--tls",
            &text(&certs.join("master")),
        ];
        let mut master = Process::start("master", path, &binary("kol-master"), &arguments);
        let line = master.wait_line("kol-master ready", 0, START);
        let (grpc, http) = (value(&line, "grpc="), value(&line, "http="));
        let mut executor = start_executor(path, "executor", &grpc, &certs.join("executor"));
        let line = executor.wait_line("kol-executor ready", 0, START);
        Self {
            admin: value(&line, "http="),
            master,
            executor,
            grpc,
            http,
            folder,
        }
    }

    fn certs(&self, name: &str) -> PathBuf {
        self.folder.path().join("certs").join(name)
    }

    fn token(&self, name: &str) -> String {
        let token = std::fs::read_to_string(self.certs(name).join("token")).unwrap();
        token.trim().to_owned()
    }

    /// kol-client of a person.
    fn client(&self, person: &str, arguments: &[&str]) -> ClientRun {
        let master = format!("https://{}", self.grpc);
        let tls = text(&self.certs(person));
        let environment = [("KOL_MASTER", &*master), ("KOL_TLS", &tls)];
        client(self.folder.path(), arguments, &environment)
    }

    /// Status of a page, as a scraper sees it.
    fn page(&self, address: &str, path: &str, token: Option<&str>) -> String {
        let mut command = Command::new("curl");
        command.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]);
        command.arg(self.certs("viewer").join("ca.crt"));
        if let Some(token) = token {
            command.args(["-H", &format!("Authorization: Bearer {token}")]);
        }
        let output = command.arg(format!("https://{address}{path}")).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    }

    /// Waits until all these records are read and confirmed, and compares Redis with their fold.
    fn is_the_fold(&self, spec: &str, log: &[Record], redis: &RedisServer) {
        wait_for("the job to catch up", LIMIT, || {
            let status = self
                .client("viewer", &["status", "scenario", "-o", "json"])
                .json();
            let read = status["events_total"].as_u64().unwrap_or_default();
            let done = status["caught_up"] == true && read >= log.len() as u64;
            if done {
                Ok(())
            } else {
                Err(status.to_string())
            }
        });
        let scoring = kol_common::job::parse(spec, "spec").unwrap().spec.scoring;
        let differences = compare_below(&mut redis.connect(), "", &fold_of(&scoring, log));
        assert!(differences.is_empty(), "{differences:#?}");
    }
}

fn start_executor(folder: &Path, name: &str, grpc: &str, tls: &Path) -> Process {
    let master = format!("https://{grpc}");
    let (tls, host) = (text(tls), format!("host-of-{name}"));
    let arguments = [
        "--master", &master, "--memory", "512m", "--cores", "1", "--host", &host, "--tls", &tls,
    ];
    Process::start(name, folder, &binary("kol-executor"), &arguments)
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn value(line: &str, name: &str) -> String {
    let rest = line.split_once(name).unwrap().1;
    rest.split_whitespace().next().unwrap().to_owned()
}

/// Opens connections that say nothing, too little, or nonsense.
fn garbage(addresses: &[&str]) -> Vec<TcpStream> {
    let words: [&[u8]; 4] = [
        b"",
        b"PRI * HT",
        b"GET / HTTP/1.1\r\nHost:",
        &[0x16, 3, 1, 2, 0, 1],
    ];
    let mut open = Vec::new();
    for number in 0..GARBAGE {
        for address in addresses {
            if let Ok(mut stream) = TcpStream::connect(address) {
                let _may_be_reset = stream.write_all(words[number % words.len()]);
                open.push(stream);
            }
        }
    }
    open
}

#[test]
fn a_cluster_with_tls_and_login_ends_as_the_fold_and_lets_nobody_else_in() {
    let topic = Topic::create(Kafka::shared(), "safe", 2);
    let mut first = generated(Key::Username, 100, 6_000, 91);
    let second = first.split_off(first.len() / 2);
    topic.produce(&first);
    let redis = RedisServer::start();
    let cluster = Cluster::start();
    let spec = Job::replay(DAYS).toml(topic.kafka().bootstrap(), &[&topic.name], &redis.url());
    std::fs::write(cluster.folder.path().join("job.toml"), &spec).unwrap();
    let submit = ["submit", "job.toml", "--wait"];

    let refused = cluster.client("viewer", &submit);
    assert!(
        refused.fails(1).contains("operator is needed"),
        "{refused:?}"
    );
    let plain = client(
        cluster.folder.path(),
        &["jobs"],
        &[("KOL_MASTER", &format!("http://{}", cluster.grpc))],
    );
    assert_ne!(plain.code, Some(0), "{plain:?}");
    cluster.client("operator", &submit).done();
    cluster.is_the_fold(&spec, &first, &redis);

    let viewer = cluster.token("viewer");
    for address in [&cluster.http, &cluster.admin] {
        assert_eq!(cluster.page(address, "/healthz", None), "200");
        assert_eq!(cluster.page(address, "/metrics", None), "401");
        assert_eq!(cluster.page(address, "/metrics", Some("kol_x")), "401");
        assert_eq!(cluster.page(address, "/metrics", Some(&viewer)), "200");
    }

    let before = (cluster.master.rss(), cluster.executor.rss());
    let open = garbage(&[&cluster.grpc, &cluster.http, &cluster.admin]);
    topic.produce(&second);
    cluster.is_the_fold(&spec, &topic.read(), &redis);
    let after = (cluster.master.rss(), cluster.executor.rss());
    assert!(
        after.0 < before.0 + COST && after.1 < before.1 + COST,
        "{before:?} {after:?}"
    );
    drop(open);

    let log = cluster.master.log();
    let audit = |who: &str, outcome: &str| {
        let has = |line: &&str| {
            line.contains("audit") && line.contains("JobService/Submit") && line.contains(who)
        };
        log.lines().filter(has).any(|line| line.contains(outcome))
    };
    assert!(audit("who=\"operator\"", "outcome=Ok"), "{log}");
    assert!(audit("who=\"viewer\"", "outcome=PermissionDenied"), "{log}");
    for name in ["viewer", "operator", "admin"] {
        let token = cluster.token(name);
        let logs = [cluster.master.log(), cluster.executor.log()];
        assert!(logs.iter().all(|log| !log.contains(&token)), "{name}");
    }
    for process in [&cluster.master, &cluster.executor] {
        let complaints = unexpected(&process.log(), &[]);
        assert!(complaints.is_empty(), "{}: {complaints:#?}", process.name());
    }
}

#[test]
fn certificates_that_are_renewed_are_used_without_a_restart_and_strangers_stay_out() {
    let mut cluster = Cluster::start();
    let folder = cluster.folder.path().to_owned();
    let executors = |cluster: &Cluster| {
        let executors = cluster
            .client("viewer", &["executors", "-o", "json"])
            .json();
        let hosts = executors.as_array().unwrap().iter();
        let hosts = hosts.filter(|e| e["state"] == "alive");
        let hosts: Vec<_> = hosts
            .map(|e| e["host"].as_str().unwrap().to_owned())
            .collect();
        hosts
    };
    wait_for("the executor", LIMIT, || {
        let hosts = executors(&cluster);
        if hosts.len() == 1 {
            Ok(())
        } else {
            Err(format!("{hosts:?}"))
        }
    });
    client(&folder, &["certs", "init", "strangers"], &[]).done();
    let stranger = folder.join("strangers/executor");
    let real = std::fs::read(cluster.certs("executor").join("ca.crt")).unwrap();
    std::fs::write(stranger.join("ca.crt"), real).unwrap();
    let mut stranger = start_executor(&folder, "stranger", &cluster.grpc, &stranger);
    stranger.wait_code("SESSION_LOST", 0, START);

    client(&folder, &["certs", "renew", "certs"], &[]).done();
    cluster.master.wait_code("CERTS_READ", 0, START);
    client(
        &folder,
        &[
            "certs", "token", "certs", "--name", "ann", "--role", "viewer",
        ],
        &[],
    )
    .done();
    wait_for("the new token", LIMIT, || {
        let answer = cluster.client("ann", &["jobs"]);
        if answer.code == Some(0) {
            Ok(())
        } else {
            Err(format!("{answer:?}"))
        }
    });
    let renewed = start_executor(
        &folder,
        "renewed",
        &cluster.grpc,
        &cluster.certs("executor"),
    );
    wait_for("the executor with a new certificate", LIMIT, || {
        let hosts = executors(&cluster);
        let has = |name: &str| hosts.iter().any(|host| host == name);
        if has("host-of-renewed") && has("host-of-executor") && !has("host-of-stranger") {
            Ok(())
        } else {
            Err(format!("{hosts:?}"))
        }
    });
    assert!(
        unexpected(&renewed.log(), &[]).is_empty(),
        "{}",
        renewed.log()
    );
}

#[test]
fn whoever_stole_a_certificate_is_cut_off_by_its_revocation_and_the_others_continue_with_new_ones()
{
    let mut cluster = Cluster::start();
    let folder = cluster.folder.path().to_owned();
    let stolen = folder.join("stolen");
    std::fs::create_dir(&stolen).unwrap();
    for file in ["ca.crt", "tls.crt", "tls.key"] {
        std::fs::copy(cluster.certs("executor").join(file), stolen.join(file)).unwrap();
    }
    let mut thief = start_executor(&folder, "thief", &cluster.grpc, &stolen);
    let alive = |cluster: &Cluster, expected: &[&str]| {
        wait_for("the executors", LIMIT, || {
            let executors = cluster.client("viewer", &["executors", "-o", "json"]);
            let executors = executors.json();
            let executors = executors.as_array().unwrap().iter();
            let alive = executors.filter(|e| e["state"] == "alive");
            let mut hosts: Vec<_> = alive.map(|e| e["host"].as_str().unwrap()).collect();
            hosts.sort_unstable();
            if hosts == expected {
                Ok(())
            } else {
                Err(format!("{hosts:?}"))
            }
        });
    };
    alive(&cluster, &["host-of-executor", "host-of-thief"]);
    let revoked = Instant::now();
    let renew = ["certs", "renew", "certs", "--revoke"];
    client(&folder, &renew, &[]).done();
    cluster.master.wait_code("SESSION_CUT", 0, START);
    thief.wait_code("SESSION_LOST", 0, START);
    println!("cut after {:?}", revoked.elapsed());
    alive(&cluster, &["host-of-executor"]);
    let log = cluster.master.log();
    assert!(log.contains("its certificate is revoked"), "{log}");
    // A thief comes back again and again, and is refused each time.
    std::thread::sleep(Duration::from_secs(3));
    alive(&cluster, &["host-of-executor"]);
    assert!(cluster.executor.runs(), "{}", cluster.executor.log());
}
