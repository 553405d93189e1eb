//! How many executors a job wants, for an autoscaler or a person: a machine over one sample a second.
//!
//! 1. A minute is looked at, since the number of executors changed last: before that as many are needed as there are.
//! 2. More are needed when records arrive faster than they are read and that is behind by ten seconds, when a backlog
//!    takes more than ten minutes, when cores are busy for eight tenths of the time by what arrives, or memory is full to eight tenths.
//! 3. As many are needed as keep cores busy for six tenths and memory full to seven tenths.
//! 4. What is wanted is the most that was needed within ten minutes: so more are wanted at once, and fewer only after they
//!    were not needed for long, also by a master that has just begun. (It notes nothing while executors may still return to it.)
//! 5. While a job has problems, or one partition alone is behind, other executors cannot help: as many as there are. More
//!    than there are partitions are never wanted.

use std::collections::VecDeque;
use std::time::Duration;

use kol_common::Millis;
use kol_common::proto::ScalingAdvice;

/// What rule 1 looks at.
const WINDOW: Duration = Duration::from_secs(60);
/// Time between two samples that are kept.
const EVERY: Duration = Duration::from_secs(5);
/// How long fewer must be enough.
const CALM: Duration = Duration::from_secs(600);
/// How far behind is a reason, s of what is read.
const BEHIND: u64 = 10;
/// How long a backlog may take, s.
const BACKLOG: u64 = 600;
/// A part of what is read that its growth must be, in thousandths.
const GROWS: u64 = 50;
/// Parts in thousandths: what cores and memory are planned for, and from where on more are needed.
const CORES: (u64, u64) = (600, 800);
/// As `CORES`, for memory.
const MEMORY: (u64, u64) = (700, 800);

/// A job and the executors at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When it was taken, by the monotonic clock.
    pub at: Millis,
    /// Records that are not read yet, and how many of them are of one partition.
    pub lag: u64,
    /// Records that are not read yet in the partition that has most of them.
    pub most_lag: u64,
    /// Events read so far.
    pub events: u64,
    /// Partitions of the job.
    pub partitions: u32,
    /// The job has problems.
    pub is_troubled: bool,
    /// Executors that may have partitions, with all their cores and memory.
    pub executors: u32,
    /// Processor cores of these executors.
    pub cores: u32,
    /// Memory limits of these executors, bytes.
    pub memory: u64,
    /// What these use: processor time so far, ms, and memory, bytes.
    pub cpu_ms: u64,
    /// Memory that these executors use, bytes.
    pub resident: u64,
}

/// One job's machine.
#[derive(Clone, Debug, Default)]
pub struct Advisor {
    samples: VecDeque<Sample>,
    needs: VecDeque<(Millis, u32)>,
    advice: ScalingAdvice,
}

/// What a minute showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Trend {
    /// Events read in a second.
    read: u64,
    /// By how much the lag grew in a second.
    slope: i64,
    /// Thousandths of all cores that were busy, and of all memory in use.
    cores: u64,
    memory: u64,
}

