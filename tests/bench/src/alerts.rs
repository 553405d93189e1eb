//! What rules of alerts cost Redis' processor in a full flush, beside the merges of the same flush. It is the worst of flushes: each
//! call has a creator from the top of the ranking, so each call reads what rules about ranks look at.

use kol_common::Millis;
use kol_common::job::{JobSpec, SinkSpec, parse};
use kol_common::redis::history::{Name, PLACES};
use kol_executor::partition::encode::KOLS_A_CALL;
use kol_executor::partition::watch::{Moment, Watch};
use redis::{Cmd, Commands as _, Connection};

use kol_harness::RedisServer;

use super::figures::{Report, Section};
use super::merges::{Writer, send, worked, write_ranking};

/// Creators of a full flush.
const KOLS: usize = 4_096;
/// The first one is not counted.
const ROUNDS: u64 = 6;
/// Flushes of a round: one alone is too short to be measured.
const FLUSHES: u64 = 20;
const PLATFORM: &str = "tiktok";
const CLOCK: Millis = Millis(1_795_755_600_000);
const HOUR: u64 = 3_600_000;

const COST: &str = "ms of Redis a flush";
const MERGES: &str = "merges of the flush";
const RULES: [(&str, &str); 4] = [
    ("one rule about a number", "velocity_above = 1e12"),
    ("rank_at_most = 10", "rank_at_most = 10"),
    ("rank_at_most = 1000", "rank_at_most = 1000"),
    ("rank_rises = 50", "rank_rises = 50\nwithin = \"1h\""),
];

/// Shows the figures.
pub fn alerts(report: &mut Report) {
    let redis = RedisServer::start();
    let mut connection = redis.connect();
    let all = write_ranking(&mut connection);
    let watches = RULES.map(|(name, rule)| (name, watch_of(rule)));
    let mut writer = Writer::new();
    let calls = KOLS.div_ceil(KOLS_A_CALL);
    let about = format!(
        "{all} creators of one Redis, flushes of {KOLS} creators in {calls} calls, each with one of the first {calls} of the ranking, \
         {} rounds in turn",
        ROUNDS - 1
    );
    let mut section = Section::new("alerts", about);
    for round in 0..ROUNDS {
        let names = flush(&mut connection, calls);
        writer.reset_fence(&mut connection);
        let merges = writer.changes(&names, round + 1);
        let merges = cost(&mut connection, &merges, 1);
        // The merges have moved creators.
        let names = flush(&mut connection, calls);
        keep_ranking(&mut connection);
        let costs = watches.each_ref().map(|(name, watch)| {
            let calls = looks(watch, &names);
            (*name, cost(&mut connection, &calls, FLUSHES))
        });
        if round > 0 {
            section.note(MERGES, &[(COST, merges)]);
            for (name, cost) in costs {
                section.note(name, &[(COST, cost), ("× merges", cost / merges)]);
            }
        }
    }
    report.add(section);
}

fn watch_of(rule: &str) -> Watch {
    let spec = format!(
        "name = \"bench\"\n[alerts]\ntopic = \"alerts\"\n[[alerts.rules]]\nname = \"r\"\n{rule}\n"
    );
    let spec: JobSpec = parse(&spec, "bench").unwrap().spec;
    Watch::of(&spec, "fence").unwrap()
}

/// Names of a flush, by calls: the first of each is from the top of the ranking.
fn flush(connection: &mut Connection, calls: usize) -> Vec<String> {
    let ranking = format!("ranking:{PLATFORM}:trending");
    let first: Vec<String> = connection
        .zrevrange(&ranking, 0, KOLS as isize - 1)
        .unwrap();
    let (top, rest) = first.split_at(calls);
    let mut rest = rest.iter();
    let calls = top.iter().flat_map(|first| {
        let others = rest.by_ref().take(KOLS_A_CALL - 1);
        std::iter::once(first)
            .chain(others)
            .cloned()
            .collect::<Vec<_>>()
    });
    calls.collect()
}

/// Keeps the ranking as it is for the one of an hour ago. So nobody has gained a place, and all who could have are looked up.
fn keep_ranking(connection: &mut Connection) {
    let keys = SinkSpec::default().keys;
    let [record, ..] = keys.flip_keys(PLATFORM);
    let () = connection.set(&record, "1 live").unwrap();
    let ranking = keys.ranking_key(PLATFORM);
    let creators: Vec<(String, f64)> = connection
        .zrevrange_withscores(&ranking, 0, PLACES as isize - 1)
        .unwrap();
    assert_eq!(creators.len(), PLACES);
    let name = Name {
        at: Millis(CLOCK.0 - HOUR),
        generation: 1,
    };
    let creators = serde_json::to_string(&creators).unwrap();
    let text = format!(
        "{{\"window_end\":\"{}\",\"creators\":{creators}}}",
        name.at.iso()
    );
    let snapshots = keys.snapshots_key(PLATFORM);
    let () = connection.hset(snapshots, name.to_string(), text).unwrap();
    let () = connection
        .zadd(keys.history_key(PLATFORM), name.to_string(), name.at.0)
        .unwrap();
}

fn looks(watch: &Watch, names: &[String]) -> Vec<Vec<Cmd>> {
    let now = CLOCK.iso();
    let moment = Moment {
        now: &now,
        clock: Some(CLOCK),
        generation: 1,
    };
    let calls = names.chunks(KOLS_A_CALL).map(|names| {
        let call = watch.call(PLATFORM, moment, names.iter().map(String::as_str));
        vec![call.unwrap()]
    });
    calls.collect()
}

/// How long Redis works on these calls, ms, each time that they are sent.
fn cost(connection: &mut Connection, calls: &[Vec<Cmd>], times: u64) -> f64 {
    let before = worked(connection);
    for _ in 0..times {
        send(connection, calls);
    }
    (worked(connection) - before).as_secs_f64() * 1e3 / times as f64
}
