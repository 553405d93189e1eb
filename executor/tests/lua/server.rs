//! A Redis server of its own, on a socket in a folder of its own, and the calls of a partition.

#![expect(
    clippy::disallowed_methods,
    reason = "a real server is waited for by the machine's clock"
)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kol_common::Millis;
use kol_common::job::SinkSpec;
use kol_common::redis::classify;
use kol_common::scoring::{Scoring, Slot};
use kol_executor::partition::encode::{CallContext, Encoder, Outgoing};
use kol_executor::sink::{Fence, compare, script};
use redis::{Cmd, Connection, Value};
use tempfile::TempDir;

use crate::database::scoring;

const LIMIT: Duration = Duration::from_secs(10);

/// Ends with the test.
pub struct Server {
    folder: TempDir,
    process: Child,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--unixsocket", "socket"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, process }
    }

    /// As the user who may do everything, with all scripts loaded.
    pub fn connect(&self) -> Connection {
        let socket = self.folder.path().join("socket");
        let url = format!("redis+unix://{}", socket.display());
        let client = redis::Client::open(url).unwrap();
        let begun = Instant::now();
        let mut open = loop {
            match client.get_connection() {
                Ok(open) => break open,
                Err(error) => assert!(begun.elapsed() < LIMIT, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        for script in script::all() {
            script.prepare_invoke().load(&mut open).unwrap();
        }
        open
    }
}

/// A partition of a job whose keys are the defaults, with legacy hashes and an expiry.
pub struct Partition {
    scoring: Scoring,
    encoder: Encoder,
    pub fence: Fence,
    pub sequence: u64,
    /// Merges of the flush so far.
    pub merges: usize,
    /// The market measure that it knows, and its version.
    pub market: (f64, u64),
}

impl Partition {
    pub fn new(generation: u64) -> Self {
        Self::with_ordinal(generation, 0)
    }

    /// Another one of the same job.
    pub fn with_ordinal(generation: u64, ordinal: u32) -> Self {
        let sink = SinkSpec {
            legacy_hashes: true,
            ttl: Some(Millis(3_600_000)),
            ..SinkSpec::default()
        };
        Self {
            scoring: scoring(),
            encoder: Encoder::new(&sink, &scoring().spec, ordinal),
            fence: Fence {
                key: format!("streaming:fence:j:t:{ordinal}"),
                generation,
                assignment_epoch: 1,
            },
            sequence: 0,
            merges: 0,
            market: (0.0, 1),
        }
    }

    /// A call of a script on the fence record, and the arguments of all such calls.
    fn on_fence(&self, script: &redis::Script, keys: &[&str]) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.get_hash()).arg(1 + keys.len());
        command.arg(&self.fence.key).arg(keys);
        command
            .arg(self.fence.generation)
            .arg(self.fence.assignment_epoch);
        command
    }

    pub fn claim(&self) -> Cmd {
        let mut command = self.on_fence(&script::CLAIM, &[]);
        command.arg("log/0");
        command
    }

    /// Begins the next flush.
    pub fn begin(&mut self) -> Cmd {
        self.sequence += 1;
        self.merges = 0;
        let mut command = self.on_fence(&script::BEGIN, &[]);
        command
            .arg(self.sequence)
            .arg(9)
            .arg(480_000)
            .arg(0)
            .arg("the last record");
        command
    }

    /// The next merge of the flush.
    pub fn merge(&mut self, platform: &str, shown: bool, kols: &[(&str, Outgoing)]) -> Cmd {
        self.merges += 1;
        let context = CallContext {
            job: "x",
            scoring: &self.scoring,
            fence: &self.fence,
            sequence: self.sequence,
            place: self.merges,
            platform,
            market: self.market.0,
            market_version: self.market.1,
            now: "now",
            shown,
        };
        self.encoder.call(&context, kols)
    }

    /// The next call of the flush: removes the hashes of KOLs of tiktok that nothing names.
    pub fn forget(&mut self, kols: &[&str]) -> Cmd {
        self.merges += 1;
        let context = CallContext {
            job: "x",
            scoring: &self.scoring,
            fence: &self.fence,
            sequence: self.sequence,
            place: self.merges,
            platform: "tiktok",
            market: self.market.0,
            market_version: self.market.1,
            now: "now",
            shown: true,
        };
        let kols: Vec<String> = kols.iter().map(|kol| (*kol).to_owned()).collect();
        self.encoder.forget(&context, &kols)
    }

    /// Ends the flush.
    pub fn done(&self) -> Cmd {
        self.done_and_recheck(&[])
    }

    /// The end of a flush that looks at these hashes of alerts again.
    pub fn done_and_recheck(&self, hashes: &[&str]) -> Cmd {
        let keys = [
            "streaming:last_update",
            "streaming:last_event",
            "streaming:ranking:*:trending:platforms",
        ];
        let keys = [&keys, hashes].concat();
        let mut command = self.on_fence(&script::DONE, &keys);
        command.arg(self.sequence).arg("now").arg("now");
        command.arg(self.merges);
        command
    }

    pub fn compare(&self, platform: &str, kols: &[&str]) -> Cmd {
        self.compare_confirmed(0, platform, kols)
    }

    /// Where Redis had confirmed this sequence.
    pub fn compare_confirmed(&self, confirmed: u64, platform: &str, kols: &[&str]) -> Cmd {
        let from = (confirmed, 0);
        self.encoder.compare(&self.fence, from, platform, kols)
    }

    /// Whether these KOLs of tiktok read as they were sent, with these slots, as far as those are known.
    pub fn are_as_sent(&self, open: &mut Connection, kols: &[(&str, Option<Slot>)]) -> Vec<bool> {
        let names: Vec<&str> = kols.iter().map(|(kol, _)| *kol).collect();
        let row: compare::Row = self.compare("tiktok", &names).query(open).unwrap();
        let (present, _) = compare::read(row).unwrap();
        let mut readback = self.encoder.readback(&self.scoring, &self.fence, "tiktok");
        let both = kols.iter().zip(&present.kols);
        both.map(|((kol, slot), found)| readback.is_as_sent(kol, slot.as_ref(), found))
            .collect()
    }
}

/// Sends a command as a person types it.
pub fn run(open: &mut Connection, words: &str) -> Value {
    let mut words = words.split(' ');
    let mut command = redis::cmd(words.next().unwrap());
    command.arg(words.collect::<Vec<_>>());
    command.query(open).unwrap()
}

/// What a call answers: its words with blanks between, or the code of the error.
pub fn answer(open: &mut Connection, call: &Cmd) -> String {
    match call.query::<Value>(open) {
        Ok(value) => words(&value).join(" "),
        Err(error) => classify(&error).code.to_owned(),
    }
}

fn words(value: &Value) -> Vec<String> {
    match value {
        Value::Array(all) => all.iter().flat_map(words).collect(),
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Value::Int(number) => vec![number.to_string()],
        other => vec![format!("{other:?}")],
    }
}
