//! The live part: what is on the screen, and what the keys do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kol_common::proto::JobStatus;
use kol_common::redis::ranking::Ranked;
use kol_common::view::job_state;

use kol_harness::{Cluster, RedisServer};

use super::SHOWN;
use super::feed::Feed;
use super::losses::Losses;
use super::progress::Progress;
use super::ranking::{self, Freshness};
use super::screen::{Frame, Screen, Wish};

/// Time between two looks at the job.
const LOOK: Duration = Duration::from_millis(250);
/// How many of the last messages stay on the screen.
const MESSAGES: usize = 5;

/// Why the live part is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its time is up, its input has ended, or a person has seen enough.
    Over,
    /// At once, please.
    Interrupted,
}

/// The cluster on stage.
pub(super) struct Show<'a> {
    cluster: &'a mut Cluster,
    redis: &'a RedisServer,
    job: &'a str,
    followed: Option<Ranked>,
    begun: Instant,
    messages: VecDeque<String>,
    progress: Progress,
    losses: Losses,
}

impl<'a> Show<'a> {
    /// `followed` is the creator to keep an eye on.
    pub(super) fn new(
        cluster: &'a mut Cluster,
        redis: &'a RedisServer,
        job: &'a str,
        followed: Option<Ranked>,
    ) -> Self {
        Self {
            cluster,
            redis,
            job,
            followed,
            begun: Instant::now(),
            messages: VecDeque::new(),
            progress: Progress::default(),
            losses: Losses::default(),
        }
    }

    /// Shows frame after frame.
    pub(super) fn run(
        &mut self,
        feed: &Feed,
        length: Option<Duration>,
        interrupted: &AtomicBool,
    ) -> anyhow::Result<End> {
        // Events of a file are years old: only made-up ones tell how far Redis is behind.
        let freshness = self
            .followed
            .is_some()
            .then(|| Freshness::watch(self.redis));
        let mut redis = self.redis.connect();
        let mut screen = Screen::open()?;
        let mut status = self.look(feed, &screen)?;
        let (mut look_at, mut due) = (Instant::now() + LOOK, Instant::now() + screen.interval());
        loop {
            if interrupted.load(Ordering::Relaxed) {
                return Ok(End::Interrupted);
            }
            let over = length.is_some_and(|length| self.begun.elapsed() >= length);
            if over || feed.ended() {
                return Ok(End::Over);
            }
            match screen.wait(look_at.saturating_duration_since(Instant::now()))? {
                Some(Wish::Quit) => return Ok(End::Over),
                Some(Wish::Interrupt) => return Ok(End::Interrupted),
                Some(wish) => self.grant(wish, &mut redis),
                None => {}
            }
            if Instant::now() >= look_at {
                status = self.look(feed, &screen)?;
                look_at = Instant::now() + LOOK;
            }
            if Instant::now() >= due {
                let latency = freshness.as_ref().and_then(Freshness::median);
                let frame = self.frame(&status, &mut redis, latency)?;
                screen.show(&frame)?;
                due = Instant::now() + screen.interval();
            }
        }
    }

    /// Looks at the job, and tells what happened to executors.
    fn look(&mut self, feed: &Feed, screen: &Screen) -> anyhow::Result<JobStatus> {
        let status = self.cluster.try_status(self.job)?;
        let now = self.begun.elapsed();
        self.progress.look(now, feed.written(), position(&status));
        let executors = self.cluster.executors.iter_mut();
        let executors: Vec<_> = executors.map(|p| (p.name().to_owned(), p.runs())).collect();
        for text in self.losses.look(now, &executors, &status) {
            let text = self.note(&text);
            screen.tell(&text);
        }
        Ok(status)
    }

    fn frame(
        &mut self,
        status: &JobStatus,
        redis: &mut redis::Connection,
        latency: Option<u64>,
    ) -> anyhow::Result<Frame> {
        self.followed = match &self.followed {
            Some(row) => ranking::row(redis, &row.kol)?.or_else(|| Some(row.clone())),
            None => None,
        };
        Ok(Frame {
            elapsed: self.begun.elapsed(),
            rate: self.progress.rate(),
            lag: self.progress.lag(),
            latency,
            executors: executors(status),
            state: format!("{} {}", job_state(status.state()), status.reason),
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
            Wish::Add => {
                let number = self.cluster.add_executor();
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
        let executors = self.cluster.executors.iter_mut();
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

/// Records up to which the job has read, all partitions together.
fn position(status: &JobStatus) -> u64 {
    let reports = status.partitions.iter().filter_map(|p| p.report.as_ref());
    reports.map(|report| report.position).sum()
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
