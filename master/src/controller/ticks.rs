//! How time passes for the jobs, and how one job takes the place of another.

use kol_common::proto::{ExecutorState, ExecutorStatus, JobStatus};
use kol_common::{JobId, KolError, Millis};

use super::problems::Line;
use super::state::Controller;
use crate::cluster::Grace;
use crate::job::{Event, Job, Phase};
use crate::scaling::Sample;

/// How often it is noted how things are.
const LOOK: Millis = Millis(1_000);

impl Controller {
    /// Lets time pass for all jobs that are not over.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn tick_jobs(&mut self, now: Millis) -> Result<(), KolError> {
        for id in self.live() {
            self.advance(now, &id).await?;
        }
        Ok(())
    }

    /// Lets a job begin whose predecessor is over, and ends a predecessor that is not: also when this
    /// master was started again in between. For any other job time passes.
    ///
    /// # Errors
    /// The store does not take writes.
    pub(super) async fn advance(&mut self, now: Millis, id: &JobId) -> Result<(), KolError> {
        let follows = self
            .jobs
            .get(id)
            .and_then(|job| job.header().follows.clone());
        let Some(before) = follows else {
            return self.step(now, id, Event::Tick).await;
        };
        let before_it = self.jobs.get(&before.id).map(Job::header);
        match before_it.map(|record| record.phase) {
            None | Some(Phase::Over(_)) => {
                let next = before_it.and_then(|record| record.follows.clone());
                self.step(now, id, Event::PredecessorEnded(next)).await
            }
            Some(Phase::Ending(_)) => self.step(now, id, Event::Tick).await,
            Some(Phase::Starting | Phase::Running) => {
                let event = Event::End(before.end, format!("{id} takes its place"));
                self.step(now, &before.id, event).await
            }
        }
    }

    /// Logs when the wall clocks of hosts begin to differ, and when they agree again.
    fn watch_clocks(&mut self) {
        let disagreement = self.clocks_disagree();
        match (&disagreement, self.clocks_differ) {
            (Some(what), false) => tracing::warn!(code = "CLOCKS_DIFFER", "{what}"),
            (None, true) => tracing::info!(
                code = "CLOCKS_AGREE",
                "the wall clocks of all hosts agree again"
            ),
            _ => {}
        }
        self.clocks_differ = disagreement.is_some();
    }

    /// Notes how things are when that is due.
    pub(super) fn look_around(&mut self, now: Millis) {
        if now.since(self.looked) >= LOOK {
            self.looked = now;
            let (jobs, executors) = (self.job_statuses(now), self.executor_statuses(now));
            self.advise(now, &jobs, &executors);
            self.log_problems(now, &jobs);
            self.watch_clocks();
        }
    }

    /// Says when a problem of a job begins, and when it is over.
    fn log_problems(&mut self, now: Millis, jobs: &[JobStatus]) {
        let live = self.live();
        self.problems.retain(|id, _| live.contains(id));
        for id in live {
            let Some(job) = jobs.iter().find(|job| job.job_id == id.as_str()) else {
                continue;
            };
            let lines = self
                .problems
                .entry(id)
                .or_default()
                .look(now, &job.problems);
            for line in lines {
                log_problem(job, &line);
            }
        }
    }

    /// Notes how things are, for who wants to know how many executors there should be. In the first seconds of a term
    /// those are there that have registered already, which says nothing of how many are wanted.
    fn advise(&mut self, now: Millis, jobs: &[JobStatus], executors: &[ExecutorStatus]) {
        if self.clock.elapsed() < Grace::LONGEST.duration() {
            return;
        }
        let live = self.live();
        self.advisors.retain(|id, _| live.contains(id));
        let alive = executors
            .iter()
            .filter(|e| e.state() == ExecutorState::Alive && !e.draining);
        let fleet = alive.fold(Sample::default(), |sum, e| Sample {
            at: now,
            executors: sum.executors + 1,
            cores: sum.cores.saturating_add(e.cores),
            memory: sum.memory.saturating_add(e.memory_bytes),
            cpu_ms: sum.cpu_ms.saturating_add(e.cpu_ms),
            resident: sum.resident.saturating_add(e.rss_bytes),
            ..sum
        });
        for id in live {
            let Some(job) = jobs.iter().find(|job| job.job_id == id.as_str()) else {
                continue;
            };
            let lags = job.partitions.iter().filter_map(|p| p.lag_records);
            let sample = Sample {
                at: now,
                // Where it is not known the job has a problem, too.
                lag: job.lag_records.unwrap_or_default(),
                most_lag: lags.max().unwrap_or_default(),
                events: job.totals.as_ref().map_or(0, |totals| totals.events),
                partitions: job.partition_count as u32,
                is_troubled: !job.problems.is_empty(),
                ..fleet
            };
            self.advisors.entry(id).or_default().note(sample);
        }
    }
}

fn log_problem(job: &JobStatus, line: &Line) {
    let (name, job_id) = (job.name.as_str(), job.job_id.as_str());
    match line {
        Line::Begins(problem) => {
            let partition = problem.partition.as_ref();
            let owner = job
                .partitions
                .iter()
                .find(|p| p.partition.as_ref() == partition);
            // Whoever reads the log tells by this target that the code is that of a problem of a job, which its status has, too.
            tracing::warn!(
                target: "kol_master::job_problem",
                code = problem.code.as_str(),
                job = name,
                job_id,
                partition = partition.map(|p| format!("{}/{}", p.topic, p.partition)),
                host = owner.map(|p| p.last_host.as_str()),
                what = problem.message.as_str(),
                help = problem.help.as_str(),
                "the job has a problem"
            );
        }
        Line::Ends(code, lasted) => {
            let code = code.as_str();
            tracing::info!(code, job = name, job_id, %lasted, "a problem of the job is over");
        }
    }
}
