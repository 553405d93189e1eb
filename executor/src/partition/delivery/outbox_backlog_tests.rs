//! When creators are sent, and how often, while more waits than is worth sending at once.

use super::*;

/// A partition that is far behind: all its creators have events all the time.
struct Backlog {
    rig: Rig,
    start: Instant,
    kols: Vec<String>,
    position: u64,
    /// When each flush was sent, and its KOLs.
    sent: Vec<(Duration, usize)>,
}

impl Backlog {
    fn new(kols: usize, checkpoint: &str) -> Self {
        let text = format!("\n[checkpoint]\n{checkpoint}");
        let rig = Rig::new(Arc::new(Assignment::with_source(&text)));
        let start = rig.now;
        Self {
            rig,
            start,
            kols: (0..kols).map(|kol| format!("kol_{kol}")).collect(),
            position: 0,
            sent: Vec::new(),
        }
    }

    fn at(&self) -> Duration {
        self.rig.now - self.start
    }

    /// Reads for so long, with an epoch each second if `epochs` says so; when each of them was confirmed.
    fn read(&mut self, time: Duration, epochs: bool) -> Vec<Duration> {
        let mut settled = Vec::new();
        let until = self.at() + time;
        while self.at() < until {
            self.rig.now += Duration::from_millis(20);
            for kol in &self.kols {
                self.position += 1;
                let event = Event {
                    kol: Cow::Borrowed(kol),
                    likes: Some(self.position),
                    ..of_platform("tiktok")
                };
                let time = Millis(T0.0 + self.position);
                self.rig.state.apply(&event, time);
            }
            if epochs && self.position / self.kols.len() as u64 % 50 == 1 {
                let arrived = self.rig.outbox.await_all(self.rig.now, &self.rig.state);
                settled.extend(arrived.map(|_| self.at()));
            }
            settled.extend(self.step(Scope::WhatWaited).map(|_| self.at()));
        }
        settled
    }

    /// Does what is due.
    fn step(&mut self, scope: Scope) -> Option<Arrived> {
        let tick = JobTick {
            rankings_shown: true,
            ..JobTick::default()
        };
        let reached = Reached {
            position: self.position,
            last: None,
            is_same_log: true,
            scope,
        };
        let at = self.at();
        let rig = &mut self.rig;
        let mut arrived = rig.outbox.step(rig.now, &mut rig.state, reached, &tick);
        loop {
            let flushes = rig.flushes;
            let in_flight = rig.outbox.fill.in_flight();
            let news = rig.news();
            if rig.flushes > flushes && in_flight > 0 {
                self.sent.push((at, in_flight));
            }
            let more = match news {
                None => return arrived,
                Some(News::Answer(answer)) => {
                    match rig.outbox.answered(rig.now, &mut rig.state, &answer) {
                        Outcome::Served(more) | Outcome::Claimed { arrived: more, .. } => more,
                        Outcome::Fenced => panic!("fenced"),
                    }
                }
                Some(News::Turn) => rig.outbox.step(rig.now, &mut rig.state, reached, &tick),
            };
            arrived = arrived.or(more);
        }
    }

