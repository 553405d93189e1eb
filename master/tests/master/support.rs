//! A master in this process, an embedded Kafka, a Redis that knows only fences, and a fake executor that
//! speaks real gRPC.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::checkpoint::Location;
use kol_common::proto::cluster_service_client::ClusterServiceClient;
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::job_service_client::JobServiceClient;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    Assign, ExecutorMessage, Heartbeat, JobRef, JobState, JobStatus, MasterMessage, Register,
    RunningPartition, SubmitReply, SubmitRequest,
};
use kol_common::telemetry::LogFormat;
use kol_master::config::Config;
use kol_master::run::Master;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

/// Longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Kafka, Redis and a folder that outlives masters.
pub struct Rig {
    pub kafka: MockCluster<'static, DefaultProducerContext>,
    pub redis: SocketAddr,
    /// What Redis knows.
    pub known: Arc<Known>,
    pub folder: tempfile::TempDir,
    tasks: Group,
}

/// What the Redis knows.
#[derive(Debug, Default)]
pub struct Known {
    /// The generation in every fence record; 0 = there are none.
    pub fences: AtomicU64,
    /// The generation of the ranking of youtube, of which no job here has creators; 0 = there is none.
    pub youtube: AtomicU64,
    /// It does not say whose the keys are.
    pub hides_owners: AtomicBool,
}

impl Rig {
    /// With one topic.
    pub async fn new(topic: &str, partitions: i32) -> Self {
        let kafka = MockCluster::new(1).unwrap();
        kafka.create_topic(topic, partitions, 1).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let redis = listener.local_addr().unwrap();
        let tasks = Group::new("rig");
        let connections = tasks.clone();
        let known = Arc::new(Known::default());
        let answers = Arc::clone(&known);
        let _runs_by_itself = tasks.spawn("redis", async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _runs_by_itself =
                    connections.spawn("connection", know_fences(stream, Arc::clone(&answers)));
            }
            Ok(())
        });
        Self {
            kafka,
            redis,
            known,
            folder: tempfile::tempdir().unwrap(),
            tasks,
        }
    }

    pub fn config(&self) -> Config {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Config {
            listen: free,
            http: free,
            host: "rig".into(),
            state_dir: self.folder.path().join("state"),
            etcd: None,
            checkpoint_root: Location::Folder("/".into()),
            allow_roots: Vec::new(),
            secrets_dir: None,
            tls: None,
            insecure: false,
            allow_hosts: Vec::new(),
            drain_timeout: Duration::from_secs(2),
            log_format: LogFormat::Text,
            log_level: None,
            otlp_endpoint: None,
            autostart: None,
        }
    }

    pub async fn master(&self) -> Master {
        self.master_with(self.config()).await
    }

    pub async fn master_with(&self, config: Config) -> Master {
        Master::start(&config).await.unwrap()
    }

    pub fn spec(&self, name: &str) -> String {
        format!(
            "name = \"{name}\"\n[source]\nbootstrap = \"{}\"\ntopics = [\"events\"]\n\
             starting_offsets = \"earliest\"\n[sink]\nurl = \"redis://{}/0\"\n\
             [checkpoint]\nlocation = \"file://{}\"\n",
            self.kafka.bootstrap_servers(),
            self.redis,
            self.folder.path().join("checkpoints").display()
        )
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.tasks.stop_token().cancel();
    }
}

/// Speaks enough of Redis's protocol to say what fences and rankings hold.
async fn know_fences(stream: TcpStream, known: Arc<Known>) -> Result<(), kol_common::KolError> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|n| n > 0) {
        let words: usize = line.trim_start_matches('*').trim().parse().unwrap_or(0);
        let mut command = Vec::new();
        for _ in 0..words {
            line.clear();
            stream.read_line(&mut line).await.unwrap();
            let length: usize = line.trim_start_matches('$').trim().parse().unwrap();
            let mut word = vec![0; length + 2];
            stream.read_exact(&mut word).await.unwrap();
            command.push(String::from_utf8_lossy(&word[..length]).to_uppercase());
        }
        let generation = known.fences.load(Ordering::Relaxed).to_string();
        let shown = format!("{} live", known.youtube.load(Ordering::Relaxed));
        let of_youtube = command.get(1).is_some_and(|key| key.contains("YOUTUBE"));
        let answer = match command.first().map(String::as_str) {
            Some("SMEMBERS") => "*1\r\n$7\r\nyoutube\r\n".to_owned(),
            Some("GET") if of_youtube => format!("${}\r\n{shown}\r\n", shown.len()),
            Some("GET") => "$-1\r\n".to_owned(),
            Some("EVALSHA") if known.hides_owners.load(Ordering::Relaxed) => {
                "-LOADING Redis is loading the dataset in memory\r\n".to_owned()
            }
            Some("HGET") if generation == "0" => "$-1\r\n".to_owned(),
            Some("HGET") => format!("${}\r\n{generation}\r\n", generation.len()),
            // The scripts of owner records; no one else has any.
            Some("EVALSHA") => "*2\r\n$4\r\nFREE\r\n$1\r\n1\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        };
        stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
        line.clear();
    }
    Ok(())
}

