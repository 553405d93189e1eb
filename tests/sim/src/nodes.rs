//! What runs on the hosts of a simulation: the product's master and executors as they are, Redis, and the
//! person who uses the job.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kol_common::Incarnation;
use kol_common::checkpoint::{Location, Stores};
use kol_common::job::SpecPolicy;
use kol_common::proto::JobStatus;
use kol_common::secrets::Secrets;
use kol_executor::memory::Memory;
use kol_executor::run::live;
use kol_executor::session::{Identity, Route};
use kol_executor::supervisor;
use kol_master::cluster::Limits;
use kol_master::controller;
use kol_master::election::LeaderStore;
use kol_master::job::discovery::Outside;
use kol_master::meta::EmbeddedStore;
use kol_master::run::{Core, Door};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::log::MemoryLog;
use super::net::Net;
use super::person::{Errand, Person};
use super::redis::Redis;
use super::store::Folders;
use super::trace::Trace;
use super::world::{Virtual, Weightless};

/// Where the master listens.
const PORT: u16 = 7077;
/// Its address.
pub const MASTER: &str = "http://master:7077";
/// How long a partition, and an executor, may take to drain.
const DRAIN: Duration = Duration::from_secs(3);

/// What the hosts share, and what outlives their crashes.
pub struct Shared {
    /// Notes what is delivered.
    pub trace: Arc<Trace>,
    /// Time and chance.
    pub world: Rc<Virtual>,
    /// The input.
    pub log: MemoryLog,
    /// Redis.
    pub redis: Rc<Redis>,
    /// The folders of state files, as each host sees them.
    pub folders: BTreeMap<&'static str, Folders>,
    /// The master's store.
    pub meta: EmbeddedStore,
    /// Tells an executor to leave, as SIGTERM does.
    pub leave: RefCell<BTreeMap<&'static str, CancellationToken>>,
    /// Tells a host that it dies: its connections end, and it does nothing more.
    pub dying: RefCell<BTreeMap<&'static str, CancellationToken>>,
    /// What the person sees of the job now.
    pub status: RefCell<Option<JobStatus>>,
    /// What the person has yet to do, and is doing.
    pub errands: RefCell<VecDeque<Errand>>,
    /// Why the last thing that the person tried failed.
    pub refusal: RefCell<String>,
    /// A state file was damaged.
    pub torn: Cell<bool>,
    /// Redis lost keys, or has others in their place, of which only a comparison tells.
    pub gaps: Cell<bool>,
    /// The job spec.
    pub spec: String,
}

impl Shared {
    /// Opens the folders of state files as a host sees them.
    fn stores(&self, host: &str) -> Stores {
        let folders = self.folders.get(host).cloned();
        Stores::new(Arc::new(folders.unwrap_or_default()))
    }
}

/// The error of a host, which ends the simulation.
type Failed = Box<dyn std::error::Error>;

/// One life of a host, from its start until it ends by itself or is killed.
///
/// # Errors
/// It cannot continue.
pub async fn life<F>(
    shared: Rc<Shared>,
    name: &'static str,
    run: impl FnOnce(Rc<Shared>, Net) -> F,
) -> Result<(), Failed>
where
    F: Future<Output = Result<(), Failed>>,
{
    let (net, dying) = (
        Net::new(Arc::clone(&shared.trace)),
        CancellationToken::new(),
    );
    shared.dying.borrow_mut().insert(name, dying.clone());
    shared.world.begins(name);
    tokio::select! {
        biased;
        () = dying.cancelled() => {
            net.close_all();
            std::future::pending().await
        }
        ended = run(shared, net.clone()) => {
            net.close_all();
            ended
        }
    }
}

/// The master.
///
/// # Errors
/// It cannot continue.
pub async fn master(shared: Rc<Shared>, net: Net) -> Result<(), Failed> {
    let outside = Outside {
        brokers: Arc::new(shared.log.clone()),
        redis: Arc::new(net.clone()),
        stores: shared.stores("master"),
        secrets: Secrets::default(),
    };
    let options = controller::Options {
        outside,
        drain: DRAIN,
        limits: Limits::default(),
        host: "master:7077".into(),
    };
    let mut core = Core::start(LeaderStore::alone(shared.meta.clone()), options).await?;
    let accepted = net.listen(PORT).await?;
    let policy = SpecPolicy::new(Location::Folder("/checkpoints".into()), Vec::new());
    let serving = core.serve(Box::pin(accepted), policy, Door::default());
    let _ends_with_the_host = core.tasks.spawn("grpc", serving);
    Err(core.failed().await.into())
}

/// An executor; it ends by itself after a request to leave.
///
/// # Errors
/// It cannot continue.
pub async fn executor(shared: Rc<Shared>, net: Net, name: &'static str) -> Result<(), Failed> {
    let leave = CancellationToken::new();
    shared.leave.borrow_mut().insert(name, leave.clone());
    let (reports, _) = watch::channel(Vec::new());
    let (ready, _) = watch::channel(false);
    let memory = 1 << 30;
    let options = supervisor::Options {
        secrets: Secrets::default(),
        logs: Arc::new(shared.log.seen_by(name)),
        redis: Arc::new(net.clone()),
        stores: shared.stores(name),
        host: name.to_owned(),
        process: Arc::new(Weightless),
        memory: Memory::new(memory),
        drain_timeout: DRAIN,
        leave,
        reports,
    };
    let identity = Identity {
        incarnation: Incarnation::generate(),
        host: name.to_owned(),
        zone: String::new(),
        http: String::new(),
        cores: 1,
        memory_bytes: memory,
        warnings: Vec::new(),
    };
    let route = Route {
        master: MASTER.to_owned(),
        network: Arc::new(net),
    };
    live(route, identity, options, ready).await?;
    Ok(())
}

/// Redis.
///
/// # Errors
/// It cannot listen.
pub async fn redis(shared: Rc<Shared>, net: Net) -> Result<(), Failed> {
    Ok(Rc::clone(&shared.redis).serve(net).await?)
}

/// Whoever uses the job.
///
/// # Errors
/// None: a person is patient.
pub async fn person(shared: Rc<Shared>, net: Net) -> Result<(), Failed> {
    Person::new(shared, net).live().await;
    Ok(())
}
