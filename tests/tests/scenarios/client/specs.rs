//! Job specs: checked, and converted from what a Spark job was started with.

use std::path::Path;

use kol_harness::{ClientRun, Job, Kafka, RedisServer, Topic, free_port};

use super::{DAYS, alone, write_spec};

fn check(folder: &Path, more: &[&str]) -> ClientRun {
    alone(folder, &[&["check", "job.toml"][..], more].concat())
}

#[test]
fn a_check_says_that_all_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let topic = Topic::create(Kafka::shared(), "checked", 3);
    let redis = RedisServer::start();
    let bootstrap = topic.kafka().bootstrap();
    write_spec(
        folder,
        &Job::replay(DAYS),
        bootstrap,
        &[&topic.name],
        &redis.url(),
    );
    let spec = "ok       spec job.toml: job scenario is well formed\n";
    assert_eq!(check(folder, &[]).done(), spec);
    let fine = check(folder, &["--connect"]);
    for found in [
        spec.to_owned(),
        format!("ok       topic {}: 3 partitions\n", topic.name),
        format!("ok       Redis {}: answers", redis.url()),
    ] {
        assert!(fine.done().contains(&found), "{found} in {fine:?}");
    }
    let shown = check(folder, &["--connect", "-o", "json"]).json();
    let findings = shown["findings"].as_array().unwrap();
    assert!(
        findings.len() == 4 && findings.iter().all(|f| f["ok"] == true),
        "{shown}"
    );
    let set = check(folder, &["--set", "scoring.slide=7h"]);
    assert!(set.fails(2).contains("7h does not divide"), "{set:?}");
}

#[test]
fn a_check_says_what_to_do_about_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let bootstrap = Kafka::shared().bootstrap();
    let kafka = format!("127.0.0.1:{}", free_port());
    let url = format!("redis://127.0.0.1:{}/0", free_port());
    let job = Job::replay(DAYS);
    write_spec(folder, &job, bootstrap, &["absent"], &url);
    let missing = check(folder, &["--connect"]);
    assert!(missing.fails(3).contains("Create it"), "{missing:?}");
    assert!(
        missing.out.contains("problem  topic absent: "),
        "{missing:?}"
    );

    write_spec(folder, &job, &kafka, &["any"], &url);
    let lost = check(folder, &["--connect"]);
    assert!(lost.fails(4).contains("Start the brokers"), "{lost:?}");
    assert_eq!(lost.err.lines().count(), 1, "{lost:?}");
    assert!(
        lost.out.contains(&format!("problem  Kafka {kafka}: ")),
        "{lost:?}"
    );
    assert!(
        lost.out.contains(&format!("problem  Redis {url}: ")),
        "{lost:?}"
    );
    assert!(lost.out.contains("Start Redis"), "{lost:?}");
}

const SUBMIT: &str = "spark-submit --num-executors 4 --executor-memory 2g \\\n  \
    --conf spark.sql.shuffle.partitions=8 trending.py\n";
const SCRIPT: &str = r#"
spark = SparkSession.builder.appName("kol trending").getOrCreate()
df = (spark.readStream.format("kafka")
    .option("kafka.bootstrap.servers", os.getenv("KAFKA_BROKER", "kafka:9092"))
    .option("subscribe", "kol.videos.raw").option("startingOffsets", "earliest").load())
query = df.writeStream.option("checkpointLocation", "/opt/checkpoints").start()
"#;
const COMPOSE: &str = "services:\n  spark:\n    environment:\n      - REDIS_HOST=cache\n      \
    - REDIS_PASSWORD=hunter2\n      - KAFKA_BROKER=kafka:29092\n";

#[test]
fn what_a_spark_job_was_started_with_becomes_a_spec_that_a_check_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let files = [
        ("submit.sh", SUBMIT),
        ("trending.py", SCRIPT),
        ("compose.yml", COMPOSE),
    ];
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let convert = |names: &[&str]| alone(folder, &[&["convert-spark"][..], names].concat());
    for names in [
        &["trending.py"][..],
        &["submit.sh", "trending.py", "compose.yml"],
    ] {
        let converted = convert(names);
        std::fs::write(folder.join("job.toml"), converted.done()).unwrap();
        check(folder, &[]).done();
        assert!(!converted.out.contains("hunter2"), "{}", converted.out);
    }
    let all = convert(&["submit.sh", "trending.py", "compose.yml"]);
    for line in [
        "bootstrap = \"kafka:29092\"",
        "topics = [\"kol.videos.raw\"]",
        "starting_offsets = \"earliest\"",
        "url = \"redis://cache:6379/0\"",
        "location = \"file:///opt/checkpoints\"",
        "spark.executor.instances = 4: executors are started",
    ] {
        assert!(all.done().contains(line), "{line} in {}", all.out);
    }
    let open = convert(&["submit.sh"]);
    std::fs::write(folder.join("job.toml"), open.done()).unwrap();
    let refused = check(folder, &[]).fails(2).to_owned();
    assert!(
        refused.contains("bootstrap: is still to be filled in"),
        "{refused}"
    );
    std::fs::write(folder.join("empty"), "nothing here").unwrap();
    assert!(convert(&["empty"]).fails(2).contains("spark-submit"));
    assert!(convert(&["absent"]).fails(2).contains("absent"));
}
