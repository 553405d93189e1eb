//! Data as a job writes it, and a server that reads it.

use std::time::Duration;

use kol_common::job::{Counters, Profile, ScoringSpec, SinkSpec};
use kol_common::net::Protection;
use kol_common::scoring::{Scoring, Slot};
use kol_common::secrets::Secrets;
use kol_executor::partition::encode::{CallContext, Encoder, Outgoing};
use kol_executor::sink::{Fence, script};
use kol_harness::RedisServer;
use kol_serve::{Options, Server};
use redis::{Cmd, Connection};
use reqwest::header::HeaderMap;
use reqwest::{Client, ClientBuilder};
use serde_json::Value;

/// When the creators were written, when the flush ended, and the newest event.
const NOW: &str = "2025-07-01T09:00:00.000Z";
const ENDED: &str = "2025-07-01T09:00:00.250Z";
const NEWEST: &str = "2025-07-01T08:59:58.000Z";
/// The market measure, in engagements a minute.
const MARKET: f64 = 4.73;

/// A creator's share of one partition: platform, name, engagements of the window and of the one before, events.
pub type Share<'a> = (&'a str, &'a str, f64, f64, u32);

/// The creators of the examples, as partition 0 and partition 1 have seen them.
const FIRST: [Share<'_>; 7] = [
    ("tiktok", "ann", 34_233.2, 107_197.4, 35),
    ("tiktok", "bob", 25_000.0, 25_000.0, 20),
    ("tiktok", "ann.b", 20_000.0, 10_000.0, 9),
    ("tiktok", "cleo", 10_000.0, 10_000.0, 5),
    ("tiktok", "dora", 7_200.0, 7_200.0, 3),
    ("tiktok", "eve/é", 1_440.0, 1_440.0, 1),
    ("youtube", "zoe", 14_400.0, 14_400.0, 4),
];
const SECOND: [Share<'_>; 1] = [("tiktok", "cleo", 8_000.0, 8_000.0, 7)];

/// A partition of a job that writes.
pub struct Writer {
    scoring: Scoring,
    encoder: Encoder,
    fence: Fence,
    sequence: u64,
}

impl Writer {
    pub fn new(ordinal: u32) -> Self {
        let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
        Self {
            scoring: Scoring::new(&spec),
            encoder: Encoder::new(&SinkSpec::default(), &spec, ordinal),
            fence: Fence {
                key: format!("streaming:fence:kol:t:{ordinal}"),
                generation: 1,
                assignment_epoch: 1,
            },
            sequence: 0,
        }
    }

    /// The same owner, after so many flushes.
    pub fn again(self, sequence: u64) -> Self {
        Self { sequence, ..self }
    }

    /// Writes shares in a flush of their own.
    pub fn flush(&mut self, open: &mut Connection, shares: &[Share<'_>]) {
        for script in script::all() {
            script.prepare_invoke().load(open).unwrap();
        }
        if self.sequence == 0 {
            let mut claim = self.on_fence(&script::CLAIM, &[]);
            done(open, claim.arg("log/0"));
        }
        self.sequence += 1;
        let mut begin = self.on_fence(&script::BEGIN, &[]);
        done(
            open,
            begin.arg(self.sequence).arg(9).arg(486_000).arg(0).arg(""),
        );
        for (place, share) in (1..).zip(shares) {
            let merge = self.merge(place, share);
            done(open, &merge);
        }
        let keys = [
            "streaming:last_update",
            "streaming:last_event",
            "streaming:ranking:*:trending:platforms",
        ];
        let mut end = self.on_fence(&script::DONE, &keys);
        end.arg(self.sequence).arg(ENDED).arg(NEWEST);
        done(open, end.arg(shares.len()));
    }

    fn merge(&mut self, place: usize, share: &Share<'_>) -> Cmd {
        let (platform, kol, engagement, before, events) = *share;
        let slot = Slot {
            window_end: 486_000,
            first_pane: 485_999,
            engagement_e6: engagement * 1e6,
            previous_engagement_e6: before * 1e6,
            events,
            previous_events: events,
            ..Slot::default()
        };
        let context = CallContext {
            job: "x",
            scoring: &self.scoring,
            fence: &self.fence,
            sequence: self.sequence,
            place,
            platform,
            market: MARKET,
            market_version: 1,
            now: NOW,
            shown: true,
        };
        self.encoder.call(&context, &[(kol, Outgoing::Put(slot))])
    }

    fn on_fence(&self, script: &redis::Script, keys: &[&str]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(1 + keys.len());
        command.arg(&self.fence.key).arg(keys);
        command.arg(self.fence.generation);
        command.arg(self.fence.assignment_epoch);
        command
    }
}

/// Runs a call of a script, which must answer that all is well.
fn done(open: &mut Connection, call: &Cmd) {
    let answer: redis::Value = call.query(open).unwrap();
    let text = format!("{answer:?}");
    assert!(text.contains("OK") || text.contains("CLAIMED"), "{text}");
}

/// A Redis with the creators of the examples.
pub fn written() -> RedisServer {
    let redis = RedisServer::start();
    let mut open = redis.connect();
    Writer::new(0).flush(&mut open, &FIRST);
    Writer::new(1).flush(&mut open, &SECOND);
    redis
}

/// Keeps a ranking as it was at this time, as generation 1 shows it.
pub fn remember(open: &mut Connection, platform: &str, at: &str, creators: &[(&str, f64)]) {
    let name = format!("{at}/1");
    let snapshot = serde_json::json!({"window_end": at, "creators": creators}).to_string();
    let beside = |what: &str| format!("streaming:ranking:{platform}:trending:{what}");
    let mut write = redis::pipe();
    write.cmd("HSET").arg(beside("snapshots")).arg(&name);
    write.arg(snapshot).ignore();
    let at = kol_common::event::parse_time(at).unwrap();
    write.cmd("ZADD").arg(beside("history")).arg(at.0);
    write.arg(name).ignore();
    write.exec(open).unwrap();
}

/// A Redis with the creators of the examples, and with those of another platform, whose rankings of an hour and a day ago
/// are kept.
pub fn remembered() -> RedisServer {
    let redis = written();
    let mut open = redis.connect();
    let shares = [
        ("instagram", "gus", 34_233.2, 107_197.4, 35),
        ("instagram", "hal", 20_000.0, 10_000.0, 9),
        ("instagram", "ida", 14_400.0, 14_400.0, 4),
        ("instagram", "jo", 7_200.0, 7_200.0, 3),
    ];
    Writer::new(2).flush(&mut open, &shares);
    let kept = [
        (
            "2025-06-30T08:00:00.000Z",
            &[("jo", 88.2), ("gus", 61.5)][..],
        ),
        (
            "2025-07-01T07:55:00.000Z",
            &[("ida", 71.28), ("hal", 64.55), ("gus", 44.02)],
        ),
        (
            "2025-07-01T08:55:00.000Z",
            &[("gus", 84.13), ("ida", 64.55), ("hal", 60.11), ("jo", 34.9)],
        ),
    ];
    for (at, creators) in kept {
        remember(&mut open, "instagram", at, creators);
    }
    redis
}

/// What a server that reads this URL is started with.
pub fn options(url: String) -> Options {
    let scoring = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        protection: Protection::default(),
        sink: SinkSpec {
            url,
            ..SinkSpec::default()
        },
        secrets: Secrets::new(None),
        labels: scoring.labels,
        default_platform: scoring.default_platform,
    }
}

/// Who calls a server.
pub fn caller() -> ClientBuilder {
    // One provider for the whole process; another test may have chosen it already.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(10))
}

/// A server, and who calls it.
pub struct Api {
    pub server: Server,
    client: Client,
}

/// What a request was answered.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Api {
    pub async fn start(url: String) -> Self {
        Self::with(options(url)).await
    }

    pub async fn with(options: Options) -> Self {
        let server = Server::start(options).await.unwrap();
        let client = caller().build().unwrap();
        Self { server, client }
    }

    pub async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Got {
        let url = format!("http://{}{path}", self.server.address());
        let mut request = self.client.request(method.parse().unwrap(), url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.unwrap();
        Got {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            text: answer.text().await.unwrap(),
        }
    }

    pub async fn get(&self, path: &str) -> Got {
        self.request("GET", path, &[]).await
    }

    /// A page that must be there.
    pub async fn json(&self, path: &str) -> Value {
        let got = self.get(path).await;
        assert_eq!(got.status, 200, "{path}: {}", got.text);
        got.json()
    }

    /// Status and code of a request that must fail.
    pub async fn fails(&self, path: &str) -> (u16, String) {
        self.get(path).await.problem()
    }
}

impl Got {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    pub fn problem(&self) -> (u16, String) {
        let kind = self.header("content-type");
        assert_eq!(kind, Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{self:?}");
        (self.status, problem["code"].as_str().unwrap().to_owned())
    }
}

/// The names in `data`.
pub fn kols(answer: &Value) -> Vec<&str> {
    let rows = answer["data"].as_array().unwrap().iter();
    rows.map(|row| row["kol_id"].as_str().unwrap()).collect()
}

/// Server-sent events as they come.
pub struct Events {
    answer: reqwest::Response,
    read: String,
}

impl Api {
    pub async fn events(&self, path: &str) -> Events {
        let url = format!("http://{}{path}", self.server.address());
        let answer = self.client.get(url).send().await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/event-stream");
        Events {
            answer,
            read: String::new(),
        }
    }
}

impl Events {
    /// Name and data of the next one.
    pub async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let line = |name: &str| event.lines().find_map(|l| l.strip_prefix(name));
                let kind = line("event: ").unwrap_or_default().to_owned();
                let data = line("data: ").map(|data| serde_json::from_str(data).unwrap());
                self.read = rest.to_owned();
                if let Some(data) = data {
                    return (kind, data);
                }
                continue;
            }
            let chunk = self.answer.chunk().await.unwrap().unwrap();
            self.read += std::str::from_utf8(&chunk).unwrap();
        }
    }
}
