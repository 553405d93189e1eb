//! The simulated Redis beside a real one: the same calls, the same answers.

use std::collections::{BTreeMap, BTreeSet};

use kol_common::job::{Counters, Profile, ScoringSpec, SinkSpec};
use kol_common::scoring::{Scoring, Slot};
use kol_executor::partition::encode::{CallContext, Encoder, Outgoing};
use kol_executor::sink::{Fence, script};
use kol_harness::RedisServer;
use kol_sim::redis::{Reply, Scripts, parse};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use redis::{Cmd, Value};

/// Calls of each kind, many of which are refused.
const CALLS: u32 = 3_000;
const KOLS: [&str; 4] = ["a", "b", "c", "d"];

/// An answer of either, so that they can be compared: whatever has no order is sorted.
fn plain(command: &str, reply: &Reply) -> String {
    match reply {
        // Of an error only the code says the same in both.
        Reply::Error(text) => format!("-{}", text.split(' ').next().unwrap_or_default()),
        Reply::Status(text) => format!("+{text}"),
        Reply::Number(number) => format!(":{number}"),
        Reply::Bulk(None) => "none".to_owned(),
        // Scores, with all their digits.
        Reply::Bulk(Some(bytes)) if command == "EVALSHA" && bytes.len() > 15 => {
            number(&bytes.escape_ascii().to_string())
        }
        Reply::Bulk(Some(bytes)) => bytes.escape_ascii().to_string(),
        Reply::Array(all) => {
            let mut all: Vec<_> = all.iter().map(|reply| plain(command, reply)).collect();
            if ["HGETALL", "HSCAN", "ZSCAN", "ZREVRANGE"].contains(&command)
                && all.len().is_multiple_of(2)
            {
                let pairs: BTreeMap<_, _> = all
                    .chunks(2)
                    .map(|p| (p[0].clone(), number(&p[1])))
                    .collect();
                all = pairs.into_iter().map(|(k, v)| format!("{k}={v}")).collect();
            }
            format!("{all:?}")
        }
    }
}

/// Scores: versions of Redis print the digits after the sixteenth differently.
fn number(text: &str) -> String {
    text.parse::<f64>()
        .map_or_else(|_| text.to_owned(), |number| format!("{number:?}"))
}

fn of_real(value: Value) -> Reply {
    match value {
        Value::Nil => Reply::Bulk(None),
        Value::Int(number) => Reply::Number(number),
        Value::BulkString(bytes) => Reply::Bulk(Some(bytes)),
        Value::Okay => Reply::Status("OK"),
        Value::SimpleString(kind) if kind == "none" => Reply::Status("none"),
        Value::SimpleString(kind) if kind == "hash" => Reply::Status("hash"),
        Value::SimpleString(kind) if kind == "string" => Reply::Status("string"),
        Value::Array(all) => Reply::Array(all.into_iter().map(of_real).collect()),
        other => panic!("an answer that nobody expects: {other:?}"),
    }
}

struct Both {
    real: redis::Connection,
    simulated: Scripts,
}

impl Both {
    /// The same call to both; what they answer.
    fn call(&mut self, command: &Cmd) -> String {
        let mut packed = command.get_packed_command();
        let words = parse(&mut packed).unwrap().unwrap();
        let name = String::from_utf8_lossy(&words[0]).into_owned();
        let real = match command.query::<Value>(&mut self.real) {
            Ok(value) => of_real(value),
            Err(error) => Reply::Error(error.code().unwrap_or("ERR").to_owned()),
        };
        let real = plain(&name, &real);
        let simulated = plain(&name, &self.simulated.answer(&words));
        let shown: Vec<_> = words.iter().map(|w| w.escape_ascii().to_string()).collect();
        assert_eq!(simulated, real, "{shown:?}");
        real
    }
}

