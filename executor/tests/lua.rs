//! The shipped Lua scripts against the Rust scoring: they run in a Lua of the version that Redis
//! embeds, over a table that stands in for the database.

#![expect(clippy::unwrap_used, reason = "a test that fails should say where")]

use kol_common::job::{Counters, Profile, ScoringSpec, SinkSpec};
use kol_common::scoring::Market;
use kol_common::scoring::schema::{
    FIELDS, Field, HASH_FIELDS, OLD_MARKET, OLD_SLOTS, OLD_SLOTS_VERSION, RANK, Scored, Shows,
};
use kol_common::scoring::{Packed, Scoring, Slot, merge, pack_slots, unpack_slots};
use kol_executor::sink::merge_call::{self, Argument, Key, PER_KOL};
use kol_executor::sink::script;
use mlua::{Function, Lua, Table, Value, Variadic};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Slot sets tried for each of the three formulas: more than a million in all in an optimised build.
fn cases() -> u32 {
    if cfg!(debug_assertions) {
        20_000
    } else {
        340_000
    }
}

/// What Redis gives scripts, as far as ours use it.
const REDIS: &str = r#"
db, kinds = {}, {}
redis = {}
commands = {}
function commands.TYPE(key)
    if db[key] == nil then return {ok = 'none'} end
    if type(db[key]) == 'string' then return {ok = 'string'} end
    return {ok = kinds[key] or 'hash'}
end
function commands.HGET(key, field) return db[key] and db[key][field] or false end
function commands.HMGET(key, ...)
    local out = {}
    for i, field in ipairs({...}) do out[i] = db[key] and db[key][field] or false end
    return out
end
function commands.HSET(key, ...)
    db[key] = db[key] or {}
    local args = {...}
    for i = 1, #args, 2 do db[key][args[i]] = tostring(args[i + 1]) end
end
function commands.HDEL(key, ...)
    for _, field in ipairs({...}) do
        if db[key] then db[key][field] = nil end
    end
end
function commands.DEL(key) db[key], kinds[key] = nil, nil end
commands.UNLINK = commands.DEL
function commands.EXISTS(key) return db[key] and 1 or 0 end
function commands.RENAME(from, to)
    db[to], db[from] = db[from], nil
    kinds[to], kinds[from] = kinds[from], nil
end
function commands.ZUNIONSTORE(to, _, a, b)
    local all = {}
    for _, key in ipairs({a, b}) do
        for member, score in pairs(db[key]) do all[member] = score end
    end
    db[to], kinds[to] = all, 'zset'
end
function commands.ZADD(key, ...)
    db[key], kinds[key] = db[key] or {}, 'zset'
    local args = {...}
    for i = 1, #args, 2 do db[key][args[i + 1]] = args[i] end
end
function commands.ZREM(key, ...)
    for _, member in ipairs({...}) do
        if db[key] then db[key][member] = nil end
    end
end
function commands.GET(key) return db[key] or false end
function commands.SET(key, value) db[key] = value end
function commands.SADD(key, member)
    db[key], kinds[key] = db[key] or {}, 'set'
    db[key][member] = true
end
function commands.PEXPIRE() end
function redis.call(name, ...) return commands[name](...) end
function redis.pcall(name, key, ...)
    local reads_text = name == 'GET'
    if db[key] ~= nil and (type(db[key]) == 'string') ~= reads_text then
        return {err = 'WRONGTYPE'}
    end
    return redis.call(name, key, ...)
end
"#;

/// The keys of a call that merges `a`.
fn keys() -> Vec<&'static str> {
    let common = Key::ALL.map(|key| match key {
        Key::Fence => "fence",
        Key::Ranking => "ranking",
        Key::Record => "record",
        Key::Next => "next",
        Key::Before => "before",
        Key::Platforms => "platforms",
        Key::Slots => "slots",
    });
    common.into_iter().chain(["hash"]).collect()
}

struct Redis {
    lua: Lua,
    merge: Function,
}

