//! The live part: what is on the screen, and what the keys do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use kol_common::proto::JobStatus;
use kol_common::redis::ranking::Ranked;
use kol_common::view::job_state;

use anyhow::Context as _;
use kol_harness::RedisServer;

use super::feed::Feed;
use super::losses::Losses;
use super::outage::Outage;
use super::progress::Progress;
use super::ranking::{self, Freshness};
use super::screen::{Frame, Screen, Wish};
use super::stage::Stage;
use super::{INTERRUPTED, SHOWN};

/// Time between two looks at the job.
const LOOK: Duration = Duration::from_millis(250);
/// How long a look waits for the master.
const ANSWER: Duration = Duration::from_secs(1);
/// How many of the last messages stay on the screen.
const MESSAGES: usize = 5;

/// The cluster on stage.
pub(super) struct Show<'a, 'i> {
    stage: &'a mut Stage<'i>,
    redis: &'a RedisServer,
    job: &'a str,
    followed: Option<Ranked>,
    begun: Instant,
    messages: VecDeque<String>,
    progress: Progress,
    losses: Losses,
    outage: Outage,
    /// What the master said last, and whether that is all there is to know: it does not answer now.
    status: Option<JobStatus>,
    is_silent: bool,
}

impl<'a, 'i> Show<'a, 'i> {
    /// `followed` is the creator to keep an eye on.
    pub(super) fn new(
        stage: &'a mut Stage<'i>,
        redis: &'a RedisServer,
        job: &'a str,
        followed: Option<Ranked>,
    ) -> Self {
        Self {
            stage,
            redis,
            job,
            followed,
            begun: Instant::now(),
            messages: VecDeque::new(),
            progress: Progress::default(),
            losses: Losses::default(),
            outage: Outage::default(),
            status: None,
            is_silent: false,
        }
    }

    /// Shows frame after frame, until its time is up, its input has ended, or a person has seen enough.
    pub(super) fn run(&mut self, feed: &Feed, length: Option<Duration>) -> anyhow::Result<()> {
        // Events of a file are years old: only made-up ones tell how far Redis is behind.
        let freshness = self
            .followed
            .is_some()
            .then(|| Freshness::watch(self.redis));
        let mut redis = self.redis.connect();
        let mut screen = Screen::open()?;
        self.look(feed, &screen);
        let (mut look_at, mut due) = (Instant::now() + LOOK, Instant::now() + screen.interval());
        loop {
            self.stage.ensure_wanted()?;
            let over = length.is_some_and(|length| self.begun.elapsed() >= length);
            if over || feed.ended() {
                return Ok(());
            }
            match screen.wait(look_at.saturating_duration_since(Instant::now()))? {
                Some(Wish::Quit) => return Ok(()),
                Some(Wish::Interrupt) => {
                    self.stage.interrupted.store(true, Ordering::Relaxed);
                    anyhow::bail!(INTERRUPTED);
                }
                Some(wish) => self.grant(wish, &mut redis),
                None => {}
            }
            if Instant::now() >= look_at {
                self.look(feed, &screen);
                look_at = Instant::now() + LOOK;
            }
            if Instant::now() >= due {
                let latency = freshness.as_ref().and_then(Freshness::median);
                let frame = self.frame(&mut redis, latency);
                let frame = frame.context("Redis does not answer any more")?;
                screen.show(&frame)?;
                due = Instant::now() + screen.interval();
            }
        }
    }

    /// Looks at the job, tells what happened to its processes, and starts a master again that has ended.
    fn look(&mut self, feed: &Feed, screen: &Screen) {
        let now = self.begun.elapsed();
        let cluster = &mut self.stage.cluster;
        let mut said = Vec::new();
        if !cluster.master.runs() {
            said.extend(self.outage.ended(now));
        }
        if self.outage.begin_start(now) {
            cluster.restart_master();
        }
        let status = cluster.try_status_within(self.job, ANSWER).ok();
        self.is_silent = status.is_none();
        if let Some(status) = status {
            self.progress.look(now, feed.written(), &status.partitions);
            let executors = cluster.executors.iter_mut();
            let executors: Vec<_> = executors.map(|p| (p.name().to_owned(), p.runs())).collect();
            said.extend(self.outage.look(now, &status));
            said.extend(self.losses.look(now, &executors, &status));
            self.status = Some(status);
        }
        for text in said {
            let text = self.note(&text);
            screen.tell(&text);
        }
    }

    fn frame(
        &mut self,
        redis: &mut redis::Connection,
        latency: Option<u64>,
    ) -> redis::RedisResult<Frame> {
        self.followed = match &self.followed {
            Some(row) => ranking::row(redis, &row.kol)?.or_else(|| Some(row.clone())),
            None => None,
        };
        Ok(Frame {
            elapsed: self.begun.elapsed(),
            rate: self.progress.rate(),
            lag: self.progress.lag(),
            is_silent: self.is_silent,
            latency,
            executors: self.status.as_ref().map(executors).unwrap_or_default(),
            state: self.status.as_ref().map_or_else(String::new, |status| {
                format!("{} {}", job_state(status.state()), status.reason)
            }),
            size: ranking::size(redis)?,
            rows: ranking::top(redis, SHOWN)?,
            followed: self.followed.clone(),
            messages: self.messages.iter().cloned().collect(),
        })
    }

    /// Keeps what happened, with the time.
    fn note(&mut self, text: &str) -> String {
        let text = format!("{:>4} s  {text}", self.begun.elapsed().as_secs());
        self.messages.push_back(text.clone());
        while self.messages.len() > MESSAGES {
            self.messages.pop_front();
        }
        text
    }

    fn grant(&mut self, wish: Wish, redis: &mut redis::Connection) {
        let text = match wish {
            Wish::Kill => self.kill(),
            Wish::KillMaster => {
                self.stage.cluster.master.kill();
                "killed kol-master with SIGKILL".into()
            }
            Wish::Add => {
                let number = self.stage.cluster.add_executor();
                format!("started executor-{number}: it is given partitions of the others")
            }
            Wish::Empty => match redis::cmd("FLUSHALL").exec(redis) {
                Ok(()) => "emptied Redis: executors notice and send everything again".into(),
                Err(error) => format!("Redis does not take FLUSHALL: {error}"),
            },
            Wish::Quit | Wish::Interrupt => return,
        };
        self.note(&text);
    }

    fn kill(&mut self) -> String {
        let executors = self.stage.cluster.executors.iter_mut();
        let mut running = executors.filter_map(|p| p.runs().then_some(p));
        let (victim, another) = (running.next(), running.next().is_some());
        match victim {
            Some(victim) => {
                victim.kill();
                let next = if another {
                    ""
                } else {
                    ": it was the last, key a adds one"
                };
                format!("killed {} with SIGKILL{next}", victim.name())
            }
            None => "no executor is left to kill (key a adds one)".into(),
        }
    }
}

/// `executor-0: 32 partitions`, for each that has some.
fn executors(status: &JobStatus) -> Vec<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for partition in &status.partitions {
        let host = match partition.host.as_str() {
            "" => "nobody",
            host => host,
        };
        *counts.entry(host).or_default() += 1;
    }
    let text = |(host, n): (&str, usize)| format!("{host}: {n} partitions");
    counts.into_iter().map(text).collect()
}
