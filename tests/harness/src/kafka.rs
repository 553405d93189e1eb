//! Kafka: the real one when its libraries are there, else librdkafka's mock cluster.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use tempfile::TempDir;

use super::{Process, free_port, root, wait_for};

/// A broker that is not heard of for longer is fenced.
const SESSION: Duration = Duration::from_secs(2);

/// A Kafka broker: real, embedded, or one that somebody else started.
#[derive(Debug)]
pub struct Kafka {
    bootstrap: String,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Real(Node),
    /// Makes topics on the thread that keeps the mock cluster.
    Embedded(SyncSender<(String, u32, SyncSender<()>)>),
    /// A real one that somebody else started.
    Foreign,
}

/// One process that is broker and controller at once.
#[derive(Debug)]
struct Node {
    class_path: String,
    process: Mutex<Option<Process>>,
    /// Last: it goes when nobody writes into it any more.
    folder: TempDir,
}

impl Kafka {
    /// The broker that the tests of one test binary share; topics have names of their own.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kafka> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A real broker of a scenario's own, which may take it down; `None` when Kafka is not installed.
    pub fn own() -> Option<&'static Self> {
        let kafka = Self::start();
        // It lives until it is taken down, at the latest until the test process ends.
        kafka.is_real().then(|| &*Box::leak(Box::new(kafka)))
    }

    /// Kills the real broker; what it has written stays.
    pub fn down(&self) {
        if let Kind::Real(node) = &self.kind {
            *node.process.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }

    /// Starts the real broker again.
    pub fn up(&self) {
        if let Kind::Real(node) = &self.kind {
            node.up(&self.bootstrap);
        }
    }

    /// Kills the real broker, takes the records from this offset on from the end of a partition's log, and
    /// starts it again, as after a power loss. Batches go as a whole: answers where the log ends now.
    pub fn lose_tail(&self, topic: &str, partition: u32, from: u64) -> u64 {
        self.down();
        let end = self.cut_off(topic, partition, from);
        self.up();
        end
    }

    /// Pauses the real broker for longer than its session: it is fenced and elected again, so that what is
    /// written from then on has a newer leader epoch.
    pub fn lose_session(&self) {
        if let Kind::Real(node) = &self.kind {
            let process = node.process.lock().unwrap_or_else(PoisonError::into_inner);
            let process = process.as_ref().expect("the broker runs");
            process.signal("STOP");
            std::thread::sleep(2 * SESSION);
            process.signal("CONT");
            std::thread::sleep(SESSION);
        }
    }

    /// A real broker that hosts of another network reach at `address`, one of this machine's, and where; `None` when
    /// Kafka is not installed.
    pub fn own_at(address: &'static str) -> Option<(&'static Self, String)> {
        let port = free_port();
        let kafka = Self::own_with(|_| More {
            listeners: vec![Listener {
                name: "HOSTS",
                protocol: "PLAINTEXT",
                bind: address,
                port,
                advertised: address,
            }],
            ..More::default()
        })?;
        Some((kafka, format!("{address}:{port}")))
    }

    fn cut_off(&self, topic: &str, partition: u32, from: u64) -> u64 {
        let Kind::Real(node) = &self.kind else {
            panic!("only the real broker has files");
        };
        cut_off(&node.folder.path().join("logs"), topic, partition, from)
    }

    /// A real broker with more listeners and settings, made in its folder; `None` when Kafka is not
    /// installed.
    pub(super) fn own_with(more: impl FnOnce(&Path) -> More) -> Option<&'static Self> {
        let kafka = Self::real(&kafka_libs()?, more);
        Some(Box::leak(Box::new(kafka)))
    }

    /// Starts the real Kafka from `$KOL_KAFKA_LIBS` (default `target/tools/kafka/libs`).
    pub fn start() -> Self {
        if let Some(libs) = kafka_libs() {
            return Self::real(&libs, |_| More::default());
        }
        eprintln!(
            "NOT TESTED WITH REAL KAFKA: {} is missing (run tests/setup.sh with java and mvn \
             installed). librdkafka's embedded mock broker stands in.",
            libs().display()
        );
        Self::embedded()
    }

    /// librdkafka's mock cluster: it keeps 5 MiB of each partition, in memory.
    pub fn embedded() -> Self {
        type Request = (String, u32, SyncSender<()>);
        let (requests, inbox) = sync_channel::<Request>(16);
        let (started, address) = sync_channel(1);
        std::thread::spawn(move || {
            let cluster = MockCluster::new(1).expect("a mock cluster");
            let _asker_gone = started.send(cluster.bootstrap_servers());
            for (topic, partitions, done) in inbox {
                let made = cluster.create_topic(&topic, partitions as i32, 1);
                made.expect("a topic of the mock cluster");
                let _asker_gone = done.send(());
            }
        });
        Self {
            bootstrap: address.recv().expect("the mock cluster starts"),
            kind: Kind::Embedded(requests),
        }
    }

    /// A real broker that somebody else started.
    pub fn foreign(bootstrap: &str) -> &'static Self {
        Box::leak(Box::new(Self {
            bootstrap: bootstrap.to_owned(),
            kind: Kind::Foreign,
        }))
    }

    /// `host:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Whether it is Kafka itself.
    pub fn is_real(&self) -> bool {
        matches!(self.kind, Kind::Real(_) | Kind::Foreign)
    }

    /// Makes a topic of the mock cluster; the real one is created over the wire.
    pub fn create_embedded(&self, topic: &str, partitions: u32) -> bool {
        let Kind::Embedded(requests) = &self.kind else {
            return false;
        };
        let (done, made) = sync_channel(1);
        let request = (topic.to_owned(), partitions, done);
        requests.send(request).expect("the mock cluster lives");
        made.recv().expect("the mock cluster answers");
        true
    }

    fn real(libs: &Path, more: impl FnOnce(&Path) -> More) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        remove_when_we_end(folder.path());
        let (port, controller) = (free_port(), free_port());
        let properties = folder.path().join("server.properties");
        let more = more(folder.path());
        let settings = settings(folder.path(), port, controller, &more);
        std::fs::write(&properties, settings).expect("a properties file");
        let class_path = format!("{}/*", libs.canonicalize().expect("libraries").display());
        let file = properties.to_str().expect("a path in UTF-8");
        format_storage(&class_path, file, &more.format);
        let node = Node {
            folder,
            class_path,
            process: Mutex::default(),
        };
        let bootstrap = format!("127.0.0.1:{port}");
        node.up(&bootstrap);
        Self {
            bootstrap,
            kind: Kind::Real(node),
        }
    }
}

