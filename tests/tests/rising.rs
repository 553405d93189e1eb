//! The profile `rising`: what partitions have and a merge makes of random logs is what the reference fold says, with rates
//! that are carried on and rises that are taken back; in whichever order partitions report.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should say where"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use kol_common::Millis;
use kol_common::event::Decoder;
use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::scoring::schema::{Scored, fields};
use kol_common::scoring::{MarketSum, Scoring, Slot, merge};
use kol_executor::state::State;
use kol_fold::{Fold, KolView, Record, View};
use proptest::prelude::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const T0: u64 = 485_000 * HOUR;
const PARTITIONS: u32 = 3;

/// A reading: which creator and video, minutes since the one before, how late it is, and what its counters become.
#[derive(Clone, Debug)]
struct Step {
    kol: u32,
    video: u32,
    minutes: u64,
    late: u64,
    likes: Turn,
    shares: Turn,
}

/// What a counter does.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Grows(u64),
    Leaps(u64),
    Falls(u64),
    /// To where it was before it last leapt or fell.
    Returns,
    IsMissing,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        6 => (0u64..500).prop_map(Turn::Grows),
        2 => (7u64..40).prop_map(Turn::Leaps),
        1 => (2u64..100).prop_map(Turn::Falls),
        2 => Just(Turn::Returns),
        1 => Just(Turn::IsMissing),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let minutes = prop_oneof![8 => 0u64..600, 2 => 600u64..3_000, 1 => 3_000u64..60_000];
    let late = prop_oneof![5 => Just(0u64), 1 => 0u64..3_000];
    (0u32..4, 0u32..3, minutes, late, turn(), turn()).prop_map(
        |(kol, video, minutes, late, likes, shares)| Step {
            kol,
            video,
            minutes,
            late,
            likes,
            shares,
        },
    )
}

/// A counter, and where it was before it last leapt or fell.
fn next((now, before): &mut (u64, u64), turn: Turn) -> Option<u64> {
    match turn {
        Turn::Grows(by) => *now += by,
        Turn::Leaps(times) => (*now, *before) = ((*now * times + 7).min(1_000_000_000), *now),
        Turn::Falls(to) => (*now, *before) = (*now / to, *now),
        Turn::Returns => std::mem::swap(now, before),
        Turn::IsMissing => return None,
    }
    Some(*now)
}

