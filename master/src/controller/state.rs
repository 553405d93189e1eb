//! What the controller owns, and how its parts find things in it. Nothing here decides or waits.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{ExecutorState, MasterMessage};
use kol_common::proto::{Savepoint, UnseenRoot};
use kol_common::{ExecutorId, JobId, KolError, Millis, SavepointId};
use tokio::sync::mpsc::error::TrySendError;

use super::attempts::Attempts;
use super::begins::Begins;
use super::clock::Clock;
use super::handle::Handle;
use super::message::{Ending, Reply, Stream};
use super::misled::Misled;
use super::problems::Problems;
use super::questions::Questions;
use super::store::{JobStore, Stored};
use crate::checkpoint::group_offsets::GroupOffsets;
use crate::checkpoint::keeper::{Chore, Keeper};
use crate::checkpoint::renewals::Renewals;
use crate::cluster::{Grace, Limits, Member, Members, SessionId};
use crate::job::discovery::Outside;
use crate::job::{Executor, Fleet, Job, Load, Site};
use crate::scaling::Advisor;

/// What a controller needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The jobs' brokers and Redis, and the secrets to reach them.
    pub outside: Outside,
    /// How long a partition may take to finish when it is taken back.
    pub drain: Duration,
    /// Leases of executors.
    pub limits: Limits,
    /// How long it waits for the owners on record.
    pub grace: Grace,
    /// Where people find this master, `host:port`: other clusters read it beside the keys of its jobs.
    pub host: String,
}

/// A savepoint that a person waits for.
#[derive(Debug)]
pub(super) struct Awaited {
    /// Where its files go.
    pub(super) folder: String,
    pub(super) reply: Reply<Savepoint>,
    /// The job ends once the savepoint is on record, and not before.
    pub(super) ending: Option<Ending>,
}

impl Awaited {
    /// Whether who wanted the job ended no longer waits.
    pub(super) fn is_withdrawn(&self) -> bool {
        let closed = |(_, reply): &Ending| reply.is_closed();
        self.ending.as_ref().is_some_and(closed)
    }

    /// The savepoint failed, and so the job does not end either.
    pub(super) fn refuse(self, refused: KolError) {
        if let Some((_, reply)) = self.ending {
            let _nobody_waits = reply.send(Err(refused.clone()));
        }
        let _nobody_waits = self.reply.send(Err(refused));
    }
}

/// The actor. Its parts are `impl` blocks in the files of this room, each of which calls only what comes
/// before it: this file, `owners`, `committed`, `saved`, `statuses`, `steps`, `ticks`, then what executors and people do, then `actor`.
pub(super) struct Controller {
    pub(super) options: Options,
    pub(super) store: JobStore,
    pub(super) members: Members,
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) questions: Questions,
    pub(super) streams: BTreeMap<ExecutorId, (SessionId, Stream)>,
    pub(super) clock: Clock,
    /// For tasks that report back.
    pub(super) handle: Handle,
    pub(super) tasks: Group,
    /// When it was noted last how things are.
    pub(super) looked: Millis,
    /// Wall clocks of hosts differed then.
    pub(super) clocks_differ: bool,
    pub(super) group_offsets: BTreeMap<JobId, GroupOffsets>,
    pub(super) keeper: Keeper,
    pub(super) attempts: Attempts,
    pub(super) awaited: BTreeMap<SavepointId, Awaited>,
    /// How many executors each job wants.
    pub(super) advisors: BTreeMap<JobId, Advisor>,
    /// What the log said of each job.
    pub(super) problems: BTreeMap<JobId, Problems>,
    /// Places of state files that executors do not see, and since when.
    pub(super) unseen: BTreeMap<ExecutorId, (Millis, Vec<UnseenRoot>)>,
    /// The same of those that see another folder in their place, and do not know.
    pub(super) misled: Misled,
    /// Traces of jobs that begin.
    pub(super) begins: Begins,
    /// Stamps of checkpoint roots that executors are not held to yet.
    pub(super) renewals: Renewals,
}

impl Controller {
    /// With the jobs of the store. `handle` leads to itself; `tasks` gets its looks at Kafka.
    pub(super) fn new(
        clock: Clock,
        options: Options,
        store: JobStore,
        stored: Vec<Stored>,
        handle: Handle,
        tasks: Group,
    ) -> Self {
        let stores = options.outside.stores.clone();
        let now = clock.now();
        let jobs = stored
            .into_iter()
            .map(|(record, checkpoints)| {
                let id = record.id.clone();
                let mut job = Job::new(record, checkpoints, now, options.drain);
                job.await_owners(now, &options.grace);
                (id, job)
            })
            .collect();
        Self {
            members: Members::new(options.limits, store.drains().clone()),
            options,
            jobs,
            questions: Questions::default(),
            streams: BTreeMap::new(),
            clock,
            handle,
            keeper: Keeper::start(&tasks, stores, store.cluster().clone()),
            store,
            attempts: Attempts::new(now),
            begins: Begins::default(),
            advisors: BTreeMap::new(),
            problems: BTreeMap::new(),
            unseen: BTreeMap::new(),
            misled: Misled::default(),
            renewals: Renewals::default(),
            awaited: BTreeMap::new(),
            tasks,
            looked: Millis(0),
            clocks_differ: false,
            group_offsets: BTreeMap::new(),
        }
    }

