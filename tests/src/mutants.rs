//! `make mutants`: breaks what holds the system together, one piece at a time, in a copy of the sources,
//! and runs the tests that must notice. See `mutants.toml`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde::Deserialize;

const LIST: &str = include_str!("../mutants.toml");
/// Builds what scenarios start.
const BINARIES: [&str; 7] = [
    "build",
    "-p",
    "kol-master",
    "-p",
    "kol-executor",
    "-p",
    "kol-client",
];

/// What `mutants.toml` has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

/// One piece that is broken, and who must notice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    file: PathBuf,
    from: String,
    to: String,
    tests: Vec<String>,
}

/// What became of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Failed,
    Passed,
    /// It did not come to a test: then nothing was shown.
    NotRun,
}

/// Breaks all, or those whose name contains `only`; the names of those that nobody noticed.
pub fn run(only: &str) -> Vec<String> {
    let list: List = toml::from_str(LIST).expect("mutants.toml");
    let chosen: Vec<_> = list
        .mutant
        .iter()
        .filter(|m| m.name.contains(only))
        .collect();
    let copy = Copy::make();
    copy.is_well(&chosen);
    let mut survived = Vec::new();
    for mutant in chosen {
        let begun = Instant::now();
        let file = copy.folder.join(&mutant.file);
        let whole = std::fs::read_to_string(&file).expect("a source file");
        std::fs::write(&file, mutant.applied_to(&whole)).expect("the copy is ours");
        let outcomes: Vec<_> = mutant.tests.iter().map(|t| (t, copy.test(t))).collect();
        std::fs::write(&file, whole).expect("the copy is ours");
        let noticed = outcomes.iter().all(|(_, o)| *o == Outcome::Failed);
        let word = if noticed { "noticed" } else { "SURVIVED" };
        let took = Duration::from_secs(begun.elapsed().as_secs());
        println!("{word:<9} {} ({took:?})", mutant.name);
        for (test, outcome) in outcomes.iter().filter(|(_, o)| *o != Outcome::Failed) {
            println!("          cargo test {test}: {outcome:?}");
        }
        if !noticed || outcomes.is_empty() {
            survived.push(mutant.name.clone());
        }
    }
    survived
}

impl Mutant {
    fn applied_to(&self, text: &str) -> String {
        let count = text.matches(&self.from).count();
        assert_eq!(
            count,
            1,
            "mutants.toml, `{}`: the text is {count} times in {}",
            self.name,
            self.file.display()
        );
        text.replacen(&self.from, &self.to, 1)
    }
}

/// The sources in a folder of their own: nobody builds a broken binary by accident.
struct Copy {
    folder: PathBuf,
    target: PathBuf,
    /// Kafka is looked for beside the sources otherwise.
    kafka: PathBuf,
}

impl Copy {
    /// Files that are the same are left as they are, so that little is built again.
    fn make() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = root.parent().expect("the workspace");
        let folder = root.join("target/mutants/src");
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .expect("git");
        let names = String::from_utf8(listed.stdout).expect("names in UTF-8");
        let names: BTreeSet<_> = names.lines().map(PathBuf::from).collect();
        remove_others(&folder, Path::new(""), &names);
        for name in &names {
            let to = folder.join(name);
            // One that was deleted is still listed until that is committed.
            let Ok(content) = std::fs::read(root.join(name)) else {
                continue;
            };
            if std::fs::read(&to).is_ok_and(|there| there == content) {
                continue;
            }
            std::fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            std::fs::write(&to, content).expect("a copy");
        }
        Self {
            target: root.join("target/mutants/target"),
            kafka: root.join("target/tools/kafka/libs"),
            folder,
        }
    }

    /// A test that fails anyway notices nothing: all must pass while nothing is broken.
    fn is_well(&self, mutants: &[&Mutant]) {
        let tests: BTreeSet<_> = mutants.iter().flat_map(|m| &m.tests).collect();
        println!("with nothing broken: {} tests must pass", tests.len());
        for test in tests {
            let outcome = self.test(test);
            let what = format!("cargo test {test}, with nothing broken");
            assert_eq!(outcome, Outcome::Passed, "{what}");
        }
    }

    fn cargo(&self, arguments: &[&str]) -> Output {
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(arguments)
            .current_dir(&self.folder)
            .env("CARGO_TARGET_DIR", &self.target)
            // What is built again for each piece should be built fast: not optimised, without names for a debugger.
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_DEV_DEBUG", "false")
            .env("KOL_KAFKA_LIBS", &self.kafka)
            .output()
            .expect("cargo")
    }

    fn test(&self, arguments: &str) -> Outcome {
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        // Scenarios start binaries, which their test does not build.
        if arguments.contains(&"kol-tests") {
            let built = self.cargo(&BINARIES);
            if !built.status.success() {
                eprintln!("{}", String::from_utf8_lossy(&built.stderr));
                return Outcome::NotRun;
            }
        }
        let output = self.cargo(&[&["test"], &*arguments].concat());
        let text = String::from_utf8_lossy(&output.stdout);
        let ran = text.contains("... FAILED") || text.contains("... ok");
        match (ran, output.status.success()) {
            (false, _) => {
                eprintln!("{}", String::from_utf8_lossy(&output.stderr));
                Outcome::NotRun
            }
            (true, true) => Outcome::Passed,
            (true, false) => Outcome::Failed,
        }
    }
}

/// Removes the files in `below` that are not among `names`: sources of an earlier run that were moved since, of
/// which the compiler would find two.
fn remove_others(folder: &Path, below: &Path, names: &BTreeSet<PathBuf>) {
    let found = std::fs::read_dir(folder.join(below));
    for entry in found.into_iter().flatten().flatten() {
        let name = below.join(entry.file_name());
        let kind = entry.file_type().expect("what it is");
        if kind.is_dir() {
            remove_others(folder, &name, names);
        } else if !names.contains(&name) {
            std::fs::remove_file(folder.join(&name)).expect("the copy is ours");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_were_moved_since_an_earlier_run_leave_the_copy() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("src/log")).expect("a folder");
        for name in ["src/log.rs", "src/log/mod.rs", "Cargo.toml"] {
            std::fs::write(path(name), "").expect("a file");
        }
        let names = ["Cargo.toml", "src/log/mod.rs"];
        let names = names.into_iter().map(PathBuf::from).collect();
        remove_others(folder.path(), Path::new(""), &names);
        assert!(path("Cargo.toml").exists() && path("src/log/mod.rs").exists());
        assert!(!path("src/log.rs").exists());
    }

    #[test]
    fn every_piece_that_is_to_be_broken_is_there_once_and_has_somebody_who_must_notice() {
        let list: List = toml::from_str(LIST).expect("mutants.toml");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(list.mutant.len() >= 10);
        for mutant in list.mutant {
            let text = std::fs::read_to_string(root.join(&mutant.file)).expect("a source file");
            assert_ne!(mutant.applied_to(&text), text, "{}", mutant.name);
            assert!(!mutant.tests.is_empty(), "{}", mutant.name);
        }
    }
}
