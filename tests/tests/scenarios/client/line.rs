//! The command line as shells, scripts and hurried people meet it.

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

use kol_harness::{Cluster, Job, Kafka, Key, RedisServer, Topic, binary, generated};
use serde_json::Value;

use super::{DAYS, LIMIT, alone, write_spec};

/// What bash offers at the end of a line, in a folder where kol-client is on the path.
fn offered(cluster: &Cluster, line: &str) -> Vec<String> {
    let script = r#"source <(kol-client completions bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
        _kol_client kol-client "${1##*[ =:]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let folder = binary("kol-client").parent().unwrap().to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    let output = Command::new("bash")
        .args(["-c", script, "bash", line])
        .env("PATH", path)
        .env("KOL_MASTER", format!("http://{}", cluster.grpc()))
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_the_names_of_the_cluster() {
    let topic = Topic::create(Kafka::shared(), "line", 1);
    topic.produce(&generated(Key::Username, 5, 50, 41));
    let redis = RedisServer::start();
    let cluster = Cluster::start(1);
    let bootstrap = topic.kafka().bootstrap();
    write_spec(
        cluster.folder(),
        &Job::replay(DAYS),
        bootstrap,
        &[&topic.name],
        &redis.url(),
    );
    cluster.client(&["submit", "job.toml", "--wait"]).done();
    let executors = cluster.client(&["executors", "-o", "json"]).json();
    let executor = executors[0]["executor_id"].as_str().unwrap();
    let address = cluster.grpc();
    for (line, wanted) in [
        ("kol-client autosc", "autoscale-advice"),
        ("kol-client status --wa", "--wait"),
        ("kol-client status --wait ca", "caught-up"),
        ("kol-client status ", "scenario"),
        ("kol-client stop sc", "scenario"),
        ("kol-client top --job=sc", "scenario"),
        ("kol-client explain mia --platform ti", "tiktok"),
        ("kol-client drain ", executor),
        // Bash takes this line apart at the colon.
        (
            &format!("kol-client --master {address} status sc"),
            "scenario",
        ),
        (
            &format!("kol-client --master={address} status --time"),
            "--timeout",
        ),
    ] {
        let offered = offered(&cluster, line);
        assert!(
            offered.iter().any(|word| word == wanted),
            "{line}: {offered:?}"
        );
    }
    assert_eq!(offered(&cluster, "kol-client status --wai"), ["--wait"]);
    let stopped = cluster
        .client(&["stop", "scenario", "--wait", "-o", "json"])
        .json();
    assert_eq!(stopped["state"], "stopped");
    assert_eq!(
        cluster
            .client(&["jobs", "--state", "live", "-o", "json"])
            .json(),
        Value::Array(vec![])
    );
    let listed = cluster.client(&["jobs", "--name", "scenario", "--state", "stopped"]);
    assert_eq!(listed.done().lines().count(), 2, "{listed:?}");
    cluster.assert_no_complaints();
}

#[test]
fn an_empty_ranking_names_the_key_that_was_read_and_the_platforms_there_are() {
    let redis = RedisServer::start();
    let folder = tempfile::tempdir().unwrap();
    let url = redis.url();
    let run = |platform: &str| {
        let top = ["top", "--redis", &url, "--platform", platform];
        alone(folder.path(), &top).done().to_owned()
    };
    let empty = run("tiktok");
    assert!(empty.contains("ranking:tiktok:trending"), "{empty}");
    assert!(empty.contains("No platform has a ranking yet"), "{empty}");
    redis.cli("ZADD ranking:youtube:trending 7 mia");
    redis.cli("SADD streaming:ranking:*:trending:platforms youtube");
    assert!(
        run("tiktok").contains("Platforms with a ranking: youtube"),
        "{}",
        run("tiktok")
    );
    assert!(run("youtube").contains("mia"));
}

#[test]
fn a_ranking_that_is_followed_survives_a_redis_that_goes_and_comes_back() {
    use std::io::{BufRead as _, BufReader};
    let mut redis = RedisServer::start();
    redis.cli("ZADD ranking:tiktok:trending 7 mia");
    let mut top = Command::new(binary("kol-client"))
        .args(["top", "--follow", "--redis", &redis.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut rows = BufReader::new(top.stdout.take().unwrap()).lines();
    let mut said = BufReader::new(top.stderr.take().unwrap()).lines();
    let mut until = |name: &str| rows.any(|row| row.unwrap().contains(name));
    assert!(until("mia"));
    redis.down();
    assert!(said.next().unwrap().unwrap().contains("SINK_"));
    redis.up();
    redis.cli("ZADD ranking:tiktok:trending 8 bo");
    assert!(until("bo"));
    top.kill().unwrap();
    top.wait().unwrap();
}

/// Commands that need no cluster and print something.
const PRINT: [&[&str]; 8] = [
    &["completions", "bash"],
    &["schema"],
    &["schema", "--markdown"],
    &["plan", "--rate", "1k", "--kols", "1k"],
    &["check", "job.toml", "--show"],
    &["generate", "--count", "20000", "--rate", "max"],
    &["--help"],
    &["fly", "-o", "json"],
];

#[test]
fn an_output_that_is_full_or_closed_is_no_panic() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("job.toml"), "name = \"a\"").unwrap();
    let run = |arguments: &[&str], out: Stdio, err: Stdio| -> Output {
        let mut command = Command::new(binary("kol-client"));
        command.args(arguments).current_dir(folder.path());
        command
            .stdout(out)
            .stderr(err)
            .spawn()
            .unwrap()
            .wait_with_output()
            .unwrap()
    };
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    // The end of a pipe that nobody reads.
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    for arguments in PRINT {
        for out in [full(), closed()] {
            let ended = run(arguments, out, Stdio::piped());
            let said = String::from_utf8_lossy(&ended.stderr);
            assert!(!said.contains("panicked"), "{arguments:?}: {said}");
            assert!(
                ended.status.code().is_some_and(|code| code < 100),
                "{arguments:?}: {ended:?}"
            );
        }
        let ended = run(arguments, closed(), full());
        assert!(
            ended.status.code().is_some_and(|code| code < 100),
            "{arguments:?}: {ended:?}"
        );
    }
    let lost = run(&["schema"], full(), Stdio::piped());
    assert_eq!(lost.status.code(), Some(1), "{lost:?}");
    // Servers, too, start where nobody reads what they say.
    let mut master = Command::new(binary("kol-master"));
    master.args([
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--state-dir",
        "state",
    ]);
    master
        .current_dir(folder.path())
        .stdout(closed())
        .stderr(closed());
    let mut master = master.spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(master.try_wait().unwrap().is_none(), "it serves");
    master.kill().unwrap();
    master.wait().unwrap();
}

#[test]
fn errors_are_json_for_those_who_want_json_and_a_master_needs_no_scheme() {
    let cluster = Cluster::start(0);
    let problem = |arguments: &[&str], code: i32| -> Value {
        let failed = cluster.client(&[arguments, &["-o", "json"]].concat());
        assert_eq!(failed.out, "", "{failed:?}");
        serde_json::from_str(failed.fails(code)).unwrap_or_else(|e| panic!("{e}: {failed:?}"))
    };
    assert_eq!(problem(&["status", "nothing"], 3)["code"], "JOB_NOT_FOUND");
    let wrong = problem(&["submit", "none.toml"], 2);
    assert_eq!(wrong["code"], "SPEC_FILE");
    assert_eq!(problem(&["fly"], 2)["code"], "USAGE");
    assert!(
        problem(&["status", "--gone"], 2)["message"]
            .as_str()
            .unwrap()
            .contains("--gone")
    );
    let away = problem(&["jobs", "--master", "127.0.0.1:1"], 4);
    assert_eq!(away["code"], "MASTER_UNREACHABLE");
    assert_eq!(away["retryable"], true);
    let address = cluster.grpc();
    let jobs = cluster
        .client(&["jobs", "--master", address, "-o", "json"])
        .json();
    assert_eq!(jobs, Value::Array(vec![]));
}

#[test]
fn an_executor_finds_a_master_without_a_scheme() {
    let mut cluster = Cluster::start(0);
    let address = cluster.grpc().to_owned();
    cluster.executors_connect_to(address);
    cluster.add_executor();
    kol_harness::wait_for("the executor", LIMIT, || {
        let executors = cluster.client(&["executors", "-o", "json"]).json();
        match executors.as_array().map(Vec::len) {
            Some(1) => Ok(()),
            _ => Err(executors.to_string()),
        }
    });
}

#[test]
fn a_mistyped_topic_is_refused_and_not_created() {
    let folder = tempfile::tempdir().unwrap();
    let line = r#"{"username":"mia","video_id":"1","like_count":7}"#;
    std::fs::write(folder.path().join("line.jsonl"), line).unwrap();
    let bootstrap = Kafka::shared().bootstrap();
    let name = format!("mistyped-{}", std::process::id());
    let target = ["--topic", &name, "--bootstrap", bootstrap];
    let replay = ["replay", "line.jsonl"];
    let generate = ["generate", "--to", "kafka", "--count", "2"];
    for command in [&replay[..], &generate] {
        let refused = alone(folder.path(), &[command, &target].concat());
        let said = refused.fails(3);
        assert!(
            said.contains("TOPIC_NOT_FOUND") && said.contains("--create-topic"),
            "{said}"
        );
        let peek = alone(folder.path(), &["peek", &name, "--bootstrap", bootstrap]);
        assert!(peek.fails(3).contains("TOPIC_NOT_FOUND"), "{peek:?}");
    }
    if !Kafka::shared().is_real() {
        eprintln!("NOT TESTED: the embedded broker creates no topics on request");
        return;
    }
    let created = alone(
        folder.path(),
        &[&replay[..], &target, &["--create-topic"]].concat(),
    );
    assert!(created.done().starts_with("1 records in "), "{created:?}");
}
