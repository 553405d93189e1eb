//! What runs on the hosts of a simulation: the product's master and executors as they are, Redis, and the
//! person who uses the job.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
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
use kol_master::cluster::{Grace, Limits};
use kol_master::controller;
use kol_master::election::{LeaderStore, Past};
use kol_master::job::discovery::Outside;
use kol_master::lead::Terms;
use kol_master::meta::etcd::{Access, Etcd as EtcdClient, Members};
use kol_master::meta::{EmbeddedStore, MetaStore};
use kol_master::role::Roles;
use kol_master::run::{Core, Door};
use kol_master::specs::Admission;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::drains::Drains;
use super::etcd::Etcd;
use super::log::MemoryLog;
use super::masters::{ETCD, Masters, PORT, url};
use super::net::Net;
use super::person::{Errand, Person};
use super::redis::Redis;
use super::reign::PREFIX;
use super::schedule::MASTER;
use super::store::Folders;
use super::trace::Trace;
use super::world::{Virtual, Weightless};

/// Where etcd listens.
const ETCD_PORT: u16 = 2379;
/// How often its clock is moved, if it is a fast one.
const DRIFT_EVERY: Duration = Duration::from_millis(100);
/// How long a partition, and an executor, may take to drain.
const DRAIN: Duration = Duration::from_secs(3);

/// What the hosts share, and what outlives their crashes.
pub struct Shared {
    /// Notes what is delivered.
    pub trace: Arc<Trace>,
    /// Time and chance.
    pub world: Rc<Virtual>,
    /// The log that the job reads.
    pub log: MemoryLog,
    /// The Redis that the job writes to.
    pub redis: Rc<Redis>,
    /// The folders of state files, as each host sees them.
    pub folders: BTreeMap<&'static str, Folders>,
    /// How many masters there are.
    pub masters: Masters,
    /// The store of a master that is alone.
    pub meta: EmbeddedStore,
    /// The store of several.
    pub etcd: Etcd,
    /// The leases that masters remember on their disks.
    pub pasts: BTreeMap<&'static str, Arc<Disk>>,
    /// How much faster than others the clock of etcd is, in thousandths.
    pub drift: u32,
    /// Whether each of the masters that run leads.
    pub roles: RefCell<BTreeMap<&'static str, Roles>>,
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
    /// What the person has had drained.
    pub drains: RefCell<Drains>,
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

/// The disk of a master: its newest lease.
#[derive(Debug, Default)]
pub struct Disk(Mutex<Option<i64>>);

impl Past for Disk {
    fn lease(&self) -> Option<i64> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, lease: i64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(lease);
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
    let pause = shared.world.begins(name);
    let (net, dying) = (
        Net::new(Arc::clone(&shared.trace), pause),
        CancellationToken::new(),
    );
    shared.dying.borrow_mut().insert(name, dying.clone());
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

/// A master that is alone.
///
/// # Errors
/// It cannot continue.
pub async fn master(shared: Rc<Shared>, net: Net) -> Result<(), Failed> {
    let options = options(&shared, &net, MASTER);
    let core = Core::start(LeaderStore::alone(shared.meta.clone()), options).await?;
    serve(core, net).await
}

/// One of several masters.
///
/// # Errors
/// It cannot continue.
pub async fn candidate(shared: Rc<Shared>, net: Net, name: &'static str) -> Result<(), Failed> {
    let terms = |meta: Arc<dyn MetaStore>| Terms {
        meta,
        options: options(&shared, &net, name),
        admission: Admission {
            policy: policy(),
            secrets: Secrets::default(),
        },
        root: root().to_string(),
        autostart: None,
    };
    // Nobody is outside: TLS would show nothing here.
    let members = Members {
        urls: vec![format!("http://{ETCD}:{ETCD_PORT}")],
        insecure: true,
        ..Members::default()
    };
    let access = Access::new(&members, &Secrets::default())?;
    let etcd = |answer| EtcdClient::reached_by(&access, answer, |member| net.lazily(member));
    let past = Arc::clone(&shared.pasts[name]) as Arc<dyn Past>;
    let core = Core::shared(etcd, PREFIX.to_owned(), url(name), Some(past), terms)?;
    shared.roles.borrow_mut().insert(name, core.roles.clone());
    serve(core, net).await
}

fn options(shared: &Shared, net: &Net, name: &str) -> controller::Options {
    controller::Options {
        outside: Outside {
            brokers: Arc::new(shared.log.clone()),
            redis: Arc::new(net.clone()),
            stores: shared.stores(name),
            secrets: Secrets::default(),
        },
        drain: DRAIN,
        limits: Limits::default(),
        grace: Grace::default(),
        host: format!("{name}:{PORT}"),
    }
}

fn root() -> Location {
    Location::Folder("/checkpoints".into())
}

fn policy() -> SpecPolicy {
    SpecPolicy::new(root(), Vec::new())
}

async fn serve(mut core: Core, net: Net) -> Result<(), Failed> {
    let accepted = net.listen(PORT).await?;
    let serving = core.serve(Box::pin(accepted), policy(), Door::default());
    let _ends_with_the_host = core.tasks.spawn("grpc", serving);
    Err(core.failed().await.into())
}

/// etcd.
///
/// # Errors
/// It cannot listen.
pub async fn etcd(shared: Rc<Shared>, net: Net) -> Result<(), Failed> {
    shared.etcd.restarted();
    let accepted = net.listen(ETCD_PORT).await?;
    let serving = shared.etcd.router().serve_with_incoming(Box::pin(accepted));
    tokio::select! {
        biased;
        served = serving => Ok(served?),
        () = drift(shared.drift) => Ok(()),
    }
}

/// The clock of this host is faster than those of others.
async fn drift(thousandths: u32) {
    loop {
        tokio::time::sleep(DRIFT_EVERY).await;
        if thousandths > 0 {
            tokio::time::advance(DRIFT_EVERY * thousandths / 1_000).await;
        }
    }
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
        ends: kol_common::kafka::Ends::default(),
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
        master: shared.masters.urls().collect::<Vec<_>>().join(","),
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
