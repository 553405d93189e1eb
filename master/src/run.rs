//! Puts a master together and runs it until SIGTERM or SIGINT.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use kol_common::actor::{Drained, Group, Task};
use kol_common::checkpoint::Stores;
use kol_common::job::SpecPolicy;
use kol_common::net::{self, Protection, accept, serve_http};
use kol_common::proto::cluster_service_server::ClusterServiceServer;
use kol_common::proto::job_service_server::JobServiceServer;
use kol_common::secrets::Secrets;
use kol_common::telemetry::announce;
use kol_common::{KolError, world};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::cluster::{Grace, Limits};
use crate::config::{Config, Shared};
use crate::controller::{self, Options};
use crate::election::{self, Candidate, LeaderStore, LeaseFile, Past};
use crate::http::{self, Pages, Rankings};
use crate::job::brokers::Kafka;
use crate::job::discovery::Outside;
use crate::lead::{self, Terms};
use crate::meta::etcd::{Access, Etcd, EtcdStore};
use crate::meta::{EmbeddedStore, MetaStore};
use crate::role::{Calls, Roles};
use crate::rpc::{ClusterRpc, Guard, JobRpc};
use crate::specs::Admission;

/// Silence of the network after which a connection is probed, and closed.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Largest message from an executor: reports of all its partitions.
const MAX_MESSAGE: usize = 64 << 20;

/// Longest wait for an answer of etcd about the store, and about the election: several of those fit into a lease.
const STORE_ANSWER: Duration = Duration::from_secs(2);
const ELECTION_ANSWER: Duration = Duration::from_millis(800);
/// News of the election that may wait.
const NEWS: usize = 8;

/// Largest request of a person: a spec of 1 MiB, and what belongs to it.
const MAX_REQUEST: usize = 2 << 20;
/// Connections at one time.
const CONNECTIONS: usize = 512;
/// Streams of a connection, and requests of it that are worked on.
const STREAMS: u32 = 64;
const REQUESTS: usize = 16;
/// Most bytes of the headers of a request.
const HEADERS: u32 = 16 << 10;
/// How long a client may take to begin.
const HELLO: Duration = Duration::from_secs(5);

const LIMITS: net::Limits = net::Limits {
    connections: CONNECTIONS,
    hello: HELLO,
    http2: true,
};

/// Who may call a master.
#[derive(Clone, Debug, Default)]
pub struct Door {
    /// How its listeners are protected.
    pub protection: Protection,
    /// What people must know of this process.
    pub warnings: Vec<String>,
}

/// A master that runs.
#[derive(Debug)]
pub struct Master {
    /// Where gRPC is served.
    pub grpc: SocketAddr,
    /// Where HTTP is served.
    pub http: SocketAddr,
    core: Core,
}

/// Where the state of a master is.
enum State {
    /// On its disk.
    Own(EmbeddedStore),
    /// In etcd, shared with others.
    Shared(Box<Shared>, Box<Access>),
}

impl State {
    async fn open(config: &Config, secrets: &Secrets) -> Result<Self, KolError> {
        Ok(match config.etcd.clone() {
            None => Self::Own(opened(config).await?),
            Some(shared) => {
                let access = Access::new(&shared.members, secrets)?;
                Self::Shared(Box::new(shared), Box::new(access))
            }
        })
    }

    /// How others may reach it, where they should not.
    fn warning(&self) -> Option<String> {
        match self {
            Self::Own(_) => None,
            Self::Shared(_, access) => access.warning(),
        }
    }
}

/// What a master is without its listeners: its role and its tasks.
#[derive(Debug)]
pub struct Core {
    /// Whether it leads, and who decides then.
    pub roles: Roles,
    /// All its tasks.
    pub tasks: Group,
    stores: Stores,
    secrets: Secrets,
    /// The controller, or what takes its part in elections.
    decides: Task,
}

