//! Runs the machine of a partition of the first stage.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kol_common::actor::Mailbox;
use kol_common::job::OnDataLoss;
use kol_common::proto::PartitionReport;
use kol_common::{KolError, SourcePartition, proto};
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::machine::{Effect, Machine, Message, Start};
use super::report::{Parts, report};
use crate::partition::deps::Deps;
use crate::partition::message::{Assignment, Command, Ended};
use crate::partition::reader::{News, Reader, Recovered};
use crate::partition::stage::{Rekeyer, Taken};
use crate::partition::turn::Turn;
use crate::source::{Batch, Committed, Refusal, Route, Source, Transactions};

/// Time between two looks at log, memory and report.
const HOUSEKEEPING: Duration = Duration::from_millis(200);
/// Records taken between two looks at what is on its way: they may be as large as Kafka allows.
const BATCH: usize = 256;
/// Time between two looks whether records on their way have arrived, while there is no room for more.
const ROOM_AGAIN: Duration = Duration::from_millis(5);
/// Part of the process's memory that records on their way may take, and the bounds of a partition's share.
const PART: u64 = 16;
const SHARE: (u64, u64) = (256 << 10, 8 << 20);

/// See the module.
pub struct Actor {
    assignment: Arc<Assignment>,
    transactions: Arc<dyn Transactions>,
    source: Source,
    machine: Machine,
    /// Once it is known where to read.
    reader: Option<Reader>,
    rekeyer: Rekeyer,
    turn: Turn,
    /// Bytes on their way that it waits for before it reads more.
    most: u64,
    /// What is under way: never more than one.
    call: Option<BoxFuture<'static, Message>>,
    ended: Option<Ended>,
    inbox: Mailbox<Command>,
    report: watch::Sender<Arc<PartitionReport>>,
    stop_now: CancellationToken,
    housekeeping_at: Instant,
}

impl Actor {
    /// Begins with what the assignment says.
    ///
    /// # Errors
    /// The client refuses, or the assignment does not say where the partition writes.
    pub fn new(
        assignment: Arc<Assignment>,
        deps: Deps,
        inbox: Mailbox<Command>,
        report: watch::Sender<Arc<PartitionReport>>,
        stop_now: CancellationToken,
    ) -> Result<Self, KolError> {
        let now = Instant::now();
        let rekeying = assignment.rekeying.clone().unwrap_or_default();
        let transactions = deps.source.transactions(route(&assignment, &rekeying)?)?;
        let spec = &assignment.spec;
        let start = Start {
            partition: assignment.partition.clone(),
            offset: assignment.offset,
            topic: assignment.topic_id,
            has_position: rekeying.has_position,
            must_not_lose: spec.source.on_data_loss() == OnDataLoss::Fail,
            interval: spec.sink.flush_interval,
        };
        let (to, letters) = (Arc::clone(&transactions), deps.dead_letters);
        let partitions = deps.memory.queues().partitions().max(1);
        let most = deps.memory.limit() / PART / partitions;
        let mut actor = Self {
            rekeyer: Rekeyer::new(&assignment, rekeying.partitions, to, letters),
            machine: Machine::new(now, start),
            transactions,
            source: deps.source,
            reader: None,
            turn: Turn::new(deps.memory, now),
            most: most.clamp(SHARE.0, SHARE.1),
            call: None,
            ended: None,
            inbox,
            report,
            stop_now,
            housekeeping_at: now,
            assignment,
        };
        actor.decide(Message::Begin);
        Ok(actor)
    }

    /// Says how it ended, before it ends what is still open: the next owner does that, too.
    pub async fn run(mut self, ended: oneshot::Sender<Ended>) {
        // Its end and its identity are known from then on.
        self.source.pause(&self.assignment.partition);
        let how = self.serve().await;
        match &mut self.reader {
            Some(reader) => reader.close(),
            None => self.source.close(&self.assignment.partition),
        }
        let is_clean = matches!(how, Ended::Released { drained: true, .. });
        let _supervisor_ended = ended.send(how);
        if !is_clean {
            if let Some(call) = self.call.take() {
                // One at a time; it has a deadline.
                let _nobody_waits = call.await;
            }
            self.transactions.abort().await;
        }
    }

