//! Merges into one Redis core, beside bare EVALSHA calls that only write a hash of 12 fields for each
//! creator and one ZADD for all of them.

use std::time::{Duration, Instant};

use kol_common::job::{Counters, Profile, ScoringSpec, SinkSpec};
use kol_common::scoring::{Scoring, Slot};
use kol_executor::partition::encode::{CallContext, Encoder, KOLS_A_CALL, Outgoing};
use kol_executor::sink::{Fence, script};
use redis::{Cmd, Pipeline};

use kol_harness::RedisServer;

const KOLS: usize = 100_000;
const CALLS_A_PIPELINE: usize = 40;
const ROUNDS: u64 = 3;

const BARE: &str = "
local z = {'ZADD', KEYS[1]}
for i = 2, #KEYS do
    local at = (i - 2) * 13
    redis.call('HSET', KEYS[i], 'a', ARGV[at + 2], 'b', ARGV[at + 3], 'c', ARGV[at + 4], 'd', ARGV[at + 5],
        'e', ARGV[at + 6], 'f', ARGV[at + 7], 'g', ARGV[at + 8], 'h', ARGV[at + 9], 'i', ARGV[at + 10],
        'j', ARGV[at + 11], 'k', ARGV[at + 12], 'l', ARGV[at + 13])
    z[#z + 1] = ARGV[at + 2]
    z[#z + 1] = ARGV[at + 1]
end
redis.call(unpack(z))
return {'OK'}";

/// Prints the figures.
pub fn merges() {
    let redis = RedisServer::start();
    let mut connection = redis.connect();
    for script in script::all() {
        script.prepare_invoke().load(&mut connection).unwrap();
    }
    let names: Vec<String> = (0..KOLS).map(|i| format!("creator_{i:06}")).collect();
    let bare: redis::Script = redis::Script::new(BARE);
    bare.prepare_invoke().load(&mut connection).unwrap();
    let bare_calls: Vec<Cmd> = names
        .chunks(KOLS_A_CALL)
        .map(|c| bare_call(&bare, c))
        .collect();
    let merge_calls = merge_calls(&names);
    let (mut bare_time, mut merge_time) = (Duration::MAX, Duration::MAX);
    let mut cost = f64::MAX;
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        redis::cmd("HSET")
            .arg("fence")
            .arg(&["gen", "1", "ae", "1", "begun", "1", "ran", "0"])
            .exec(&mut connection)
            .unwrap();
        bare_time = bare_time.min(time(&mut connection, &bare_calls));
        let (before, memory) = (scripts_us(&mut connection), used_memory(&mut connection));
        merge_time = merge_time.min(time(&mut connection, &merge_calls));
        cost = cost.min(scripts_us(&mut connection) - before);
        // The first round makes the keys.
        bytes = bytes.max(used_memory(&mut connection).saturating_sub(memory));
    }
    let rate = |time: Duration| KOLS as f64 / time.as_secs_f64();
    println!(
        "merges into one Redis: {KOLS} creators, {KOLS_A_CALL} a call, best of {ROUNDS} rounds"
    );
    println!("  merge          {:>10.0} creators/s", rate(merge_time));
    println!("  bare EVALSHA   {:>10.0} creators/s", rate(bare_time));
    println!(
        "  ratio          {:>10.2}",
        rate(merge_time) / rate(bare_time)
    );
    println!(
        "  of Redis' time {:>10.2} µs a creator in merges",
        cost / KOLS as f64
    );
    println!(
        "  memory of Redis{:>10} bytes a creator",
        bytes / KOLS as u64
    );
}

/// Memory that Redis has in use, bytes.
fn used_memory(connection: &mut redis::Connection) -> u64 {
    let memory: String = redis::cmd("INFO").arg("memory").query(connection).unwrap();
    let line = memory.lines().find_map(|l| l.strip_prefix("used_memory:"));
    line.and_then(|bytes| bytes.trim().parse().ok())
        .unwrap_or_default()
}

/// Time that Redis has spent in scripts so far, by its own account, µs.
fn scripts_us(connection: &mut redis::Connection) -> f64 {
    let stats: String = redis::cmd("INFO")
        .arg("commandstats")
        .query(connection)
        .unwrap();
    let line = stats.lines().find(|l| l.starts_with("cmdstat_evalsha:"));
    let usec = line.and_then(|l| l.split("usec=").nth(1)?.split(',').next());
    usec.and_then(|u| u.parse().ok()).unwrap_or(0.0)
}

fn time(connection: &mut redis::Connection, calls: &[Cmd]) -> Duration {
    let begun = Instant::now();
    for chunk in calls.chunks(CALLS_A_PIPELINE) {
        let mut pipe = Pipeline::with_capacity(chunk.len());
        for call in chunk {
            pipe.add_command(call.clone());
        }
        let answers: Vec<Vec<String>> = pipe.query(connection).unwrap();
        assert!(answers.iter().flatten().all(|a| a == "OK"), "{answers:?}");
    }
    begun.elapsed()
}

fn bare_call(script: &redis::Script, names: &[String]) -> Cmd {
    let mut cmd = redis::cmd("EVALSHA");
    cmd.arg(script.get_hash())
        .arg(1 + names.len())
        .arg("bare:ranking");
    for name in names {
        cmd.arg(format!("bare:{name}"));
    }
    for name in names {
        cmd.arg(name).arg("57.131878434543623");
        for _ in 0..11 {
            cmd.arg("12345.67");
        }
    }
    cmd
}

fn merge_calls(names: &[String]) -> Vec<Cmd> {
    let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    let scoring = Scoring::new(&spec);
    let fence = Fence {
        key: "fence".into(),
        generation: 1,
        assignment_epoch: 1,
    };
    let mut encoder = Encoder::new(&SinkSpec::default(), "tiktok", 0);
    let context = |place: usize| CallContext {
        scoring: &scoring,
        fence: &fence,
        sequence: 1,
        place,
        platform: "tiktok",
        market: 4.73,
        market_version: 1,
        now: "2025-07-01T09:00:00.000Z",
        shown: true,
    };
    let slot = |i: usize| {
        Outgoing::Put(Slot {
            window_end: 486_000,
            engagement_e6: i as f64 * 1e6,
            events: 30,
            first_pane: 485_000,
            ..Slot::default()
        })
    };
    let mut calls = Vec::new();
    for (number, chunk) in names.chunks(KOLS_A_CALL).enumerate() {
        let first = number * KOLS_A_CALL;
        let kols: Vec<(&str, Outgoing)> = chunk
            .iter()
            .enumerate()
            .map(|(i, name)| (name.as_str(), slot(first + i)))
            .collect();
        calls.push(encoder.call(&context(number + 1), &kols));
    }
    calls
}
