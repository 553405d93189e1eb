//! Which reports the master needs: a machine without I/O.
//!
//! 1. A report goes out if anything in it differs from what this session was sent of its partition, but for the age of the
//!    end of its log.
//! 2. Samples and spellings change slowly, and are most of a report: they go out in heartbeat rounds only, if they differ.
//! 3. All other partitions are said to be unchanged, with the greatest age of their ends. One whose end is older than
//!    [`OLD`] goes out by itself: it must not make the others look old, nor look younger itself.
//! 4. A session begins with nothing sent. A master that does not take rule 3 is sent everything in each round.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kol_common::Millis;
use kol_common::proto::{PartitionReport, Reports, Unchanged};
use tokio::time::Instant;

use super::machine::Key;

/// Age from which on an end does not stand for those of others.
const OLD: Duration = Duration::from_millis(4_000);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct News {
    known: BTreeMap<Key, Known>,
    /// The master takes rule 3.
    takes_unchanged: bool,
    /// There is a report that [`News::all`] has not given yet, or one less.
    moved: bool,
}

/// What is known of a partition.
#[derive(Debug)]
struct Known {
    report: Arc<PartitionReport>,
    /// When it was reported, at the latest.
    seen: Instant,
    /// What the master was sent last, and what with sample and spellings.
    sent: Option<Arc<PartitionReport>>,
    sampled: Option<Arc<PartitionReport>>,
    differs: bool,
    sample_differs: bool,
}

impl Known {
    /// How old the end of its log is, at most.
    fn end_age(&self, now: Instant) -> Option<Duration> {
        self.report.end_offset?;
        let reported = Millis(self.report.end_age_ms).duration();
        Some(reported + now.duration_since(self.seen))
    }

    fn compare(&mut self) {
        let report = &self.report;
        self.differs = !self.sent.as_ref().is_some_and(|s| is_same(s, report));
        self.sample_differs = !self.sampled.as_ref().is_some_and(|sent| {
            (&sent.sample, &sent.spellings) == (&report.sample, &report.spellings)
        });
    }

    fn send(&mut self, with_sample: bool) -> PartitionReport {
        self.sent = Some(Arc::clone(&self.report));
        self.differs = false;
        if with_sample {
            self.sampled = Some(Arc::clone(&self.report));
            self.sample_differs = false;
            return PartitionReport::clone(&self.report);
        }
        without_sample(&self.report)
    }
}

impl News {
    /// A new session.
    pub(super) fn begin(&mut self) {
        self.takes_unchanged = false;
        for known in self.known.values_mut() {
            (known.sent, known.sampled) = (None, None);
            known.compare();
        }
    }

    /// What the master of this session said of itself.
    pub(super) fn welcomed(&mut self, takes_unchanged: bool) {
        self.takes_unchanged = takes_unchanged;
    }

    /// A partition reported this since the round before.
    pub(super) fn reported(&mut self, now: Instant, key: &Key, report: &Arc<PartitionReport>) {
        self.moved = true;
        if let Some(known) = self.known.get_mut(key) {
            known.report = Arc::clone(report);
            known.seen = now;
            known.compare();
        } else {
            let known = Known {
                report: Arc::clone(report),
                seen: now,
                sent: None,
                sampled: None,
                differs: true,
                sample_differs: true,
            };
            self.known.insert(key.clone(), known);
        }
    }

    /// What was sent of a partition beside the rounds is not known here.
    pub(super) fn sent_apart(&mut self, key: &Key) {
        if let Some(known) = self.known.get_mut(key) {
            (known.sent, known.differs) = (None, true);
        }
    }

    /// A partition is not here any more.
    pub(super) fn forget(&mut self, key: &Key) {
        self.moved = true;
        self.known.remove(key);
    }

    /// The newest reports of all partitions, if there is a new one since that was last called.
    pub(super) fn all(&mut self) -> Option<Vec<Arc<PartitionReport>>> {
        let reports = self.known.values();
        let reports = reports.map(|known| Arc::clone(&known.report));
        std::mem::take(&mut self.moved).then(|| reports.collect())
    }

