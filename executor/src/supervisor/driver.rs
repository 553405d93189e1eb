//! Runs the supervisor: takes the master's messages and the partitions' ends, executes the effects of the
//! machine, and sends heartbeats and reports. Nothing in this loop waits for work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use kol_common::actor::{Drained, Group, Mailbox};
use kol_common::proto;
use kol_common::proto::executor_message::Body;
use kol_common::proto::master_message::Body as FromMaster;
use kol_common::{ClusterId, JobId, KolError, Millis, SourcePartition, StoreId};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use super::ahead::{Ahead, Wanted};
use super::jobs::Jobs;
use super::machine::{Effect, Event, Key, Machine};
use super::news::News;
use super::options::Options;
use super::requests;
use crate::memory::{Share, Use};
use crate::partition::{Assignment, Command, Ended, Master, Partition};
use crate::present::Present;
use crate::roots::Roots;
use crate::session::{Account, SessionEvent, Up};

/// How often reports go to the master.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// How often an executor that leaves says what it waits for.
const PROGRESS: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    pub(super) options: Options,
    pub(super) group: Group,
    pub(super) roots: Roots,
    /// What the master was last sent of them.
    pub(super) unseen: Vec<proto::UnseenRoot>,
    pub(super) machine: Machine,
    pub(super) jobs: Jobs,
    pub(super) assigned: BTreeMap<Key, Arc<Assignment>>,
    pub(super) partitions: BTreeMap<Key, Partition>,
    /// States that are read ahead, and those that the machine is about to decide on.
    pub(super) ahead: Ahead,
    pub(super) wanted: BTreeMap<Key, Wanted>,
    pub(super) ends: FuturesUnordered<BoxFuture<'static, (Key, Ended)>>,
    /// What the master will be answered; `None` where there is nothing to say any more.
    pub(super) replies: FuturesUnordered<BoxFuture<'static, Option<Body>>>,
    /// A person moves its partitions away.
    draining: bool,
    pub(super) master: Option<mpsc::Sender<proto::ExecutorMessage>>,
    pub(super) present: Present,
    /// Memory of the dead letters that producers hold.
    pub(super) letters: Share,
    pub(super) round: u32,
    pub(super) news: News,
}

impl Supervisor {
    /// Partitions run in `group`.
    pub fn new(options: Options, group: Group) -> Self {
        Self {
            letters: options.memory.share(Use::DeadLetters),
            roots: Roots::new(options.stores.clone(), &options.host),
            unseen: Vec::new(),
            options,
            group,
            machine: Machine::default(),
            jobs: Jobs::default(),
            assigned: BTreeMap::new(),
            partitions: BTreeMap::new(),
            ends: FuturesUnordered::new(),
            ahead: Ahead::default(),
            wanted: BTreeMap::new(),
            replies: FuturesUnordered::new(),
            draining: false,
            master: None,
            present: Present::new(Instant::now()),
            round: 0,
            news: News::default(),
        }
    }

    /// Runs until it shall leave and has given everything back, or until the drain timeout has passed.
    pub async fn run(mut self, mut inbox: Mailbox<SessionEvent>) -> Drained {
        let mut reports = tokio::time::interval(REPORT_EVERY);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut progress = tokio::time::interval(PROGRESS);
        let mut deadline: Option<Instant> = None;
        loop {
            if deadline.is_some() && self.machine.is_idle() {
                return Drained::InTime;
            }
            let leave = self.options.leave.clone();
            tokio::select! {
                biased;
                () = leave.cancelled(), if deadline.is_none() => {
                    deadline = Some(Instant::now() + self.options.drain_timeout);
                    progress.reset();
                    self.leave();
                }
                () = until(deadline) => {
                    tracing::warn!(
                        code = "DRAIN_TIMEOUT",
                        partitions = self.partitions.len(),
                        left = %self.left(),
                        "the drain timeout passed: ending what is left; nothing is lost, the next \
                         owner reads it again"
                    );
                    return Drained::Aborted;
                }
                Some((key, how)) = self.ends.next(), if !self.ends.is_empty() => {
                    self.ended(key, how);
                }
                Some(reply) = self.replies.next(), if !self.replies.is_empty() => {
                    if let Some(reply) = reply {
                        self.answer(reply);
                    }
                }
                Some(event) = inbox.recv() => self.session(event),
                _ = reports.tick() => self.report(),
                _ = progress.tick(), if deadline.is_some() => tracing::info!(
                    code = "LEAVING",
                    partitions = self.partitions.len(),
                    left = %self.left(),
                    "leaving: partitions are still to be given back"
                ),
            }
        }
    }