/// A client for people's questions.
pub async fn people(master: &Master) -> JobServiceClient<Channel> {
    JobServiceClient::connect(format!("http://{}", master.grpc))
        .await
        .unwrap()
}

pub async fn submit(
    client: &mut JobServiceClient<Channel>,
    spec: &str,
) -> Result<SubmitReply, tonic::Status> {
    let request = SubmitRequest {
        spec_toml: spec.into(),
        origin: "test.toml".into(),
        ..SubmitRequest::default()
    };
    client
        .submit(request)
        .await
        .map(tonic::Response::into_inner)
}

/// Waits until a job looks as it should.
pub async fn wait_for(
    client: &mut JobServiceClient<Channel>,
    job: &str,
    what: impl Fn(&JobStatus) -> bool,
) -> JobStatus {
    let began = tokio::time::Instant::now();
    loop {
        let job_ref = JobRef { job: job.into() };
        let status = client.get_job(job_ref).await.unwrap().into_inner();
        if what(&status) {
            return status;
        }
        assert!(began.elapsed() < PATIENCE, "last seen: {status:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub fn is(state: JobState) -> impl Fn(&JobStatus) -> bool {
    move |status| status.state() == state
}

/// An executor that does only what a test tells it to, and sends heartbeats.
pub struct FakeExecutor {
    pub sender: mpsc::Sender<ExecutorMessage>,
    pub incoming: Streaming<MasterMessage>,
    pub id: String,
    tasks: Group,
}

impl FakeExecutor {
    pub async fn connect(
        master: &Master,
        incarnation: &str,
        running: Vec<RunningPartition>,
    ) -> Self {
        let channel = Channel::from_shared(format!("http://{}", master.grpc)).unwrap();
        let mut client = ClusterServiceClient::new(channel.connect().await.unwrap());
        let (sender, outgoing) = mpsc::channel(64);
        let register = FromExecutor::Register(Register {
            incarnation: incarnation.into(),
            host: "fake".into(),
            running,
            ..Register::default()
        });
        sender.send(message(register)).await.unwrap();
        let session = client.session(ReceiverStream::new(outgoing));
        let incoming = tokio::time::timeout(PATIENCE, session).await;
        let tasks = Group::new("fake executor");
        let beats = sender.clone();
        let _runs_by_itself = tasks.spawn("heartbeat", async move {
            let beat = || message(FromExecutor::Heartbeat(Heartbeat::default()));
            while beats.send(beat()).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            Ok(())
        });
        let mut executor = Self {
            sender,
            incoming: incoming.unwrap().unwrap().into_inner(),
            id: String::new(),
            tasks,
        };
        let ToExecutor::Welcome(welcome) = executor.next().await else {
            panic!("Welcome comes first");
        };
        executor.id = welcome.executor_id;
        executor
    }

    pub async fn send(&self, body: FromExecutor) {
        self.sender.send(message(body)).await.unwrap();
    }

    pub async fn next(&mut self) -> ToExecutor {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.incoming.message()).await;
            let body = next.unwrap().unwrap().unwrap().body.unwrap();
            // They come by themselves: as many as heartbeats, and with each look at the checkpoint root.
            let by_itself = matches!(
                body,
                ToExecutor::HeartbeatReply(_) | ToExecutor::RootStamps(_)
            );
            if !by_itself {
                return body;
            }
        }
    }

    /// The first message that pleases; all before it are passed over. Ticks come by themselves, so that each is in time
    /// does not mean that this ends.
    pub async fn find<T>(
        &mut self,
        what: &str,
        mut pleases: impl FnMut(ToExecutor) -> Option<T>,
    ) -> T {
        let found = async {
            loop {
                if let Some(found) = pleases(self.next().await) {
                    return found;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
    }

    /// The next assignment; ticks are passed over.
    pub async fn assignment(&mut self) -> Assign {
        let assignment = |message| match message {
            ToExecutor::Assign(assign) => Some(assign),
            ToExecutor::Tick(_) => None,
            other => panic!("expected an assignment, got {other:?}"),
        };
        self.find("an assignment", assignment).await
    }

    /// Ends as a killed process does: at once.
    pub async fn kill(self) {
        self.tasks.drain(Duration::ZERO).await;
    }
}

fn message(body: FromExecutor) -> ExecutorMessage {
    ExecutorMessage {
        body: Some(body),
        ..ExecutorMessage::default()
    }
}

/// What an executor says it runs of an assignment.
pub fn running(assign: &Assign) -> Vec<RunningPartition> {
    let partitions = assign.partitions.iter();
    partitions
        .map(|p| RunningPartition {
            job_id: assign.job_id.clone(),
            partition: p.partition.clone(),
            generation: assign.generation,
            assignment_epoch: p.assignment_epoch,
        })
        .collect()
}