/// The log: videos of a creator come through one partition, a creator's through several.
fn log(steps: &[Step]) -> Vec<Record> {
    let mut counters: BTreeMap<(u32, u32), [(u64, u64); 2]> = BTreeMap::new();
    let mut now = T0;
    let records = steps.iter().enumerate().map(|(offset, step)| {
        now += step.minutes * MINUTE;
        let of_video = counters
            .entry((step.kol, step.video))
            .or_insert([(900, 50); 2]);
        let [likes, shares] = of_video;
        let mut parts = vec![format!(r#""username":"kol_{}""#, step.kol)];
        let time = now - step.late * MINUTE;
        let (likes, shares) = (next(likes, step.likes), next(shares, step.shares));
        if step.video == 0 {
            parts.extend(likes.map(|n| format!(r#""followers":{n}"#)));
        } else {
            parts.push(format!(r#""video_id":"v{}""#, step.video));
            parts.push(format!(
                r#""published_at":"{}""#,
                Millis(time - 40 * MINUTE).iso()
            ));
            parts.extend(likes.map(|n| format!(r#""like_count":{n}"#)));
            parts.extend(shares.map(|n| format!(r#""share_count":{n}"#)));
        }
        Record {
            partition: (step.kol + step.video) % PARTITIONS,
            offset: offset as u64,
            timestamp_ms: Some(time),
            key: None,
            value: Some(format!("{{{}}}", parts.join(",")).into_bytes()),
        }
    });
    records.collect()
}

/// The partitions of a job after this log, at one window end.
fn partitions(scoring: &Arc<Scoring>, log: &[Record]) -> Vec<State> {
    let decoder = Decoder::new("tiktok");
    let mut states: Vec<State> = (0..PARTITIONS)
        .map(|_| State::new(Arc::clone(scoring)))
        .collect();
    for record in log {
        let event = decoder.decode(record.value.as_deref()).unwrap();
        let time = Millis(record.timestamp_ms.unwrap());
        states[record.partition as usize].apply(&event, time);
    }
    let clock = states.iter().filter_map(State::clock).max().unwrap();
    for state in &mut states {
        state.raise_clock(clock);
        state.refresh_market();
    }
    states
}

fn slots_of(states: &[State], kol: &str) -> Vec<Slot> {
    let share = |state: &State| state.share(state.find("tiktok", kol)?);
    states.iter().filter_map(share).collect()
}

fn assert_shown(scoring: &Scoring, kol: &str, slots: &[Slot], market: f64, expected: &KolView) {
    let sums = merge(scoring, slots);
    let terms = scoring.score(&sums, market);
    let scored = Scored {
        scoring,
        sums: &sums,
        terms: &terms,
    };
    let far = (terms.score - expected.score).abs();
    assert!(far <= 1e-9, "{kol}: {terms:?} {expected:?}");
    let mut text = String::new();
    for field in fields(scoring.spec.profile) {
        field.write(&scored, &mut text);
        let number = expected
            .numbers
            .iter()
            .find(|(name, _)| *name == field.name);
        let is_right = match (field.name, number) {
            (_, Some((_, number))) => number.accepts(&text),
            ("trending_label", None) => expected.labels.contains(&&*text),
            (_, None) => text == expected.window_end,
        };
        assert!(
            is_right,
            "{kol}: {} is {text}, {terms:?}\n{expected:?}",
            field.name
        );
    }
}

fn assert_same(spec: &ScoringSpec, log: &[Record]) {
    let scoring = Arc::new(Scoring::new(spec));
    let states = partitions(&scoring, log);
    let view: View = Fold::of(spec, log).view().unwrap();
    let [mut sum, mut other_way] = [MarketSum::default(), MarketSum::default()];
    let shares = || states.iter().filter_map(|state| state.market().1.first());
    shares().for_each(|share| sum.merge(share));
    shares().rev().for_each(|share| other_way.merge(share));
    assert_eq!(sum, other_way);
    let market = sum.measure(spec.profile);
    assert_eq!(view.market.get("tiktok").copied().unwrap_or(0.0), market);
    let mut shown = 0;
    for kol in (0..4).map(|kol| format!("kol_{kol}")) {
        let slots = slots_of(&states, &kol);
        if !slots.is_empty() {
            shown += 1;
            let expected = &view.kols[&("tiktok".to_owned(), kol.clone())];
            assert_shown(&scoring, &kol, &slots, market, expected);
        }
    }
    assert_eq!(shown, view.kols.len());
}

fn spec(profile: Profile) -> ScoringSpec {
    ScoringSpec::defaults(profile, Counters::Cumulative)
}

/// So many logs are tried in each run; more with `PROPTEST_CASES`.
fn many(cases: u32) -> ProptestConfig {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: wanted.and_then(|n| n.parse().ok()).unwrap_or(cases),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(many(1_000))]

    #[test]
    fn product_and_fold_score_random_logs_alike(
        steps in prop::collection::vec(step(), 1..60),
        is_rising in prop::bool::weighted(0.8),
    ) {
        let profile = if is_rising { Profile::Rising } else { Profile::Default };
        assert_same(&spec(profile), &log(&steps));
    }

    #[test]
    fn product_and_fold_score_alike_where_readings_die_early_and_panes_are_short(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut spec = spec(Profile::Rising);
        spec.entity_ttl = Millis(20 * HOUR);
        spec.lateness = Millis(30 * HOUR);
        spec.window = Millis(2 * HOUR);
        spec.slide = Millis(20 * MINUTE);
        spec.retire_after = Millis(40 * HOUR);
        assert_same(&spec, &log(&steps));
    }
}