/// What a broker has besides the listener without a login.
#[derive(Debug, Default)]
pub(super) struct More {
    /// Its other listeners.
    pub(super) listeners: Vec<Listener>,
    /// Lines of its properties.
    pub(super) settings: Vec<String>,
    /// Arguments of the tool that formats its storage.
    pub(super) format: Vec<&'static str>,
}

/// One more way to a broker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listener {
    pub(super) name: &'static str,
    pub(super) protocol: &'static str,
    /// Address of this machine.
    pub(super) bind: &'static str,
    pub(super) port: u16,
    /// The host that the broker gives clients to connect to.
    pub(super) advertised: &'static str,
}

fn libs() -> PathBuf {
    std::env::var_os("KOL_KAFKA_LIBS")
        .map_or_else(|| root().join("target/tools/kafka/libs"), PathBuf::from)
}

/// The folder of Kafka's libraries, where they are installed.
pub fn kafka_libs() -> Option<PathBuf> {
    Some(libs()).filter(|libs| libs.is_dir())
}

impl Node {
    fn up(&self, bootstrap: &str) {
        let folder = self.folder.path();
        let heap = ["-Xmx640m", "-Xms256m", "-XX:+UseSerialGC"];
        let class = ["-cp", &self.class_path, "kafka.Kafka", "server.properties"];
        let arguments = [&heap[..], &class].concat();
        let process = Process::start("kafka", folder, Path::new("java"), &arguments);
        wait_for("Kafka to start", Duration::from_secs(60), || {
            answers(bootstrap).map_err(|e| format!("{e}\n{}", process.log()))
        });
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
    }
}

/// Cuts off the segments of a partition before the first batch that has a record at `from` or later, and
/// deletes what the broker makes again from the segments.
fn cut_off(logs: &Path, topic: &str, partition: u32, from: u64) -> u64 {
    let folder = logs.join(format!("{topic}-{partition}"));
    let files = std::fs::read_dir(&folder).expect("the folder of the partition");
    let mut segments = Vec::new();
    for file in files.map(|file| file.expect("a file").path()) {
        match file.extension().and_then(|e| e.to_str()) {
            Some("log") => segments.push(file),
            Some("index" | "timeindex" | "snapshot") => {
                std::fs::remove_file(file).expect("removed")
            }
            _ => {}
        }
    }
    for of_all in [
        "recovery-point-offset-checkpoint",
        "replication-offset-checkpoint",
    ] {
        let _none_yet = std::fs::remove_file(logs.join(of_all));
    }
    segments.sort();
    let mut end = None;
    for segment in segments {
        if end.is_some() {
            std::fs::remove_file(segment).expect("removed");
            continue;
        }
        let content = std::fs::read(&segment).expect("a segment");
        if let Some((length, base)) = first_batch_at(&content, from) {
            let file = std::fs::File::options().write(true).open(&segment);
            let cut = file.and_then(|file| file.set_len(length as u64));
            cut.expect("the segment is cut off");
            end = Some(base);
        }
    }
    end.expect("a batch at that offset or later")
}

