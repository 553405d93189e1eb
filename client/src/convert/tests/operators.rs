//! Commands that stand in sources: operators of Airflow, tasks, subprocesses.

use super::{converted, requests, spec};

const JOB: &str = "import argparse, os\nfrom pyspark.sql import SparkSession\nspark = SparkSession.builder.getOrCreate()\n\
    p = argparse.ArgumentParser()\np.add_argument(\"--topic\", default=\"dev\")\na = p.parse_args()\n\
    spark.readStream.format(\"kafka\").option(\"kafka.bootstrap.servers\", os.getenv(\"BROKERS\", \"localhost:9092\"))\
    .option(\"subscribe\", a.topic).load()\n";

#[test]
fn an_operator_of_airflow_is_a_command() {
    let dag = "from airflow.providers.apache.spark.operators.spark_submit import SparkSubmitOperator\nENV = {\"BROKERS\": \"live:9092\"}\n\
        t = SparkSubmitOperator(task_id=\"x\", application=\"dags/job.py\", name=\"old\", application_args=[\"--topic\", \"live\"],\n    \
        conf={\"spark.executor.instances\": \"7\"}, executor_memory=\"3g\", env_vars=ENV)\n";
    let files = [("job.py", JOB), ("dag.py", dag)];
    let read = spec(&files);
    assert_eq!(read.source.topics(), ["live"]);
    assert_eq!(read.source.kafka().bootstrap, "live:9092");
    assert_eq!(read.name, "old");
    let converted = converted(&files);
    assert!(
        converted
            .spec_toml
            .contains("7 executors with 3g of memory"),
        "{}",
        converted.spec_toml
    );
    let said = converted.notes.join("\n");
    assert!(!said.contains("is not set in the files given"), "{said}");
}

#[test]
fn what_an_operator_gives_only_at_its_run_is_requested() {
    for arguments in [
        "[\"--topic\", \"{{ params.topic }}\"]",
        "[\"--topic\", Variable.get(\"topic\")]",
        "load()",
        "[\"--topic={{ var.value.topic }}\"]",
    ] {
        let dag = format!(
            "t = SparkSubmitOperator(application=\"job.py\", application_args={arguments}, env_vars={{\"BROKERS\": \"k:9092\"}})\n"
        );
        let files = [("job.py", JOB), ("dag.py", &dag[..])];
        requests(&converted(&files), "topics", "FILL-IN");
    }
}

#[test]
fn scripts_and_lists_of_words_in_sources_are_commands() {
    for command in [
        "BashOperator(bash_command=\"spark-submit job.py --topic live\", env={\"BROKERS\": \"k:9092\"})",
        "BashOperator(bash_command=f\"BROKERS=k:9092 spark-submit job.py --day {{{{ ds }}}} --topic {TOPIC}\")",
        "os.system(\"BROKERS=k:9092 spark-submit job.py --topic live\")",
        "subprocess.run([\"env\", \"BROKERS=k:9092\", \"spark-submit\", \"job.py\", \"--topic\", TOPIC])",
    ] {
        let dag = format!("import os, subprocess\nTOPIC = \"live\"\n{command}\n");
        let read = spec(&[("job.py", JOB), ("dag.py", &dag)]);
        assert_eq!(read.source.topics(), ["live"], "{command}");
        assert_eq!(read.source.kafka().bootstrap, "k:9092", "{command}");
    }
    let task = "{\"python_file\": \"dbfs:/job.py\", \"parameters\": [\"--topic\", \"live\"]}\n";
    let read = spec(&[("job.py", JOB), ("task.py", task)]);
    assert_eq!(read.source.topics(), ["live"]);
    let open = "BashOperator(bash_command=\"BROKERS=k:9092 spark-submit job.py --topic {{ params.topic }}\")\n";
    let open = converted(&[("job.py", JOB), ("dag.py", open)]);
    requests(&open, "topics", "params.topic");
}

#[test]
fn operators_that_start_the_same_source_differently_leave_it_open() {
    let dag = "for env in [\"a\", \"b\"]:\n    pass\n\
        SparkSubmitOperator(application=\"job.py\", application_args=[\"--topic\", \"a\"])\n\
        SparkSubmitOperator(application=\"job.py\", application_args=[\"--topic\", \"b\"])\n";
    let open = converted(&[("job.py", JOB), ("dag.py", dag)]);
    requests(&open, "topics", "give differently");
    let lacking = "SparkSubmitOperator(application=\"job.py\", application_args=[\"--topic\", \"a\"], env_vars={\"BROKERS\": \"k:9092\"})\n\
        SparkSubmitOperator(application=\"job.py\", application_args=[\"--day\", \"1\"])\n";
    let open = converted(&[("job.py", JOB), ("dag.py", lacking)]);
    requests(&open, "topics", "give differently");
    requests(&open, "bootstrap", "give differently");
}