    fn merges(&self) -> usize {
        self.sent.iter().map(|(_, kols)| kols).sum()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn far_behind_a_creator_is_sent_at_most_once_in_five_seconds() {
    let mut backlog = Backlog::new(40, "");
    backlog.rig.lowest = Some(100.0);
    backlog.read(21 * SECOND, false);
    assert_eq!(backlog.merges(), 4 * 40, "{:?}", backlog.sent);
    assert!(backlog.sent[0].0 >= 5 * SECOND);
    // At the head of the log nothing waits any more.
    backlog.rig.now += SECOND / 10;
    backlog.step(Scope::Everything);
    assert_eq!(backlog.merges(), 5 * 40);
}

#[tokio::test]
async fn a_right_to_sample_rankings_that_is_back_ends_its_problem_although_nobody_waits() {
    let mut backlog = Backlog::new(40, "");
    backlog.rig.tops_refused = Some(KolError::external(RIGHTS_MISSING, "no +zrevrange"));
    backlog.read(3 * SECOND, false);
    let problem = |rig: &Rig| rig.outbox.problem().map(|e| e.code);
    let mut rig = backlog.rig;
    rig.settle(backlog.position).await;
    assert!(rig.outbox.fill.waits_for_nothing(&rig.state));
    assert_eq!(problem(&rig), Some(RIGHTS_MISSING), "it is still missing");
    rig.tops_refused = None;
    rig.settle(backlog.position).await;
    assert_eq!(problem(&rig), None);
}

#[tokio::test]
async fn a_partition_that_was_taken_over_sends_what_changed_at_once_and_rescores_after_that() {
    let mut rig = Rig::new(assignment());
    let kols: Vec<String> = (0..40).map(|kol| format!("kol_{kol}")).collect();
    let read = |rig: &mut Rig, kols: &[String], likes| {
        for kol in kols {
            let event = Event {
                kol: Cow::Borrowed(kol),
                likes: Some(likes),
                ..of_platform("tiktok")
            };
            rig.state.apply(&event, Millis(T0.0 + likes));
        }
    };
    read(&mut rig, &kols, 1);
    while rig.state.take_changed(Consumer::Delivery).is_some() {}
    // Redis has them as of another market measure.
    let checkpoint = PartitionCheckpoint {
        confirmed_as_of: Some(AsOf {
            window_end_ms: rig.outbox.assignment.scoring.time(rig.state.window_end()).0,
            market_version: 7,
        }),
        ..PartitionCheckpoint::default()
    };
    rig.outbox.restored(&mut rig.state, &checkpoint);
    read(&mut rig, &kols[..3], 9);
    rig.settle_in(2, Scope::Changes).await;
    assert_eq!(rig.outbox.merges, 3, "they alone");
    assert_eq!(rig.outbox.arrived_from(), Some(2));
    assert_eq!(
        rig.outbox.confirmed(),
        None,
        "the others are of another measure"
    );
    rig.settle_in(3, Scope::Everything).await;
    assert_eq!(rig.outbox.merges, 3 + 37);
    assert!(rig.outbox.confirmed().is_some());
}

#[tokio::test]
async fn a_change_waits_for_no_more_than_a_part_of_those_that_a_moved_window_has_rescored() {
    let mut backlog = Backlog::new(5_000, "");
    backlog.read(Duration::from_millis(20), false);
    backlog.rig.settle(backlog.position).await;
    // A day later one creator has an event: all others lose what they had.
    backlog.kols.truncate(1);
    backlog.position += 3_600_000 * 24;
    backlog.read(Duration::from_millis(20), false);
    backlog.sent.clear();
    for _ in 0..90 {
        backlog.rig.now += Duration::from_millis(1);
        backlog.step(Scope::Everything);
    }
    let flushes: Vec<usize> = backlog.sent.iter().map(|(_, kols)| *kols).collect();
    assert_eq!(flushes.iter().sum::<usize>(), 5_000, "within one interval");
    assert!(flushes.iter().all(|kols| *kols <= 1_025), "{flushes:?}");
}

#[tokio::test]
async fn a_backlog_that_is_read_within_five_seconds_is_one_merge_for_each_creator() {
    let mut backlog = Backlog::new(40, "");
    backlog.rig.lowest = Some(100.0);
    backlog.read(4 * SECOND, true);
    backlog.step(Scope::Everything);
    assert_eq!(backlog.merges(), 40);
}

#[tokio::test]
async fn epochs_of_a_partition_that_is_far_behind_are_confirmed_long_before_their_deadline() {
    for (timeout, latest) in [("60s", 6 * SECOND), ("4s", 2 * SECOND)] {
        let mut backlog = Backlog::new(40, &format!("timeout = \"{timeout}\""));
        backlog.rig.lowest = Some(100.0);
        let first = backlog.read(10 * SECOND, true)[0];
        assert!(first <= latest, "{first:?} of {timeout}");
    }
}

#[tokio::test]
async fn far_behind_creators_of_the_visible_top_are_sent_each_second() {
    let mut backlog = Backlog::new(40, "");
    // Fewer than are visible.
    backlog.rig.lowest = None;
    backlog.read(11 * SECOND, false);
    let (early, merges) = (backlog.sent[0].0, backlog.merges());
    assert!(early < 2 * SECOND, "{early:?}");
    assert!((9 * 40..=12 * 40).contains(&merges), "{:?}", backlog.sent);
}

#[tokio::test]
async fn what_waits_too_long_is_a_problem_until_redis_has_it() {
    let mut rig = Rig::new(assignment());
    rig.settle(0).await;
    rig.state.apply(&of_platform("tiktok"), T0);
    let tick = JobTick::default();
    let reached = Reached {
        position: 1,
        last: None,
        is_same_log: true,
        scope: Scope::Everything,
    };
    let later = |rig: &mut Rig, seconds: u32| {
        for _ in 0..10 * seconds {
            rig.now += SECOND / 10;
            // Redis does not answer.
            rig.outbox.step(rig.now, &mut rig.state, reached, &tick);
            let _turn = rig.outbox.news().now_or_never();
        }
        rig.outbox.staleness()
    };
    let waited = later(&mut rig, 29);
    assert!((28 * SECOND..30 * SECOND).contains(&waited), "{waited:?}");
    assert_eq!(rig.outbox.problem(), None);
    later(&mut rig, 2);
    assert_eq!(rig.outbox.problem().map(|e| e.code), Some("SINK_STALE"));
    rig.settle(1).await;
    assert_eq!(rig.outbox.staleness(), Duration::ZERO);
    assert_eq!(rig.outbox.problem(), None);
}