impl Core {
    /// Loads the jobs of the store and starts the controller. Boxed, as [`run`] is.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn start(
        meta: LeaderStore,
        options: Options,
    ) -> BoxFuture<'static, Result<Self, KolError>> {
        Box::pin(Self::start_here(meta, options))
    }

    async fn start_here(meta: LeaderStore, options: Options) -> Result<Self, KolError> {
        let tasks = Group::new("master");
        let stores = options.outside.stores.clone();
        let secrets = options.outside.secrets.clone();
        let (controller, decides) = controller::start(meta, options, &tasks).await?;
        let roles = Roles::always(controller, tasks.clone());
        Ok(Self {
            roles,
            tasks,
            stores,
            secrets,
            decides,
        })
    }

    /// One that has the store on its disk, and leads.
    async fn alone(store: EmbeddedStore, terms: &Terms) -> Result<Self, KolError> {
        let tasks = Group::new("master");
        let store = LeaderStore::alone(store);
        let options = terms.options.clone();
        let (controller, decides) = lead::start(store, options, terms, &tasks).await?;
        let roles = Roles::always(controller, tasks.clone());
        Ok(Self {
            roles,
            tasks,
            stores: terms.options.outside.stores.clone(),
            secrets: terms.options.outside.secrets.clone(),
            decides,
        })
    }

    /// One that has its store in etcd, and leads when it is elected. `etcd` opens clients that wait so long for an
    /// answer; `prefix` is that of its keys, `address` where executors and people reach this master, and `past` knows the
    /// lease of the process before it.
    ///
    /// # Errors
    /// A URL of etcd is malformed.
    pub fn shared(
        etcd: impl Fn(Duration) -> Result<Etcd, KolError>,
        prefix: String,
        address: String,
        past: Option<Arc<dyn Past>>,
        terms: impl FnOnce(Arc<dyn MetaStore>) -> Terms,
    ) -> Result<Self, KolError> {
        let store = EtcdStore::new(Arc::new(etcd(STORE_ANSWER)?), prefix.clone());
        let candidate = Candidate::new(Arc::new(etcd(ELECTION_ANSWER)?), prefix, address);
        let candidate = candidate.with_past(past);
        Ok(Self::elected(candidate, terms(Arc::new(store))))
    }

    fn elected(candidate: Candidate, terms: Terms) -> Self {
        let tasks = Group::new("master");
        let (role, roles) = watch::channel(terms.following(None));
        let calls = Calls::default();
        let (news, heard) = mpsc::channel(NEWS);
        let election = election::run(candidate, news, tasks.stop_token());
        let _ends_with_the_group = tasks.spawn("election", election);
        let outside = terms.options.outside.clone();
        let roles = Roles::new(roles, calls.clone());
        let terms = terms.run(heard, role, calls, tasks.stop_token());
        let decides = tasks.spawn("terms", terms);
        Self {
            roles,
            tasks,
            stores: outside.stores,
            secrets: outside.secrets,
            decides,
        }
    }

    /// Serves gRPC on these connections until the tasks are stopped; `policy` is what an operator allows
    /// every spec, `door` who may call.
    ///
    /// # Errors
    /// Connections can no longer be accepted.
    pub fn serve<S>(
        &self,
        accepted: impl Stream<Item = std::io::Result<S>> + Send + 'static,
        policy: SpecPolicy,
        door: Door,
    ) -> impl Future<Output = Result<(), KolError>> + Send + 'static
    where
        S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    {
        let cluster = ClusterRpc::new(self.roles.clone());
        let cluster = ClusterServiceServer::new(cluster).max_decoding_message_size(MAX_MESSAGE);
        let admission = Admission {
            policy,
            secrets: self.secrets.clone(),
        };
        let (roles, stores) = (self.roles.clone(), self.stores.clone());
        let jobs = JobRpc::new(roles, admission, stores, door.warnings);
        let jobs = JobServiceServer::new(jobs).max_decoding_message_size(MAX_REQUEST);
        let server = Server::builder()
            .tcp_nodelay(true)
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE))
            .max_concurrent_streams(STREAMS)
            .concurrency_limit_per_connection(REQUESTS)
            .http2_max_header_list_size(HEADERS)
            .layer(Guard(door.protection))
            .add_service(cluster)
            .add_service(jobs);
        let stop = self.tasks.stop_token();
        async move {
            server
                .serve_with_incoming_shutdown(accepted, stop.cancelled_owned())
                .await
                .map_err(|e| KolError::external("GRPC", e.to_string()))
                .inspect_err(|error| {
                    tracing::error!(code = "GRPC_ENDED", %error, "gRPC is no longer served");
                })
        }
    }

    /// Ends when what decides does, which it does by itself only when it cannot continue.
    pub async fn failed(&mut self) -> KolError {
        lead::failure(self.decides.exit().await)
    }
}

