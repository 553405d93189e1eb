//! Whether this master leads, for whoever answers executors and people: a leader's controller decides, and one that
//! follows tells what the store has, and where the leader is.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kol_common::actor::Group;
use kol_common::proto::{ExecutorStatus, JobStatus, LeadershipReply, ListCheckpointsReply};
use kol_common::{KolError, Millis};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cluster::{Callers, Grace};
use crate::controller::{Handle, Standby};

/// What a master is now.
#[derive(Clone, Debug)]
pub enum Role {
    /// It leads, and decides.
    Leading {
        /// The way to the actor that decides.
        controller: Handle,
        /// The tasks of its term.
        tasks: Group,
    },
    /// It reads the store.
    Following {
        /// What it can tell.
        standby: Standby,
        /// The address of the leader, as far as it is known.
        leader: Option<String>,
    },
}

/// Which executors called while this master did not lead; clones are the same.
#[derive(Clone, Debug)]
pub struct Calls {
    began: Instant,
    callers: Arc<Mutex<Callers>>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            callers: Arc::default(),
        }
    }
}

impl Calls {
    /// How long owners on record have in a term that begins now.
    pub fn grace(&self) -> Grace {
        self.callers().grace(self.now())
    }

    fn note(&self, incarnation: &str) {
        self.callers().called(self.now(), incarnation);
    }

    fn now(&self) -> Millis {
        Millis::from(self.began.elapsed())
    }

    fn callers(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The role of this master, always as it is now.
#[derive(Clone, Debug)]
pub struct Roles {
    role: watch::Receiver<Role>,
    calls: Calls,
}

impl Roles {
    /// Of a master whose role changes, and that notes calls there.
    pub fn new(role: watch::Receiver<Role>, calls: Calls) -> Self {
        Self { role, calls }
    }

    /// Of a master that leads as long as it lives.
    pub fn always(controller: Handle, tasks: Group) -> Self {
        let role = Role::Leading { controller, tasks };
        Self::new(watch::channel(role).1, Calls::default())
    }

    /// An executor called, and was refused because this master does not lead.
    pub fn refused(&self, incarnation: &str) {
        self.calls.note(incarnation);
    }

    fn now(&self) -> Role {
        self.role.borrow().clone()
    }

    /// The controller and the tasks of the term.
    ///
    /// # Errors
    /// `MASTER_FOLLOWS`, with the leader's address.
    pub fn leading(&self) -> Result<(Handle, Group), KolError> {
        match self.now() {
            Role::Leading { controller, tasks } => Ok((controller, tasks)),
            Role::Following { leader, .. } => Err(not_leader(leader.as_deref())),
        }
    }

    /// The controller.
    ///
    /// # Errors
    /// As [`Self::leading`].
    pub fn leader(&self) -> Result<Handle, KolError> {
        self.leading().map(|(controller, _)| controller)
    }

    /// Who leads, as far as this master knows.
    pub fn leadership(&self) -> LeadershipReply {
        let own = LeadershipReply {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            wall_ms: Millis::now().0,
            ..LeadershipReply::default()
        };
        match self.now() {
            Role::Leading { controller, .. } => LeadershipReply {
                leads: true,
                term: controller.term(),
                ..own
            },
            Role::Following { leader, .. } => LeadershipReply {
                leader: leader.unwrap_or_default(),
                ..own
            },
        }
    }

    /// Whether people are answered.
    ///
    /// # Errors
    /// The controller or the store does not answer.
    pub async fn ready(&self) -> Result<(), KolError> {
        match self.now() {
            Role::Leading { controller, .. } => controller.executors().await.map(drop),
            Role::Following { standby, .. } => standby.ready().await,
        }
    }

    /// All jobs, newest first.
    ///
    /// # Errors
    /// The controller or the store does not answer.
    pub async fn jobs(&self) -> Result<Vec<JobStatus>, KolError> {
        match self.now() {
            Role::Leading { controller, .. } => controller.jobs().await,
            Role::Following { standby, .. } => standby.jobs().await,
        }
    }

    /// One job.
    ///
    /// # Errors
    /// There is none; the controller or the store does not answer.
    pub async fn job(&self, job: String) -> Result<JobStatus, KolError> {
        match self.now() {
            Role::Leading { controller, .. } => controller.job(job).await,
            Role::Following { standby, .. } => standby.job(&job).await,
        }
    }

    /// The checkpoints and savepoints of a job.
    ///
    /// # Errors
    /// As [`Self::job`].
    pub async fn checkpoints(&self, job: String) -> Result<ListCheckpointsReply, KolError> {
        match self.now() {
            Role::Leading { controller, .. } => controller.checkpoints(job).await,
            Role::Following { standby, .. } => standby.checkpoints(&job).await,
        }
    }

    /// All executors: the leader alone knows them.
    ///
    /// # Errors
    /// As [`Self::leading`]; the controller does not answer.
    pub async fn executors(&self) -> Result<Vec<ExecutorStatus>, KolError> {
        self.leader()?.executors().await
    }
}

fn not_leader(leader: Option<&str>) -> KolError {
    let message = match leader {
        Some(leader) => format!("this master does not lead: the leader is at {leader}"),
        None => "this master does not lead, and no one does at the moment".to_owned(),
    };
    KolError::external("MASTER_FOLLOWS", message)
        .help("Give --master all masters, separated by commas: the leader is found among them.")
}
