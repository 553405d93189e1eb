//! When an alert is noted: the script in Redis against rules that are written down here a second time.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use kol_common::Millis;
use kol_common::alerts::Raised;
use kol_common::job::{JobSpec, parse, pending_key};
use kol_executor::partition::watch::{Moment, Watch};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::{Commands as _, Connection};

use crate::server::{Server, answer, run};

const FENCE: &str = "streaming:fence:j:t:0";
const KNOWN: &str = "streaming:ranking:tiktok:trending:alerts";
const HOUR: u64 = 3_600_000;
const T0: u64 = 1_795_755_600_000;

fn spec(rules: &str) -> JobSpec {
    let text = format!("name = \"j\"\n[alerts]\ntopic = \"a\"\n{rules}");
    parse(&text, "j").unwrap().spec
}

const RULES: &str = "[[alerts.rules]]\nname = \"hot\"\nlabel = \"Hot\"\nsilence = \"3h\"\n\
    [[alerts.rules]]\nname = \"fast\"\nvelocity_above = 10\nsilence = \"0s\"\nplatform = \"tiktok\"\n\
    [[alerts.rules]]\nname = \"other\"\nvelocity_above = 0\nplatform = \"youtube\"\n";

/// What a hash shows.
#[derive(Clone, Copy, Debug)]
struct Shown {
    label: &'static str,
    velocity: f64,
    hour: u64,
}

fn show(open: &mut Connection, kol: &str, shown: Shown) {
    let end = Millis(T0 + shown.hour * HOUR).iso();
    let velocity = shown.velocity.to_string();
    let fields = [
        ("window_end", end.as_str()),
        ("trending_label", shown.label),
        ("trending_score", "50.00"),
        ("velocity", &velocity),
        ("personal_growth", "1.5"),
        ("event_count", "3"),
        ("total_engagement", "12.5"),
    ];
    let key = format!("trending:tiktok:{kol}");
    let _ok: String = open.hset_multiple(key, &fields).unwrap();
}

fn look(open: &mut Connection, watch: &Watch, kols: &[&str]) -> String {
    let moment = Moment {
        now: "now",
        clock: None,
        generation: 1,
    };
    let call = watch.call("tiktok", moment, kols.iter().copied()).unwrap();
    answer(open, &call)
}

fn pending(open: &mut Connection) -> BTreeMap<String, String> {
    open.hgetall(pending_key(FENCE, "topic")).unwrap()
}

fn flush_all(open: &mut Connection) {
    run(open, "FLUSHALL");
}

#[test]
fn an_alert_is_noted_when_a_rule_becomes_true_and_once_until_it_has_been_false() {
    let server = Server::start();
    let mut open = server.connect();
    let watch = Watch::of(&spec(RULES), FENCE).unwrap();
    let mut shown = Shown {
        label: "Warm",
        velocity: 10.0,
        hour: 0,
    };
    show(&mut open, "a", shown);
    assert_eq!(look(&mut open, &watch, &["a", "nobody"]), "OK  0 0 0");
    assert!(pending(&mut open).is_empty());

    shown = Shown {
        label: "Viral",
        velocity: 10.5,
        hour: 1,
    };
    show(&mut open, "a", shown);
    assert_eq!(
        look(&mut open, &watch, &["a", "nobody"]),
        "OK hot=1 fast=1 0 0 0"
    );
    assert_eq!(
        look(&mut open, &watch, &["a"]),
        "OK  0 0 0",
        "the same flush, sent again"
    );
    let noted: Vec<Raised> = pending(&mut open)
        .values()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
    let hot = noted.iter().find(|alert| alert.rule == "hot").unwrap();
    assert_eq!(
        (hot.kol.as_str(), hot.trending_label.as_str()),
        ("a", "Viral")
    );
    assert_eq!(hot.window_end, Millis(T0 + HOUR).iso());
    assert_eq!(
        (
            hot.velocity.as_str(),
            hot.personal_growth.as_str(),
            hot.total_engagement.as_str()
        ),
        ("10.5", "1.5", "12.5")
    );

    // Down and up again: the one rule is silent still, the other is not.
    show(
        &mut open,
        "a",
        Shown {
            label: "Warm",
            velocity: 1.0,
            hour: 2,
        },
    );
    assert_eq!(look(&mut open, &watch, &["a"]), "OK  0 0 0");
    show(
        &mut open,
        "a",
        Shown {
            label: "Hot",
            velocity: 11.0,
            hour: 3,
        },
    );
    assert_eq!(look(&mut open, &watch, &["a"]), "OK fast=1 1 0 0");
    show(
        &mut open,
        "a",
        Shown {
            label: "Warm",
            velocity: 11.0,
            hour: 4,
        },
    );
    look(&mut open, &watch, &["a"]);
    show(
        &mut open,
        "a",
        Shown {
            label: "Hot",
            velocity: 11.0,
            hour: 5,
        },
    );
    assert_eq!(look(&mut open, &watch, &["a"]), "OK hot=1 0 0 0");
    assert_eq!(pending(&mut open).len(), 4);
}

