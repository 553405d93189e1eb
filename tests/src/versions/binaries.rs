//! The binaries of the previous version: those in `$KOL_OLD_BIN`, or built from the commit that `previous-version` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use kol_harness::{binary, root};

const COMMIT: &str = include_str!("../../previous-version");
/// What is run of it.
const PROGRAMS: [&str; 3] = ["kol-master", "kol-executor", "kol-client"];

/// Their folder.
///
/// # Panics
/// They cannot be built, or are the same as those of this tree: then nothing would be shown.
pub fn previous() -> PathBuf {
    let given = std::env::var_os("KOL_OLD_BIN").map(PathBuf::from);
    let folder = given.unwrap_or_else(|| build(commit(COMMIT)));
    let folder = folder.canonicalize().unwrap_or_else(|e| {
        panic!("{}: {e}", folder.display());
    });
    let content =
        |path: &Path| std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    for program in PROGRAMS {
        let is_same = content(&folder.join(program)) == content(&binary(program));
        assert!(!is_same, "{program} is the same in both versions");
    }
    folder
}

/// The first line that is no comment.
fn commit(file: &str) -> &str {
    let mut lines = file.lines().filter(|line| !line.starts_with('#'));
    lines.next().unwrap_or_default().trim()
}

/// Takes the sources from the history of this repository; what was built before is built no more.
fn build(commit: &str) -> PathBuf {
    let folder = root().join("target/versions").join(commit);
    let (sources, target) = (folder.join("src"), folder.join("target"));
    if !sources.is_dir() {
        let (archive, unpacked) = (folder.join("src.tar"), folder.join("unpacked"));
        std::fs::create_dir_all(&unpacked).expect("a folder");
        let file = archive.display().to_string();
        run("git", &["archive", "--output", &file, commit], &root());
        run("tar", &["-xf", &file], &unpacked);
        // At the end: what was interrupted never looks complete.
        std::fs::rename(unpacked, &sources).expect("a folder");
    }
    println!("building {commit} in {}", folder.display());
    let mut arguments = vec!["build", "--profile", "release", "--target-dir"];
    let place = target.display().to_string();
    arguments.push(&place);
    for program in PROGRAMS {
        arguments.extend(["-p", program]);
    }
    run("cargo", &arguments, &sources);
    target.join("release")
}

fn run(program: &str, arguments: &[&str], folder: &Path) {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .status();
    let done = status.as_ref().is_ok_and(|status| status.success());
    assert!(
        done,
        "{program} {}: {status:?}. The history of the repository must be there; $KOL_OLD_BIN may name a folder with \
         binaries instead.",
        arguments.join(" ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_previous_version_is_a_full_commit() {
        let commit = commit(COMMIT);
        assert_eq!(commit.len(), 40);
        assert!(commit.chars().all(|c| c.is_ascii_hexdigit()));
    }
}
