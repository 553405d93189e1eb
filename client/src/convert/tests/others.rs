//! Command lines, properties, compose files and Kubernetes objects.

use super::{converted, pyspark, requests, spec};
use crate::convert::{Input, convert};

const JOB: &str = "df = (spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", os.environ[\"BROKERS\"])\n    \
                   .option(\"subscribe\", os.getenv(\"TOPIC\", \"t\")).load())\n";

#[test]
fn a_command_line_is_read_as_a_shell_reads_it() {
    let script = "#!/bin/bash\n# export BROKERS=dead:1\nexport BROKERS=k:9092\nNAME=\"old job\"\n\
        CONF=(--conf spark.executor.instances=4)\nOPTS=\"--executor-memory ${MEMORY:-2g}\"\n\
        /opt/spark/bin/spark-submit --name \"$NAME\" \\\n  \"${CONF[@]}\" $OPTS \\\n  --conf \"spark.executor.cores=2\" --verbose job.py # --name dead\n";
    let files = [("run.sh", script), ("job.py", JOB)];
    let converted = converted(&files);
    for line in [
        "name = \"old-job\"",
        "bootstrap = \"k:9092\"",
        "spark.executor.instances = 4: executors are started",
        "spark.executor.memory = 2g: give it to each kol-executor as --memory",
        "spark.executor.cores = 2",
        "the old job had 4 executors with 2g of memory and 2 cores",
    ] {
        assert!(
            converted.spec_toml.contains(line),
            "{line} in {}",
            converted.spec_toml
        );
    }
    assert!(
        converted
            .notes
            .iter()
            .any(|n| n.starts_with("run.sh:6: MEMORY")),
        "{:?}",
        converted.notes
    );
    spec(&files);
}

#[test]
fn commands_in_commands_are_read() {
    for line in [
        "docker exec spark spark-submit --name old job.py",
        "docker run -e BROKERS=k:9092 image spark-submit --name old job.py",
        "bash -c \"cd /app && spark-submit --name old job.py\"",
        "nohup spark-submit --name=old job.py > log 2>&1 &",
        "if true; then exec spark-submit --name old job.py; fi",
        "BROKERS=k:9092 spark-submit --conf spark.app.name=old job.py",
    ] {
        let converted = converted(&[("run.sh", line), ("job.py", JOB)]);
        assert!(
            converted.spec_toml.contains("name = \"old\""),
            "{line}: {}",
            converted.spec_toml
        );
    }
}

#[test]
fn what_a_shell_does_not_know_is_requested() {
    requests(
        &converted(&[
            ("run.sh", "export BROKERS=$(host kafka):9092\n"),
            ("job.py", JOB),
        ]),
        "bootstrap",
        "host kafka",
    );
    let branches = "BROKERS=a:1\nif [ $X = y ]; then BROKERS=b:1; fi\n";
    requests(
        &converted(&[("run.sh", branches), ("job.py", JOB)]),
        "bootstrap",
        "several branches",
    );
}

#[test]
fn properties_are_read_as_java_reads_them() {
    let properties = "# spark.executor.memory 9g\n! spark.executor.memory 9g\nspark.executor.memory   3g\n\
        spark.executor.instances=5\nspark.app.name : old\nspark.redis.host = \\\n   r\nspark.kubernetes.driverEnv.BROKERS=k:9092\n";
    let files = [("spark-defaults.conf", properties), ("job.py", JOB)];
    let spec = spec(&files);
    assert_eq!(spec.name, "old");
    assert_eq!(spec.source.kafka().bootstrap, "k:9092");
    assert_eq!(spec.sink.url, "redis://r:6379/0");
    let text = converted(&files).spec_toml;
    assert!(text.contains("5 executors with 3g of memory"), "{text}");
}

#[test]
fn a_compose_file_gives_environment_and_command() {
    let compose = "x-env: &env\n  TOPIC: from_compose\nservices:\n  redis:\n    image: redis\n  job:\n    image: spark\n    environment:\n      <<: *env\n      \
        BROKERS: ${BROKERS:-k:9092}\n      # BROKERS: dead:1\n      REDIS_HOST: cache\n    command: >\n      spark-submit --name old\n      --executor-memory 2g job.py\n";
    let files = [("job.py", JOB), ("docker-compose.yml", compose)];
    let spec = spec(&files);
    assert_eq!(spec.name, "old");
    assert_eq!(spec.source.kafka().bootstrap, "k:9092");
    assert_eq!(spec.source.topics(), ["from_compose"]);
    assert_eq!(spec.sink.url, "redis://cache:6379/0");
    let list = "services:\n  job:\n    environment:\n      - BROKERS=k:9092\n      - REDIS_PASSWORD=hunter2\n      - REDIS_HOST=cache\n    command: [\"spark-submit\", \"--name\", \"old\", \"job.py\"]\n";
    let converted = converted(&[("job.py", JOB), ("docker-compose.yml", list)]);
    assert!(
        !format!("{converted:?}").contains("hunter2"),
        "{converted:?}"
    );
    assert!(
        converted
            .spec_toml
            .contains("password = \"env:KOL_SECRET_REDIS_PASSWORD\""),
        "{}",
        converted.spec_toml
    );
    assert!(
        converted.spec_toml.contains("name = \"old\""),
        "{}",
        converted.spec_toml
    );
}

#[test]
fn a_spark_application_gives_name_size_settings_and_environment() {
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  TOPIC: from_map\n---\n\
        apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  REDIS_PASSWORD: hunter2\n---\n\
        apiVersion: sparkoperator.k8s.io/v1beta2\nkind: SparkApplication\nmetadata:\n  name: trending-job\nspec:\n  type: Python\n  \
        sparkConf:\n    \"spark.redis.host\": r\n    spark.sql.shuffle.partitions: \"8\"\n  # sparkConf: dead\n  driver:\n    memory: 1g\n    env:\n      \
        - name: BROKERS\n        value: k:9092\n      - name: API_TOKEN\n        valueFrom:\n          secretKeyRef: {name: s, key: t}\n  executor:\n    cores: 2\n    instances: 3\n    memory: 4g\n";
    let files = [("job.py", JOB), ("app.yaml", yaml)];
    let spec = spec(&files);
    assert_eq!(spec.name, "trending-job");
    assert_eq!(spec.source.kafka().bootstrap, "k:9092");
    assert_eq!(spec.source.topics(), ["from_map"]);
    assert_eq!(spec.sink.url, "redis://r:6379/0");
    let converted = converted(&files);
    assert!(
        converted
            .spec_toml
            .contains("3 executors with 4g of memory and 2 cores"),
        "{}",
        converted.spec_toml
    );
    assert!(
        !format!("{converted:?}").contains("hunter2"),
        "{converted:?}"
    );
    let arguments = "df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", sys.argv[1]).option(\"subscribe\", sys.argv[2]).load()\n";
    let yaml =
        "kind: SparkApplication\napiVersion: x\nspec:\n  arguments:\n    - k:9092\n    - \"t\"\n";
    let spec = super::spec(&[("app.yaml", yaml), ("job.py", arguments)]);
    assert_eq!(
        (spec.source.kafka().bootstrap.as_str(), spec.source.topics()),
        ("k:9092", &["t".to_owned()][..])
    );
}

#[test]
fn files_that_say_nothing_are_refused() {
    for (name, text, code) in [
        ("empty", "nothing here", "NO_SETTINGS"),
        ("a.py", "print(1)", "NO_SETTINGS"),
        ("a.yml", "a: [", "FILE_UNREADABLE"),
        ("a.yml", "a: 1\n", "NO_SETTINGS"),
    ] {
        let input = [Input {
            name: name.into(),
            text: text.into(),
        }];
        let error = convert(&input, &[]).unwrap_err();
        assert_eq!(error.code, code, "{name}: {error}");
    }
    let large = [Input {
        name: "a.py".into(),
        text: " ".repeat(super::super::MAX_FILE + 1),
    }];
    assert_eq!(convert(&large, &[]).unwrap_err().code, "FILE_TOO_LARGE");
}

#[test]
fn a_command_alone_leaves_brokers_and_topics_open() {
    let converted = converted(&[("run.sh", "spark-submit --num-executors 4 job.py\n")]);
    requests(&converted, "bootstrap", "name none");
    requests(&converted, "topics", "name none");
}

#[test]
fn a_file_that_cannot_be_read_to_its_end_says_so() {
    let job = pyspark(
        "",
        ".option(\"kafka.bootstrap.servers\", \"k:9092\").option(\"subscribe\", \"t\")",
    ) + "def broken(:\n    x = = 1\n";
    let converted = converted(&[("job.py", &job)]);
    assert!(
        converted.spec_toml.contains("topics = [\"t\"]"),
        "{}",
        converted.spec_toml
    );
    assert!(
        converted
            .notes
            .iter()
            .any(|n| n.contains("could not be read")),
        "{:?}",
        converted.notes
    );
}
