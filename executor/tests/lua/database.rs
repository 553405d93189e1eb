//! A table in place of the database, and calls of the scripts over it.

use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::scoring::{Market, Scoring, Slot, SlotLayout, pack_market, pack_slots};
use kol_executor::sink::merge_call::{self, Argument, Key, Kind, Kols};
use kol_executor::sink::script;
use mlua::{Function, Lua, Table, Value};

use crate::structs;

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
    local args, new = {...}, 0
    for i = 1, #args, 2 do
        if db[key][args[i]] == nil then new = new + 1 end
        db[key][args[i]] = tostring(args[i + 1])
    end
    return new
end
function drop_if_empty(key)
    if db[key] and next(db[key]) == nil then commands.DEL(key) end
end
function commands.HDEL(key, ...)
    for _, field in ipairs({...}) do
        if db[key] then db[key][field] = nil end
    end
    drop_if_empty(key)
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
    drop_if_empty(key)
end
commands.SREM = commands.ZREM
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
pub fn keys() -> Vec<&'static str> {
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

pub struct Redis {
    pub lua: Lua,
    pub merge: Function,
    profile: Profile,
}

impl Redis {
    pub fn new() -> Self {
        Self::of(Profile::Default)
    }

    /// With the script of a profile.
    pub fn of(profile: Profile) -> Self {
        let lua = Lua::new();
        structs::add(&lua).unwrap();
        lua.load(REDIS).exec().unwrap();
        let merge = lua
            .load(script::merge_source(profile))
            .into_function()
            .unwrap();
        Self {
            lua,
            merge,
            profile,
        }
    }

    pub fn db(&self) -> Table {
        self.lua.globals().get("db").unwrap()
    }

    /// The fence of generation 1, epoch 1, flush 1; and the slots that the hash of `a` has.
    pub fn prepare(&self, slots: &[Slot]) {
        let db = self.lua.create_table().unwrap();
        let fence = self.lua.create_table().unwrap();
        for (key, value) in [("gen", "1"), ("ae", "1"), ("begun", "1"), ("ran", "0")] {
            fence.set(key, value).unwrap();
        }
        db.set("fence", fence).unwrap();
        self.lua.globals().set("db", db).unwrap();
        let kinds = self.lua.create_table().unwrap();
        self.lua.globals().set("kinds", kinds).unwrap();
        if !slots.is_empty() {
            let layout = SlotLayout::of(self.profile);
            let packed = pack_slots(layout, &Market::default(), slots);
            self.set_field("slots", "a", &packed);
        }
    }

    /// Sets a field of a hash.
    pub fn set_field(&self, hash: &str, field: &str, value: &[u8]) {
        let there: Option<Table> = self.db().get(hash).unwrap();
        let there = there.unwrap_or_else(|| self.lua.create_table().unwrap());
        there
            .set(field, self.lua.create_string(value).unwrap())
            .unwrap();
        self.db().set(hash, there).unwrap();
    }

    /// Merges one slot of `a`; the values sent along are marked as the executor's.
    pub fn merge(
        &self,
        scoring: &Scoring,
        market: f64,
        slot: Option<&Slot>,
        partition: u32,
    ) -> String {
        self.merge_as_of(scoring, (market, 1), slot, partition)
    }

    pub fn merge_as_of(
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
    pub fn call(
        &self,
        generation: (&str, &str),
        scoring: &Scoring,
        market: (f64, u64),
        kols: &[Option<&Slot>],
        partition: u32,
    ) -> String {
        let put = ("sent", Kind::Put);
        self.send(generation, scoring, market, (kols, put), partition)
    }

    /// Merges a slot of `a` in place of one that its owner had put there, with this text in all fields.
    pub fn change(&self, slot: &Slot, market: (f64, u64), text: &str) -> String {
        let slots = [Some(slot)];
        let kols = (&slots[..], (text, Kind::Change));
        self.send(("1", "live"), &scoring(), market, kols, slot.partition)
    }

    fn send(
        &self,
        (generation, shown): (&str, &str),
        scoring: &Scoring,
        (market, version): (f64, u64),
        (slots, (text, kind)): (&[Option<&Slot>], (&str, Kind)),
        partition: u32,
    ) -> String {
        let mut kols = Kols::new(self.profile);
        for slot in slots {
            match slot {
                Some(slot) => kols.put(kind, slot, |_, out| out.push_str(text)),
                None => kols.remove(),
            }
        }
        let market = Market {
            mean: market,
            version,
        };
        let common = Argument::ALL.map(|argument| match argument {
            Argument::Generation => generation.into(),
            Argument::AssignmentEpoch | Argument::Sequence | Argument::Place => b"1".to_vec(),
            Argument::Tag => merge_call::tag(partition, generation.parse().unwrap()).to_vec(),
            Argument::Platform => b"tiktok".to_vec(),
            Argument::Now => b"now".to_vec(),
            Argument::Count => slots.len().to_string().into(),
            Argument::Ttl => b"0".to_vec(),
            Argument::Constants => merge_call::constants(scoring, &market).into(),
            Argument::Market => pack_market(&market).to_vec(),
            Argument::Shown => shown.into(),
            Argument::Kinds => kols.kinds().to_vec(),
            Argument::Kols => kols.packed().to_vec(),
        });
        let mut args = Vec::from(common);
        args.extend(slots.iter().map(|_| b"a".to_vec()));
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

    pub fn hash(&self) -> Option<Table> {
        self.db().get("hash").unwrap()
    }

    pub fn field(&self, name: &str) -> String {
        self.hash().unwrap().get(name).unwrap()
    }
}

pub fn scoring() -> Scoring {
    Scoring::new(&ScoringSpec::defaults(
        Profile::Default,
        Counters::Cumulative,
    ))
}

pub fn one(partition: u32, generation: u32) -> Slot {
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

/// The members of a ranking, and whether it is there.
pub fn members(redis: &Redis, key: &str) -> Option<Vec<String>> {
    let ranking: Option<Table> = redis.db().get(key).unwrap();
    let ranking = ranking?;
    let pairs = ranking.pairs::<String, Value>();
    Some(pairs.map(|pair| pair.unwrap().0).collect())
}