    /// Stop and control come before answers, so that a revoked partition commits nothing more than it has begun to; those
    /// before time, so that what is committed makes room; data comes last, because it is nearly always ready.
    async fn serve(&mut self) -> Ended {
        let mut batch = Batch::with_capacity(BATCH);
        loop {
            let now = Instant::now();
            if now >= self.housekeeping_at
                && let Err(error) = self.keep_house(now)
            {
                return Ended::Failed(error);
            }
            let letters_arrived = self.rekeyer.letters_have_arrived();
            self.decide(Message::Tick { letters_arrived });
            if let Some(ended) = self.ended.take() {
                self.show_report();
                return ended;
            }
            let has_room = self.transactions.bytes() < self.most;
            let reads = has_room && self.reads();
            let again = (!has_room).then(|| now + ROOM_AGAIN);
            let due = self.machine.wake_at().filter(|at| *at > now);
            let pace = self.reader.as_ref().and_then(Reader::ready_at);
            let times = due
                .into_iter()
                .chain(pace.filter(|at| *at > now))
                .chain(again);
            let wake = times.fold(self.housekeeping_at, Instant::min);
            tokio::select! {
                biased;
                () = self.stop_now.cancelled() => return self.machine.released(false, now),
                Some(command) = self.inbox.recv() => self.command(command),
                message = answer(&mut self.call) => self.decide(message),
                () = tokio::time::sleep_until(wake) => {}
                () = self.rekeyer.letter_news() => self.rekeyer.tend_letters(Instant::now()),
                news = news(&mut self.reader, now, reads) => {
                    if let Err(error) = self.read(news, &mut batch) {
                        return Ended::Failed(error);
                    }
                }
            }
        }
    }

