//! What a merge costs Redis' processor, beside its floor in the same run: pipelined HSET and ZADD of the same fields
//! without a script; and beside plain commands in one MULTI after a look at the fence. All take turns, round by round,
//! so that what else happens on the machine happens to all of them.

use std::time::Duration;

use kol_common::job::{Counters, Profile, ScoringSpec, SinkSpec};
use kol_common::scoring::schema::{Changes, FIELDS, Field, RANK, Scored};
use kol_common::scoring::{Market, Scoring, Slot, SlotLayout, merge, pack_slots};
use kol_executor::partition::encode::{CallContext, Encoder, KOLS_A_CALL, Outgoing};
use kol_executor::sink::{Fence, script};
use redis::{Cmd, Pipeline};

use kol_harness::RedisServer;

use super::figures::{Report, Section};

const KOLS: usize = 100_000;
const CALLS_A_PIPELINE: usize = 40;
/// The first one makes the keys, and is not counted.
const ROUNDS: u64 = 6;
const NOW: &str = "2025-07-01T09:00:00.000Z";
const MARKET: Market = Market {
    mean: 4.73,
    version: 1,
};

/// Names of figures.
const COST: &str = "µs of Redis a creator";
const MEMORY: &str = "bytes of Redis a creator";

/// How creators are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Merges, of creators that Redis has.
    Merge,
    /// Merges, of creators that Redis may not have.
    Whole,
    /// The fields that a merge writes when more events came.
    Floor,
    /// As `Floor`, with all fields of a creator.
    FloorOfAll,
    /// The same as `Floor` in a MULTI for each hundred creators, after the fence was read.
    Multi,
}

impl Way {
    const ALL: [Self; 5] = [
        Self::Merge,
        Self::Floor,
        Self::Whole,
        Self::FloorOfAll,
        Self::Multi,
    ];

    fn says(self) -> &'static str {
        match self {
            Self::Merge => "merge, more events came",
            Self::Whole => "merge, as a whole",
            Self::Floor => "floor of the same fields",
            Self::FloorOfAll => "floor of all fields",
            Self::Multi => "MULTI of the same fields",
        }
    }
}

/// Shows the figures.
pub fn merges(report: &mut Report) {
    let redis = RedisServer::start();
    let mut connection = redis.connect();
    for script in script::all() {
        script.prepare_invoke().load(&mut connection).unwrap();
    }
    let names: Vec<String> = (0..KOLS).map(|i| format!("creator_{i:06}")).collect();
    let mut writer = Writer::new();
    let about = format!(
        "{KOLS} creators of one Redis, {KOLS_A_CALL} a call, {} rounds in turn",
        ROUNDS - 1
    );
    let mut section = Section::new("merges", about);
    for round in 0..ROUNDS {
        let costs = Way::ALL.map(|way| {
            let calls = writer.calls(way, &names, round);
            writer.reset_fence(&mut connection);
            let (before, memory) = (worked(&mut connection), used_memory(&mut connection));
            send(&mut connection, &calls);
            let cost = worked(&mut connection) - before;
            if round == 0 && way == Way::Merge {
                let bytes = used_memory(&mut connection).saturating_sub(memory);
                section.note(way.says(), &[(MEMORY, (bytes / KOLS as u64) as f64)]);
            }
            cost.as_secs_f64() * 1e6 / KOLS as f64
        });
        if round > 0 {
            note(costs, &mut section);
        }
    }
    report.add(section);
}

/// Adds the costs of a round, with ratios to the floors of the same round.
fn note(costs: [f64; Way::ALL.len()], section: &mut Section) {
    let of = |way: Way| costs[Way::ALL.iter().position(|w| *w == way).unwrap()];
    for (way, cost) in Way::ALL.into_iter().zip(costs) {
        section.note(way.says(), &[(COST, cost)]);
        if let Way::Merge | Way::Multi = way {
            section.note(way.says(), &[("× floor", cost / of(Way::Floor))]);
        }
        if let Way::Merge | Way::Whole = way {
            section.note(
                way.says(),
                &[("× floor of all fields", cost / of(Way::FloorOfAll))],
            );
        }
    }
}

/// Writes a ranking of the platform tiktok, as a job does; answers how many creators it has.
pub(super) fn write_ranking(connection: &mut redis::Connection) -> usize {
    for script in script::all() {
        script.prepare_invoke().load(connection).unwrap();
    }
    let names: Vec<String> = (0..KOLS).map(|i| format!("creator_{i:06}")).collect();
    let mut writer = Writer::new();
    let calls = writer.calls(Way::Merge, &names, 0);
    writer.reset_fence(connection);
    send(connection, &calls);
    names.len()
}

/// Memory that Redis has in use, bytes.
fn used_memory(connection: &mut redis::Connection) -> u64 {
    info(connection, "memory", "used_memory:") as u64
}

/// How long the thread of Redis that executes commands has worked.
pub(super) fn worked(connection: &mut redis::Connection) -> Duration {
    let system = info(connection, "cpu", "used_cpu_sys_main_thread:");
    let user = info(connection, "cpu", "used_cpu_user_main_thread:");
    Duration::from_secs_f64(system + user)
}

fn info(connection: &mut redis::Connection, section: &str, name: &str) -> f64 {
    let text: String = redis::cmd("INFO").arg(section).query(connection).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.trim().parse().ok())
        .unwrap_or_default()
}

/// Sends the calls; all must have been taken.
pub(super) fn send(connection: &mut redis::Connection, calls: &[Vec<Cmd>]) {
    for chunk in calls.chunks(CALLS_A_PIPELINE) {
        let mut pipe = Pipeline::new();
        for call in chunk.iter().flatten() {
            pipe.add_command(call.clone());
        }
        let answers: Vec<redis::Value> = pipe.query(connection).unwrap();
        for answer in answers {
            // Of a merge; plain commands answer with numbers, and what is queued with a word.
            if let redis::Value::Array(words) = answer
                && let [redis::Value::BulkString(word)] = words.as_slice()
            {
                assert_eq!(word, b"OK");
            }
        }
    }
}