impl Advisor {
    /// Takes how things are now.
    pub fn note(&mut self, sample: Sample) {
        let last = self.samples.back();
        let early = last.is_some_and(|last| sample.at.since(last.at) < Millis::from(EVERY));
        let same = last.is_none_or(|last| last.executors == sample.executors);
        if early && same {
            return;
        }
        if !same {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        while self
            .samples
            .get(1)
            .is_some_and(|next| sample.at.since(next.at) >= Millis::from(WINDOW))
        {
            self.samples.pop_front();
        }
        let trend = trend(&self.samples);
        let (needed, reason) = needed(&sample, trend.as_ref());
        self.needs.push_back((sample.at, needed));
        while self
            .needs
            .front()
            .is_some_and(|(at, _)| sample.at.since(*at) > Millis::from(CALM))
        {
            self.needs.pop_front();
        }
        self.advise(&sample, trend, reason);
    }

    /// Sets the advice, by rule 4.
    fn advise(&mut self, sample: &Sample, trend: Option<Trend>, reason: String) {
        let most = self.needs.iter().map(|(_, needed)| *needed).max();
        self.advice = ScalingAdvice {
            wanted: most.unwrap_or_default().max(1),
            executors: sample.executors,
            reason,
            lag_records: sample.lag,
            lag_per_second: trend.map(|trend| trend.slope),
            read_per_second: trend.map(|trend| trend.read),
            cores_permille: trend.map(|trend| trend.cores as u32),
            memory_permille: trend.map(|trend| trend.memory as u32),
        };
    }

    /// The advice of now.
    pub fn advice(&self) -> &ScalingAdvice {
        &self.advice
    }
}

/// How lag and load develop, by rule 1; `None` while the samples are too few.
fn trend(samples: &VecDeque<Sample>) -> Option<Trend> {
    let (first, last) = (samples.front()?, samples.back()?);
    let ms = last.at.since(first.at).0;
    if ms < Millis::from(WINDOW).0 {
        return None;
    }
    let grown = i128::from(last.lag) - i128::from(first.lag);
    let slope = grown * 1_000 / i128::from(ms);
    let used = last.cpu_ms.saturating_sub(first.cpu_ms);
    let cores = used.saturating_mul(1_000) / ms / u64::from(last.cores.max(1));
    Some(Trend {
        read: last.events.saturating_sub(first.events) * 1_000 / ms,
        slope: i64::try_from(slope).unwrap_or_default(),
        cores: cores.min(1_000),
        memory: (u128::from(last.resident) * 1_000 / u128::from(last.memory.max(1))) as u64,
    })
}

/// Rules 2, 3 and 5, with a sentence that says why.
fn needed(now: &Sample, trend: Option<&Trend>) -> (u32, String) {
    let there = now.executors.max(1);
    let Some(trend) = trend else {
        return (there, "less than a minute is known".into());
    };
    if now.is_troubled {
        return (
            there,
            "the job has problems, which executors do not solve".into(),
        );
    }
    let (needed, reason) = unbounded(now, trend, there);
    let behind = now.lag >= BEHIND * trend.read.max(1);
    if needed > there && behind && now.partitions > 1 && now.most_lag * 10 >= now.lag * 8 {
        let reason = "one partition alone is behind: see kol-client partitions --why";
        return (there, reason.into());
    }
    if needed > now.partitions.max(1) {
        let most = now.partitions.max(1);
        let reason = format!("{reason}; more executors than partitions do nothing: add partitions");
        return (most, reason);
    }
    (needed, reason)
}

fn unbounded(now: &Sample, trend: &Trend, there: u32) -> (u32, String) {
    let share = |part: u64, of: u64| (u64::from(there) * part).div_ceil(of) as u32;
    let read = trend.read.max(1);
    let grows = u64::try_from(trend.slope).unwrap_or_default();
    let falls = trend.slope.min(0).unsigned_abs();
    // Busy with a backlog is not busy for long, and with all cores busy more may be needed than there are.
    let cores = trend.cores * read.saturating_add_signed(trend.slope) / read;
    let for_cores = share(cores, CORES.0);
    let for_memory = share(trend.memory, MEMORY.0);
    let mut all = vec![(
        for_cores.max(for_memory).clamp(1, there),
        format!(
            "what arrives keeps cores busy for {} % of the time, and memory is full to {} %",
            cores / 10,
            trend.memory / 10
        ),
    )];
    if cores >= CORES.1 {
        let what = format!(
            "what arrives would keep cores busy for {} % of the time",
            cores / 10
        );
        all.push((for_cores, what));
    }
    if trend.memory >= MEMORY.1 {
        all.push((
            for_memory,
            format!("memory is full to {} %", trend.memory / 10),
        ));
    }
    let behind = now.lag >= BEHIND * read;
    if behind && grows * 1_000 >= read * GROWS {
        // A fifth more than what arrives.
        let for_lag = share((read + grows) * 6, read * 5).max(there + 1);
        let what = format!("{grows} records a second more arrive than the {read} that are read");
        all.push((for_lag, what));
    } else if behind && falls.saturating_mul(BACKLOG) < now.lag {
        let what = format!("{} records are behind, and {falls} a second less", now.lag);
        all.push((share(3, 2).max(there + 1), what));
    }
    let most = all.into_iter().max_by_key(|(needed, _)| *needed);
    most.unwrap_or((there, String::new()))
}

#[cfg(test)]
#[path = "scaling_tests.rs"]
mod tests;