    fn reads(&self) -> bool {
        self.machine.reads() && self.rekeyer.has_room() && !self.turn.memory().is_full()
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Drain => self.decide(Message::Drain),
            // The supervisor sends none: there is no state. Dropped, they are answered.
            Command::Barrier { .. } | Command::Explain { .. } => {}
        }
    }

    fn decide(&mut self, message: Message) {
        let mut effects = Vec::new();
        self.machine.handle(Instant::now(), message, &mut effects);
        for effect in effects {
            match effect {
                Effect::Fence => {
                    let fenced = self.transactions.fence();
                    self.call = Some(fenced.map(Message::Fenced).boxed());
                }
                Effect::Find => {
                    let found = self.transactions.committed();
                    self.call = Some(found.map(Message::Found).boxed());
                }
                Effect::FindOldest => {
                    tracing::warn!(
                        code = "LOG_RECREATED", job = self.assignment.spec.name, partition = %self.assignment.partition,
                        "the topic was recreated: it is read from its beginning"
                    );
                    let range = self.source.watermarks(&self.assignment.partition);
                    let oldest =
                        range.map(|range| Message::Oldest(range.map(|(oldest, _)| oldest)));
                    self.call = Some(oldest.boxed());
                }
                Effect::Open(from) => self.open(from),
                Effect::Commit(position) => {
                    let committed = self.transactions.commit(position);
                    self.call = Some(committed.map(Message::Committed).boxed());
                }
                Effect::End(ended) => self.ended = Some(ended),
            }
        }
    }

    /// The log is opened once there is memory for it: see [`Turn`].
    fn open(&mut self, from: Committed) {
        let assignment = Assignment {
            offset: from.offset,
            topic_id: from.topic,
            ..(*self.assignment).clone()
        };
        if let Some(mut old) = self.reader.take() {
            old.close();
        }
        let mut reader = Reader::new(
            Arc::new(assignment),
            Source::clone(&self.source),
            Instant::now(),
        );
        reader.wait();
        self.reader = Some(reader);
        self.housekeeping_at = Instant::now();
    }

    fn read(&mut self, news: News, batch: &mut Batch) -> Result<(), KolError> {
        let now = Instant::now();
        let Some(reader) = &mut self.reader else {
            return Ok(());
        };
        match news {
            News::Records => {
                let rekeyer = &mut self.rekeyer;
                reader.read(now, batch, |record| rekeyer.take(record))?;
                let Taken {
                    records,
                    bytes,
                    refused,
                } = rekeyer.taken();
                let position = reader.position();
                self.decide(match refused {
                    Some(refusal) => Message::Broken(refusal),
                    None => Message::Read {
                        position,
                        records,
                        bytes,
                    },
                });
            }
            News::Range(range) => match reader.recover(now, range)? {
                Recovered::SameLog => {
                    let position = reader.position();
                    self.decide(Message::Read {
                        position,
                        records: 0,
                        bytes: 0,
                    });
                }
                Recovered::NewLog => {
                    let what = "the topic was recreated";
                    let error = KolError::external("LOG_RECREATED", what);
                    self.decide(Message::Broken(Refusal::Aborted(error)));
                }
                Recovered::LostTail(tail) => {
                    let topic = self.machine.topic();
                    self.open(Committed {
                        offset: tail.from,
                        topic,
                    });
                    self.decide(Message::CutOff(tail.from));
                }
            },
        }
        Ok(())
    }

    fn keep_house(&mut self, now: Instant) -> Result<(), KolError> {
        self.housekeeping_at = now + HOUSEKEEPING;
        if self.machine.looks()
            && let Some(identity) = self.source.identity(&self.assignment.partition)
        {
            self.decide(Message::Seen(identity));
        }
        if let Some(reader) = &mut self.reader {
            reader.look(now)?;
            self.turn.take(now, reader)?;
        }
        self.rekeyer.tend_letters(now);
        self.turn
            .weigh_written(self.transactions.bytes(), self.rekeyer.letters_bytes());
        self.show_report();
        Ok(())
    }

    fn show_report(&self) {
        let parts = Parts {
            assignment: &self.assignment,
            machine: &self.machine,
            reader: self.reader.as_ref(),
            rekeyer: &self.rekeyer,
            memory: self.turn.memory(),
            end: self.source.end(&self.assignment.partition),
            log: self.source.problem(),
        };
        self.report.send_replace(Arc::new(report(&parts)));
    }
}

/// Waits for what is under way; forever when nothing is.
async fn answer(call: &mut Option<BoxFuture<'static, Message>>) -> Message {
    match call {
        Some(under_way) => {
            let message = under_way.await;
            *call = None;
            message
        }
        None => std::future::pending().await,
    }
}

async fn news(reader: &mut Option<Reader>, now: Instant, wanted: bool) -> News {
    match reader {
        Some(reader) => reader.news(now, wanted).await,
        None => std::future::pending().await,
    }
}

/// Under which names a partition writes: they are part of the contract.
fn route(assignment: &Assignment, rekeying: &proto::Rekeying) -> Result<Route, KolError> {
    let origin = assignment.partition.clone();
    let topic_id = Uuid::from_slice(&rekeying.topic_id).map_err(|_| {
        let what = "the master does not say which topic to write to";
        KolError::internal("REKEY_ASSIGNMENT", what).partition(&origin)
    })?;
    let (cluster, job) = (assignment.master.cluster.as_str(), &assignment.spec.name);
    let SourcePartition { topic, partition } = &origin;
    Ok(Route {
        writer: format!("kol-rekey.{cluster}.{job}.{topic_id}.{topic}.{partition}"),
        group: format!(
            "{}.rekey.{topic_id}",
            assignment.spec.source.kafka().group_id
        ),
        topic: rekeying.topic.clone(),
        topic_id,
        origin,
    })
}
