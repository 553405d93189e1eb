//! What the partitions of one job share on this executor: the client of its log, the Redis writer, the
//! dead-letter topic and the master's newest tick. Created with its first partition, dropped with its
//! last.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::job::JobSpec;
use kol_common::proto::JobTick;
use kol_common::redis::owner::Owner;
use kol_common::scoring::Scoring;
use kol_common::{JobId, KolError, SourcePartition};
use tokio::sync::watch;

use super::options::Options;
use crate::alerts::{self, Alerts};
use crate::partition::{Deps, Master};
use crate::present::Present;
use crate::roots::Roots;
use crate::sink::{self, Nodes, Sink, Turns};
use crate::source::{DeadLetters, Source};

/// How long dead letters may take to be written when a job ends.
const DEAD_LETTER_FLUSH: Duration = Duration::from_secs(5);

/// The jobs that have partitions here.
#[derive(Debug, Default)]
pub struct Jobs {
    jobs: BTreeMap<JobId, Job>,
    /// The Redis servers that they write to.
    nodes: Nodes,
}

/// One of them.
#[derive(Debug)]
pub struct Job {
    /// Its spec, which its partitions share.
    pub spec: Arc<JobSpec>,
    /// Its scoring constants.
    pub scoring: Arc<Scoring>,
    source: Source,
    sink: Sink,
    turns: Turns,
    dead_letters: Option<DeadLetters>,
    alerts: Option<Alerts>,
    ticks: Ticks,
}

/// The master's newest tick, for all partitions of a job. Each has a channel of its own: a channel that
/// is shared wakes its readers in random order, and a simulation would not be reproducible from its
/// seed.
#[derive(Debug, Default)]
struct Ticks {
    newest: Arc<JobTick>,
    partitions: Vec<watch::Sender<Arc<JobTick>>>,
}

impl Ticks {
    fn subscribe(&mut self) -> watch::Receiver<Arc<JobTick>> {
        let (sender, receiver) = watch::channel(Arc::clone(&self.newest));
        self.partitions.retain(|partition| !partition.is_closed());
        self.partitions.push(sender);
        receiver
    }

    /// A tick that is not newer than the newest is ignored.
    fn publish(&mut self, mut tick: JobTick) {
        let known = &self.newest;
        if tick.market_version == 0 {
            tick.market_version = known.market_version;
            tick.market.clone_from(&known.market);
        }
        // A master that was started again learns it from reports.
        tick.newest_event_ms = tick.newest_event_ms.max(known.newest_event_ms);
        let newer = tick.market_version >= known.market_version && tick.clock_ms >= known.clock_ms;
        if newer && **known != tick {
            self.newest = Arc::new(tick);
            for partition in &self.partitions {
                partition.send_replace(Arc::clone(&self.newest));
            }
        }
    }
}

impl Jobs {
    /// The job, started if it is new here; `writer` is the master that runs it, and the job's generation.
    ///
    /// # Errors
    /// The spec cannot be used on this executor: properties, secrets.
    pub fn open(
        &mut self,
        id: &JobId,
        spec_json: &str,
        writer: (&Master, u64),
        options: &Options,
        group: &Group,
    ) -> Result<&mut Job, KolError> {
        if !self.jobs.contains_key(id) {
            let job = Job::start(id, spec_json, writer, (options, &self.nodes), group)?;
            self.jobs.insert(id.clone(), job);
        }
        self.jobs
            .get_mut(id)
            .ok_or_else(|| KolError::internal("JOB_TABLE", "a job vanished"))
    }

    /// A job that has partitions here.
    pub fn get(&self, id: &JobId) -> Option<&Job> {
        self.jobs.get(id)
    }

    /// Its name, for the log.
    pub fn name_of(&self, id: &JobId) -> &str {
        self.jobs.get(id).map_or("", |job| job.spec.name.as_str())
    }

    /// Publishes a tick of the master to the partitions of a job; an older one is ignored.
    pub fn tick(&mut self, id: &JobId, tick: JobTick) {
        if let Some(job) = self.jobs.get_mut(id) {
            job.ticks.publish(tick);
        }
    }

    /// Memory that dead letters on their way take, in bytes.
    pub fn letters_bytes(&self) -> u64 {
        let topics = self
            .jobs
            .values()
            .filter_map(|job| job.dead_letters.as_ref());
        topics.map(DeadLetters::bytes).sum()
    }