    /// One round; `None` where there is no partition.
    pub(super) fn round(&mut self, now: Instant, is_heartbeat: bool) -> Option<Reports> {
        if self.known.is_empty() {
            return None;
        }
        let mut round = Reports::default();
        let mut oldest = Duration::ZERO;
        for known in self.known.values_mut() {
            let end_age = known.end_age(now).unwrap_or_default();
            let is_news = known.differs || end_age > OLD || (is_heartbeat && known.sample_differs);
            if is_news || !self.takes_unchanged {
                round.reports.push(known.send(is_heartbeat));
            } else {
                oldest = oldest.max(end_age);
            }
        }
        round.unchanged = self.takes_unchanged.then(|| Unchanged {
            end_age_ms: Millis::from(oldest).0,
        });
        Some(round)
    }
}

/// Whether two reports say the same, but for what goes out with heartbeats and the age of the end. Each new field must be
/// looked at here.
fn is_same(a: &PartitionReport, b: &PartitionReport) -> bool {
    let PartitionReport {
        job_id,
        partition,
        assignment_epoch,
        state,
        position,
        end_offset,
        end_age_ms: _,
        clock_ms,
        window_end_ms,
        market,
        confirmed,
        arrived,
        counters,
        kols,
        entities,
        state_bytes,
        median_gap_ms,
        problem,
        more_problems,
        stall_ms,
        staleness_ms,
        job_name,
        left_out,
        topic_id,
        log_start,
        sample: _,
        spellings: _,
        rates,
        hottest,
        rekeying,
    } = a;
    *position == b.position
        && *state == b.state
        && *end_offset == b.end_offset
        && *clock_ms == b.clock_ms
        && *window_end_ms == b.window_end_ms
        && *confirmed == b.confirmed
        && *arrived == b.arrived
        && *kols == b.kols
        && *entities == b.entities
        && *state_bytes == b.state_bytes
        && *median_gap_ms == b.median_gap_ms
        && *stall_ms == b.stall_ms
        && *staleness_ms == b.staleness_ms
        && *left_out == b.left_out
        && *log_start == b.log_start
        && *rates == b.rates
        && *assignment_epoch == b.assignment_epoch
        && *counters == b.counters
        && *market == b.market
        && *problem == b.problem
        && *more_problems == b.more_problems
        && *rekeying == b.rekeying
        && *hottest == b.hottest
        && *topic_id == b.topic_id
        && *partition == b.partition
        && *job_id == b.job_id
        && *job_name == b.job_name
}