impl Redis {
    fn new() -> Self {
        let lua = Lua::new();
        let structs = lua.create_table().unwrap();
        structs
            .set("unpack", lua.create_function(unpack).unwrap())
            .unwrap();
        structs
            .set("pack", lua.create_function(pack).unwrap())
            .unwrap();
        lua.globals().set("struct", structs).unwrap();
        lua.load(REDIS).exec().unwrap();
        let merge = lua
            .load(script::MERGE_SOURCE.as_str())
            .into_function()
            .unwrap();
        Self { lua, merge }
    }

    fn db(&self) -> Table {
        self.lua.globals().get("db").unwrap()
    }

    /// The fence of generation 1, epoch 1, flush 1; and the slots that the hash of `a` has.
    fn prepare(&self, slots: &[Slot]) {
        let db = self.lua.create_table().unwrap();
        let fence = self.lua.create_table().unwrap();
        for (key, value) in [("gen", "1"), ("ae", "1"), ("begun", "1")] {
            fence.set(key, value).unwrap();
        }
        db.set("fence", fence).unwrap();
        self.lua.globals().set("db", db).unwrap();
        let kinds = self.lua.create_table().unwrap();
        self.lua.globals().set("kinds", kinds).unwrap();
        if !slots.is_empty() {
            self.set_field("slots", "a", &pack_slots(&Market::default(), slots));
        }
    }

    /// Sets a field of a hash.
    fn set_field(&self, hash: &str, field: &str, value: &[u8]) {
        let there: Option<Table> = self.db().get(hash).unwrap();
        let there = there.unwrap_or_else(|| self.lua.create_table().unwrap());
        there
            .set(field, self.lua.create_string(value).unwrap())
            .unwrap();
        self.db().set(hash, there).unwrap();
    }

    /// Merges one slot of `a`; the values sent along are marked as the executor's.
    fn merge(&self, scoring: &Scoring, market: f64, slot: Option<&Slot>, partition: u32) -> String {
        self.merge_as_of(scoring, (market, 1), slot, partition)
    }

    fn merge_as_of(
        &self,
        scoring: &Scoring,
        (market, version): (f64, u64),
        slot: Option<&Slot>,
        partition: u32,
    ) -> String {
        let kols = [slot];
        self.call(("1", "live"), scoring, (market, version), &kols, partition)
    }

    /// Merges one slot of `a`, or none of anybody.
    fn call(
        &self,
        (generation, shown): (&str, &str),
        scoring: &Scoring,
        (market, version): (f64, u64),
        kols: &[Option<&Slot>],
        partition: u32,
    ) -> String {
        let market = Market {
            mean: market,
            version,
        };
        let common = Argument::ALL.map(|argument| match argument {
            Argument::Generation => generation.into(),
            Argument::AssignmentEpoch | Argument::Sequence => b"1".to_vec(),
            Argument::Partition => partition.to_le_bytes().to_vec(),
            Argument::Platform => b"tiktok".to_vec(),
            Argument::Now => b"now".to_vec(),
            Argument::Count => kols.len().to_string().into(),
            Argument::Ttl => b"0".to_vec(),
            Argument::Constants => merge_call::constants(scoring, &market).into(),
            Argument::Shown => shown.into(),
        });
        let mut args = Vec::from(common);
        for slot in kols {
            args.push(b"a".to_vec());
            let mut packed = Vec::new();
            if let Some(slot) = slot {
                slot.pack_into(&mut packed);
            }
            args.push(packed);
            args.extend(std::iter::repeat_n(b"sent".to_vec(), PER_KOL - 2));
        }
        let argv = self.lua.create_table().unwrap();
        for (i, arg) in args.iter().enumerate() {
            argv.set(i + 1, self.lua.create_string(arg).unwrap())
                .unwrap();
        }
        let keys = self.lua.create_sequence_from(keys()).unwrap();
        self.lua.globals().set("KEYS", keys).unwrap();
        self.lua.globals().set("ARGV", argv).unwrap();
        self.merge.call::<Vec<String>>(()).unwrap().join(" ")
    }

