use std::borrow::Cow;

use futures::FutureExt as _;
use kol_common::actor::{Mailbox, mailbox};
use kol_common::event::Event;
use kol_common::proto::{AsOf, RecordMark};
use kol_common::redis::RIGHTS_MISSING;
use kol_common::{KolError, Millis};

use super::*;
use crate::partition::testing::event;
use crate::sink::{Claimed, Compared, Flushed, Found, Hashes, Kept, Present, Scanned, SinkMessage};
use crate::state::Consumer;

const T0: Millis = Millis(485_000 * 3_600_000);

fn assignment() -> Arc<Assignment> {
    Arc::new(Assignment::with_source(""))
}

fn outbox(assignment: Arc<Assignment>, sink: Sink, now: Instant) -> Outbox {
    let memory = Memory::new(1 << 30);
    Outbox::new(assignment, sink, Turns::default(), memory, now)
}

fn of_platform(platform: &'static str) -> Event<'static> {
    Event {
        platform: Cow::Borrowed(platform),
        ..event("a")
    }
}

/// A partition's outbox and its Redis, which does what it is sent.
struct Rig {
    outbox: Outbox,
    redis: Mailbox<SinkMessage>,
    state: State,
    now: Instant,
    /// Rankings that were swept.
    swept: Vec<String>,
    /// The logs that the fence was claimed for.
    claims: Vec<String>,
    /// Platforms that Redis has rankings of, keys that it refuses, and one that it refuses where a flush meets it.
    platforms: Vec<String>,
    refused: Vec<String>,
    refused_alerts: Option<String>,
    /// Where the visible tops of rankings end, and why Redis does not say so.
    lowest: Option<f64>,
    tops_refused: Option<KolError>,
    /// What the fence record says was shown, and the last record of that.
    shown: Option<(u64, u64)>,
    last: String,
    /// What a look through all keys finds, and how often it was requested.
    hashes: Hashes,
    looks: usize,
    /// A comparison finds that `last_update` or `last_event` is gone.
    stamps_lost: bool,
    flushes: usize,
    /// Times of the snapshots that were taken.
    snapshots: Vec<Millis>,
}

impl Rig {
    fn new(assignment: Arc<Assignment>) -> Self {
        let (sink, redis) = mailbox("sink", 4);
        let now = Instant::now();
        Self {
            state: State::new(Arc::clone(&assignment.scoring)),
            outbox: outbox(assignment, sink, now),
            redis,
            now,
            swept: Vec::new(),
            claims: Vec::new(),
            platforms: Vec::new(),
            refused: Vec::new(),
            refused_alerts: None,
            lowest: None,
            tops_refused: None,
            shown: None,
            last: String::new(),
            hashes: Hashes::default(),
            looks: 0,
            stamps_lost: false,
            flushes: 0,
            snapshots: Vec::new(),
        }
    }

    /// Steps, with Redis answering, until nothing happens for ten seconds.
    async fn settle(&mut self, position: u64) {
        self.settle_in(position, Scope::Everything).await;
    }

    async fn settle_in(&mut self, position: u64, scope: Scope) {
        self.settle_at(Reached {
            position,
            last: None,
            is_same_log: true,
            scope,
        })
        .await;
    }

    async fn settle_at(&mut self, reached: Reached) {
        let tick = JobTick {
            rankings_shown: true,
            ..JobTick::default()
        };
        for _ in 0..100 {
            self.now += std::time::Duration::from_millis(100);
            self.outbox.step(self.now, &mut self.state, reached, &tick);
            while let Some(news) = self.news() {
                if let News::Answer(answer) = news {
                    self.outbox.answered(self.now, &mut self.state, &answer);
                } else {
                    self.outbox.step(self.now, &mut self.state, reached, &tick);
                }
            }
        }
    }

    /// What comes at once, with Redis answering.
    fn news(&mut self) -> Option<News> {
        while let Ok(message) = self.redis.try_recv() {
            self.serve(message);
        }
        self.outbox.news().now_or_never()
    }

    /// The answer to what Redis has answered.
    fn answer(&mut self) -> Answer {
        match self.outbox.news().now_or_never() {
            Some(News::Answer(answer)) => answer,
            other => panic!("no answer: {other:?}"),
        }
    }

    fn serve(&mut self, message: SinkMessage) {
        match message {
            SinkMessage::Claim { log, reply, .. } => {
                self.claims.push(log);
                let claimed = Claimed {
                    begun: 0,
                    done: 0,
                    shown: self.shown,
                    last: self.last.clone(),
                    raised: false,
                    platforms: self.platforms.clone(),
                    refused: self.refused.clone(),
                };
                reply.send(Ok(claimed)).unwrap();
            }
            SinkMessage::Look { reply, .. } => reply.send(Ok(u64::MAX)).unwrap(),
            SinkMessage::Flush { request, reply } => {
                self.flushes += 1;
                self.last = request.last;
                let meets =
                    |key: &&String| !request.merges.is_empty() || request.recheck.contains(key);
                let flushed = Flushed {
                    refused: self.refused.clone(),
                    refused_alerts: self.refused_alerts.iter().filter(meets).cloned().collect(),
                    ..Flushed::default()
                };
                reply.send(Ok(flushed)).unwrap();
            }
            SinkMessage::Scan { request, reply } => {
                self.swept.push(request.platform);
                reply.send(Ok(Scanned::default())).unwrap();
            }
            SinkMessage::Hashes { reply, .. } => {
                self.looks += 1;
                reply.send(Ok(self.hashes.clone())).unwrap();
            }
            SinkMessage::Compare { reply, .. } => {
                let compared = Compared {
                    stamps_lost: self.stamps_lost,
                    ..Compared::default()
                };
                reply.send(Ok(compared)).unwrap();
            }
            SinkMessage::Alerts { .. } => panic!("a partition leaves that to its couriers"),
            SinkMessage::Tops { rankings, reply } => {
                let tops = match &self.tops_refused {
                    None => Ok(vec![self.lowest; rankings.len()]),
                    Some(error) => Err(error.clone().into()),
                };
                reply.send(tops).unwrap();
            }
            SinkMessage::Snapshot { request, reply } => {
                self.snapshots.push(request.at);
                reply.send(Ok(Kept::default())).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn the_fence_of_a_recreated_topic_is_claimed_again_for_its_log() {
    let known = Assignment {
        topic_id: Some(Uuid::from_u128(1)),
        lineage: 3,
        ..Assignment::clone(&assignment())
    };
    let mut rig = Rig::new(Arc::new(known));
    rig.settle(0).await;
    rig.outbox
        .start_over(rig.now, &rig.state, Some(Uuid::from_u128(2)));
    rig.settle(0).await;
    let name = |id| format!("{}/3", Uuid::from_u128(id));
    assert_eq!(rig.claims, [name(1), name(2)]);
}

#[tokio::test]
async fn the_next_owner_learns_the_last_record_of_what_redis_was_shown_and_sends_nothing_before_that_is_compared()
 {
    let known = Assignment {
        topic_id: Some(Uuid::from_u128(1)),
        ..Assignment::clone(&assignment())
    };
    let last = RecordMark {
        offset: 8,
        ..RecordMark::default()
    };
    let reached = Reached {
        position: 9,
        last: Some(last),
        is_same_log: true,
        scope: Scope::Everything,
    };
    let mut rig = Rig::new(Arc::new(known.clone()));
    rig.state.apply(&of_platform("tiktok"), T0);
    rig.settle_at(reached).await;
    let kept = rig.last.clone();
    for (lineage, learnt) in [(0, Some(last)), (1, None)] {
        let mut next = Rig::new(Arc::new(Assignment {
            lineage,
            ..known.clone()
        }));
        (next.shown, next.last) = (Some((9, 0)), kept.clone());
        next.state.apply(&of_platform("tiktok"), T0);
        let tick = JobTick::default();
        next.outbox.step(next.now, &mut next.state, reached, &tick);
        let claim = next.redis.try_recv().unwrap();
        next.serve(claim);
        let News::Answer(answer) = next.outbox.news().await else {
            panic!("a claim was sent");
        };
        let outcome = next.outbox.answered(next.now, &mut next.state, &answer);
        assert!(matches!(outcome, Outcome::Claimed { last, .. } if last == learnt));
        next.settle_at(Reached {
            is_same_log: false,
            ..reached
        })
        .await;
        assert_eq!(next.flushes, 0);
        next.settle_at(reached).await;
        assert_eq!(next.flushes, 1);
    }
}

#[tokio::test]
async fn what_redis_had_confirmed_before_the_log_lost_its_tail_is_sent_again() {
    for (lineage, waits) in [(0, 0), (1, 1)] {
        let known = Assignment {
            lineage,
            ..Assignment::clone(&assignment())
        };
        let mut rig = Rig::new(Arc::new(known));
        rig.state.apply(&of_platform("tiktok"), T0);
        while rig.state.take_changed(Consumer::Delivery).is_some() {}
        let checkpoint = PartitionCheckpoint {
            confirmed_as_of: Some(AsOf::default()),
            ..PartitionCheckpoint::default()
        };
        rig.outbox.restored(&mut rig.state, &checkpoint);
        assert_eq!(rig.state.waiting(Consumer::Delivery), waits);
    }
}

#[tokio::test]
async fn when_a_topic_was_recreated_the_rankings_of_all_platforms_of_the_old_one_are_swept() {
    let mut rig = Rig::new(assignment());
    rig.settle(0).await;
    assert_eq!(rig.swept, ["tiktok"; 3], "both rankings and the slots");
    rig.state.apply(&of_platform("youtube"), T0);
    rig.settle(1).await;
    rig.swept.clear();
    rig.outbox
        .start_over(rig.now, &rig.state, Some(Uuid::from_u128(2)));
    rig.state = State::new(Arc::clone(&assignment().scoring));
    rig.settle(0).await;
    let (tiktok, youtube) = (["tiktok"; 3], ["youtube"; 3]);
    assert_eq!(rig.swept, [tiktok, youtube].concat());
}

#[tokio::test]
async fn a_piece_of_a_ranking_that_arrives_after_the_topic_was_recreated_says_nothing() {
    let mut rig = Rig::new(assignment());
    rig.state.apply(&of_platform("tiktok"), T0);
    rig.settle(1).await;
    rig.outbox.upkeep.sweep_again(rig.now);
    let piece = rig.outbox.upkeep.scan(rig.now, || vec!["tiktok".into()]);
    rig.outbox.requests.scan(piece.unwrap());
    rig.outbox
        .start_over(rig.now, &rig.state, Some(Uuid::from_u128(2)));
    rig.state = State::new(Arc::clone(&assignment().scoring));
    let SinkMessage::Scan { reply, .. } = rig.redis.try_recv().unwrap() else {
        panic!("nothing else was requested");
    };
    let piece = Scanned {
        kols: vec!["a".into()],
        cursor: 7,
        ..Scanned::default()
    };
    reply.send(Ok(piece)).unwrap();
    let answer = rig.answer();
    rig.outbox.answered(rig.now, &mut rig.state, &answer);
    assert!(!rig.outbox.upkeep.has_orphans());
}

#[tokio::test]
async fn what_was_being_compared_for_the_old_log_is_not_looked_up_in_the_new_one() {
    let mut rig = Rig::new(assignment());
    rig.state.apply(&of_platform("tiktok"), T0);
    rig.settle(1).await;
    let Outbox {
        upkeep,
        fill,
        fence,
        requests,
        ..
    } = &mut rig.outbox;
    let soon = rig.now + std::time::Duration::from_secs(2);
    let calls = upkeep.compare(soon, 1, &rig.state, fill, (fence, 0));
    requests.compare(fence.key.clone(), calls);
    rig.outbox
        .start_over(rig.now, &rig.state, Some(Uuid::from_u128(2)));
    rig.state = State::new(Arc::clone(&assignment().scoring));
    rig.state.apply(&of_platform("youtube"), T0);
    let SinkMessage::Compare { reply, .. } = rig.redis.try_recv().unwrap() else {
        panic!("nothing else was requested");
    };
    let wrong = Compared {
        pieces: vec![Present {
            kols: vec![Found::default()],
            ..Present::default()
        }],
        ..Compared::default()
    };
    reply.send(Ok(wrong)).unwrap();
    let answer = rig.answer();
    rig.outbox.answered(rig.now, &mut rig.state, &answer);
    assert_eq!(
        rig.outbox.left_out(),
        0,
        "another creator has that index now"
    );
}

#[tokio::test]
async fn times_that_redis_lost_are_written_again_although_nothing_is_to_send() {
    let mut rig = Rig::new(assignment());
    rig.state.apply(&of_platform("tiktok"), T0);
    rig.settle(1).await;
    let flushes = rig.flushes;
    rig.settle(1).await;
    assert_eq!(rig.flushes, flushes, "nothing is to send");
    rig.stamps_lost = true;
    rig.settle(1).await;
    let more = rig.flushes - flushes;
    assert!((1..=3).contains(&more), "{more} in 10 s");
    assert_eq!(rig.outbox.problem(), None);
}

#[tokio::test]
async fn rankings_of_a_platform_without_events_flip_once_their_keys_are_mended() {
    let mut rig = Rig::new(assignment());
    rig.platforms = vec!["youtube".into()];
    rig.refused = vec!["streaming:ranking:youtube:trending:before".into()];
    rig.settle(0).await;
    assert!(!rig.outbox.rankings.are_shown());
    assert!((1..=3).contains(&rig.flushes), "{} in 10 s", rig.flushes);
    assert!(rig.outbox.problem().is_some(), "and it is said");
    rig.refused.clear();
    rig.settle(0).await;
    assert!(rig.outbox.rankings.are_shown());
    assert_eq!(rig.outbox.problem(), None);
}

#[tokio::test]
async fn a_redis_that_does_not_let_its_keys_be_looked_through_is_a_problem_and_hinders_nothing() {
    let mut rig = Rig::new(assignment());
    let error = KolError::external("SINK_SCAN_REFUSED", "no");
    rig.hashes.refused = Some(Box::new(error.clone()));
    rig.state.apply(&of_platform("tiktok"), T0);
    rig.settle(1).await;
    assert_eq!((rig.flushes, rig.looks), (1, 1));
    assert_eq!(rig.outbox.problem(), Some(error));
    assert!(rig.outbox.confirmed().is_some());
    rig.hashes.refused = None;
    for _ in 0..6 {
        rig.settle(1).await;
    }
    assert_eq!((rig.outbox.problem(), rig.looks), (None, 2));
}

#[tokio::test]
async fn what_a_look_through_all_keys_finds_is_removed_by_a_flush() {
    let mut rig = Rig::new(assignment());
    rig.hashes.lone = vec![("tiktok".into(), "left".into())];
    rig.settle(0).await;
    assert_eq!((rig.flushes, rig.looks), (1, 1));
    rig.settle(0).await;
    assert_eq!((rig.flushes, rig.looks), (1, 1), "nothing is left to do");
}

#[tokio::test]
async fn rankings_are_kept_near_the_head_of_the_log_once_for_each_step_of_the_clock() {
    let mut rig = Rig::new(assignment());
    rig.state.apply(&of_platform("tiktok"), T0);
    rig.settle(1).await;
    rig.settle(1).await;
    assert_eq!(rig.snapshots, [T0]);
    let later = Millis(T0.0 + 700_000);
    rig.state.apply(&of_platform("tiktok"), later);
    rig.settle_in(2, Scope::WhatWaited).await;
    assert_eq!(rig.snapshots, [T0], "what is shown is of another time");
    rig.settle(2).await;
    assert_eq!(rig.snapshots, [T0, Millis(T0.0 + 600_000)]);
}

#[path = "outbox_backlog_tests.rs"]
mod backlog;

#[path = "outbox_refusals_tests.rs"]
mod refusals;