/// What a report says in rounds that are no heartbeat.
pub(super) fn without_sample(report: &PartitionReport) -> PartitionReport {
    let mut report = report.clone();
    report.sample.clear();
    report.spellings.clear();
    report
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{PartitionCounters, Sighting};
    use kol_common::{JobId, SourcePartition};

    use super::*;

    struct Rig {
        news: News,
        job: JobId,
        now: Instant,
    }

    impl Rig {
        /// A session with a master that takes what is unchanged, or not.
        fn new(takes_unchanged: bool) -> Self {
            let mut news = News::default();
            news.begin();
            news.welcomed(takes_unchanged);
            Self {
                news,
                job: JobId::generate(),
                now: Instant::now(),
            }
        }

        fn key(&self, number: u32) -> Key {
            (self.job.clone(), SourcePartition::new("t", number))
        }

        fn reported(&mut self, report: PartitionReport) {
            let number = report.partition.as_ref().unwrap().partition;
            let key = self.key(number);
            self.news.reported(self.now, &key, &Arc::new(report));
        }

        /// The partitions that are named in a round, with the sizes of their samples; and the age of the other ends.
        fn round(&mut self, is_heartbeat: bool) -> (Vec<(u32, usize)>, Option<u64>) {
            let round = self.news.round(self.now, is_heartbeat).unwrap();
            let named = round.reports.iter();
            let named = named.map(|r| (r.partition.as_ref().unwrap().partition, r.sample.len()));
            (named.collect(), round.unchanged.map(|u| u.end_age_ms))
        }

        fn pass(&mut self, ms: u64) {
            self.now += Duration::from_millis(ms);
        }
    }

    fn report(number: u32) -> PartitionReport {
        PartitionReport {
            partition: Some((&SourcePartition::new("t", number)).into()),
            assignment_epoch: 3,
            position: 10,
            end_offset: Some(10),
            end_age_ms: 100 * u64::from(number),
            counters: Some(PartitionCounters::default()),
            sample: vec![Sighting::default()],
            ..PartitionReport::default()
        }
    }

    #[test]
    fn only_what_differs_is_named_and_the_others_are_unchanged_with_the_age_of_their_oldest_end() {
        let mut rig = Rig::new(true);
        (1..=3).for_each(|number| rig.reported(report(number)));
        assert_eq!(rig.round(true), (vec![(1, 1), (2, 1), (3, 1)], Some(0)));
        rig.pass(200);
        assert_eq!(rig.round(false), (vec![], Some(500)));
        rig.reported(PartitionReport {
            position: 11,
            ..report(3)
        });
        assert_eq!(rig.round(false), (vec![(3, 0)], Some(400)));
        rig.reported(PartitionReport {
            position: 11,
            end_age_ms: 7,
            ..report(3)
        });
        assert_eq!(rig.round(false), (vec![], Some(400)), "an age alone");
        assert_eq!(rig.round(true), (vec![], Some(400)), "and in a heartbeat");
    }

    #[test]
    fn a_sample_goes_out_with_a_heartbeat_if_it_differs() {
        let mut rig = Rig::new(true);
        rig.reported(report(1));
        assert_eq!(rig.round(false).0, [(1, 0)]);
        assert_eq!(rig.round(false).0, []);
        assert_eq!(rig.round(true).0, [(1, 1)]);
        assert_eq!(rig.round(true).0, []);
        rig.reported(PartitionReport {
            sample: vec![Sighting::default(); 2],
            ..report(1)
        });
        assert_eq!(rig.round(false).0, []);
        assert_eq!(rig.round(true).0, [(1, 2)]);
    }

    #[test]
    fn an_old_end_is_named_in_each_round_and_does_not_make_the_others_look_old() {
        let mut rig = Rig::new(true);
        rig.reported(report(1));
        rig.reported(report(2));
        rig.round(true);
        rig.pass(3_850);
        rig.reported(report(1));
        for is_heartbeat in [false, true] {
            assert_eq!(rig.round(is_heartbeat).0, [(2, usize::from(is_heartbeat))]);
            assert_eq!(rig.round(is_heartbeat).1, Some(100));
        }
    }

    #[test]
    fn a_new_session_and_a_master_that_wants_all_reports_get_them() {
        let mut rig = Rig::new(false);
        rig.reported(report(1));
        for _ in 0..3 {
            assert_eq!(rig.round(false), (vec![(1, 0)], None));
        }
        rig.news.welcomed(true);
        assert_eq!(rig.round(false), (vec![], Some(100)), "it has all");
        rig.news.begin();
        assert_eq!(rig.round(false), (vec![(1, 0)], None), "not welcomed yet");
        rig.news.begin();
        rig.news.welcomed(true);
        assert_eq!(rig.round(false).0, [(1, 0)]);
    }

    #[test]
    fn what_was_sent_apart_is_sent_again_and_what_has_ended_is_not() {
        let mut rig = Rig::new(true);
        rig.reported(report(1));
        rig.reported(report(2));
        rig.round(true);
        let (first, second) = (rig.key(1), rig.key(2));
        rig.news.sent_apart(&first);
        rig.news.forget(&second);
        assert_eq!(rig.round(false), (vec![(1, 0)], Some(0)));
        rig.news.forget(&first);
        assert_eq!(rig.news.round(rig.now, true), None);
    }

    #[test]
    fn all_reports_are_given_when_there_is_a_new_one_or_one_less() {
        let mut rig = Rig::new(true);
        let count = |rig: &mut Rig| rig.news.all().map(|all| all.len());
        assert_eq!(count(&mut rig), None);
        rig.reported(report(1));
        rig.reported(report(2));
        assert_eq!(count(&mut rig), Some(2));
        assert_eq!(count(&mut rig), None);
        let first = rig.key(1);
        rig.news.forget(&first);
        assert_eq!(count(&mut rig), Some(1));
    }
}
