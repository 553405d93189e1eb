//! The process itself, and what it serves over HTTP.

use std::process::Stdio;

use super::support::{PATIENCE, Rig, is, people, submit, wait_for};
use kol_common::proto::{JobRef, JobState};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

async fn get(address: impl tokio::net::ToSocketAddrs, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answered = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answer = timeout(PATIENCE, answered).await;
    answer.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {path}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_http_api_shows_jobs_and_says_what_is_not_there() {
    let rig = Rig::new("events", 2).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    wait_for(&mut client, "a", is(JobState::Degraded)).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert!(
            get(master.http, path).await.starts_with("HTTP/1.1 200"),
            "{path}"
        );
    }
    let jobs = get(master.http, "/api/v1/jobs").await;
    assert!(
        jobs.contains("\"state\":\"degraded\"") && jobs.contains("\"partitions\":2"),
        "{jobs}"
    );
    let job = get(master.http, "/api/v1/jobs/a").await;
    assert!(
        job.contains("\"partition_list\":[{") && job.contains("\"spec\":{"),
        "{job}"
    );
    assert!(get(master.http, "/api/v1/executors").await.ends_with("[]"));
    let missing = get(master.http, "/api/v1/jobs/zzz").await;
    assert!(
        missing.starts_with("HTTP/1.1 404") && missing.contains("JOB_NOT_FOUND"),
        "{missing}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn autostart_submits_once_and_leaves_what_a_person_ended_until_its_file_changes() {
    let rig = Rig::new("events", 1).await;
    let specs = rig.folder.path().join("specs");
    std::fs::create_dir(&specs).unwrap();
    std::fs::write(specs.join("a.toml"), rig.spec("a")).unwrap();
    std::fs::write(specs.join("broken.toml"), "name = 1").unwrap();
    let mut config = rig.config();
    config.autostart = Some(specs.clone());
    let started = |count: usize| {
        let config = config.clone();
        let rig = &rig;
        async move {
            let master = rig.master_with(config).await;
            let mut client = people(&master).await;
            let began = tokio::time::Instant::now();
            loop {
                let jobs = master.roles().jobs().await.unwrap();
                if jobs.len() >= count || began.elapsed() > PATIENCE {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            // Time for a submission too many.
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
            let jobs = master.roles().jobs().await.unwrap();
            let live = jobs
                .iter()
                .filter(|j| j.state() != JobState::Cancelled)
                .count();
            if live > 0 {
                client.cancel_job(JobRef { job: "a".into() }).await.unwrap();
                wait_for(&mut client, "a", is(JobState::Cancelled)).await;
            }
            master.stop(std::time::Duration::from_millis(100)).await;
            (jobs.len(), live)
        }
    };
    assert_eq!(started(1).await, (1, 1));
    assert_eq!(started(1).await, (1, 0), "cancelled stays cancelled");
    std::fs::write(specs.join("a.toml"), rig.spec("a") + "# changed\n").unwrap();
    assert_eq!(started(2).await, (2, 1), "a changed file starts a new job");
}

#[tokio::test]
async fn the_process_says_where_it_serves_and_ends_with_0_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let mut master = Command::new(env!("CARGO_BIN_EXE_kol-master"))
        .args([
            "--listen",
            "127.0.0.1:0",
            "--http",
            "127.0.0.1:0",
            "--state-dir",
        ])
        .arg(folder.path().join("state"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(master.stdout.take().unwrap());
    let said = timeout(PATIENCE, output.read_line(&mut line)).await;
    said.expect("it says where it serves in time").unwrap();
    assert!(
        line.starts_with("kol-master ready grpc=127.0.0.1:"),
        "{line}"
    );
    assert!(line.contains(" http=127.0.0.1:"), "{line}");
    let process = master.id().unwrap().to_string();
    let killed = Command::new("kill").arg(process).status().await;
    assert!(killed.unwrap().success());
    let ended = timeout(PATIENCE, master.wait_with_output()).await;
    let output = ended.expect("it ends in time").unwrap();
    assert_eq!(output.status.code(), Some(0));
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("SIGTERM") && log.contains("bye"), "{log}");
}
