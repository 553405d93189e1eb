//! What kind of file it is.

/// Languages with a front-end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// PySpark, in Python sources.
    Python,
    /// Scala sources of a Spark application.
    Scala,
    /// Scripts, command lines, `.env` files.
    Shell,
    /// `spark-defaults.conf` and the like.
    Properties,
    /// Files of docker-compose or Kubernetes.
    Yaml,
    /// Notebooks of Jupyter.
    Notebook,
    /// What has no front-end.
    Other,
}

/// By the file's extension; by its content if that says nothing.
pub fn kind(name: &str, text: &str) -> Kind {
    let file = name.rsplit('/').next().unwrap_or(name);
    let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "py" | "pyspark" => Kind::Python,
        "ipynb" => Kind::Notebook,
        "scala" | "sc" => Kind::Scala,
        "sh" | "bash" | "env" => Kind::Shell,
        "conf" if is_hocon(text) => Kind::Other,
        "properties" | "conf" => Kind::Properties,
        "yml" | "yaml" => Kind::Yaml,
        "ini" | "cfg" | "json" | "toml" | "xml" | "hocon" | "kt" | "sql" | "r" | "md" | "tf"
        | "tpl" | "j2" => Kind::Other,
        _ if file.starts_with(".env") => Kind::Shell,
        _ if file.starts_with("Dockerfile") => Kind::Other,
        _ => by_content(text),
    }
}

/// Whether a file holds nothing but variables: `.env`, `prod.env`.
pub fn is_env_file(name: &str) -> bool {
    let file = name.rsplit('/').next().unwrap_or(name);
    file.ends_with(".env") || file.starts_with(".env")
}

/// Whether a `.conf` file is one of Typesafe's configuration and not of Spark.
fn is_hocon(text: &str) -> bool {
    let lines = text.lines().map(str::trim);
    let mut live = lines.filter(|line| !line.starts_with(['#', '/']));
    live.any(|line| line.ends_with('{') || line.starts_with("include "))
}

fn by_content(text: &str) -> Kind {
    let first = text.lines().next().unwrap_or_default();
    if first.starts_with("#!") {
        return if first.contains("python") {
            Kind::Python
        } else {
            Kind::Shell
        };
    }
    let lines = || text.lines().map(str::trim_start);
    let any = |starts: &[&str]| lines().any(|line| starts.iter().any(|s| line.starts_with(s)));
    if any(&["import org.apache.spark", "object ", "val ", "package "]) {
        Kind::Scala
    } else if any(&[
        "from pyspark",
        "import pyspark",
        "def ",
        "import os",
        "from ",
    ]) {
        Kind::Python
    } else if any(&["apiVersion:", "services:", "version:", "---"]) {
        Kind::Yaml
    } else if text.contains("-submit") || any(&["export ", "if ["]) {
        Kind::Shell
    } else if any(&["spark."]) && !any(&["spark.readStream", "spark.conf", "spark ="]) {
        Kind::Properties
    } else if text.contains("readStream") || text.contains("SparkSession") {
        Kind::Python
    } else {
        Kind::Shell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_recognised_by_extension_and_by_content() {
        for (name, text, is) in [
            ("a/job.py", "", Kind::Python),
            ("Job.scala", "", Kind::Scala),
            (".env", "", Kind::Shell),
            (".env.production", "", Kind::Shell),
            ("spark-defaults.conf", "", Kind::Properties),
            ("application.conf", "kafka {\n  topic = t\n}\n", Kind::Other),
            ("app.ini", "", Kind::Other),
            ("Dockerfile", "", Kind::Other),
            ("job.ipynb", "", Kind::Notebook),
            ("compose.yaml", "", Kind::Yaml),
            ("job", "#!/usr/bin/env python3\n", Kind::Python),
            ("job", "#!/bin/sh\n", Kind::Shell),
            ("job", "import org.apache.spark.sql._\n", Kind::Scala),
            (
                "job",
                "from pyspark.sql import SparkSession\n",
                Kind::Python,
            ),
            (
                "job",
                "/opt/spark/bin/spark-submit --name x job.py",
                Kind::Shell,
            ),
            ("job", "spark.executor.memory 2g\n", Kind::Properties),
            ("job", "apiVersion: v1\n", Kind::Yaml),
            ("job", "df = spark.readStream.format('kafka')", Kind::Python),
        ] {
            assert_eq!(kind(name, text), is, "{name}: {text}");
        }
    }
}
