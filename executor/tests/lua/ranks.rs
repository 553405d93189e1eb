//! When a rule about ranks is true: the script in Redis, over rankings as they are shown and as they were kept.

use kol_common::Millis;
use kol_common::job::parse;
use kol_common::redis::history::Name;
use kol_executor::partition::watch::{Moment, Watch};
use redis::{Commands as _, Connection};

use crate::server::{Server, answer, run};

const RANKING: &str = "ranking:tiktok:trending";
const RECORD: &str = "streaming:ranking:tiktok:trending:generation";
const HISTORY: &str = "streaming:ranking:tiktok:trending:history";
const SNAPSHOTS: &str = "streaming:ranking:tiktok:trending:snapshots";
const MINUTE: u64 = 60_000;
const T0: u64 = 1_795_755_600_000;
const CLOCK: u64 = T0 + 600 * MINUTE;

const TOP: &str = "rank_at_most = 2\nsilence = \"0s\"";
const RISES: &str = "rank_rises = 3\nwithin = \"1h\"\nsilence = \"0s\"";

/// A Redis that shows a ranking of generation 3, and a rule.
struct Rig {
    open: Connection,
    watch: Watch,
    /// Hours that hashes are ahead: an alert is about a window end of its own.
    hour: u64,
    _server: Server,
}

impl Rig {
    fn new(rule: &str) -> Self {
        let spec = format!(
            "name = \"j\"\n[alerts]\ntopic = \"a\"\n[[alerts.rules]]\nname = \"r\"\n{rule}\n"
        );
        let spec = parse(&spec, "j").unwrap().spec;
        let server = Server::start();
        let mut rig = Self {
            open: server.connect(),
            watch: Watch::of(&spec, "streaming:fence:j:t:0").unwrap(),
            hour: 0,
            _server: server,
        };
        rig.record("3 live");
        rig
    }

    fn record(&mut self, text: &str) {
        let _ok: String = self.open.set(RECORD, text).unwrap();
    }

    /// The ranking that is shown, the first one first.
    fn rank(&mut self, kols: &[&str]) {
        run(&mut self.open, &format!("DEL {RANKING}"));
        for (kol, score) in kols.iter().rev().zip(1..) {
            let _new: u64 = self.open.zadd(RANKING, *kol, score).unwrap();
        }
    }

    /// Keeps a ranking of so many minutes ago.
    fn keep(&mut self, ago: u64, kols: &[&str], cut: &str) {
        let name = Name {
            at: Millis(CLOCK - ago * MINUTE),
            generation: 2,
        };
        let creators: Vec<_> = kols.iter().map(|kol| (kol, 1.0)).collect();
        let creators = serde_json::to_string(&creators).unwrap();
        let text = format!("{{\"window_end\":\"x\",\"creators\":{creators}{cut}}}");
        let name_text = name.to_string();
        let _new: u64 = self.open.hset(SNAPSHOTS, &name_text, text).unwrap();
        let _new: u64 = self.open.zadd(HISTORY, &name_text, name.at.0).unwrap();
    }

    fn look(&mut self, kol: &str) -> String {
        self.hour += 1;
        let end = Millis(T0 + self.hour * 60 * MINUTE).iso();
        let fields = [
            ("window_end", end.as_str()),
            ("trending_label", "Cold"),
            ("trending_score", "50.00"),
            ("velocity", "1"),
            ("personal_growth", "1"),
            ("event_count", "3"),
            ("total_engagement", "12"),
        ];
        let key = format!("trending:tiktok:{kol}");
        let _ok: String = self.open.hset_multiple(key, &fields).unwrap();
        let moment = Moment {
            now: "now",
            clock: Some(Millis(CLOCK)),
            generation: 3,
        };
        let call = self.watch.call("tiktok", moment, [kol].into_iter());
        answer(&mut self.open, &call.unwrap())
    }

    fn raises(&mut self, kol: &str) -> bool {
        let said = self.look(kol);
        assert!(said == "OK r=1 0 0 0" || said == "OK  0 0 0", "{said}");
        said.contains("r=1")
    }

    /// The newest alert that waits.
    fn waiting(&mut self) -> serde_json::Value {
        let all: Vec<String> = self
            .open
            .hvals("streaming:streaming:fence:j:t:0:alerts:topic")
            .unwrap();
        let all = all.iter().map(|text| serde_json::from_str(text).unwrap());
        all.max_by_key(|alert: &serde_json::Value| alert["window_end"].to_string())
            .unwrap()
    }
}

