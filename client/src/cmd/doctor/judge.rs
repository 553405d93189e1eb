//! What is wrong, from what was seen. Pure.
//!
//! 1. Troubles stand in the order of [`Area`]: what can be the reason of others comes first.
//! 2. A master that does not answer is the first trouble while none leads that could be seen, and the last one otherwise.
//! 3. What the processes of a job say of Kafka, Redis and checkpoints counts. What only this host cannot reach is a note while an
//!    executor has partitions of the job and does not complain: addresses and secrets of a job need not be valid here.
//! 4. Nobody else looks at a job without an executor that answers: there, what this host sees counts.
//! 5. That a secret is missing here never counts: it is not meant to be here.
//! 6. A topic that Kafka says is missing counts wherever that was seen.
//! 7. The same said by several is one trouble with several places, and what is said of one Redis is, whatever database.
//! 8. That this host cannot reach Redis counts once changes of the job wait longer than is usual: its executors may not have
//!    noticed yet.

use std::collections::BTreeMap;

use kol_common::KolError;
use kol_common::Millis;
use kol_common::job::{JobSpec, servers_of};
use kol_common::proto::{
    ErrorInfo, ExecutorState, ExecutorStatus, JobState, JobStatus, LeadershipReply, PartitionState,
};
use kol_common::view::{disagreement, is_over, job_state, missing};

use super::area::Area;
use super::evidence::{Evidence, Look};

/// Names that a list of versions has of each.
const NAMED: usize = 3;
/// How long changes wait at most while Redis takes them.
const USUAL: Millis = Millis(5_000);

/// What is wrong, and what is not.
#[derive(Debug, Default)]
pub(crate) struct Diagnosis {
    /// In the order in which to mend them.
    pub(super) troubles: Vec<Trouble>,
    /// What only this host cannot reach.
    pub(super) notes: Vec<Trouble>,
    /// What was looked at and is well.
    pub(super) well: Vec<Well>,
}

#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) area: Area,
    pub(super) error: ErrorInfo,
    /// `host:port` of the Redis that it is about; empty for everything else.
    pub(super) servers: Vec<String>,
    /// Where it is, as far as that is known.
    pub(super) places: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Well {
    pub(super) area: Area,
    pub(super) what: String,
    pub(super) found: String,
}

/// See the rules of the module.
pub(super) fn diagnose(seen: &Evidence) -> Diagnosis {
    let mut found = Diagnosis::default();
    found.masters(seen);
    if let Some((_, leader)) = seen.leader() {
        found.versions(seen);
        found.clocks(seen, leader);
    }
    seen.jobs.iter().for_each(|job| found.job(job));
    found.executors(seen);
    for look in &seen.looks {
        let job = seen.jobs.iter().find(|job| job.name == look.job);
        found.look(look, job);
    }
    // What is a note for one job may be a trouble of another.
    for note in std::mem::take(&mut found.notes) {
        let mut known = found.troubles.iter_mut();
        match known.find(|known| known.is_of_look(&note)) {
            Some(known) => known.join(note),
            None => found.notes.push(note),
        }
    }
    found.troubles.sort_by_key(|trouble| trouble.area);
    found.well.sort_by_key(|well| well.area);
    found
}

impl Diagnosis {
    /// One more trouble, or one more place of a known one.
    fn add(&mut self, area: Area, error: ErrorInfo, place: String) {
        add(
            &mut self.troubles,
            Trouble {
                area,
                error,
                servers: Vec::new(),
                places: vec![place],
            },
        );
    }

    fn well(&mut self, area: Area, what: impl Into<String>, found: impl Into<String>) {
        let (what, found) = (what.into(), found.into());
        self.well.push(Well { area, what, found });
    }

    fn masters(&mut self, seen: &Evidence) {
        let leader = seen.leader();
        for master in &seen.masters {
            match &master.answer {
                Err(error) if leader.is_some() => {
                    self.add(Area::Standby, error.clone(), master.url.clone());
                }
                Err(error) => self.add(Area::Master, error.clone(), master.url.clone()),
                Ok(reply) => self.well(Area::Master, &master.url, role(reply)),
            }
        }
        for refused in &seen.refused {
            self.add(Area::Leader, refused.error.clone(), refused.what.clone());
        }
        if leader.is_none() {
            self.nobody_leads(seen);
        }
    }

