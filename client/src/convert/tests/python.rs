//! Jobs that are written in PySpark.

use kol_common::job::{OnDataLoss, StartingOffsets};

use super::{converted, pyspark, requests, spec};

const BROKERS: &str = "    .option(\"kafka.bootstrap.servers\", \"k:9092\")";

fn with(before: &str, options: &str) -> String {
    pyspark(before, &format!("{BROKERS}\n{options}"))
}

#[track_caller]
fn topics(before: &str, options: &str) -> Vec<String> {
    spec(&[("job.py", &with(before, options))])
        .source
        .topics()
        .to_vec()
}

#[test]
fn comments_do_not_count() {
    let line = ".option(\"subscribe\", \"live\")";
    for options in [
        format!("    # .option(\"subscribe\", \"dead\")\n    {line}"),
        format!("    {line}\n    # .option(\"subscribe\", \"dead\")"),
        format!("    {line}  # .option(\"subscribe\", \"dead\")"),
    ] {
        assert_eq!(topics("", &options), ["live"], "{options}");
    }
    let docstring = "\"\"\"\ndf = spark.readStream.format(\"kafka\").option(\"subscribe\", \"dead\").load()\n\"\"\"\n\
                     def f():\n    '''spark.conf.set(\"spark.redis.host\", \"dead\")'''\n";
    assert_eq!(topics(docstring, line), ["live"]);
    assert_eq!(
        topics(
            "'''topic = \"dead\"'''\ntopic = \"live\"  # topic = \"dead\"",
            ".option(\"subscribe\", topic)"
        ),
        ["live"]
    );
}

#[test]
fn literals_are_followed_wherever_a_job_keeps_them() {
    for (before, value) in [
        ("topic = \"t\"", "topic"),
        ("TOPIC: str = 't'", "TOPIC"),
        ("a = b = \"t\"", "a"),
        ("a, b = \"x\", \"t\"", "b"),
        (
            "config = {\"kafka\": {\"topic\": \"t\"}}",
            "config[\"kafka\"][\"topic\"]",
        ),
        (
            "config = {\"topic\": \"t\"}",
            "config.get(\"topic\", \"other\")",
        ),
        ("config = {}", "config.get(\"topic\", \"t\")"),
        ("config = {}\nconfig[\"topic\"] = \"t\"", "config['topic']"),
        (
            "config = {\"topic\": \"x\"}\nconfig.update({\"topic\": \"t\"})",
            "config['topic']",
        ),
        ("config = dict(topic=\"t\")", "config['topic']"),
        ("class Config:\n    TOPIC = \"t\"", "Config.TOPIC"),
        (
            "class Config:\n    TOPIC = \"t\"\ncfg = Config()",
            "cfg.TOPIC",
        ),
        (
            "class Config:\n    def __init__(self):\n        self.topic = \"t\"\ncfg = Config()",
            "cfg.topic",
        ),
        (
            "class Config:\n    def __init__(self, topic):\n        self.topic = topic\ncfg = Config(\"t\")",
            "cfg.topic",
        ),
        (
            "@dataclass\nclass Config:\n    topic: str = \"t\"",
            "Config().topic",
        ),
        (
            "class S(BaseSettings):\n    topic: str = Field(default=\"t\", env=\"X\")\nsettings = S()",
            "settings.topic",
        ),
        ("name = \"t\"", "f\"{name}\""),
        (
            "prefix = \"t.\"",
            "f\"{prefix}raw\".replace(\"x\", \"y\") if False else \"t\"",
        ),
        ("a = 't'", "a + \"\""),
        ("a = 't'", "\"\" + a + ''"),
        ("a = 't'", "\"%s\" % a"),
        ("a = 't'", "\"{}\".format(a)"),
        ("a = 't'", "\"{x}\".format(x=a)"),
        ("", "\"\" \"t\""),
        ("topics = [\"t\"]", "\",\".join(topics)"),
        ("topics = [\"t\"]", "topics[0]"),
        ("def topic():\n    return \"t\"", "topic()"),
        (
            "if debug:\n    topic = \"t\"\nelse:\n    topic = \"t\"",
            "topic",
        ),
        ("topic = \"x\"\ntopic = \"t\"", "topic"),
        ("os.environ[\"T\"] = \"t\"", "os.environ[\"T\"]"),
    ] {
        let converted = converted(&[(
            "job.py",
            &with(before, &format!(".option(\"subscribe\", {value})")),
        )]);
        if value.contains("replace") {
            requests(&converted, "topics", "replace");
            continue;
        }
        assert!(
            converted.spec_toml.contains("topics = [\"t\"]"),
            "{before} {value}: {}",
            converted.spec_toml
        );
    }
}

