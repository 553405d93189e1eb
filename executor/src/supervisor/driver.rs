//! Runs the supervisor: takes the master's messages and the partitions' ends, executes the effects of the
//! machine, and sends heartbeats and reports. Nothing in this loop waits for work.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use kol_common::actor::{Drained, Exit, Group, Mailbox};
use kol_common::proto;
use kol_common::proto::executor_message::Body;
use kol_common::proto::master_message::Body as FromMaster;
use kol_common::{ClusterId, JobId, KolError, Millis, SourcePartition, StoreId};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use super::jobs::Jobs;
use super::machine::{Effect, Event, Key, Machine};
use super::options::Options;
use super::requests;
use crate::memory::{Share, Use};
use crate::partition::{self, Assignment, Command, Ended, Master, Partition};
use crate::present::Present;
use crate::roots::Roots;
use crate::session::{Account, SessionEvent, Up};

/// How often reports go to the master.
const REPORT_EVERY: Duration = Duration::from_millis(200);
/// Reports between two heartbeats.
const REPORTS_A_HEARTBEAT: u32 = 5;

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    options: Options,
    group: Group,
    roots: Roots,
    /// What the master was last sent of them.
    unseen: Vec<proto::UnseenRoot>,
    machine: Machine,
    jobs: Jobs,
    assigned: BTreeMap<Key, Arc<Assignment>>,
    partitions: BTreeMap<Key, Partition>,
    ends: FuturesUnordered<BoxFuture<'static, (Key, Ended)>>,
    barriers: FuturesUnordered<BoxFuture<'static, Body>>,
    master: Option<mpsc::Sender<proto::ExecutorMessage>>,
    present: Present,
    /// Memory of the dead letters that producers hold.
    letters: Share,
    round: u32,
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
            barriers: FuturesUnordered::new(),
            master: None,
            present: Present::new(Instant::now()),
            round: 0,
        }
    }

    /// Runs until it shall leave and has given everything back, or until the drain timeout has passed.
    pub async fn run(mut self, mut inbox: Mailbox<SessionEvent>) -> Drained {
        let mut reports = tokio::time::interval(REPORT_EVERY);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
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
                    self.leave();
                }
                () = until(deadline) => {
                    tracing::warn!(
                        code = "DRAIN_TIMEOUT",
                        partitions = self.partitions.len(),
                        "the drain timeout passed: ending what is left; nothing is lost, the next \
                         owner reads it again"
                    );
                    return Drained::Aborted;
                }
                Some((key, how)) = self.ends.next(), if !self.ends.is_empty() => {
                    self.ended(key, how);
                }
                Some(reply) = self.barriers.next(), if !self.barriers.is_empty() => {
                    self.send(reply);
                }
                Some(event) = inbox.recv() => self.session(event),
                _ = reports.tick() => self.report(),
            }
        }
    }

    fn session(&mut self, event: SessionEvent) {
        match event {
            SessionEvent::Up(Up { sender, account }) => {
                self.unseen = self.roots.unseen();
                let _session_ended = account.send(Account {
                    running: self.machine.running(),
                    unseen_roots: self.unseen.clone(),
                });
                self.master = Some(sender);
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
                Some(FromMaster::Tick(tick)) => {
                    let id = JobId::from_wire(tick.job_id.clone());
                    self.jobs.tick(&id, tick);
                }
                Some(FromMaster::Explain(query)) => self.explain(query),
                Some(FromMaster::Barrier(barrier)) => {
                    let replies = requests::barrier(barrier, &self.partitions, &self.assigned);
                    self.barriers.extend(replies);
                }
                Some(FromMaster::Welcome(proto::Welcome { wall_ms, .. }))
                | Some(FromMaster::HeartbeatReply(proto::HeartbeatReply { wall_ms })) => {
                    self.present.heard(Instant::now(), Millis(wall_ms));
                }
                None => {}
            },
        }
    }

    fn explain(&mut self, query: proto::ExplainQuery) {
        if let Some(master) = self.master.clone() {
            let job = JobId::from_wire(query.job_id.clone());
            let partitions = requests::addresses(&self.partitions, &job);
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
        let partitions = self.assigned.len() + assign.partitions.len();
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
                master: master.clone(),
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
        match &how {
            Ended::Released { position, drained } => tracing::info!(
                job = %key.0, partition = %key.1, position, drained, "a partition was given back"
            ),
            Ended::Failed(error) => tracing::warn!(
                job = %key.0, partition = %key.1, %error, "a partition stopped"
            ),
            Ended::LostTail(tail) => tracing::info!(
                job = %key.0, partition = %key.1, from = tail.from, to = tail.to,
                "a partition was given back to go before the records that its log lost"
            ),
        }
        self.partitions.remove(&key);
        let id = key.0.clone();
        let ended = key.clone();
        self.decide(Event::Ended { key, how });
        if !self.machine.keys().any(|key| *key == ended) {
            self.assigned.remove(&ended);
        }
        if !self.machine.keys().any(|(job, _)| *job == id) {
            self.jobs.close(&id, &self.group);
        }
    }

    fn decide(&mut self, event: Event) {
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
                Effect::Send(body) => self.send(body),
            }
        }
    }

    fn drain(&self, key: &Key) {
        if let Some(partition) = self.partitions.get(key) {
            // A full mailbox means that the actor reads none: then there is nothing to wait for.
            if partition.address.try_tell(Command::Drain).is_err() {
                partition.stop_now.cancel();
            }
        }
    }

    fn start(&mut self, key: Key, assignment_epoch: u64) {
        let assigned = self.assigned.get(&key);
        let assigned = assigned.filter(|a| a.assignment_epoch == assignment_epoch);
        let Some(assignment) = assigned.map(Arc::clone) else {
            return;
        };
        let spec = serde_json::to_string(&*assignment.spec).unwrap_or_default();
        let (writer, options) = ((&assignment.master, assignment.generation), &self.options);
        let opened = self.jobs.open(&key.0, &spec, writer, options, &self.group);
        let deps = match opened {
            Ok(job) => job.deps(&self.options, &self.present, &self.roots, &self.group),
            Err(error) => {
                self.ends
                    .push(Box::pin(async move { (key, Ended::Failed(error)) }));
                return;
            }
        };
        let state = assignment.restore.as_ref();
        let offset = state.map_or(assignment.offset, |s| s.offset);
        let offset = assignment.resume_at.unwrap_or(offset);
        let files = state.map_or(0, |s| s.files.len());
        tracing::info!(
            job = %key.0, partition = %key.1, offset, assignment_epoch, files, "a partition starts"
        );
        let (partition, mut task, ended) = partition::start(&self.group, assignment, deps);
        self.partitions.insert(key.clone(), partition);
        self.ends.push(Box::pin(async move {
            let how = match ended.await {
                Ok(how) => how,
                Err(_) => Ended::Failed(died(&key, task.exit().await)),
            };
            (key, how)
        }));
    }

    /// After SIGTERM: the master takes the partitions back one by one; without a master they drain
    /// by themselves.
    fn leave(&mut self) {
        tracing::info!(
            partitions = self.partitions.len(),
            "leaving: giving partitions back"
        );
        self.decide(Event::Leave);
        if self.master.is_some() {
            self.send_leaving();
        } else {
            self.drain_all();
        }
    }

    fn drain_all(&self) {
        for key in self.machine.keys() {
            self.drain(key);
        }
    }

    fn send_leaving(&mut self) {
        self.send(Body::Leaving(proto::Leaving {
            drain_timeout_ms: self.options.drain_timeout.as_millis() as u64,
        }));
    }

    fn report(&mut self) {
        let process = self.options.process.as_ref();
        self.options.memory.refresh(process);
        self.letters.set(self.jobs.letters_bytes());
        self.options.memory.tend();
        let cpu_ms = process.cpu_ms();
        let mut reports: Vec<_> = self
            .partitions
            .values()
            .map(|p| p.report.borrow().clone())
            .filter(|r| r.assignment_epoch > 0)
            .collect();
        crate::telemetry::publish(&reports, &self.options.memory, cpu_ms);
        self.options.reports.send_replace(reports.clone());
        if self.round != 0 {
            // They change slowly, and are most of a report.
            reports.iter_mut().for_each(|report| report.sample.clear());
        }
        if !reports.is_empty() {
            self.send(Body::Reports(proto::Reports { reports }));
        }
        self.send_unseen();
        self.round = (self.round + 1) % REPORTS_A_HEARTBEAT;
        if self.round == 0 {
            self.look_for_roots();
            self.send(Body::Heartbeat(proto::Heartbeat {
                rss_bytes: self.options.memory.resident(),
                cpu_ms,
                partitions: self.partitions.len() as u64,
                wall_ms: Millis::now().0,
            }));
        }
    }

    /// Says which checkpoint roots are not there, if that is news.
    fn send_unseen(&mut self) {
        let unseen = self.roots.unseen();
        if self.master.is_some() && unseen != self.unseen {
            self.unseen.clone_from(&unseen);
            self.send(Body::UnseenRoots(proto::UnseenRoots { roots: unseen }));
        }
    }

    /// Looks for roots that were not there, beside the loop: a file system may hang.
    fn look_for_roots(&self) {
        if !self.roots.unseen().is_empty() {
            let roots = self.roots.clone();
            let _runs_by_itself = self.group.spawn("look-for-roots", async move {
                roots.look_again().await;
                Ok(())
            });
        }
    }

    /// Sends to the master if there is a session. The master learns what is lost with a session from the
    /// next registration.
    fn send(&mut self, body: Body) {
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

fn died(key: &Key, exit: Exit) -> KolError {
    let what = match exit {
        Exit::Failed(error) => return error,
        Exit::Panicked(text) => format!("the partition panicked: {text}"),
        Exit::Done | Exit::Aborted => "the partition was aborted".to_owned(),
    };
    let mut error = KolError::internal("PARTITION_DIED", what).partition(&key.1);
    error.retryable = true;
    error
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