    fn hash(&self) -> Option<Table> {
        self.db().get("hash").unwrap()
    }

    fn field(&self, name: &str) -> String {
        self.hash().unwrap().get(name).unwrap()
    }
}

/// The numbers of a layout of the `struct` library, as far as the script uses it.
fn numbers(layout: &str) -> Vec<Packed> {
    let all = [Packed::U32, Packed::U40, Packed::F64];
    let mut rest = layout.strip_prefix('<').unwrap();
    let mut found = Vec::new();
    while !rest.is_empty() {
        let next = all.iter().find(|n| rest.starts_with(n.lua())).unwrap();
        rest = &rest[next.lua().len()..];
        found.push(*next);
    }
    found
}

/// `struct.unpack`.
fn unpack(
    _lua: &Lua,
    (layout, bytes, at): (String, mlua::LuaString, Option<usize>),
) -> mlua::Result<Variadic<Value>> {
    let bytes = bytes.as_bytes();
    let mut rest = &bytes[at.unwrap_or(1) - 1..];
    let numbers = numbers(&layout).into_iter().map(|number| {
        let (packed, behind) = rest.split_at(number.bytes());
        rest = behind;
        let mut whole = [0; 8];
        whole[..packed.len()].copy_from_slice(packed);
        Value::Number(match number {
            Packed::U32 | Packed::U40 => u64::from_le_bytes(whole) as f64,
            Packed::F64 => f64::from_le_bytes(whole),
        })
    });
    Ok(numbers.collect())
}

/// `struct.pack`.
fn pack(lua: &Lua, (layout, values): (String, Variadic<f64>)) -> mlua::Result<mlua::LuaString> {
    let mut bytes = Vec::new();
    for (number, value) in numbers(&layout).into_iter().zip(values) {
        let whole = match number {
            Packed::U32 | Packed::U40 => (value as u64).to_le_bytes(),
            Packed::F64 => value.to_le_bytes(),
        };
        bytes.extend_from_slice(&whole[..number.bytes()]);
    }
    lua.create_string(bytes)
}

fn slot(partition: u32) -> impl Strategy<Value = Slot> {
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
    );
    tuple.prop_map(move |(t, e, n, pe, pn, be, bn, first)| Slot {
        partition,
        generation: 1,
        window_end: t,
        engagement_e6: e,
        events: n,
        previous_engagement_e6: pe,
        previous_events: pn,
        baseline_engagement_e6: be,
        baseline_events: bn,
        first_pane: first.min(t - 1),
    })
}