#[test]
fn defaults_of_environment_look_ups_are_taken_and_said() {
    for value in [
        "os.environ.get(\"T\", \"t\")",
        "os.getenv(\"T\", \"t\")",
        "os.getenv('T', default='t')",
        "os.getenv(\"T\") or \"t\"",
        "environ.get(\"T\", \"t\")",
        "(os.environ.get(\"T\") or \"t\").strip()",
    ] {
        let converted = converted(&[(
            "job.py",
            &with("", &format!(".option(\"subscribe\", {value})")),
        )]);
        assert!(
            converted.spec_toml.contains("topics = [\"t\"]"),
            "{value}: {}",
            converted.spec_toml
        );
        let said = "T is not set in the files given: its default \"t\" is taken";
        assert!(
            converted
                .notes
                .iter()
                .any(|n| n.starts_with("job.py:") && n.ends_with(said)),
            "{value}: {:?}",
            converted.notes
        );
        assert!(converted.spec_toml.contains(said), "{value}");
    }
    let job = with("", ".option(\"subscribe\", os.getenv(\"T\", \"t\"))");
    let both = converted(&[("job.py", &job), (".env", "T=from_env\n")]);
    assert!(
        both.spec_toml.contains("topics = [\"from_env\"]"),
        "{}",
        both.spec_toml
    );
    assert!(
        !both.notes.iter().any(|n| n.contains("default")),
        "{:?}",
        both.notes
    );
}

#[test]
fn declared_arguments_have_their_defaults_and_what_the_command_gives() {
    let job = with(
        "import argparse\np = argparse.ArgumentParser()\np.add_argument(\"--in-topic\", default=\"t\")\nargs = p.parse_args()",
        ".option(\"subscribe\", args.in_topic)",
    );
    let alone = converted(&[("job.py", &job)]);
    assert!(
        alone.spec_toml.contains("topics = [\"t\"]"),
        "{}",
        alone.spec_toml
    );
    assert!(
        alone.notes.iter().any(|n| n.contains("--in-topic")),
        "{:?}",
        alone.notes
    );
    let given = spec(&[
        ("job.py", &job),
        ("run.sh", "spark-submit job.py --in-topic given\n"),
    ]);
    assert_eq!(given.source.topics(), ["given"]);
    let positional = with("import sys", ".option(\"subscribe\", sys.argv[1])");
    let given = spec(&[
        ("job.py", &positional),
        ("run.sh", "spark-submit --master yarn job.py given 2\n"),
    ]);
    assert_eq!(given.source.topics(), ["given"]);
}

#[test]
fn what_only_the_run_knows_is_to_be_filled_in() {
    for (before, value, question) in [
        ("", "config[\"topic\"]", "config['topic']"),
        ("", "os.environ[\"T\"]", "os.environ"),
        ("", "os.getenv(\"T\")", "os.getenv"),
        ("", "read_config().topic", "read_config().topic"),
        ("", "topic", "topic"),
        (
            "if prod:\n    topic = \"a\"\nelse:\n    topic = \"b\"",
            "topic",
            "lines 4, 6",
        ),
        (
            "try:\n    topic = sys.argv[1]\nexcept IndexError:\n    topic = \"b\"",
            "topic",
            "topic",
        ),
        ("", "\"a\" if prod else \"b\"", "if prod"),
        ("", "f\"{env}.videos\"", "{env}.videos"),
    ] {
        let text = with(before, &format!(".option(\"subscribe\", {value})"));
        let converted = converted(&[("job.py", &text)]);
        requests(
            &converted,
            "topics",
            question.trim_matches('\'').split('\'').next().unwrap(),
        );
        assert!(
            converted
                .notes
                .iter()
                .any(|n| n.starts_with("job.py:") && n.contains("topics is not known")),
            "{:?}",
            converted.notes
        );
    }
    let job = pyspark(
        "",
        ".option(\"kafka.bootstrap.servers\", config[\"brokers\"]).option(\"subscribe\", \"t\")",
    );
    requests(&converted(&[("job.py", &job)]), "bootstrap", "config[");
}

