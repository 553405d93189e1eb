//! Lua and Rust score alike.

use kol_common::job::{Counters, Profile, ScoringSpec, SinkSpec};
use kol_common::scoring::schema::{FIELDS, Field, RANK, Scored, Shows, fields};
use kol_common::scoring::{Scoring, Slot, merge, unpack_slots};
use kol_executor::partition::encode::{CallContext, Encoder, Outgoing};
use kol_executor::sink::Fence;
use mlua::Table;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::database::{Redis, keys, one, scoring};

/// Slot sets tried for each of the four formulas: more than a million in all in an optimised build, or as many as
/// `PROPTEST_CASES` says.
fn cases() -> u32 {
    let wanted = std::env::var("PROPTEST_CASES").ok();
    let usual = if cfg!(debug_assertions) {
        20_000
    } else {
        260_000
    };
    wanted.and_then(|n| n.parse().ok()).unwrap_or(usual)
}

fn slot(partition: u32, profile: Profile) -> impl Strategy<Value = Slot> {
    let engagement = || prop_oneof![Just(0.0), (0u64..1_000_000_000_000).prop_map(|e| e as f64)];
    let tuple = (
        480_000u64..480_060,
        engagement(),
        0u32..5_000,
        engagement(),
        0u32..5_000,
        0.0f64..1e12,
        0.0f64..1e3,
        479_000u64..480_050,
        engagement(),
    );
    let carries_on = profile == Profile::Rising;
    tuple.prop_map(move |(t, e, n, pe, pn, be, bn, first, p)| Slot {
        partition,
        generation: 1,
        window_end: t,
        engagement_e6: e,
        events: n,
        previous_engagement_e6: pe,
        previous_events: pn,
        baseline_engagement_e6: be,
        baseline_events: bn,
        provisional_e6: if carries_on { p } else { 0.0 },
        first_pane: first.min(t - 1),
    })
}

fn slots(profile: Profile) -> impl Strategy<Value = Vec<Slot>> {
    (1u32..=5).prop_flat_map(move |n| {
        let slots = (0..n).map(|partition| slot(partition, profile));
        slots.collect::<Vec<_>>()
    })
}

/// Whether both show the same number, or the number behind them lies on a rounding edge.
fn same(ours: &str, theirs: &str, exact: f64, decimals: usize) -> bool {
    let scaled = exact * 10f64.powi(decimals as i32);
    let edge = (scaled.fract().abs() - 0.5).abs();
    ours == theirs || edge <= 1e-9 * scaled.abs().max(1.0)
}

fn agree(redis: &Redis, scoring: &Scoring, slots: &[Slot], market: f64) {
    let (last, before) = slots.split_last().unwrap();
    redis.prepare(before);
    assert_eq!(
        redis.merge(scoring, market, Some(last), last.partition),
        "OK"
    );
    assert_eq!(redis.field("kol_id"), "a");
    if before.is_empty() {
        assert_eq!(
            redis.field("trending_score"),
            "sent",
            "one slot: as the executor computed it"
        );
        return;
    }
    let sums = merge(scoring, slots);
    let terms = scoring.score(&sums, market);
    let scored = Scored {
        scoring,
        sums: &sums,
        terms: &terms,
    };
    let mut ours = String::new();
    for field in fields(scoring.spec.profile) {
        field.write(&scored, &mut ours);
        let theirs = redis.field(field.name);
        if field.name == "trending_label" {
            // It goes by the score that is shown beside it, which may lie on an edge.
            let shown = redis.field("trending_score").parse().unwrap();
            ours.clear();
            ours.push_str(scoring.label(shown, terms.newcomer));
        }
        assert!(
            shows_the_same(field, &scored, &ours, &theirs),
            "{}: {ours} {theirs} of {slots:?}",
            field.name
        );
    }
    let ranking: Table = redis.db().get("ranking").unwrap();
    let rank: f64 = ranking.get::<String>("a").unwrap().parse().unwrap();
    RANK.write(&scored, &mut ours);
    let ours: f64 = ours.parse().unwrap();
    assert!((rank - ours).abs() < 1e-9, "{rank} {ours}");
}

fn shows_the_same(field: &Field, scored: &Scored<'_>, ours: &str, theirs: &str) -> bool {
    match field.shows {
        Shows::Rounded(decimals, number) => same(ours, theirs, number(scored), decimals),
        Shows::Exact(_) | Shows::Text(_) => ours == theirs,
    }
}