/// Makes the calls.
pub(super) struct Writer {
    scoring: Scoring,
    encoder: Encoder,
    fence: Fence,
}

impl Writer {
    pub(super) fn new() -> Self {
        let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
        Self {
            scoring: Scoring::new(&spec),
            encoder: Encoder::new(&SinkSpec::default(), &spec, 0),
            fence: Fence {
                key: "fence".into(),
                generation: 1,
                assignment_epoch: 1,
            },
        }
    }

    /// No merge of the flush has run.
    pub(super) fn reset_fence(&self, connection: &mut redis::Connection) {
        redis::cmd("HSET")
            .arg(&self.fence.key)
            .arg(&["gen", "1", "ae", "1", "begun", "1", "ran", "0"])
            .exec(connection)
            .unwrap();
    }

    /// What a creator has in a round: more events each time, and another place in the ranking.
    fn slot(creator: usize, round: u64) -> Slot {
        let mixed = (creator as u64 ^ (round << 20)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        Slot {
            generation: 1,
            window_end: 486_000,
            engagement_e6: mixed as f64 * 1e3,
            events: 30 + round as u32,
            first_pane: 485_000,
            ..Slot::default()
        }
    }

    /// The merges of a later round for these creators, by hundreds.
    pub(super) fn changes(&mut self, names: &[String], round: u64) -> Vec<Vec<Cmd>> {
        self.calls(Way::Merge, names, round)
    }

    /// The calls for all creators, by hundreds.
    fn calls(&mut self, way: Way, names: &[String], round: u64) -> Vec<Vec<Cmd>> {
        let chunks = names.chunks(KOLS_A_CALL).enumerate();
        let calls = chunks.map(|(number, names)| {
            let first = number * KOLS_A_CALL;
            let slots = (first..).map(|creator| Self::slot(creator, round));
            let kols: Vec<_> = names.iter().map(String::as_str).zip(slots).collect();
            match way {
                Way::Merge | Way::Whole => vec![self.merge(way, &kols, round, number + 1)],
                Way::Floor | Way::FloorOfAll => self.plain(way, &kols, round),
                Way::Multi => {
                    let mut look = redis::cmd("HMGET");
                    look.arg(&self.fence.key)
                        .arg(&["gen", "ae", "begun", "done", "ran"]);
                    let begin = [look, redis::cmd("MULTI")].into_iter();
                    let plain = self.plain(way, &kols, round).into_iter();
                    begin.chain(plain).chain([redis::cmd("EXEC")]).collect()
                }
            }
        });
        calls.collect()
    }

    /// A platform for each way: its keys are its own.
    fn platform(way: Way) -> &'static str {
        match way {
            Way::Merge => "tiktok",
            Way::Whole => "youtube",
            Way::Floor => "floor",
            Way::FloorOfAll => "floor_of_all",
            Way::Multi => "multi",
        }
    }

    fn merge(&mut self, way: Way, kols: &[(&str, Slot)], round: u64, place: usize) -> Cmd {
        let context = CallContext {
            job: "bench",
            scoring: &self.scoring,
            fence: &self.fence,
            sequence: 1,
            place,
            platform: Self::platform(way),
            market: MARKET.mean,
            market_version: MARKET.version,
            now: NOW,
            shown: true,
        };
        let outgoing = |slot| match way {
            Way::Merge if round > 0 => Outgoing::Change(slot),
            _ => Outgoing::Put(slot),
        };
        let kols = kols.iter().map(|(name, slot)| (*name, outgoing(*slot)));
        self.encoder.call(&context, &kols.collect::<Vec<_>>())
    }

    /// The same without a script; keys are made with all fields, in the order of a merge.
    fn plain(&self, way: Way, kols: &[(&str, Slot)], round: u64) -> Vec<Cmd> {
        let platform = Self::platform(way);
        let all = round == 0 || way == Way::FloorOfAll;
        let (mut ranking, mut slots) = (redis::cmd("ZADD"), redis::cmd("HSET"));
        ranking.arg(format!("ranking:{platform}:trending"));
        slots.arg(format!("streaming:ranking:{platform}:trending:slots"));
        let mut text = String::new();
        let mut calls = Vec::new();
        for (name, slot) in kols {
            let sums = merge(&self.scoring, std::slice::from_ref(slot));
            let terms = self.scoring.score(&sums, MARKET.mean);
            let scored = Scored {
                scoring: &self.scoring,
                sums: &sums,
                terms: &terms,
            };
            let mut hash = redis::cmd("HSET");
            hash.arg(format!("trending:{platform}:{name}"));
            let mut add = |field: &Field, cmd: &mut Cmd| {
                field.write(&scored, &mut text);
                cmd.arg(field.name).arg(&text);
            };
            let of = |changes| FIELDS.iter().filter(move |field| field.changes == changes);
            of(Changes::Often).for_each(|field| add(field, &mut hash));
            hash.arg("updated_at").arg(NOW);
            if all {
                of(Changes::WithBaseline).for_each(|field| add(field, &mut hash));
                hash.arg(&["kol_id", name, "platform", platform, "generation", "1"]);
            }
            calls.push(hash);
            RANK.write(&scored, &mut text);
            ranking.arg(&text).arg(name);
            slots.arg(name).arg(pack_slots(
                SlotLayout::of(Profile::Default),
                &MARKET,
                &[*slot],
            ));
        }
        calls.extend([slots, ranking]);
        calls
    }
}