fn slots() -> impl Strategy<Value = Vec<Slot>> {
    (1u32..=5).prop_flat_map(|n| (0..n).map(slot).collect::<Vec<_>>())
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
    for field in FIELDS {
        field.write(&scored, &mut ours);
        let theirs = redis.field(field.name);
        if field.name == "trending_label" {
            // It goes by the score that is shown beside it, which may lie on an edge.
            let shown = redis.field("trending_score").parse().unwrap();
            ours.clear();
            ours.push_str(scoring.label(shown));
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

fn try_many(profile: Profile, counters: Counters) {
    let scoring = Scoring::new(&ScoringSpec::defaults(profile, counters));
    let redis = Redis::new();
    let config = Config {
        cases: cases(),
        failure_persistence: None,
        ..Config::default()
    };
    let market = prop_oneof![Just(0.0), 0.0f64..10_000.0];
    TestRunner::new(config)
        .run(&(slots(), market), |(slots, market)| {
            agree(&redis, &scoring, &slots, market);
            Ok(())
        })
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

fn scoring() -> Scoring {
    Scoring::new(&ScoringSpec::defaults(
        Profile::Default,
        Counters::Cumulative,
    ))
}

fn one(partition: u32, generation: u32) -> Slot {
    Slot {
        partition,
        generation,
        window_end: 480_000,
        engagement_e6: 1e6,
        events: 1,
        first_pane: 479_999,
        ..Slot::default()
    }
}

#[test]
fn a_slot_takes_the_place_of_the_one_its_partition_had_and_order_does_not_matter() {
    let redis = Redis::new();
    redis.prepare(&[one(0, 1), one(1, 1)]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(redis.field("event_count"), "2");
}

#[test]
fn slots_of_an_older_generation_are_ignored_and_a_newer_one_is_not_touched() {
    let redis = Redis::new();
    redis.prepare(&[Slot {
        generation: 0,
        ..one(1, 0)
    }]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(
        redis.field("trending_score"),
        "sent",
        "the only slot of this generation"
    );
    redis.prepare(&[one(1, 2)]);
    let answer = redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(answer, "FENCED");
    assert!(redis.hash().is_none());
}

#[test]
fn removing_the_last_slot_removes_hash_and_ranking_entry_together() {
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    redis.merge(&scoring(), 0.0, None, 0);
    assert_eq!(redis.field("event_count"), "1");
    redis.merge(&scoring(), 0.0, None, 1);
    assert!(redis.hash().is_none());
    let ranking: Table = redis.db().get("ranking").unwrap();
    assert!(ranking.is_empty());
}

#[test]
fn a_slot_that_is_sent_again_is_scored_again() {
    let redis = Redis::new();
    redis.prepare(&[one(0, 1)]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(
        redis.field("trending_score"),
        "sent",
        "by a new market measure"
    );
}

#[test]
fn a_late_flush_does_not_bring_an_old_market_measure_back() {
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.merge_as_of(&scoring(), (10.0, 1), Some(&one(0, 1)), 0);
    redis.merge_as_of(&scoring(), (500.0, 2), Some(&one(1, 1)), 1);
    let newest = redis.field("raw_score");
    redis.merge_as_of(&scoring(), (10.0, 1), Some(&one(0, 1)), 0);
    assert_eq!(redis.field("raw_score"), newest);
    redis.merge_as_of(&scoring(), (10.0, 3), Some(&one(0, 1)), 0);
    assert_ne!(redis.field("raw_score"), newest);
}

#[test]
fn what_comes_late_does_not_score_the_only_slot_of_another_by_an_older_market_measure() {
    let empty = Slot {
        engagement_e6: 0.0,
        events: 0,
        previous_engagement_e6: 0.0,
        previous_events: 0,
        ..one(1, 1)
    };
    for late in [None, Some(&empty)] {
        let redis = Redis::new();
        redis.prepare(&[]);
        redis.merge_as_of(&scoring(), (500.0, 2), Some(&one(0, 1)), 0);
        // Neither is sent again when the market changes: nothing would correct it.
        redis.merge_as_of(&scoring(), (10.0, 1), late, 1);
        let is = redis.field("raw_score");
        redis.merge_as_of(&scoring(), (500.0, 2), late, 1);
        assert_eq!(redis.field("raw_score"), is, "{late:?}");
    }
}

#[test]
fn slots_of_another_layout_are_overwritten() {
    for field in [&b"\x01abc"[..], b"\x02abc", b""] {
        let redis = Redis::new();
        redis.prepare(&[]);
        redis.set_field("slots", "a", field);
        let answer = redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
        assert_eq!(answer, "OK");
        assert_eq!(redis.field("trending_score"), "sent");
    }
}

#[test]
fn what_readers_read_is_text_and_slots_lie_beside_the_ranking() {
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    let mut names: Vec<String> = Vec::new();
    let hash = redis.hash().unwrap();
    for field in hash.pairs::<String, mlua::LuaString>() {
        let (name, value) = field.unwrap();
        assert!(value.to_str().is_ok(), "{name} is not text");
        names.push(name);
    }
    assert_eq!(names.len(), HASH_FIELDS);
    assert!(!names.iter().any(|name| name.starts_with('_')), "{names:?}");
    let slots: Table = redis.db().get("slots").unwrap();
    let packed: mlua::LuaString = slots.get("a").unwrap();
    let mut packed = unpack_slots(&packed.as_bytes()).unwrap();
    packed.sort_by_key(|slot| slot.partition);
    assert_eq!(packed, [one(0, 1), one(1, 1)]);
    redis.merge(&scoring(), 0.0, None, 0);
    redis.merge(&scoring(), 0.0, None, 1);
    assert!(slots.is_empty(), "they leave with the creator");
}

#[test]
fn slots_of_an_earlier_version_are_read_once_and_removed_from_the_hash() {
    let old = |market: &str| {
        let redis = Redis::new();
        redis.prepare(&[]);
        let mut packed = vec![OLD_SLOTS_VERSION];
        one(0, 1).pack_into(&mut packed);
        redis.set_field("hash", OLD_SLOTS, &packed);
        redis.set_field("hash", OLD_MARKET, market.as_bytes());
        redis
    };
    let redis = old("1 2 500");
    assert_eq!(
        redis.merge_as_of(&scoring(), (10.0, 1), Some(&one(1, 1)), 1),
        "OK"
    );
    assert_eq!(redis.field("event_count"), "2", "nothing goes back");
    let by_the_newer = redis.field("raw_score");
    for field in [OLD_SLOTS, OLD_MARKET] {
        let left: Option<String> = redis.hash().unwrap().get(field).unwrap();
        assert_eq!(left, None, "{field}");
    }
    redis.merge_as_of(&scoring(), (500.0, 2), Some(&one(1, 1)), 1);
    assert_eq!(redis.field("raw_score"), by_the_newer);
    let redis = old("0 2 500");
    redis.merge_as_of(&scoring(), (10.0, 1), Some(&one(1, 1)), 1);
    assert_ne!(
        redis.field("raw_score"),
        by_the_newer,
        "a measure of an older generation says nothing"
    );
}

/// Merges `a` while one key is a string.
fn with_a_string(key: &str) -> (Redis, String) {
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.db().set(key, "a string").unwrap();
    let answer = redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    let still: Option<String> = redis.db().get(key).ok();
    assert_eq!(still.as_deref(), Some("a string"), "it is somebody else's");
    (redis, answer)
}

#[test]
fn a_creator_whose_hash_is_of_a_wrong_type_is_left_out_named_and_keeps_its_slots() {
    let (redis, answer) = with_a_string("hash");
    assert_eq!(answer, "BADKEY hash");
    assert_eq!(members(&redis, "ranking"), None);
    redis.db().set("hash", Value::Nil).unwrap();
    redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    assert_eq!(redis.field("event_count"), "2");
    assert_eq!(members(&redis, "ranking"), Some(vec!["a".into()]));
    redis.db().set("hash", "a string").unwrap();
    redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    assert_eq!(members(&redis, "ranking"), Some(vec![]), "it leaves both");
    for partition in [0, 1] {
        assert_eq!(
            redis.merge(&scoring(), 0.0, None, partition).as_str(),
            ["BADKEY hash", "OK"][partition as usize]
        );
    }
    let left: String = redis.db().get("hash").unwrap();
    assert_eq!(left, "a string", "also when the creator leaves");
}

#[test]
fn a_key_of_a_wrong_type_that_the_platform_shares_is_named() {
    for key in ["ranking", "slots", "platforms", "next", "before"] {
        let (redis, answer) = with_a_string(key);
        assert_eq!(answer, format!("BADKEY {key}"));
        // The hash needs neither the ranking nor the list of platforms; but where the generation of the
        // ranking changes, its keys are not touched while one of them is of a wrong type.
        assert_eq!(redis.hash().is_some(), key == "platforms", "{key}");
    }
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.set_field("record", "of", b"another");
    let answer = redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    assert_eq!(answer, "BADKEY record");
    let redis = Redis::new();
    redis.prepare(&[]);
    redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0);
    redis.db().set("ranking", "a string").unwrap();
    let answer = redis.merge(&scoring(), 0.0, Some(&one(1, 1)), 1);
    assert_eq!(answer, "BADKEY ranking");
    assert_eq!(redis.field("event_count"), "2", "hashes go on");
}

#[test]
fn a_merge_without_its_fence_or_behind_a_newer_one_is_refused() {
    let redis = Redis::new();
    redis.prepare(&[]);
    let fence: Table = redis.db().get("fence").unwrap();
    for (field, value) in [("gen", "2"), ("ae", "2"), ("begun", "2")] {
        fence.set(field, value).unwrap();
        assert_eq!(
            redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0),
            "FENCED",
            "{field}"
        );
        fence.set(field, "1").unwrap();
    }
    redis.db().set("fence", Value::Nil).unwrap();
    assert_eq!(redis.merge(&scoring(), 0.0, Some(&one(0, 1)), 0), "NOFENCE");
    assert!(redis.hash().is_none());
}

/// The members of a ranking, and whether it is there.
fn members(redis: &Redis, key: &str) -> Option<Vec<String>> {
    let ranking: Option<Table> = redis.db().get(key).unwrap();
    let ranking = ranking?;
    let pairs = ranking.pairs::<String, Value>();
    Some(pairs.map(|pair| pair.unwrap().0).collect())
}

#[test]
fn a_generation_takes_the_place_of_an_older_one_at_once_or_later_and_never_beside_it() {
    let a = || Some(vec!["a".to_owned()]);
    let old = || Some(vec!["old".to_owned()]);
    for shown in ["live", "next"] {
        let redis = Redis::new();
        redis.prepare(&[]);
        let merge = |generation: &str, shown: &str, slot: Option<&Slot>| {
            let fence: Table = redis.db().get("fence").unwrap();
            fence.set("gen", generation).unwrap();
            let kols: Vec<_> = slot.into_iter().map(Some).collect();
            redis.call((generation, shown), &scoring(), (0.0, 1), &kols, 0)
        };
        let lua = &redis.lua;
        lua.load("commands.ZADD('ranking', 19, 'old')")
            .exec()
            .unwrap();
        assert_eq!(merge("2", shown, Some(&one(0, 2))), "OK");
        if shown == "next" {
            assert_eq!(
                (members(&redis, "ranking"), members(&redis, "next")),
                (old(), a())
            );
            assert_eq!(
                merge("1", "live", Some(&one(0, 1))),
                "FENCED",
                "an older one"
            );
            // Without a creator: there may be nothing else to say.
            assert_eq!(merge("2", "live", None), "OK");
        }
        assert_eq!(
            (members(&redis, "ranking"), members(&redis, "next")),
            (a(), None)
        );
        assert_eq!(members(&redis, "before"), old());
        assert_eq!(
            merge("1", "live", Some(&one(0, 1))),
            "FENCED",
            "an older one"
        );
        assert_eq!(merge("2", "next", Some(&one(0, 2))), "OK", "late to know");
        assert_eq!(
            (members(&redis, "ranking"), members(&redis, "next")),
            (a(), None)
        );
        // The next but one, while the first lies aside.
        assert_eq!(merge("3", "live", Some(&one(0, 3))), "OK");
        let mut aside = members(&redis, "before").unwrap();
        aside.sort();
        assert_eq!(aside, ["a", "old"]);
        assert_eq!(members(&redis, "platforms"), Some(vec!["tiktok".into()]));
    }
}

#[test]
fn a_generation_record_that_was_evicted_does_not_cost_the_ranking() {
    for (other, shown) in [("nothing", "ranking"), ("next", "next")] {
        let redis = Redis::new();
        redis.prepare(&[]);
        let fence: Table = redis.db().get("fence").unwrap();
        fence.set("done", "1").unwrap();
        let lua = &redis.lua;
        lua.load("commands.ZADD('ranking', 19, 'b')")
            .exec()
            .unwrap();
        lua.load(format!("commands.ZADD('{other}', 19, 'b')"))
            .exec()
            .unwrap();
        let slot = one(0, 1);
        let answer = redis.call(("1", "next"), &scoring(), (0.0, 1), &[Some(&slot)], 0);
        assert_eq!(answer, "OK");
        let mut there = members(&redis, shown).unwrap();
        there.sort();
        assert_eq!(there, ["a", "b"]);
        assert_eq!(members(&redis, "before"), None);
    }
}

#[test]
fn the_newest_event_of_a_flush_is_shown_even_when_an_older_job_saw_a_newer_one() {
    let redis = Redis::new();
    let done = redis.lua.load(include_str!("../src/sink/lua/done.lua"));
    let done = done.into_function().unwrap();
    let globals = redis.lua.globals();
    let keys = ["fence", "last_update", "last_event"];
    let keys = redis.lua.create_sequence_from(keys).unwrap();
    globals.set("KEYS", keys).unwrap();
    let (in_2100, today) = ("2100-01-01T00:00:00.000Z", "2026-11-26T05:00:00.000Z");
    redis.prepare(&[]);
    for (newest, shown) in [(in_2100, in_2100), (today, today), ("", today)] {
        let arguments = ["1", "1", "1", today, newest];
        let arguments = redis.lua.create_sequence_from(arguments).unwrap();
        globals.set("ARGV", arguments).unwrap();
        assert_eq!(done.call::<String>(()).unwrap(), "OK");
        let event: String = redis.db().get("last_event").unwrap();
        assert_eq!(event, shown);
    }
}

#[test]
fn where_nothing_is_shown_nothing_is_waited_for() {
    let redis = Redis::new();
    redis.prepare(&[]);
    let one = one(0, 1);
    let answer = redis.call(("1", "next"), &scoring(), (0.0, 1), &[Some(&one)], 0);
    assert_eq!(answer, "OK");
    assert_eq!(members(&redis, "ranking"), Some(vec!["a".to_owned()]));
}

#[test]
fn the_encoder_sends_what_the_script_reads() {
    use kol_executor::partition::encode::{CallContext, Encoder, Outgoing};
    use kol_executor::sink::Fence;
    let scoring = scoring();
    let fence = Fence {
        key: "fence".into(),
        generation: 1,
        assignment_epoch: 1,
    };
    let context = CallContext {
        scoring: &scoring,
        fence: &fence,
        sequence: 1,
        platform: "tiktok",
        market: 0.0,
        market_version: 1,
        now: "now",
        live: true,
    };
    let mut encoder = Encoder::new(&SinkSpec::default(), "tiktok", 0);
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

#[test]
fn a_claim_for_another_log_has_nothing_to_wait_for_and_the_next_one_again() {
    let redis = Redis::new();
    let claim = redis.lua.load(include_str!("../src/sink/lua/claim.lua"));
    let claim = claim.into_function().unwrap();
    let begin = redis.lua.load(include_str!("../src/sink/lua/begin.lua"));
    let begin = begin.into_function().unwrap();
    let run = |script: &Function, arguments: &[&str]| {
        let globals = redis.lua.globals();
        globals.set("KEYS", vec!["fence"]).unwrap();
        globals.set("ARGV", arguments.to_vec()).unwrap();
        script.call::<Value>(()).unwrap()
    };
    let claimed = |epoch: &str, log: &str| {
        let Value::Table(answer) = run(&claim, &["1", epoch, log]) else {
            panic!("a claim answers with a list");
        };
        let answer: Vec<String> = answer.sequence_values().map(Result::unwrap).collect();
        answer[3..].join(" ")
    };
    assert_eq!(claimed("1", "x/0"), " ", "of a new generation");
    run(&begin, &["1", "1", "1", "500", "70", "0"]);
    assert_eq!(claimed("2", "x/0"), "500 70");
    assert_eq!(claimed("3", ""), "500 70", "it does not know its log");
    assert_eq!(claimed("4", "x/1"), " ", "the log lost its tail");
    run(&begin, &["1", "4", "2", "420", "60", "0"]);
    assert_eq!(claimed("5", "x/1"), "420 60", "and not the old place");
}
