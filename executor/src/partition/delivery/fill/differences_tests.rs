use std::sync::Arc;
use std::time::Duration;

use kol_common::Millis;
use kol_common::job::SinkSpec;
use tokio::time::Instant;

use super::*;
use crate::partition::delivery::encode::{Encoder, Outgoing};
use crate::partition::delivery::readback::tests::{merged, scoring};
use crate::partition::testing::event;
use crate::sink::Values;

const T0: Millis = Millis(485_000 * 3_600_000);

/// A partition that has sent the creator `ann`, what it compares, and what Redis has.
struct Sent {
    state: State,
    fill: Fill,
    refusals: Refusals,
    piece: Piece,
    present: Present,
}

impl Sent {
    fn new() -> Self {
        let mut state = State::new(Arc::new(scoring()));
        state.apply(&event("ann"), T0);
        let encoder = Encoder::new(&SinkSpec::default(), &scoring().spec, 0);
        let mut fill = Fill::new(encoder, Duration::ZERO, Instant::now());
        let kol = state.take_changed(Consumer::Delivery).unwrap();
        let slot = state.share(kol).unwrap();
        fill.ledger.sending(kol, &Outgoing::Put(slot), 3);
        fill.ledger.confirm();
        let (platform, sent) = fill.sent(&state, kol).unwrap();
        assert_eq!(sent, Some(slot));
        let found = Found {
            copy: Some(Values::new()),
            ..merged(&[Slot {
                generation: 7,
                ..slot
            }])
        };
        Self {
            state,
            fill,
            refusals: Refusals::default(),
            piece: (platform, vec![(kol, sent)]),
            present: Present {
                kols: vec![found],
                ..Present::default()
            },
        }
    }

    /// How many creators the comparison sends again.
    fn repaired(&mut self) -> u64 {
        let fence = Fence {
            key: "fence".into(),
            generation: 7,
            assignment_epoch: 1,
        };
        let (scoring, refusals) = (scoring(), &mut self.refusals);
        let by = (&scoring, &fence);
        self.fill
            .compared(&mut self.state, by, &self.piece, &self.present, refusals)
    }

    fn is_whole(&self) -> bool {
        let (kol, _) = self.piece.1[0];
        let outgoing = self.fill.ledger.outgoing(&self.state, kol);
        matches!(outgoing, Some(Outgoing::Put(_)))
    }
}

#[test]
fn a_creator_that_somebody_wrote_over_waits_to_be_sent_as_a_whole_and_counts_once() {
    let mut sent = Sent::new();
    assert_eq!(sent.repaired(), 0, "it is as it was sent");
    sent.present.kols[0].score = Some(1.0);
    assert_eq!(sent.repaired(), 1);
    assert!(sent.state.waits(Consumer::Delivery, 0) && sent.is_whole());
    assert_eq!(sent.repaired(), 0, "it waits already");
}

#[test]
fn a_creator_that_changed_while_it_was_compared_is_judged_by_what_it_was_sent_before() {
    let mut sent = Sent::new();
    sent.state.apply(&event("ann"), Millis(T0.0 + 1));
    assert_eq!(sent.repaired(), 0);
    sent.present.kols[0].slots = None;
    assert_eq!(sent.repaired(), 1);
}

#[test]
fn nothing_is_sent_again_while_a_key_of_the_platform_or_of_the_creator_is_of_a_wrong_type() {
    let mut sent = Sent::new();
    sent.present.kols[0].score = Some(1.0);
    sent.present.keys = vec!["ranking:tiktok:trending".into()];
    assert_eq!(sent.repaired(), 0);
    sent.present.keys.clear();
    sent.present.kols[0].hash = None;
    assert_eq!((sent.repaired(), sent.refusals.creators()), (0, 1));
    // Where nothing was read of creators, none is of a wrong type.
    sent.present.kols.clear();
    assert_eq!((sent.repaired(), sent.refusals.creators()), (0, 0));
    sent.present.whole_lost = true;
    assert_eq!(sent.repaired(), 1);
}
