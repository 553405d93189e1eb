//! What `tests/setup.sh` says on machines where something is missing that not everything needs.
#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in its helpers"
)]

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use kol_harness::root;
use tempfile::TempDir;

/// A folder with all programs of this machine, but for valgrind and for those that are given with their scripts.
fn programs(replaced: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in replaced {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = std::env::var("PATH").unwrap();
    for program in std::env::split_paths(&path)
        .flat_map(std::fs::read_dir)
        .flatten()
    {
        let program = program.unwrap();
        if !program
            .file_name()
            .as_encoded_bytes()
            .starts_with(b"valgrind")
        {
            // The first one of a name counts.
            let _is_there = symlink(program.path(), folder.path().join(program.file_name()));
        }
    }
    folder
}

fn setup(what: &str, path: &Path, environment: &[(&str, &str)]) -> Output {
    Command::new("bash")
        .arg(root().join("tests/setup.sh"))
        .arg(what)
        .env("PATH", path)
        .env_remove("KOL_NO_INSTALL")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Its only line on standard error.
fn only_line(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn a_machine_without_valgrind_reads_in_one_line_that_nothing_is_counted_and_that_all_else_runs() {
    let expected = "setup: NOT COUNTED: the program valgrind is missing (Debian: valgrind). make bench-guard compares \
                    nothing and passes; all else runs as usual.";
    let refused = programs(&[]);
    let forbidden = setup("guard", refused.path(), &[("KOL_NO_INSTALL", "1")]);
    assert_eq!(only_line(&forbidden).trim_end(), expected);
    assert!(forbidden.stdout.is_empty(), "{forbidden:?}");

    let refuses = "echo 'E: Unable to locate package' >&2; echo noise; exit 100";
    let failing = programs(&[("id", "echo 0"), ("apt-get", refuses)]);
    let line = only_line(&setup("guard", failing.path(), &[]));
    let log = line.strip_prefix(expected).unwrap().trim_end();
    let log = log.strip_prefix(" Installing failed: see ").unwrap();
    let log = std::fs::read_to_string(log.trim_end_matches('.')).unwrap();
    assert_eq!(log, "E: Unable to locate package\nnoise\n");
}