impl Master {
    /// Opens the store, starts the controller and serves. Boxed, as [`run`] is.
    ///
    /// # Errors
    /// An address in use; a state folder that cannot be written, or that another master uses.
    pub fn start(config: &Config) -> BoxFuture<'_, Result<Self, KolError>> {
        Box::pin(Self::start_here(config))
    }

    async fn start_here(config: &Config) -> Result<Self, KolError> {
        let protection = Protection::new(config.tls.as_deref(), config.insecure)?;
        let protection = protection.allow_hosts(&config.allow_hosts)?;
        protection.check_address("--listen", config.listen)?;
        protection.check_address("--http", config.http)?;
        let secrets = Secrets::new(config.secrets_dir.clone());
        // Before the addresses: whoever has the folder has those, too, and the folder says it better.
        let state = State::open(config, &secrets).await?;
        let (grpc_listener, grpc) = bind("--listen", config.listen).await?;
        let (http_listener, http) = bind("--http", config.http).await?;

        let outside = Outside {
            brokers: Arc::new(Kafka),
            redis: Arc::new(kol_common::redis::Network),
            stores: Stores::of_this_machine(),
            secrets,
        };
        let redis = (outside.redis.clone(), outside.secrets.clone());
        let root = config.checkpoint_root.clone();
        let policy = SpecPolicy::new(root, config.allow_roots.clone());
        let terms = |meta| Terms {
            meta,
            admission: Admission {
                policy: policy.clone(),
                secrets: outside.secrets.clone(),
            },
            options: Options {
                outside,
                drain: config.drain_timeout,
                limits: Limits::default(),
                grace: Grace::default(),
                host: format!("{}:{}", config.host, grpc.port()),
            },
            root: config.checkpoint_root.to_string(),
            autostart: config.autostart.clone(),
        };
        let warnings = protection.warning(&[grpc, http]).into_iter();
        let warnings: Vec<_> = warnings.chain(state.warning()).collect();
        let core = match state {
            State::Own(store) => Core::alone(store.clone(), &terms(Arc::new(store))).await?,
            State::Shared(shared, access) => {
                let address = shared.address(grpc, protection.credentials().is_some());
                let open = |answer| Etcd::new(&access, answer);
                let past = past(config).await;
                let core = Core::shared(open, shared.prefix.clone(), address, past, terms)?;
                access.keep(&core.tasks);
                core
            }
        };
        let tasks = &core.tasks;
        protection.keep(warnings.clone(), tasks);
        let rankings = Rankings::start(redis.0, redis.1, tasks);
        let pages = Pages::new(core.roles.clone(), warnings.clone(), rankings, tasks);
        let pages = http::served(pages, protection.clone());
        serve_http(http_listener, pages, &protection, tasks);
        let accepted = accept(grpc_listener, &protection, LIMITS, tasks);
        let door = Door {
            protection,
            warnings,
        };
        let _runs_by_itself = tasks.spawn("grpc", core.serve(accepted, policy, door));
        Ok(Self { grpc, http, core })
    }

    /// What this master is now: leader or follower.
    pub fn roles(&self) -> &Roles {
        &self.core.roles
    }

    /// Ends when it cannot continue.
    pub async fn failed(&mut self) -> KolError {
        self.core.failed().await
    }

    /// Ends everything; executors continue by themselves.
    pub async fn stop(&self, deadline: Duration) -> Drained {
        self.core.tasks.drain(deadline).await
    }
}

/// The store in the state folder.
async fn opened(config: &Config) -> Result<EmbeddedStore, KolError> {
    let state_dir = config.state_dir.clone();
    let opened = world::blocking(move || EmbeddedStore::open(&state_dir)).await;
    let panicked = || KolError::internal("STATE_STORE", "opening it panicked");
    opened.ok_or_else(panicked)?
}

/// What the process before this one left in the state folder. A master does without it.
async fn past(config: &Config) -> Option<Arc<dyn Past>> {
    let folder = config.state_dir.clone();
    let opened = world::blocking(move || LeaseFile::open(&folder)).await?;
    match opened {
        Ok(file) => Some(Arc::new(file)),
        Err(error) => {
            let folder = config.state_dir.display();
            tracing::info!(code = "LEASE_NOT_KEPT", %folder, %error, "the lease of this master is not kept: if it is killed, the lease has to expire");
            None
        }
    }
}

async fn bind(flag: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), KolError> {
    let refused = |e: std::io::Error| {
        KolError::external("ADDRESS", format!("cannot listen on {address}: {e}"))
            .terminal()
            .help(format!(
                "Choose another {flag} address; port 0 takes a free one."
            ))
    };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}

/// Runs until SIGTERM or SIGINT. Prints one line when it serves. Boxed, so that what it awaits is compiled here and not
/// in each program that calls it.
///
/// # Errors
/// What keeps it from starting, or from continuing.
pub fn run(config: Config) -> BoxFuture<'static, Result<(), KolError>> {
    Box::pin(until_a_signal(config))
}

async fn until_a_signal(config: Config) -> Result<(), KolError> {
    let fail = |e: std::io::Error| KolError::internal("SIGNALS", e.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let mut master = Master::start(&config).await?;
    let addresses = [("grpc", master.grpc), ("http", master.http)];
    announce(config.log_format, "kol-master", &addresses);
    let signal = tokio::select! {
        biased;
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        error = master.failed() => return Err(error),
    };
    tracing::info!(
        code = "SIGNAL",
        signal,
        "ending; executors continue without this master"
    );
    match master.stop(config.drain_timeout).await {
        Drained::InTime => tracing::info!(code = "MASTER_ENDED", "bye"),
        Drained::Aborted => tracing::info!(code = "MASTER_ENDED", "bye; open connections were cut"),
    }
    Ok(())
}