#[test]
fn a_job_that_reads_again_what_it_has_read_notes_nothing_again() {
    let server = Server::start();
    let mut open = server.connect();
    let watch = Watch::of(&spec(RULES), FENCE).unwrap();
    for round in 0..2 {
        for (hour, label) in [(0, "Cold"), (1, "Hot"), (2, "Cold"), (3, "Cold")] {
            show(
                &mut open,
                "a",
                Shown {
                    label,
                    velocity: 0.0,
                    hour,
                },
            );
            let said = look(&mut open, &watch, &["a"]);
            let expected = match (round, hour) {
                (0, 1) => "OK hot=1 0 0 0",
                (1, 1) => "OK  1 0 0",
                _ => "OK  0 0 0",
            };
            assert_eq!(said, expected, "round {round} hour {hour}");
        }
    }
}

#[test]
fn who_left_the_ranking_is_forgotten_and_so_is_a_rule_that_is_gone() {
    let server = Server::start();
    let mut open = server.connect();
    let watch = Watch::of(&spec(RULES), FENCE).unwrap();
    show(
        &mut open,
        "a",
        Shown {
            label: "Hot",
            velocity: 11.0,
            hour: 0,
        },
    );
    look(&mut open, &watch, &["a"]);
    let only = "[[alerts.rules]]\nname = \"hot\"\nlabel = \"Hot\"\n";
    let fewer = Watch::of(&spec(only), FENCE).unwrap();
    show(
        &mut open,
        "a",
        Shown {
            label: "Cold",
            velocity: 11.0,
            hour: 0,
        },
    );
    look(&mut open, &fewer, &["a"]);
    let known: String = open.hget(KNOWN, "a").unwrap();
    assert_eq!(known, format!("hot 0 {T0}\n"));
    run(&mut open, "DEL trending:tiktok:a");
    look(&mut open, &fewer, &["a"]);
    let known: Option<String> = open.hget(KNOWN, "a").unwrap();
    assert_eq!(known, None);
    assert_eq!(
        pending(&mut open).len(),
        2,
        "what was noted is delivered all the same"
    );
}

