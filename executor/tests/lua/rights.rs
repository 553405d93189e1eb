//! Which rights the Redis user of a job needs.

use std::collections::BTreeSet;
use std::path::Path;

use kol_common::redis::commands_needed;
use kol_executor::sink::script;

/// What scripts say in capitals beside the commands that they run.
const WORDS: [&str; 5] = ["OK", "NOFENCE", "FENCED", "BADKEY", "CLAIMED"];

/// The commands that a script runs: whatever it quotes in capitals, wherever it puts a command together.
fn commands_of(source: &str) -> impl Iterator<Item = &str> {
    let code = source.lines().map(|line| line.split("--").next().unwrap());
    let quoted = code.flat_map(|line| line.split('\'').skip(1).step_by(2));
    quoted.filter(|text| {
        let capitals = text.len() > 1 && text.bytes().all(|b| b.is_ascii_uppercase());
        capitals && !WORDS.contains(text)
    })
}

#[test]
fn every_command_of_a_script_is_among_the_rights_that_are_looked_for_and_that_the_readme_lists() {
    let sources = [
        script::CLAIM_SOURCE,
        script::BEGIN_SOURCE,
        script::MERGE_SOURCE.as_str(),
        script::DONE_SOURCE,
        script::COMPARE_SOURCE,
    ];
    let run: BTreeSet<&str> = sources.into_iter().flat_map(commands_of).collect();
    // One of a call, of a protected call, of a table, and of a helper.
    for command in ["TYPE", "HSET", "ZREM", "ZMSCORE"] {
        assert!(run.contains(command), "{command} of {run:?}");
    }
    let needed: BTreeSet<&str> = commands_needed().collect();
    let lacking: Vec<_> = run.difference(&needed).collect();
    assert!(lacking.is_empty(), "nobody looks for {lacking:?}");

    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let mut lines = readme.lines();
    let user = lines.find(|line| line.starts_with("ACL SETUSER kol "));
    let listed: BTreeSet<_> = user.unwrap().split(' ').collect();
    for command in needed {
        let right = format!("+{}", command.to_lowercase());
        assert!(listed.contains(right.as_str()), "{right}");
    }
}