    /// None of the masters that answer leads.
    fn nobody_leads(&mut self, seen: &Evidence) {
        let follow = seen.masters.iter().filter_map(|m| m.answer.as_ref().ok());
        let follow: Vec<&LeadershipReply> = follow.collect();
        if follow.is_empty() {
            return;
        }
        let mut named = follow.iter().map(|reply| &reply.leader);
        let named = named.find(|url| !url.is_empty());
        let is_listed = |url: &str| {
            let same = |one: &str| one.trim_end_matches('/') == url.trim_end_matches('/');
            seen.masters.iter().any(|master| same(&master.url))
        };
        match named {
            // Its own trouble says that it does not answer.
            Some(url) if is_listed(url) => {}
            Some(url) => {
                let what =
                    format!("the master that leads, {url}, is not among those that were given");
                let error = KolError::external("MASTER_FOLLOWS", what)
                    .help("Give --master (or KOL_MASTER) all masters, separated by commas.");
                self.add(Area::Leader, error.to_info(), url.clone());
            }
            None => {
                let error = KolError::external("NO_LEADER", "no master leads").help(
                    "Look at etcd, and at the log of each master: ELECTION_WAITS says why it cannot lead.",
                );
                self.add(Area::Leader, error.to_info(), "all masters".to_owned());
            }
        }
    }

    fn versions(&mut self, seen: &Evidence) {
        let masters = seen.masters.iter();
        let masters =
            masters.filter_map(|m| Some((&m.answer.as_ref().ok()?.version, m.url.clone())));
        let executors = seen.executors.iter().flatten().filter(|e| is_present(e));
        let executors = executors.map(|e| (&e.version, name(e)));
        let mut by_version = BTreeMap::<&str, Vec<String>>::new();
        // The version before does not say it.
        for (version, who) in masters.chain(executors).filter(|(v, _)| !v.is_empty()) {
            by_version.entry(version).or_default().push(who);
        }
        let mut versions = by_version.into_iter();
        match (versions.next(), versions.next()) {
            (Some(one), Some(other)) => {
                let all = [one, other].into_iter().chain(versions);
                let all: Vec<String> = all.map(|(v, who)| format!("{v} ({})", few(&who))).collect();
                let what = format!("several versions run side by side: {}", all.join(", "));
                let error = KolError::external("VERSIONS_DIFFER", what)
                    .help("Finish the upgrade, or go back: docs/operations/versions.md.");
                self.add(Area::Versions, error.to_info(), "all processes".to_owned());
            }
            (Some((version, _)), None) => self.well(Area::Versions, "all processes", version),
            (None, _) => {}
        }
    }

    fn clocks(&mut self, seen: &Evidence, leader: &LeadershipReply) {
        let executors = seen.executors.iter().flatten().filter(|e| is_present(e));
        let executors = executors.filter_map(|e| Some((e.host.as_str(), e.clock_ahead_ms?)));
        let masters = seen.masters.iter().filter_map(|master| {
            let reply = master.answer.as_ref().ok()?;
            let known = reply.wall_ms > 0 && leader.wall_ms > 0 && !reply.leads;
            let ahead = reply.wall_ms.cast_signed() - leader.wall_ms.cast_signed();
            known.then_some((master.url.as_str(), ahead))
        });
        let readings: Vec<_> = executors.chain(masters).collect();
        let Some(differ) = disagreement(readings.iter().copied()) else {
            let count = readings.len() + 1;
            return self.well(
                Area::Clocks,
                format!("of {count} processes"),
                "within a minute of each other",
            );
        };
        let (what, help) = differ.split_once("; ").unwrap_or((&differ, ""));
        let error = KolError::external("CLOCKS_DIFFER", what).help(help);
        self.add(
            Area::Clocks,
            error.to_info(),
            "the hosts that are named".to_owned(),
        );
    }

    fn executors(&mut self, seen: &Evidence) {
        let Some(executors) = &seen.executors else {
            return;
        };
        let wall = seen.leader().map_or(0, |(_, leader)| leader.wall_ms);
        let wall = if wall == 0 { seen.wall } else { Millis(wall) };
        let missing = missing(wall, executors);
        for (executor, error) in &missing {
            self.add(Area::Executors, error.to_info(), name(executor));
        }
        let answer = executors
            .iter()
            .filter(|e| e.state() == ExecutorState::Alive);
        match answer.count() {
            // A job that waits for one has said so.
            0 if self.troubles.iter().any(|t| t.error.code == "NO_EXECUTOR") => {}
            0 => {
                let what = if executors.iter().any(is_present) {
                    "no executor that is registered answers"
                } else {
                    "no executor is registered"
                };
                let error = KolError::external("NO_EXECUTOR", what)
                    .help("Start kol-executor --master URL.");
                self.add(Area::Executors, error.to_info(), "the cluster".to_owned());
            }
            count => self.well(Area::Executors, "of the cluster", format!("{count} answer")),
        }
    }