fn calls(random: &mut StdRng, scoring: &Scoring, encoder: &mut Encoder) -> Cmd {
    let (generation, assignment_epoch) = (random.random_range(1..3), random.random_range(1..3u64));
    let sequence: u64 = random.random_range(1..5);
    let key = "fence".to_owned();
    let fence = Fence {
        key,
        generation,
        assignment_epoch,
    };
    let mut command = redis::cmd("EVALSHA");
    match random.random_range(0..12) {
        0 => command
            .arg(script::CLAIM.get_hash())
            .arg(1)
            .arg("fence")
            .arg(generation)
            .arg(assignment_epoch)
            .arg(["", "a/0", "a/1", "b/0"][random.random_range(0..4)]),
        1 | 2 => {
            let (offset, end, done) = (
                random.random_range(0..99),
                480_000,
                random.random_range(0..2),
            );
            command
                .arg(script::BEGIN.get_hash())
                .arg(1)
                .arg("fence")
                .arg(generation)
                .arg(assignment_epoch)
                .arg(sequence)
                .arg(offset)
                .arg(end)
                .arg(done)
                .arg(format!("record {offset}"))
        }
        3 => command
            .arg(script::DONE.get_hash())
            .arg(4)
            .arg(&["fence", "update", "event", "platforms"])
            .arg(generation)
            .arg(assignment_epoch)
            .arg(sequence)
            .arg("2026-01-01T00:00:00.000Z")
            .arg(
                ["", "2026-01-01T00:00:00.000Z", "2025-01-01T00:00:00.000Z"]
                    [random.random_range(0..3)],
            )
            .arg(random.random_range(0..3)),
        4 => {
            return redis::cmd("HMGET")
                .arg(&["fence", "gen", "ae", "begun", "done", "off", "t"])
                .take();
        }
        5 => {
            return redis::cmd("HGETALL")
                .arg(format!(
                    "trending:tiktok:{}",
                    KOLS[random.random_range(0..4)]
                ))
                .take();
        }
        6 if random.random_ratio(1, 4) => {
            return redis::cmd("HSCAN")
                .arg("streaming:ranking:tiktok:trending:slots")
                .arg(0)
                .arg("COUNT")
                .arg(500)
                .take();
        }
        6 => {
            let shown = "ranking:tiktok:trending";
            let aside = ["next", "before"].map(|what| format!("streaming:{shown}:{what}"));
            let ranking = aside
                .get(random.random_range(0..4))
                .map_or(shown, |key| key);
            return redis::cmd("ZSCAN")
                .arg(ranking)
                .arg(0)
                .arg("COUNT")
                .arg(500)
                .take();
        }
        7 if random.random_ratio(1, 20) => {
            return redis::cmd("SET")
                .arg("trending:tiktok:d")
                .arg("not a hash")
                .take();
        }
        7 if random.random_ratio(1, 20) => {
            return redis::cmd("DEL").arg("trending:tiktok:d").take();
        }
        8 if random.random_bool(0.5) => {
            let slots = "streaming:ranking:tiktok:trending:slots";
            return match random.random_range(0..4) {
                0 => redis::cmd("HMGET").arg(slots).arg(&KOLS).take(),
                1 => redis::cmd("HLEN").arg(slots).take(),
                2 => redis::cmd("TYPE").arg("trending:tiktok:d").take(),
                _ => redis::cmd("SISMEMBER")
                    .arg("streaming:ranking:*:trending:platforms")
                    .arg("tiktok")
                    .take(),
            };
        }
        8 if random.random_bool(0.5) => {
            let place = random.random_range(0..3);
            return redis::cmd("ZREVRANGE")
                .arg("ranking:tiktok:trending")
                .arg(place)
                .arg(place)
                .arg("WITHSCORES")
                .take();
        }
        8 => {
            return redis::cmd("SMEMBERS")
                .arg("streaming:ranking:*:trending:platforms")
                .take();
        }
        7 => {
            return redis::cmd("GET")
                .arg(["update", "event", "fence", "nothing"][random.random_range(0..4)])
                .take();
        }
        9 if random.random_ratio(1, 4) => {
            let kols: Vec<_> = KOLS.iter().map(|kol| (*kol).to_owned()).collect();
            let context = CallContext {
                job: "x",
                scoring,
                fence: &fence,
                sequence,
                place: 1,
                platform: "tiktok",
                market: 0.0,
                market_version: 1,
                now: "2026-01-01T00:00:00.000Z",
                shown: true,
            };
            return encoder.forget(&context, &kols);
        }
        10 if random.random_ratio(1, 20) => {
            return redis::cmd("DEL")
                .arg("ranking:tiktok:trending")
                .arg("streaming:ranking:tiktok:trending:slots")
                .take();
        }
        9 => {
            let kols = KOLS.iter().filter(|_| random.random_bool(0.6)).copied();
            let kols: Vec<_> = kols.collect();
            let from = (random.random_range(0..2), random.random_range(0..4));
            return encoder.compare(&fence, from, "tiktok", &kols);
        }
        _ => {
            let kols: Vec<_> = KOLS
                .iter()
                .filter(|_| random.random_bool(0.6))
                .copied()
                .collect();
            let kols: Vec<_> = kols
                .into_iter()
                .map(|kol| (kol, outgoing(random)))
                .collect();
            let context = CallContext {
                job: "x",
                scoring,
                fence: &fence,
                sequence,
                place: random.random_range(1..3),
                platform: "tiktok",
                market: random.random_range(0.0..500.0),
                market_version: random.random_range(1..5),
                now: "2026-01-01T00:00:00.000Z",
                shown: random.random_bool(0.5),
            };
            return encoder.call(&context, &kols);
        }
    };
    command
}

fn outgoing(random: &mut StdRng) -> Outgoing {
    if random.random_ratio(1, 4) {
        return Outgoing::Remove;
    }
    let kind = if random.random_bool(0.5) {
        Outgoing::Put
    } else {
        Outgoing::Change
    };
    // Few values, so that some come again.
    kind(Slot {
        window_end: random.random_range(480_000..480_003),
        engagement_e6: f64::from(random.random_range(0..3)) * 1e10,
        events: random.random_range(0..500),
        previous_engagement_e6: f64::from(random.random_range(0..1_000_000)) * 1e4,
        previous_events: random.random_range(0..500),
        baseline_engagement_e6: f64::from(random.random_range(0..2)) * 1e11,
        baseline_events: 12.5,
        first_pane: random.random_range(479_000..479_002),
        ..Slot::default()
    })
}