    /// Jobs that are not over.
    pub(super) fn live(&self) -> Vec<JobId> {
        let live = self.jobs.iter().filter(|(_, job)| job.header().is_live());
        live.map(|(id, _)| id.clone()).collect()
    }

    /// See [`find`].
    ///
    /// # Errors
    /// As there.
    pub(super) fn find(&self, name: &str) -> Result<(&JobId, &Job), KolError> {
        find(&self.jobs, name)
    }

    /// The executors as one job sees them.
    pub(super) fn fleet(&self, job: &JobId) -> Fleet {
        let present = self.members.all().filter(|m| !m.is_gone());
        let others = self.loads_beside(job);
        let now = self.clock.now();
        let executor = |m: &Member| {
            let (unseen_since, mut unseen) = self.unseen.get(&m.id).cloned().unwrap_or_default();
            unseen.extend(self.misled.of(now, &m.id));
            let executor = Executor {
                incarnation: m.incarnation(),
                state: m.state,
                site: Site {
                    host: m.register.host.clone(),
                    zone: m.register.zone.clone(),
                },
                cores: m.register.cores,
                memory: m.register.memory_bytes,
                draining: m.is_draining(),
                prepares: m.register.prepares,
                drains_at: m.drains_at.filter(|_| m.state == ExecutorState::Leaving),
                others: others.get(&m.id).copied().unwrap_or_default(),
                unseen,
                unseen_since,
            };
            (m.id.clone(), executor)
        };
        present.map(executor).collect()
    }

    /// What the partitions of all other jobs take of each executor.
    fn loads_beside(&self, job: &JobId) -> BTreeMap<ExecutorId, Load> {
        let live = self.jobs.iter().filter(|(_, job)| job.header().is_live());
        let others = live.filter(|(id, _)| *id != job);
        let mut loads: BTreeMap<ExecutorId, Load> = BTreeMap::new();
        for (executor, load) in others.flat_map(|(_, job)| job.loads()) {
            let sum = loads.entry(executor).or_default();
            *sum = *sum + load;
        }
        loads
    }

    /// How many partitions an executor has.
    pub(super) fn partitions_of(&self, executor: &ExecutorId) -> usize {
        let live = self.jobs.values().filter(|job| job.header().is_live());
        live.map(|job| job.held_by(executor)).sum()
    }

    /// Without waiting: an executor that does not read loses its stream, and does not slow down the
    /// master.
    pub(super) fn send(&mut self, executor: &ExecutorId, body: ToExecutor) {
        let Some((_, stream)) = self.streams.get(executor) else {
            return;
        };
        let message = MasterMessage {
            body: Some(body),
            term: self.store.term(),
        };
        match stream.try_send(Ok(message)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::warn!(code = "EXECUTOR_STALLED", %executor, "the executor does not read its messages: its stream is closed");
                self.streams.remove(executor);
            }
            Err(TrySendError::Closed(_)) => {
                self.streams.remove(executor);
            }
        }
    }

    /// Has something done in the job's checkpoint folder, beside the loop.
    pub(super) fn clean_up(&self, id: &JobId, chore: Chore) {
        if let Some(job) = self.jobs.get(id) {
            let location = job.header().spec.checkpoint.location.clone();
            self.keeper.tell(location, chore);
        }
    }
}

/// A job by id, or the newest by name; by an empty text the only live one.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn find<'a>(
    jobs: &'a BTreeMap<JobId, Job>,
    name: &str,
) -> Result<(&'a JobId, &'a Job), KolError> {
    if name.is_empty() {
        let mut live = jobs.iter().filter(|(_, j)| j.header().is_live());
        return match (live.next(), live.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(KolError::user("JOB_NOT_FOUND", "no job runs")
                .help("Submit one with kol-client submit FILE.")),
            (Some(_), Some(_)) => Err(KolError::user("JOB_AMBIGUOUS", "several jobs run")
                .help("Name one; kol-client jobs lists them.")),
        };
    }
    let mut newest_first = jobs.iter().rev();
    newest_first
        .find(|(id, job)| id.as_str() == name || job.header().spec.name == name)
        .ok_or_else(|| {
            KolError::user("JOB_NOT_FOUND", format!("there is no job `{name}`"))
                .help("kol-client jobs lists them.")
        })
}