#[test]
fn more_than_may_wait_are_counted_as_lost_and_a_key_of_a_wrong_type_is_named() {
    let server = Server::start();
    let mut open = server.connect();
    let both =
        "[alerts]\ntopic = \"a\"\nwebhook = \"http://localhost:1/\"\nwebhook_token = \"file:x\"\n";
    let text = format!("name = \"j\"\n{both}{RULES}");
    let watch = Watch::of(&parse(&text, "j").unwrap().spec, FENCE).unwrap();
    let full: Vec<(String, &str)> = (0..10_000).map(|n| (n.to_string(), "x")).collect();
    let _ok: String = open
        .hset_multiple(pending_key(FENCE, "webhook"), &full)
        .unwrap();
    show(
        &mut open,
        "a",
        Shown {
            label: "Hot",
            velocity: 0.0,
            hour: 0,
        },
    );
    assert_eq!(look(&mut open, &watch, &["a"]), "OK hot=1 0 0 1");
    assert_eq!(pending(&mut open).len(), 1, "the topic has room");

    // A tenth, of alerts that take much room.
    let long = "x".repeat(1_000);
    for (waiting, said) in [(1_000, "OK hot=1 0 0 1"), (999, "OK hot=1 0 0 0")] {
        flush_all(&mut open);
        let _ok: String = open
            .hset_multiple(pending_key(FENCE, "webhook"), &full[..waiting])
            .unwrap();
        show(
            &mut open,
            &long,
            Shown {
                label: "Hot",
                velocity: 0.0,
                hour: 0,
            },
        );
        assert_eq!(look(&mut open, &watch, &[&long]), said);
    }

    flush_all(&mut open);
    for key in [KNOWN, &pending_key(FENCE, "topic")] {
        flush_all(&mut open);
        show(
            &mut open,
            "a",
            Shown {
                label: "Hot",
                velocity: 0.0,
                hour: 0,
            },
        );
        run(&mut open, &format!("SET {key} mine"));
        let said = look(&mut open, &watch, &["a"]);
        assert!(said.starts_with("BADKEY") && said.ends_with(key), "{said}");
    }
}

/// What is noted by the rules as docs/alerts.md has them, without the script.
#[derive(Default)]
struct Model {
    was: BTreeSet<(&'static str, usize)>,
    last: BTreeMap<(&'static str, usize), u64>,
    noted: usize,
    silenced: usize,
}

impl Model {
    fn look(&mut self, kol: usize, shown: Shown) {
        for (rule, is, silence) in [
            ("hot", ["Hot", "Viral"].contains(&shown.label), 3),
            ("fast", shown.velocity > 10.0, 0),
        ] {
            let id = (rule, kol);
            if is && self.was.insert(id) {
                let last = self.last.get(&id);
                if last.is_some_and(|last| shown.hour <= *last || shown.hour < last + silence) {
                    self.silenced += 1;
                } else {
                    self.noted += 1;
                    self.last.insert(id, shown.hour);
                }
            } else if !is {
                self.was.remove(&id);
            }
        }
    }
}

#[test]
fn the_script_notes_what_the_rules_say_whatever_comes() {
    let server = Server::start();
    let open = RefCell::new(server.connect());
    let watch = Watch::of(&spec(RULES), FENCE).unwrap();
    let shown = (
        prop::sample::select(vec!["Cold", "Warm", "Hot", "Viral"]),
        prop::sample::select(vec![0.0, 10.0, 10.25, 1e9]),
        0..3_u64,
    );
    let steps = prop::collection::vec((0..3_usize, shown), 1..60);
    let mut runner = TestRunner::new(Config::with_cases(40));
    runner
        .run(&steps, |steps| {
            let mut open = open.borrow_mut();
            flush_all(&mut open);
            let (mut model, mut hour) = (Model::default(), 0);
            let (mut noted, mut silenced) = (0, 0);
            for (kol, (label, velocity, later)) in steps {
                hour += later;
                let shown = Shown {
                    label,
                    velocity,
                    hour,
                };
                let name = ["a", "b:c", "Nguyễn \"x\""][kol];
                show(&mut open, name, shown);
                model.look(kol, shown);
                let said = look(&mut open, &watch, &[name]);
                let words: Vec<&str> = said.split(' ').collect();
                let of_rules = words.iter().filter_map(|word| word.split_once('='));
                noted += of_rules
                    .map(|(_, n)| n.parse::<usize>().unwrap())
                    .sum::<usize>();
                silenced += words[words.len() - 3].parse::<usize>().unwrap();
            }
            prop_assert_eq!((noted, silenced), (model.noted, model.silenced));
            prop_assert_eq!(
                pending(&mut open).len(),
                noted,
                "each has a field of its own"
            );
            Ok(())
        })
        .unwrap();
}