/// Place and base offset of the first batch that has a record at this offset or later. A batch begins with
/// its base offset (8 bytes) and the length of what follows (4); at 23 is the number of its last record
/// (4), all big-endian.
fn first_batch_at(segment: &[u8], from: u64) -> Option<(usize, u64)> {
    let number = |at: usize, length: usize| {
        let bytes = segment.get(at..at + length)?;
        Some(bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
    };
    let mut at = 0;
    loop {
        let (base, length, last) = (number(at, 8)?, number(at + 8, 4)?, number(at + 23, 4)?);
        if base + last >= from {
            return Some((at, base));
        }
        at += 12 + length as usize;
    }
}

/// A broker that is shared is never dropped, and its folder would stay: a shell waits for the end of this
/// process, however that comes, and removes it.
pub fn remove_when_we_end(folder: &Path) {
    let shell = Command::new("sh")
        .args(["-c", "cat; sleep 2; rm -rf \"$0\""])
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh");
    // Its input is closed by the end of the process.
    std::mem::forget(shell);
}

/// Whether the broker answers a request for metadata.
fn answers(bootstrap: &str) -> Result<(), String> {
    let _refused_early = TcpStream::connect(bootstrap).map_err(|e| e.to_string())?;
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .create()
        .map_err(|e| e.to_string())?;
    let metadata = client.fetch_metadata(None, Duration::from_secs(5));
    metadata.map(|_| ()).map_err(|e| e.to_string())
}

fn settings(folder: &Path, port: u16, controller: u16, more: &More) -> String {
    let logs = folder.join("logs");
    let each = |text: &dyn Fn(&Listener) -> String| -> String {
        more.listeners.iter().map(text).collect()
    };
    let listeners = each(&|l| format!(",{}://{}:{}", l.name, l.bind, l.port));
    let advertised = each(&|l| format!(",{}://{}:{}", l.name, l.advertised, l.port));
    let protocols = each(&|l| format!(",{}:{}", l.name, l.protocol));
    // Real data is older than any retention: it must not be collected while a test reads it.
    [
        "process.roles=broker,controller".to_owned(),
        "node.id=1".to_owned(),
        format!("controller.quorum.voters=1@127.0.0.1:{controller}"),
        format!(
            "listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listeners}"
        ),
        format!("advertised.listeners=PLAINTEXT://127.0.0.1:{port}{advertised}"),
        "controller.listener.names=CONTROLLER".to_owned(),
        "inter.broker.listener.name=PLAINTEXT".to_owned(),
        format!(
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}"
        ),
        more.settings.join("\n"),
        format!("log.dirs={}", logs.display()),
        "offsets.topic.replication.factor=1".to_owned(),
        "transaction.state.log.replication.factor=1".to_owned(),
        "transaction.state.log.min.isr=1".to_owned(),
        "offsets.topic.num.partitions=1".to_owned(),
        "auto.create.topics.enable=false".to_owned(),
        "log.retention.ms=-1".to_owned(),
        // A broker that was killed may register again only when its session has ended.
        format!("broker.session.timeout.ms={}", SESSION.as_millis()),
        "broker.heartbeat.interval.ms=500".to_owned(),
        "message.max.bytes=20000000".to_owned(),
        "group.initial.rebalance.delay.ms=0".to_owned(),
    ]
    .join("\n")
}

fn format_storage(class_path: &str, properties: &str, more: &[&str]) {
    let tool = |arguments: &[&str]| {
        let output = Command::new("java")
            .args(["-cp", class_path, "kafka.tools.StorageTool"])
            .args(arguments)
            .output()
            .expect("java");
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(
            output.status.success(),
            "kafka.tools.StorageTool: {text} {output:?}"
        );
        text
    };
    let id = tool(&["random-uuid"]);
    let id = id.lines().last().expect("an id");
    tool(&[&["format", "-t", id, "-c", properties], more].concat());
}