/// The spec with other constants: each is raised by a part of one. So one that is zero by default counts, too.
fn with_constants(spec: &ScoringSpec, raised: &[f64; 16]) -> ScoringSpec {
    let mut spec = serde_json::to_value(spec).unwrap();
    let mut raised = raised.iter();
    for group in ["weights", "floors", "curve", "momentum"] {
        for constant in spec[group].as_object_mut().unwrap().values_mut() {
            let by = raised.next().unwrap();
            *constant = (constant.as_f64().unwrap() + by).into();
        }
    }
    serde_json::from_value(spec).unwrap()
}

fn try_many(profile: Profile, counters: Counters) {
    let spec = ScoringSpec::defaults(profile, counters);
    let raised = prop::array::uniform16(prop_oneof![Just(0.0), 0.0f64..1.0]);
    let raised = prop_oneof![Just([0.0; 16]), raised];
    let redis = Redis::of(profile);
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    };
    let market = prop_oneof![Just(0.0), 0.0f64..10_000.0];
    TestRunner::new(config)
        .run(
            &(slots(profile), market, raised),
            |(slots, market, raised)| {
                let scoring = Scoring::new(&with_constants(&spec, &raised));
                agree(&redis, &scoring, &slots, market);
                Ok(())
            },
        )
        .unwrap();
}

#[test]
fn lua_and_rust_agree_on_random_slot_sets_of_cumulative_jobs() {
    try_many(Profile::Default, Counters::Cumulative);
}

#[test]
fn lua_and_rust_agree_on_random_slot_sets_of_delta_jobs() {
    try_many(Profile::Default, Counters::Delta);
}

#[test]
fn lua_and_rust_agree_on_random_slot_sets_of_the_old_formula() {
    try_many(Profile::SparkCompat, Counters::Delta);
}

#[test]
fn lua_and_rust_agree_on_random_slot_sets_of_rising_creators() {
    try_many(Profile::Rising, Counters::Cumulative);
}

#[test]
fn the_encoder_sends_what_the_script_reads() {
    let scoring = scoring();
    let fence = Fence {
        key: "fence".into(),
        generation: 1,
        assignment_epoch: 1,
    };
    let context = CallContext {
        job: "x",
        scoring: &scoring,
        fence: &fence,
        sequence: 1,
        place: 1,
        platform: "tiktok",
        market: 0.0,
        market_version: 1,
        now: "now",
        shown: true,
    };
    let mut encoder = Encoder::new(&SinkSpec::default(), &scoring.spec, 0);
    let cmd = encoder.call(&context, &[("a", Outgoing::Put(one(0, 1)))]);
    let args: Vec<Vec<u8>> = cmd
        .args_iter()
        .map(|a| match a {
            redis::Arg::Simple(bytes) => bytes.to_vec(),
            _ => Vec::new(),
        })
        .collect();
    let redis = Redis::new();
    redis.prepare(&[]);
    // EVALSHA, hash, number of keys, the keys; then the arguments.
    let argv = redis.lua.create_table().unwrap();
    for (i, arg) in args[3 + keys().len()..].iter().enumerate() {
        argv.set(i + 1, redis.lua.create_string(arg).unwrap())
            .unwrap();
    }
    let sequence = redis.lua.create_sequence_from(keys()).unwrap();
    redis.lua.globals().set("KEYS", sequence).unwrap();
    redis.lua.globals().set("ARGV", argv).unwrap();
    assert_eq!(redis.merge.call::<Vec<String>>(()).unwrap(), ["OK"]);
    let sums = merge(&scoring, &[one(0, 1)]);
    let terms = scoring.score(&sums, 0.0);
    let scored = Scored {
        scoring: &scoring,
        sums: &sums,
        terms: &terms,
    };
    let mut text = String::new();
    for field in FIELDS {
        field.write(&scored, &mut text);
        assert_eq!(redis.field(field.name), text, "{}", field.name);
    }
    assert_eq!(redis.field("window_end"), "2024-10-04T00:00:00.000Z");
    assert_eq!(redis.field("event_count"), "1");
    assert_eq!(redis.field("trending_label"), "Cold");
    assert_eq!(redis.field("generation"), "1");
    assert_eq!(redis.field("updated_at"), "now");
    let slots: Table = redis.db().get("slots").unwrap();
    let packed: mlua::LuaString = slots.get("a").unwrap();
    assert_eq!(unpack_slots(&packed.as_bytes()).unwrap(), vec![one(0, 1)]);
}
