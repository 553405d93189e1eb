//! The examples of `docs/serving.md` are what a server answers, and its table has the paths there are.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Api, remembered};

const PAGE: &str = include_str!("../../../docs/serving.md");
const PLACE: &str = "http://127.0.0.1:8000";

/// Each `curl` with the JSON behind it: its path, and what it prints.
fn examples() -> Vec<(&'static str, Value)> {
    let calls = PAGE.split("curl -s '").skip(1);
    let calls = calls.map(|after| {
        let (url, after) = after.split_once('\'').unwrap();
        let (_, after) = after.split_once("```json\n").unwrap();
        let (json, _) = after.split_once("\n```").unwrap();
        let shown = serde_json::from_str(json).unwrap_or_else(|e| panic!("{url}: {e}"));
        (url.strip_prefix(PLACE).unwrap(), shown)
    });
    calls.collect()
}

/// Puts "…" where the example has it.
fn hide(answer: &mut Value, shown: &Value) {
    let Some(shown) = shown.as_object() else {
        return;
    };
    for (name, value) in shown {
        if value == "…" && answer[name].is_string() {
            answer[name] = value.clone();
        }
    }
}

#[tokio::test]
async fn every_example_is_answered_as_it_stands_in_the_documents() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let examples = examples();
    assert!(examples.len() > 15, "{}", examples.len());
    for (path, shown) in examples {
        let mut answer = api.get(path).await.json();
        hide(&mut answer, &shown);
        assert_eq!(answer, shown, "{path}\n{answer:#}");
    }
}

#[tokio::test]
async fn the_document_the_table_and_the_description_have_the_same_paths() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let described = api.json("/openapi.json").await;
    let described = described["paths"].as_object().unwrap();
    let described: BTreeSet<&str> = described.keys().map(String::as_str).collect();
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `/"));
    let listed: BTreeSet<String> = rows
        .map(|row| format!("/{}", row.split('`').next().unwrap()))
        .collect();
    let listed: BTreeSet<&str> = listed.iter().map(String::as_str).collect();
    assert_eq!(described, listed);
    // What a stream sends is no document: it has a test of its own.
    let streams = PAGE.split("curl -sN '").skip(1);
    let streams = streams.map(|after| after.split('\'').next().unwrap());
    let streams = streams.map(|url| url.strip_prefix(PLACE).unwrap());
    let paths = examples().into_iter().map(|(path, _)| path).chain(streams);
    let shown = paths.map(|path| {
        let path = path.split('?').next().unwrap();
        let fits = |known: &&str| {
            let parts = || known.split('/').zip(path.split('/'));
            let equal = known.split('/').count() == path.split('/').count();
            equal && parts().all(|(known, part)| known == part || known == "{kol_id}")
        };
        let exact = described.contains(path).then_some(path);
        let known = exact.or_else(|| described.iter().copied().find(fits));
        known.unwrap_or_else(|| panic!("{path} is no path"))
    });
    let shown: BTreeSet<&str> = shown.collect();
    let missing: Vec<_> = described.difference(&shown).collect();
    assert!(missing.is_empty(), "without an example: {missing:?}");
}

#[tokio::test]
async fn the_parameters_of_the_table_are_those_that_are_described() {
    let redis = remembered();
    let api = Api::start(redis.url()).await;
    let described = api.json("/openapi.json").await;
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `/"));
    let mut before = BTreeSet::new();
    for row in rows {
        let columns: Vec<&str> = row.split(" | ").collect();
        let path = format!("/{}", columns[0].trim_end_matches('`'));
        let listed = columns[1].split('`').skip(1).step_by(2);
        let mut listed: BTreeSet<String> = listed.map(str::to_owned).collect();
        if columns[1].starts_with("the same") {
            listed = before;
        }
        let parameters = described["paths"][&path]["get"]["parameters"].as_array();
        let parameters = parameters.cloned().unwrap_or_default();
        let of_query = parameters.iter().filter(|p| p["in"] == "query");
        let names = of_query.map(|p| p["name"].as_str().unwrap().to_owned());
        assert_eq!(names.collect::<BTreeSet<_>>(), listed, "{path}");
        before = listed;
    }
}
