//! Whether a spec makes sense: ranges, and what depends on several keys.

use std::collections::BTreeSet;

use super::names::{is_name, is_platform};
use super::reader::Problems;
use super::{alerts, ambiguity, lengths, overlap, place};
use crate::checkpoint::{Location, location};
use crate::job::spec::MAX_PANES;
use crate::job::{CARRIED_ON, Counters, JobSpec, KafkaSource, Profile, ScoringSpec, SinkSpec};
use crate::time::Millis;

/// Constants of the score lie within these, so that no score can be infinite or undefined: a velocity
/// is below 10^13, so every term stays far below the largest float.
const LARGEST: f64 = 1e6;
const SMALLEST_FLOOR: f64 = 1e-6;
/// A baseline is decayed backwards by window and lateness at most: 2^500 is a double, 2^1024 is not.
const MOST_HALF_LIVES: u64 = 500;
/// Most platforms that a spec names.
const MOST_NAMED: usize = 100;
/// More panes than this deserve a warning about memory.
const MANY_PANES: u64 = 1_000;

/// Notes problems; answers warnings.
pub(super) fn check(spec: &JobSpec, problems: &Problems) -> Vec<String> {
    let mut c = Checks {
        problems,
        warnings: Vec::new(),
    };
    let name_ok = is_name(&spec.name, 100);
    c.require(
        name_ok,
        "name",
        "use 1 to 100 letters, digits, `-`, `_` and `.`",
    );
    lengths::check(spec, problems);
    c.source(spec.source.kafka());
    c.scoring(&spec.scoring);
    c.rekey(spec);
    c.sink(&spec.sink, &spec.name, &spec.scoring);
    alerts::check(spec, problems);
    let checkpoint = &spec.checkpoint;
    let place = &checkpoint.location;
    c.require(
        place.is_empty() || place.parse::<Location>().is_ok(),
        "checkpoint.location",
        location::HELP,
    );
    c.within("checkpoint.interval", checkpoint.interval, 100, 3_600_000);
    c.within("checkpoint.timeout", checkpoint.timeout, 1_000, 3_600_000);
    c.within("checkpoint.min_pause", checkpoint.min_pause, 0, 3_600_000);
    let (most, retain) = (1_000, checkpoint.retain);
    c.require(
        (1..=most).contains(&retain),
        "checkpoint.retain",
        "keep between 1 and 1000 epochs",
    );
    for (key, kept, most) in [
        (
            "checkpoint.retain_minutes",
            checkpoint.retain_minutes,
            1_440,
        ),
        ("checkpoint.retain_hours", checkpoint.retain_hours, 720),
    ] {
        let message = format!("keep one of each of at most {most}");
        c.require(kept <= most, key, &message);
    }
    c.require(
        checkpoint.max_failures >= 1,
        "checkpoint.max_failures",
        "at least 1",
    );
    c.warnings
}

struct Checks<'p> {
    problems: &'p Problems,
    warnings: Vec<String>,
}