#[test]
fn the_simulated_redis_answers_every_call_as_a_real_one_does() {
    let server = RedisServer::start();
    let mut both = Both {
        real: server.connect(),
        simulated: Scripts::new(std::rc::Rc::default()).unwrap(),
    };
    let claim = redis::cmd("EVALSHA")
        .arg(script::CLAIM.get_hash())
        .arg(0)
        .take();
    assert_eq!(both.call(&claim), "-NOSCRIPT");
    for source in [
        script::CLAIM_SOURCE.as_str(),
        script::BEGIN_SOURCE.as_str(),
        script::MERGE_SOURCE.as_str(),
        script::DONE_SOURCE.as_str(),
        script::COMPARE_SOURCE.as_str(),
        script::FORGET_SOURCE.as_str(),
    ] {
        both.call(redis::cmd("SCRIPT").arg("LOAD").arg(source));
    }
    let scoring = Scoring::new(&ScoringSpec::defaults(
        Profile::Default,
        Counters::Cumulative,
    ));
    let mut encoders: Vec<_> = (0..3)
        .map(|slot| Encoder::new(&SinkSpec::default(), &scoring.spec, slot))
        .collect();
    let mut random = StdRng::seed_from_u64(11);
    let mut answers = BTreeMap::new();
    for _ in 0..CALLS {
        let encoder = &mut encoders[random.random_range(0..3)];
        let command = calls(&mut random, &scoring, encoder);
        let answer = both.call(&command);
        let word = answer.split([' ', ',']).next().unwrap_or_default();
        let word = word.trim_matches(['[', ']', '"']).to_owned();
        *answers.entry(word).or_insert(0) += 1;
    }
    for word in ["OK", "FENCED", "NOFENCE", "BADKEY"] {
        assert!(answers.contains_key(word), "no {word} among {answers:?}");
    }
}

/// What a look through all keys finds, in all its pieces; how many there were.
fn scanned(pattern: &str, mut answer: impl FnMut(&Cmd) -> Reply) -> (BTreeSet<Vec<u8>>, usize) {
    let (mut found, mut cursor, mut pieces) = (BTreeSet::new(), "0".to_owned(), 0);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(&cursor).arg("MATCH").arg(pattern);
        scan.arg("COUNT").arg(100).arg("TYPE").arg("hash");
        let Reply::Array(parts) = answer(&scan) else {
            panic!("{pattern}: no two parts");
        };
        let [Reply::Bulk(Some(next)), Reply::Array(keys)] = parts.as_slice() else {
            panic!("{pattern}: {parts:?}");
        };
        for key in keys {
            let Reply::Bulk(Some(key)) = key else {
                panic!("{pattern}: {key:?}");
            };
            found.insert(key.clone());
        }
        pieces += 1;
        cursor = String::from_utf8(next.clone()).unwrap();
        if cursor == "0" {
            return (found, pieces);
        }
    }
}

#[test]
fn a_look_through_all_keys_finds_in_the_simulated_redis_what_it_finds_in_a_real_one() {
    let server = RedisServer::start();
    let mut real = server.connect();
    let simulated = Scripts::new(std::rc::Rc::default()).unwrap();
    let mut both = |command: &Cmd| {
        let words = parse(&mut command.get_packed_command()).unwrap().unwrap();
        let _done = simulated.answer(&words);
        command.query::<Value>(&mut real).unwrap();
    };
    let tails = (0..300).map(|n| format!("tiktok:{n}"));
    let tails = tails.chain(["a*b", "a\\b", "aab", "", "tiktok:"].map(str::to_owned));
    for tail in tails {
        both(
            redis::cmd("HSET")
                .arg(format!("trending:{tail}"))
                .arg("f")
                .arg("v"),
        );
        both(redis::cmd("HSET").arg(&tail).arg("f").arg("v"));
        both(redis::cmd("SET").arg(format!("trending:x:{tail}")).arg("v"));
    }
    for (pattern, least) in [
        ("trending:*:*", 300),
        ("*", 600),
        ("trending:a\\*b", 1),
        ("trending:a*b", 3),
        ("trending:a\\\\b", 1),
        ("nothing", 0),
    ] {
        let (wanted, _) = scanned(pattern, |scan| of_real(scan.query(&mut real).unwrap()));
        let (found, pieces) = scanned(pattern, |scan| {
            let words = parse(&mut scan.get_packed_command()).unwrap().unwrap();
            simulated.answer(&words)
        });
        assert_eq!(found, wanted, "{pattern}");
        assert!(wanted.len() >= least, "{pattern}: {}", wanted.len());
        assert!(pieces > 10, "{pattern}: {pieces} pieces");
    }
}
