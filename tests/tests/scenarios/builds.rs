//! What is built for one purpose serves the others: no crate is compiled twice with different features.

use std::collections::BTreeSet;
use std::process::Command;

use kol_harness::root;

/// What the targets of the Makefile build, and each package whose tests are run alone.
const SELECTIONS: [&str; 14] = [
    "kol-master kol-executor kol-client",
    "kol-master kol-executor kol-demo",
    "kol-bench",
    "kol-bench-parts",
    "kol-client",
    "kol-common",
    "kol-executor",
    "kol-fold",
    "kol-fuzz",
    "kol-harness",
    "kol-master",
    "kol-serve",
    "kol-sim",
    "kol-tests",
];

/// Every crate with its version and features, as cargo compiles it for this selection of packages.
fn crates(selection: &[&str]) -> BTreeSet<String> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--locked", "--offline"])
        .args(["--prefix", "none", "--format", "{p} {f}"])
        .args(selection)
        .current_dir(root())
        .output()
        .expect("cargo");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    // `(*)` marks a crate that was listed above already.
    let names = text.lines().map(|line| line.trim_end_matches(" (*)"));
    names.map(str::to_owned).collect()
}

#[test]
fn whatever_is_built_uses_the_crates_that_the_tests_compile() {
    let all = crates(&["--workspace", "--edges", "normal,dev,no-proc-macro"]);
    assert!(all.len() > 100, "only {} crates", all.len());
    for selection in SELECTIONS {
        let packages = selection.split(' ').flat_map(|package| ["-p", package]);
        for edges in ["normal,no-proc-macro", "normal,dev,no-proc-macro"] {
            let selected: Vec<_> = packages.clone().chain(["--edges", edges]).collect();
            let others: Vec<_> = crates(&selected).difference(&all).cloned().collect();
            assert!(
                others.is_empty(),
                "{selection} alone compiles these again, with these features, see features/Cargo.toml: {others:#?}"
            );
        }
    }
}

#[test]
fn the_image_is_built_with_the_pinned_toolchain() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let pinned: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let channel = pinned["toolchain"]["channel"].as_str().unwrap();
    let first = format!("FROM rust:{channel}-bookworm AS build");
    assert!(read("deploy/Dockerfile").contains(&first), "{first}");
}