impl Checks<'_> {
    fn require(&self, holds: bool, key: &str, message: &str) {
        if !holds {
            self.problems.of_key(key, message);
        }
    }

    fn within(&self, key: &str, value: Millis, least: u64, most: u64) {
        let holds = (least..=most).contains(&value.0);
        let message = format!(
            "{value} is not between {} and {}",
            Millis(least),
            Millis(most)
        );
        self.require(holds, key, &message);
    }

    fn source(&self, s: &KafkaSource) {
        self.require(
            !s.bootstrap.is_empty() && s.bootstrap.split(',').all(is_host_port),
            "source.bootstrap",
            "write host:port, or several with commas between",
        );
        self.require(
            !s.topics.is_empty(),
            "source.topics",
            "name at least one topic",
        );
        let distinct: BTreeSet<_> = s.topics.iter().collect();
        self.require(
            distinct.len() == s.topics.len(),
            "source.topics",
            "a topic is named twice",
        );
        for topic in s.topics.iter().chain(&s.dead_letter) {
            self.require(
                is_name(topic, 249),
                "source.topics",
                &format!("`{topic}` is not a topic name: letters, digits, `.`, `_` and `-`"),
            );
        }
        if let Some(dead_letter) = &s.dead_letter {
            self.require(
                !s.topics.contains(dead_letter),
                "source.dead_letter",
                "the job would read its own dead letters",
            );
        }
        self.require(
            !s.group_id.is_empty(),
            "source.group_id",
            "must not be empty",
        );
        self.within("source.max_ahead", s.max_ahead, 0, 7 * 86_400_000);
    }

    fn rekey(&self, spec: &JobSpec) {
        let Some((rekey, topic)) = spec.rekey() else {
            return;
        };
        let source = spec.source.kafka();
        self.require(
            source.explode.is_none(),
            "source.rekey",
            "a record that holds events of several creators has no one key: it cannot be combined with source.explode",
        );
        let key = match rekey.topic {
            Some(_) => "source.rekey.topic",
            None => "source.rekey",
        };
        let message = format!("`{topic}` is not a topic name: letters, digits, `.`, `_` and `-`");
        self.require(is_name(&topic, 249), key, &message);
        let others = source.topics.iter().chain(&source.dead_letter);
        let mut others = others.chain(&spec.alerts.topic);
        let message = format!(
            "the internal topic `{topic}` is one that the job reads or writes already: give it a name of its own with topic"
        );
        self.require(!others.any(|other| *other == topic), key, &message);
        let century = 100 * 365 * 86_400_000;
        self.within(
            "source.rekey.retention",
            rekey.retention,
            3_600_000,
            century,
        );
    }

    fn scoring(&mut self, s: &ScoringSpec) {
        let key = |name: &str| format!("scoring.{name}");
        self.require(
            !(s.profile == Profile::SparkCompat && s.counters == Counters::Cumulative),
            "scoring.counters",
            "the old job took counters as they stood: profile spark-compat needs \"delta\"",
        );
        for (name, value) in [
            ("window", s.window),
            ("slide", s.slide),
            ("lateness", s.lateness),
            ("half_life", s.half_life),
        ] {
            self.require(value.0 > 0, &key(name), "must be longer than zero");
        }
        self.require(
            s.half_life.0 >= (s.window.0.saturating_add(s.lateness.0)) / MOST_HALF_LIVES,
            "scoring.half_life",
            "is too short to compute with: use at least a five-hundredth of scoring.window and \
             scoring.lateness together",
        );
        self.panes(s);
        self.require(
            s.retire_after.0 >= 2 * s.window.0,
            "scoring.retire_after",
            "must be at least two windows: a creator cools down before it leaves",
        );
        self.require(
            s.entity_ttl >= s.retire_after && s.entity_ttl >= s.window,
            "scoring.entity_ttl",
            "must be at least as long as scoring.retire_after and scoring.window",
        );
        self.require(
            s.platforms.len() <= MOST_NAMED,
            "scoring.platforms",
            &format!("names more than {MOST_NAMED} platforms"),
        );
        let named = s.platforms.iter().map(|p| ("scoring.platforms", p));
        for (key, platform) in named.chain([("scoring.default_platform", &s.default_platform)]) {
            self.require(
                is_platform(platform),
                key,
                "use 1 to 64 lower-case letters, no `:`, no spaces around them",
            );
        }
        for (name, floor) in [
            ("floors.baseline", s.floors.baseline),
            ("floors.market", s.floors.market),
            ("floors.velocity", s.floors.velocity),
        ] {
            self.require(
                (SMALLEST_FLOOR..=LARGEST).contains(&floor),
                &key(name),
                "must be above zero, at least 0.000001: it is a divisor",
            );
        }
        for (name, number) in [
            ("weights.personal", s.weights.personal),
            ("weights.market", s.weights.market),
            ("weights.momentum", s.weights.momentum),
            ("curve.steepness", s.curve.steepness),
            ("curve.midpoint", s.curve.midpoint),
            ("momentum.min", s.momentum.min),
            ("momentum.max", s.momentum.max),
        ] {
            self.require(
                (-LARGEST..=LARGEST).contains(&number),
                &key(name),
                "is too large to compute with: use at most 1000000",
            );
        }
        self.require(
            s.momentum.min < s.momentum.max,
            "scoring.momentum.min",
            "must be below scoring.momentum.max",
        );
        let l = &s.labels;
        self.require(
            l.viral > l.hot && l.hot > l.warm && l.warm > l.normal,
            "scoring.labels",
            "must fall: viral, hot, warm, normal",
        );
    }

    fn panes(&mut self, s: &ScoringSpec) {
        if s.slide.0 == 0 || s.window.0 == 0 {
            return;
        }
        let (window, slide) = (s.window.0, s.slide.0);
        if !window.is_multiple_of(slide) {
            // The next shorter slide of which a whole number makes the window.
            let near = window
                .div_ceil(slide)
                .checked_add(1_000)
                .and_then(|most| (window.div_ceil(slide)..most).find(|k| window.is_multiple_of(*k)))
                .map(|panes| window / panes)
                .filter(|near| *near >= 1_000);
            let hint = near.map_or_else(String::new, |n| format!("; try {}", Millis(n)));
            let message = format!("{} does not divide the window {}{hint}", s.slide, s.window);
            self.require(false, "scoring.slide", &message);
            return;
        }
        let panes = window / slide;
        let ahead = CARRIED_ON.div_ceil(slide);
        self.require(
            s.profile != Profile::Rising || panes.saturating_add(ahead + 3) <= u16::MAX.into(),
            "scoring.slide",
            &format!("{ahead} panes ahead, as profile rising carries rates on for two days, are too many: use a longer slide"),
        );
        self.require(
            panes <= MAX_PANES,
            "scoring.slide",
            &format!(
                "{panes} panes in a window are too many (at most {MAX_PANES}): use a longer slide"
            ),
        );
        if panes > MANY_PANES {
            self.warnings.push(format!(
                "scoring.slide: {panes} panes in a window take {} KiB of memory for each creator",
                panes * 2 * 12 / 1024
            ));
        }
    }

    fn sink(&self, s: &SinkSpec, job: &str, scoring: &ScoringSpec) {
        place::check(s, job, self.problems);
        self.within("sink.flush_interval", s.flush_interval, 10, 60_000);
        self.within("sink.max_staleness", s.max_staleness, 1_000, 86_400_000);
        if let Some(history) = s.history {
            self.within("sink.history", history, 3_600_000, 604_800_000);
        }
        if let Some(ttl) = s.ttl {
            self.require(
                ttl.0 >= 2 * scoring.retire_after.0,
                "sink.ttl",
                "must be at least twice scoring.retire_after, or hashes vanish before their time",
            );
        }
        let k = &s.keys;
        for (key, template, needed) in [
            ("sink.keys.ranking", &k.ranking, &["{platform}"][..]),
            ("sink.keys.hash", &k.hash, &["{platform}", "{kol}"]),
            ("sink.keys.legacy_hash", &k.legacy_hash, &["{kol}"]),
            (
                "sink.keys.fence",
                &k.fence,
                &["{job}", "{topic}", "{partition}"],
            ),
        ] {
            for placeholder in needed {
                self.require(
                    template.contains(placeholder),
                    key,
                    &format!("must contain {placeholder}"),
                );
            }
        }
        ambiguity::check(s, self.problems);
        overlap::check(s, job, self.problems);
    }
}

fn is_host_port(text: &str) -> bool {
    text.trim()
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p > 0))
}