const FIVE: [&str; 5] = ["a", "b", "c", "d", "e"];

#[test]
fn a_creator_that_enters_the_first_raises_an_alert_once_until_it_has_left_them() {
    let mut rig = Rig::new(TOP);
    rig.rank(&["b", "a", "c"]);
    assert!(!rig.raises("c") && rig.raises("a") && !rig.raises("a"));
    assert_eq!(rig.waiting()["rank"], 2);
    assert!(rig.waiting().get("rank_before").is_none());
    rig.rank(&["b", "c", "a"]);
    assert!(!rig.raises("a") && rig.raises("c"));
    rig.rank(&["a", "b", "c"]);
    assert!(rig.raises("a"), "it has left them meanwhile");
    rig.rank(&["b"]);
    assert!(!rig.raises("a"), "it has no place");
}

#[test]
fn while_another_generation_is_shown_nothing_becomes_true_or_false() {
    let mut rig = Rig::new(TOP);
    rig.rank(&["a", "b", "c"]);
    for record in ["2 live", "3 next"] {
        rig.record(record);
        assert!(!rig.raises("a"), "{record}");
    }
    rig.record("3 live");
    assert!(rig.raises("a"));
    rig.rank(&["b", "c", "a"]);
    rig.record("4 live");
    assert!(!rig.raises("a"));
    rig.record("3 live");
    rig.rank(&["a", "b", "c"]);
    assert!(!rig.raises("a"), "it was not false in between");
}

#[test]
fn places_are_counted_against_the_newest_ranking_that_is_old_enough() {
    let mut rig = Rig::new(RISES);
    rig.keep(65, &["e", "a", "b", "c", "d"], "");
    rig.keep(60, &FIVE, "");
    rig.keep(59, &["d", "e", "a", "b", "c"], "");
    rig.rank(&["a", "b", "e", "c", "d"]);
    assert!(!rig.raises("e"), "two places are too few");
    rig.rank(&["d", "e", "a", "b", "c"]);
    assert!(rig.raises("d"));
    assert_eq!(
        (
            rig.waiting()["rank"].as_u64(),
            rig.waiting()["rank_before"].as_u64()
        ),
        (Some(1), Some(4))
    );
    assert!(rig.raises("e"), "three places, to the second");
    assert!(!rig.raises("a"), "it has lost some");
}

#[test]
fn a_ranking_that_is_too_old_or_too_new_says_nothing() {
    for (ago, is) in [(59, false), (60, true), (70, true), (71, false)] {
        let mut rig = Rig::new(RISES);
        rig.keep(ago, &FIVE, "");
        rig.rank(&["e", "a", "b", "c", "d"]);
        assert_eq!(rig.raises("e"), is, "{ago} minutes");
    }
}

#[test]
fn who_is_not_in_a_ranking_comes_from_behind_its_last_unless_it_may_not_have_fitted() {
    for (cut, is) in [("", true), (",\"cut\":true", false)] {
        let mut rig = Rig::new(RISES);
        rig.keep(60, &["a", "b", "c"], cut);
        rig.rank(&["new", "a", "b", "c"]);
        assert_eq!(rig.raises("new"), is, "{cut}");
        rig.rank(&["a", "new", "b", "c"]);
        assert!(!rig.raises("new"), "two places");
    }
}

#[test]
fn what_is_no_snapshot_says_nothing_and_a_key_of_a_wrong_type_is_named() {
    let mut rig = Rig::new(RISES);
    rig.keep(60, &FIVE, "");
    rig.rank(&["e", "a", "b", "c", "d"]);
    let name = Millis(CLOCK - 60 * MINUTE).iso() + "/2";
    for text in ["", "[]", "{\"creators\":[1]}", "{\"creators\":3}"] {
        let _old: u64 = rig.open.hset(SNAPSHOTS, &name, text).unwrap();
        assert!(!rig.raises("e"), "{text}");
    }
    for key in [HISTORY, SNAPSHOTS, RANKING, RECORD] {
        let mut rig = Rig::new(RISES);
        rig.keep(60, &FIVE, "");
        rig.rank(&["e", "a", "b", "c", "d"]);
        run(&mut rig.open, &format!("DEL {key}"));
        if key == RECORD {
            run(&mut rig.open, &format!("HSET {key} mine 1"));
        } else {
            run(&mut rig.open, &format!("SET {key} mine"));
        }
        let said = rig.look("e");
        assert!(said.starts_with("BADKEY") && said.ends_with(key), "{said}");
    }
}