#[test]
fn options_are_found_however_they_are_given() {
    for options in [
        ".option(\"subscribe\", \"t\").option(\"failOnDataLoss\", False)",
        ".option('SUBSCRIBE', 't').option('failondataloss', 'false')",
        ".options(**{\"subscribe\": \"t\", \"failOnDataLoss\": \"false\"})",
        ".options(subscribe=\"t\", failOnDataLoss=\"false\")",
        ".options(**opts)",
        ".options(**{**base, \"failOnDataLoss\": False})",
        ".option(KEY, \"t\").option(\"failOnDataLoss\", \"false\")",
    ] {
        let before = "KEY = \"subscribe\"\nbase = {\"subscribe\": \"t\"}\nopts = dict(base, failOnDataLoss=\"false\")";
        let spec = spec(&[("job.py", &with(before, options))]);
        assert_eq!(spec.source.topics(), ["t"], "{options}");
        assert_eq!(
            spec.source.on_data_loss(),
            OnDataLoss::Continue,
            "{options}"
        );
    }
}

#[test]
fn a_reader_that_is_built_over_several_statements_is_one_stream() {
    let job = "reader = spark.readStream.format(\"kafka\")\n\
               reader = reader.option(\"kafka.bootstrap.servers\", \"k:9092\")\n\
               reader.option(\"subscribe\", \"t\")\n\
               if True:\n    reader = reader.option(\"startingOffsets\", \"earliest\")\n\
               df = reader.load()\n";
    let spec = spec(&[("job.py", job)]);
    assert_eq!(spec.source.topics(), ["t"]);
    assert_eq!(spec.source.kafka().bootstrap, "k:9092");
    assert_eq!(spec.source.starting_offsets(), &StartingOffsets::Earliest);
}

#[test]
fn a_function_that_reads_is_followed_to_its_calls() {
    let job = "def read(spark, topic, servers=\"k:9092\"):\n    return (spark.readStream.format(\"kafka\")\n        \
               .option(\"kafka.bootstrap.servers\", servers).option(\"subscribe\", topic).load())\n\
               videos = read(spark, \"videos\")\nprofiles = read(spark, topic=\"profiles\")\n";
    let spec = spec(&[("job.py", job)]);
    assert_eq!(spec.source.topics(), ["videos", "profiles"]);
    let helper = "def reader(spark):\n    return spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", \"k:9092\")\n\
                  df = reader(spark).option(\"subscribe\", \"t\").load()\n";
    assert_eq!(super::spec(&[("job.py", helper)]).source.topics(), ["t"]);
}

#[test]
fn names_are_followed_into_other_files_that_are_given() {
    let job = "import config\nfrom config import BROKERS\n\
               df = spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", BROKERS)\\\n    \
               .option(\"subscribe\", config.TOPIC).load()\n";
    let config = "BROKERS = \"k:9092\"\nTOPIC = \"t\"\n";
    let spec = spec(&[("src/job.py", job), ("src/config.py", config)]);
    assert_eq!(
        (spec.source.kafka().bootstrap.as_str(), spec.source.topics()),
        ("k:9092", &["t".to_owned()][..])
    );
}

#[test]
fn what_is_beside_the_stream_is_said() {
    let job = with(
        "",
        ".option(\"subscribe\", \"t\").option(\"maxOffsetsPerTrigger\", 500)",
    ) + "q = (df.withWatermark(\"ts\", \"10 minutes\").groupBy(window(col(\"ts\"), \"5 minutes\", \"1 minute\")).count()\n    \
         .writeStream.trigger(processingTime=\"30 seconds\").option(\"checkpointLocation\", \"s3a://bucket/ckp\").start())\n";
    let converted = converted(&[("job.py", &job)]);
    for line in [
        "location = \"s3://bucket/ckp\"",
        "maxOffsetsPerTrigger = 500: there are no triggers",
        "watermark = 10 minutes: ",
        "window = 5 minutes: ",
        "window slide = 1 minute: ",
        "trigger processingTime = 30 seconds: ",
        "(job.py:",
    ] {
        assert!(
            converted.spec_toml.contains(line),
            "{line} in {}",
            converted.spec_toml
        );
    }
}

#[test]
fn a_job_without_a_stream_of_its_own_uses_what_else_is_known() {
    let script = "redis_host = os.getenv(\"REDIS_HOST\", \"redis\")\nbrokers = os.getenv(\"KAFKA_BROKER\", \"k:9092\")\ntopic = os.getenv(\"KAFKA_TOPIC\", \"t\")\n";
    let spec = spec(&[("job.py", script)]);
    assert_eq!(spec.source.kafka().bootstrap, "k:9092");
    assert_eq!(spec.source.topics(), ["t"]);
    assert_eq!(spec.sink.url, "redis://redis:6379/0");
}
