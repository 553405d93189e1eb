//! Which rights the Redis user of a job needs.

use std::collections::BTreeSet;
use std::path::Path;

use kol_common::Millis;
use kol_common::job::{Profile, parse};
use kol_common::redis::{RIGHTS_MISSING, commands_needed};
use kol_executor::partition::encode::Outgoing;
use kol_executor::partition::watch::{Moment, Watch};
use kol_executor::sink::script;

use crate::database::one;
use crate::history::{T0, keep};
use crate::server::{Partition, Server, answer, run};

/// What scripts say in capitals beside the commands that they run.
const WORDS: [&str; 8] = [
    "OK",
    "NOFENCE",
    "FENCED",
    "BADKEY",
    "CLAIMED",
    "RAISED",
    "WRONGTYPE",
    "WITHSCORES",
];

/// The commands that a script runs: whatever it quotes in capitals, wherever it puts a command together.
fn commands_of(source: &str) -> impl Iterator<Item = &str> {
    let code = source.lines().map(|line| line.split("--").next().unwrap());
    let quoted = code.flat_map(|line| line.split('\'').skip(1).step_by(2));
    quoted.filter(|text| {
        let capitals = text.len() > 1 && text.bytes().all(|b| b.is_ascii_uppercase());
        capitals && !WORDS.contains(text)
    })
}

/// All commands that the scripts run.
fn commands() -> BTreeSet<&'static str> {
    let sources = [
        script::CLAIM_SOURCE.as_str(),
        script::BEGIN_SOURCE.as_str(),
        script::merge_source(Profile::Default),
        script::merge_source(Profile::Rising),
        script::DONE_SOURCE.as_str(),
        script::COMPARE_SOURCE.as_str(),
        script::COMPARE_RISING_SOURCE.as_str(),
        script::FORGET_SOURCE.as_str(),
        script::ALERTS_SOURCE.as_str(),
        script::HISTORY_SOURCE.as_str(),
    ];
    sources.into_iter().flat_map(commands_of).collect()
}

#[test]
fn every_command_of_a_script_is_among_the_rights_that_are_looked_for_and_that_the_readme_lists() {
    let commands = commands();
    // One of a call, of a protected call, of a table, and of a helper.
    for command in ["TYPE", "HSET", "ZREM", "ZMSCORE"] {
        assert!(commands.contains(command), "{command} of {commands:?}");
    }
    let needed: BTreeSet<&str> = commands_needed().collect();
    let lacking: Vec<_> = commands.difference(&needed).collect();
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

/// What partitions of two generations send so that every command is run: the first waits for its ranking to be
/// shown, the second does not, removes a creator, and the last one of a platform, compares, keeps the ranking twice, and
/// looks how far a creator has risen since.
fn story() -> Vec<redis::Cmd> {
    let a = [("a", Outgoing::Put(one(0, 1)))];
    let mut first = Partition::new(1);
    let mut calls = vec![first.claim(), first.begin()];
    calls.push(first.merge("tiktok", false, &a));
    calls.push(first.merge("tiktok", true, &[]));
    calls.push(first.done());
    let mut second = Partition::new(2);
    calls.extend([second.claim(), second.begin()]);
    calls.push(second.merge("tiktok", true, &a));
    calls.push(second.merge("tiktok", true, &[("b", Outgoing::Remove)]));
    calls.push(second.merge("youtube", true, &[("b", Outgoing::Remove)]));
    calls.push(second.forget(&["a"]));
    calls.push(second.compare("tiktok", &["a"]));
    calls.push(keep(&second.fence, 0, &[]));
    calls.push(keep(&second.fence, 1, &[0]));
    calls.push(second.done());
    calls.push(rises(&second));
    calls
}

/// A rule that looks at the ranking as it was a minute after it was kept first.
fn rises(partition: &Partition) -> redis::Cmd {
    let spec = "name = \"j\"\n[alerts]\ntopic = \"a\"\n[[alerts.rules]]\nname = \"r\"\nrank_rises = 3\nwithin = \"1m\"\n";
    let spec = parse(spec, "j").unwrap().spec;
    let watch = Watch::of(&spec, &partition.fence.key).unwrap();
    let moment = Moment {
        now: "now",
        clock: Some(Millis(T0 + 2 * 60_000)),
        generation: 2,
    };
    watch.call("tiktok", moment, ["a"].into_iter()).unwrap()
}

#[test]
fn a_right_that_a_script_lacks_is_an_error_and_never_taken_for_a_key_of_a_wrong_type() {
    let server = Server::start();
    let (mut admin, mut user) = (server.connect(), server.connect());
    run(&mut admin, "ACL SETUSER kol on >pw ~* +@all");
    run(&mut user, "AUTH kol pw");
    for command in commands().into_iter().map(Some).chain([None]) {
        run(&mut admin, "FLUSHALL");
        run(&mut admin, "ZADD ranking:tiktok:trending 19.15 old");
        run(&mut admin, "ACL SETUSER kol +@all");
        if let Some(command) = command {
            run(&mut admin, &format!("ACL SETUSER kol -{command}"));
        }
        let answers: Vec<_> = story().iter().map(|c| answer(&mut user, c)).collect();
        let named = answers.iter().any(|answer| answer == RIGHTS_MISSING);
        assert_eq!(named, command.is_some(), "{command:?}: {answers:?}");
        let taken = answers.iter().any(|answer| answer.contains("BADKEY"));
        assert!(!taken, "{command:?}: {answers:?}");
    }
}