    /// Drops a job without partitions. Its source gets a bounded time to end and its dead letters to be
    /// written, beside the supervisor's loop: heartbeats must not wait.
    pub fn close(&mut self, id: &JobId, group: &Group) {
        let Some(Job {
            spec,
            source,
            dead_letters,
            alerts,
            ..
        }) = self.jobs.remove(id)
        else {
            return;
        };
        if !self.jobs.values().any(|job| job.spec.name == spec.name) {
            crate::partition::forget(&spec.name);
            alerts::forget(&spec);
        }
        let stopped = source.stop();
        let _runs_by_itself = group.spawn("close-job", async move {
            if let Some(alerts) = alerts {
                alerts.stop();
            }
            if let Some(dead_letters) = dead_letters {
                dead_letters.flush(DEAD_LETTER_FLUSH).await;
            }
            stopped.await;
            Ok(())
        });
    }
}

impl Job {
    fn start(
        id: &JobId,
        spec_json: &str,
        writer: (&Master, u64),
        (options, nodes): (&Options, &Nodes),
        group: &Group,
    ) -> Result<Self, KolError> {
        let spec: JobSpec = serde_json::from_str(spec_json).map_err(|e| {
            KolError::internal(
                "SPEC_ENCODING",
                format!("the master sent an unknown spec: {e}"),
            )
            .help("Run the same version of kol-master and kol-executor.")
        })?;
        let secrets = &options.secrets;
        let redis = Arc::clone(&options.redis);
        let logs = &options.logs;
        let (master, generation) = writer;
        let owner = Owner {
            store: master.store.clone(),
            cluster: master.cluster.clone(),
            host: master.host.clone(),
            job: spec.name.clone(),
            job_id: id.clone(),
            generation,
        };
        let owner = Some(owner).filter(|owner| !owner.store.as_str().is_empty());
        let dead_letters = logs.dead_letters(&spec.source, secrets)?;
        let source = logs.open(&spec.source, secrets, &spec.name)?;
        let turns = nodes.turns(&spec.sink);
        let spec = Arc::new(spec);
        let ways = kol_common::alerts::ways(&spec, secrets, &options.ends);
        let (of_job, secrets) = (spec.sink.clone(), secrets.clone());
        let sink = sink::start(group, redis, of_job, secrets, owner, turns.clone());
        let has_rules = !spec.alerts.rules.is_empty();
        Ok(Self {
            alerts: has_rules.then(|| alerts::start(group, &spec.name, ways, &sink)),
            source,
            sink,
            turns,
            dead_letters: dead_letters.map(|topic| DeadLetters::new(&spec.name, topic)),
            scoring: Arc::new(Scoring::new(&spec.scoring)),
            ticks: Ticks::default(),
            spec,
        })
    }

    /// A partition is to come: its broker is connected to, and the end of its log requested.
    pub fn expect(&self, partition: &SourcePartition) {
        self.source.pause(partition);
    }

    /// It does not come.
    pub fn forget(&self, partition: &SourcePartition) {
        self.source.close(partition);
    }

    /// What a partition of this job gets.
    pub fn deps(
        &mut self,
        options: &Options,
        present: &Present,
        roots: &Roots,
        group: &Group,
    ) -> Deps {
        Deps {
            source: self.source.clone(),
            sink: self.sink.clone(),
            turns: self.turns.clone(),
            dead_letters: self.dead_letters.clone(),
            alerts: self.alerts.clone(),
            ticks: self.ticks.subscribe(),
            present: present.clone(),
            memory: options.memory.clone(),
            roots: roots.clone(),
            files: group.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use kol_common::proto::PlatformMarket;

    use super::*;

    #[test]
    fn the_newest_event_is_not_forgotten_when_the_master_starts_again() {
        let tick = |clock, newest_event_ms| JobTick {
            clock_ms: Some(clock),
            newest_event_ms,
            ..JobTick::default()
        };
        let mut ticks = Ticks::default();
        let partition = ticks.subscribe();
        ticks.publish(tick(5, Some(4)));
        ticks.publish(tick(9, None));
        assert_eq!(partition.borrow().clock_ms, Some(9));
        assert_eq!(partition.borrow().newest_event_ms, Some(4));
    }

    #[test]
    fn a_tick_without_a_market_moves_the_clock_and_leaves_the_market() {
        let tick = |clock, market_version, mean| JobTick {
            clock_ms: Some(clock),
            market_version,
            market: vec![PlatformMarket {
                platform: "tiktok".into(),
                mean,
            }],
            ..JobTick::default()
        };
        let mut ticks = Ticks::default();
        let partition = ticks.subscribe();
        ticks.publish(tick(5, 7, 1.5));
        ticks.publish(JobTick {
            market: Vec::new(),
            ..tick(9, 0, 0.0)
        });
        assert_eq!(**partition.borrow(), tick(9, 7, 1.5));
        ticks.publish(tick(8, 7, 1.5));
        assert_eq!(partition.borrow().clock_ms, Some(9), "an older one");
    }
}