    fn job(&mut self, job: &JobStatus) {
        let place = format!("job {}", job.name);
        if job.state() == JobState::Failed {
            let error = KolError::external("JOB_FAILED", job.reason.clone()).help(
                "Correct what the reason says and submit the job again: it resumes from its last checkpoint.",
            );
            return self.add(Area::Job, error.to_info(), place);
        }
        for problem in &job.problems {
            let partition = problem.partition.as_ref();
            let partition = partition.map(|p| format!(", partition {}/{}", p.topic, p.partition));
            let offset = problem.offset.map(|offset| format!(", offset {offset}"));
            let more = [partition, offset]
                .into_iter()
                .flatten()
                .collect::<String>();
            let area = Area::of(&problem.code);
            let servers = match area {
                Area::Redis => servers(job),
                _ => Vec::new(),
            };
            let trouble = Trouble {
                area,
                error: problem.clone(),
                servers,
                places: vec![format!("{place}{more}")],
            };
            add(&mut self.troubles, trouble);
        }
        if job.problems.is_empty() {
            self.well(Area::Job, &job.name, job_state(job.state()));
        }
    }

    fn look(&mut self, look: &Look, job: Option<&JobStatus>) {
        let error = match &look.outcome {
            Ok(found) => return self.well(look.area, &look.what, found),
            Err(error) => error,
        };
        let place = format!("{}, seen from this host", look.what);
        let trouble = Trouble {
            area: look.area,
            error: error.clone(),
            servers: match look.area {
                Area::Redis => job.map(servers).unwrap_or_default(),
                _ => Vec::new(),
            },
            places: vec![place],
        };
        let mut known = self.troubles.iter_mut();
        if let Some(known) = known.find(|known| known.is_of_look(&trouble)) {
            return known.join(trouble);
        }
        let is_ours = error.code.starts_with("SECRET_");
        let is_fact = error.code == "TOPIC_NOT_FOUND";
        let is_felt =
            look.area == Area::Redis && job.is_some_and(|job| Millis(job.staleness_ms) > USUAL);
        if is_ours || (job.is_some_and(is_served) && !is_fact && !is_felt) {
            add(&mut self.notes, trouble);
        } else {
            add(&mut self.troubles, trouble);
        }
    }
}

impl Trouble {
    /// Whether both are one.
    fn is(&self, other: &Self) -> bool {
        let same = if self.servers.is_empty() || other.servers.is_empty() {
            self.error.message == other.error.message
        } else {
            self.servers == other.servers
        };
        self.is_like(other) && same
    }

    /// Whether it is what a look from here found: that has words of its own.
    fn is_of_look(&self, look: &Self) -> bool {
        let other_server =
            !self.servers.is_empty() && !look.servers.is_empty() && self.servers != look.servers;
        self.is_like(look) && !other_server
    }

    fn is_like(&self, other: &Self) -> bool {
        self.area == other.area && self.error.code == other.error.code
    }

    /// Adds where else it is.
    fn join(&mut self, other: Self) {
        for place in other.places {
            if !self.places.contains(&place) {
                self.places.push(place);
            }
        }
    }
}

fn add(all: &mut Vec<Trouble>, trouble: Trouble) {
    match all.iter_mut().find(|known| known.is(&trouble)) {
        Some(known) => known.join(trouble),
        None => all.push(trouble),
    }
}

/// `host:port` of the Redis of a job; none where its spec is not known.
fn servers(job: &JobStatus) -> Vec<String> {
    let spec: Option<JobSpec> = serde_json::from_str(&job.spec_json).ok();
    spec.map(|spec| servers_of(&spec.sink)).unwrap_or_default()
}

fn role(reply: &LeadershipReply) -> String {
    let role = if reply.leads { "leads" } else { "follows" };
    if reply.version.is_empty() {
        return role.to_owned();
    }
    format!("{role}, version {}", reply.version)
}

fn name(executor: &ExecutorStatus) -> String {
    format!("{} on {}", executor.executor_id, executor.host)
}

/// Whether its process is there, as far as the master knows.
fn is_present(executor: &ExecutorStatus) -> bool {
    !matches!(executor.state(), ExecutorState::Lost | ExecutorState::Left)
}

/// Whether an executor that answers has partitions of the job, and would say what it cannot reach.
fn is_served(job: &JobStatus) -> bool {
    let served = |state: PartitionState| {
        !matches!(
            state,
            PartitionState::Unspecified | PartitionState::Waiting | PartitionState::Over
        )
    };
    !is_over(job.state()) && job.partitions.iter().any(|p| served(p.state()))
}

/// The first of some names.
fn few(names: &[String]) -> String {
    let first = names
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// One of everything, for the page of shapes.
#[cfg(test)]
pub(super) fn sample(problem: KolError) -> Diagnosis {
    let trouble = |area, place: &str| Trouble {
        area,
        error: problem.to_info(),
        servers: Vec::new(),
        places: vec![place.to_owned()],
    };
    let mut found = Diagnosis::default();
    found.troubles.push(trouble(
        Area::Redis,
        "job kol-trending, partition kol.videos.raw/3",
    ));
    found.notes.push(trouble(
        Area::Redis,
        "Redis redis://localhost:6379/0, seen from this host",
    ));
    found.well(
        Area::Master,
        "http://127.0.0.1:7077",
        "leads, version 0.1.0",
    );
    found
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