    fn session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Up(Up { sender, account }) => {
                self.decide(Event::Connected);
                self.unseen = self.roots.unseen();
                let _session_ended = account.send(Account {
                    running: self.machine.running(),
                    unseen_roots: self.unseen.clone(),
                    draining: self.draining,
                });
                self.master = Some(sender);
                self.news.begin();
                if self.options.leave.is_cancelled() {
                    // The master of the new session does not know yet, and would assign partitions.
                    self.send_leaving();
                }
            }
            SessionEvent::Down => {
                self.master = None;
                if self.options.leave.is_cancelled() {
                    // There is no master to take the partitions back.
                    self.drain_all();
                }
            }
            SessionEvent::Message(message) => match message.body {
                Some(FromMaster::Assign(assign)) => self.assign(assign),
                Some(FromMaster::Revoke(revoke)) => self.revoke(revoke),
                Some(FromMaster::Prepare(prepare)) => self.prepare(prepare),
                Some(FromMaster::Discard(discard)) => self.no_longer_wanted(discard),
                Some(FromMaster::Drain(proto::Drain { draining })) => {
                    self.draining = draining;
                    tracing::info!(
                        code = "DRAINING",
                        draining,
                        "a person moves the partitions away, or no longer"
                    );
                }
                Some(FromMaster::Tick(tick)) => {
                    let id = JobId::from_wire(tick.job_id.clone());
                    self.jobs.tick(&id, tick);
                }
                Some(FromMaster::Explain(query)) => self.explain(query),
                Some(FromMaster::Barrier(barrier)) => {
                    let replies = requests::barrier(barrier, &self.partitions, &self.assigned);
                    self.replies
                        .extend(replies.into_iter().map(|r| r.map(Some).boxed()));
                }
                Some(FromMaster::Welcome(welcome)) => {
                    self.present.heard(Instant::now(), Millis(welcome.wall_ms));
                    self.news.welcomed(welcome.takes_unchanged);
                    // A master of the previous version says nothing of them, and renews none.
                    self.roots.hold_to(Vec::new());
                }
                Some(FromMaster::HeartbeatReply(reply)) => {
                    self.present.heard(Instant::now(), Millis(reply.wall_ms));
                }
                Some(FromMaster::RootStamps(roots)) => self.roots.hold_to(roots.stamps),
                None => {}
            },
        }
    }

    fn explain(&mut self, query: proto::ExplainQuery) {
        if let Some(master) = self.master.clone() {
            let job = JobId::from_wire(query.job_id.clone());
            let partitions = requests::addresses(&self.partitions, &self.assigned, &job);
            let explain = requests::explain(query, partitions, master);
            let _runs_by_itself = self.group.spawn("explain", explain);
        }
    }

    fn assign(&mut self, assign: proto::Assign) {
        let id = JobId::from_wire(assign.job_id);
        let master = Master {
            cluster: ClusterId::from_wire(assign.cluster_id),
            store: StoreId::from_wire(assign.store_id),
            host: assign.master_host,
        };
        let writer = (&master, assign.generation);
        // Before any of them opens its log: fewer clients are created for nothing.
        let more = assign.partitions.len().max(self.ahead.len());
        let partitions = self.assigned.len() + more;
        self.options.memory.queues().divide_by(partitions);
        for p in assign.partitions {
            let Some(partition) = p.partition.map(SourcePartition::from) else {
                continue;
            };
            let key = (id.clone(), partition.clone());
            let opened = self
                .jobs
                .open(&id, &assign.spec_json, writer, &self.options, &self.group);
            let job = match opened {
                Ok(job) => job,
                Err(error) => {
                    self.refuse(&key, p.assignment_epoch, &error);
                    continue;
                }
            };
            let assignment = Assignment {
                job: id.clone(),
                spec: Arc::clone(&job.spec),
                scoring: Arc::clone(&job.scoring),
                generation: assign.generation,
                partition,
                ordinal: p.ordinal,
                assignment_epoch: p.assignment_epoch,
                offset: p.offset,
                topic_id: Uuid::from_slice(&p.topic_id).ok(),
                restore: p.restore,
                kept: p.kept,
                lineage: p.lineage,
                resume_at: p.resume_at,
                whole_log: p.whole_log,
                read_before: p.read_before,
                rekeying: p.rekeying,
                master: master.clone(),
                traceparent: assign.traceparent.clone(),
            };
            self.assigned.insert(key.clone(), Arc::new(assignment));
            let event = Event::Assign {
                key,
                assignment_epoch: p.assignment_epoch,
                generation: assign.generation,
            };
            self.decide(event);
        }
        if let Some(tick) = assign.tick {
            self.jobs.tick(&id, tick);
        }
    }

    fn refuse(&mut self, key: &Key, assignment_epoch: u64, error: &KolError) {
        self.send(Body::PartitionFailed(proto::PartitionFailed {
            job_id: key.0.as_str().to_owned(),
            partition: Some((&key.1).into()),
            assignment_epoch,
            error: Some(error.to_info()),
            lost_tail: None,
        }));
    }

    fn revoke(&mut self, revoke: proto::Revoke) {
        let drain = revoke.mode() == proto::RevokeMode::Drain;
        if let Some(partition) = revoke.partition {
            let key = (JobId::from_wire(revoke.job_id), partition.into());
            self.decide(Event::Revoke {
                key,
                assignment_epoch: revoke.assignment_epoch,
                drain,
            });
        }
    }

    fn ended(&mut self, key: Key, how: Ended) {
        // Before it hears of the failure, so that it does not assign the partition here again.
        self.send_unseen();
        let job = self.jobs.name_of(&key.0);
        match &how {
            Ended::Released {
                position, drained, ..
            } => tracing::info!(
                code = "PARTITION_GIVEN_BACK",
                job, job_id = %key.0, partition = %key.1, position, drained, "a partition was given back"
            ),
            Ended::Failed(error) => tracing::warn!(
                code = "PARTITION_STOPPED",
                job, job_id = %key.0, partition = %key.1, %error, "a partition stopped"
            ),
            Ended::LostTail(tail) => tracing::info!(
                code = "PARTITION_GOES_BACK",
                job, job_id = %key.0, partition = %key.1, from = tail.from, to = tail.to,
                "a partition was given back to go before the records that its log lost"
            ),
        }
        self.partitions.remove(&key);
        self.news.forget(&key);
        let id = key.0.clone();
        let ended = key.clone();
        let now = Instant::now();
        self.decide(Event::Ended { key, how, now });
        if !self.machine.keys().any(|key| *key == ended) {
            self.assigned.remove(&ended);
        }
        self.close_if_unused(&id);
    }

    pub(super) fn decide(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.machine.handle(event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Start(key, assignment_epoch) => self.start(key, assignment_epoch),
                Effect::Drain(key) => self.drain(&key),
                Effect::StopNow(key) => {
                    if let Some(partition) = self.partitions.get(&key) {
                        partition.stop_now.cancel();
                    }
                }
                Effect::Prepare(key) => self.read_ahead(key),
                Effect::Discard(key) => self.discard(&key),
                Effect::Send(body) => self.send(body),
            }
        }
    }

    pub(super) fn drain(&self, key: &Key) {
        if let Some(partition) = self.partitions.get(key) {
            // A full mailbox means that the actor reads none: then there is nothing to wait for.
            if partition.address.try_tell(Command::Drain).is_err() {
                partition.stop_now.cancel();
            }
        }
    }

    /// Sends to the master if there is a session. The master learns what is lost with a session from the
    /// next registration.
    pub(super) fn send(&mut self, body: Body) {
        if let Some(master) = &self.master {
            let message = proto::ExecutorMessage {
                body: Some(body),
                ..proto::ExecutorMessage::default()
            };
            if let Err(mpsc::error::TrySendError::Full(_)) = master.try_send(message) {
                tracing::warn!(
                    code = "MASTER_STALLED",
                    "the master reads nothing: starting a new session"
                );
                self.master = None;
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
