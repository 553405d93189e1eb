//! What clippy cannot see and would make two runs of one seed differ.

use std::path::{Path, PathBuf};

use kol_harness::root;

/// Crates that the simulation runs.
const CRATES: [&str; 3] = ["common", "executor", "master"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_select_says_what_comes_first() {
    let mut files = Vec::new();
    for name in CRATES {
        sources(&root().join(name).join("src"), &mut files);
    }
    let mut found = 0;
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for (at, _) in text.match_indices("select! {") {
            found += 1;
            let inside = text[at..].trim_start_matches("select! {").trim_start();
            if !inside.starts_with("biased;") {
                let line = text[..at].lines().count();
                panic!("{}:{line}: select! without biased", file.display());
            }
        }
    }
    assert!(found > 5, "found only {found} select!");
}
