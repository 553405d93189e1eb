//! What becomes of old jobs. Every job here is made up; its habits are those of public ones.

mod arguments;
mod changes;
mod doubts;
mod habits;
mod hostile;
mod login;
mod operators;
mod others;
mod overlays;
mod python;
mod scala;
mod scopes;
mod scripts;
mod settings;
mod several;
mod streams;

use super::{Converted, Input, convert};
use kol_common::job::{JobSpec, parse};

/// Converts files with these names and texts.
fn converted(files: &[(&str, &str)]) -> Converted {
    let inputs: Vec<Input> = files
        .iter()
        .map(|(name, text)| Input {
            name: (*name).to_owned(),
            text: (*text).to_owned(),
        })
        .collect();
    convert(&inputs, &[]).unwrap_or_else(|e| panic!("{e}"))
}

/// The spec of files that leave nothing open.
fn spec(files: &[(&str, &str)]) -> JobSpec {
    let converted = converted(files);
    assert_eq!(converted.fill_in, 0, "{}", converted.spec_toml);
    let parsed = parse(&converted.spec_toml, "converted");
    parsed
        .unwrap_or_else(|e| panic!("{e}\n{}", converted.spec_toml))
        .spec
}

/// A PySpark job around the options of its stream.
fn pyspark(before: &str, options: &str) -> String {
    format!(
        "import os\nfrom pyspark.sql import SparkSession\n{before}\n\
         spark = SparkSession.builder.appName(\"old\").getOrCreate()\n\
         df = (spark.readStream.format(\"kafka\")\n{options}\n    .load())\n"
    )
}

/// Asserts that a line requests a value, and that a check refuses the spec.
#[track_caller]
fn requests(converted: &Converted, key: &str, question: &str) {
    let line = converted
        .spec_toml
        .lines()
        .find(|line| line.starts_with(&format!("{key} = ")));
    let line = line.unwrap_or_else(|| panic!("no {key} in {}", converted.spec_toml));
    assert!(
        line.contains("FILL-IN: ") && line.contains(question),
        "{line}"
    );
    let refused = parse(&converted.spec_toml, "x").unwrap_err().to_string();
    assert!(refused.contains("still to be filled in"), "{refused}");
}
