use proptest::prelude::*;

use super::*;

const KEPT: usize = 48;

#[derive(Clone, Debug)]
enum Step {
    Add(usize, usize, u64, u32),
    DropFirst(u64),
}

/// Numbers of all sizes, those at the edges of a width among them.
fn number(bits: u32) -> impl Strategy<Value = u64> {
    (0..=bits, any::<u64>(), any::<bool>()).prop_map(|(bits, any, is_edge)| {
        let largest = 1_u64.checked_shl(bits).map_or(u64::MAX, |n| n - 1);
        if is_edge { largest } else { any & largest }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let add = (0..KEPT, 1..KEPT, number(64), number(32));
    prop_oneof![
        6 => add.prop_map(|(from, len, e, n)| Step::Add(from, (from + len).min(KEPT), e, n as u32)),
        // As most are: small, and in one of the newest panes.
        6 => (KEPT - 3..KEPT, 0..9_000_000_u64).prop_map(|(at, e)| Step::Add(at, at + 1, e, 1)),
        4 => (0..8_u64).prop_map(Step::DropFirst),
        1 => (0..200_u64).prop_map(Step::DropFirst),
    ]
}

/// A pane each.
#[derive(Debug)]
struct Model(Vec<(u64, u32)>);

impl Model {
    fn take(&mut self, step: &Step) {
        match *step {
            Step::Add(from, to, engagement_e6, events) => {
                for (e, n) in &mut self.0[from..to] {
                    *e = e.saturating_add(engagement_e6);
                    *n = n.saturating_add(events);
                }
            }
            Step::DropFirst(panes) => {
                self.0.drain(..KEPT.min(panes as usize));
                self.0.resize(KEPT, (0, 0));
            }
        }
    }

    fn sum(&self, panes: Range<usize>) -> RangeSum {
        let add = |sum: RangeSum, (e, n): &(u64, u32)| RangeSum {
            engagement_e6: sum.engagement_e6.saturating_add(*e),
            events: sum.events.saturating_add(*n),
        };
        self.0[panes].iter().fold(RangeSum::default(), add)
    }
}

fn all_of(ring: &Ring) -> Vec<(usize, u64, u32)> {
    let mut all = Vec::new();
    ring.each(0..KEPT, |pane, e, n| all.push((pane, e, n)));
    all
}

proptest! {
    #[test]
    fn a_ring_holds_what_a_table_of_whole_numbers_does(
        steps in prop::collection::vec(step(), 0..60),
        ranges in prop::collection::vec((0..KEPT, 0..=KEPT), 8),
    ) {
        let (mut ring, mut model) = (Ring::default(), Model(vec![(0, 0); KEPT]));
        for step in steps {
            model.take(&step);
            match step {
                Step::Add(from, to, e, n) => ring.add(from..to, e, n, KEPT),
                Step::DropFirst(panes) => ring.drop_first(panes),
            }
            for (from, to) in &ranges {
                let to = *from.max(to);
                prop_assert_eq!(ring.sum(*from..to), model.sum(*from..to), "{}..{}", from, to);
            }
            let all = model.0.iter().enumerate().map(|(pane, (e, n))| (pane, *e, *n));
            let filled: Vec<_> = all.filter(|(_, e, n)| *e > 0 || *n > 0).collect();
            prop_assert_eq!(all_of(&ring), filled);
        }
    }
}

#[test]
fn a_ring_has_the_bytes_that_its_numbers_need() {
    let mut ring = Ring::default();
    assert_eq!(ring.heap(), 0);
    ring.add(KEPT - 1..KEPT, 0, 1, KEPT);
    assert_eq!(
        ring.bytes.len(),
        4,
        "the number of events in one of four panes"
    );
    ring.add(KEPT - 1..KEPT, 4_000_000_000, 0, KEPT);
    assert_eq!(ring.bytes.len(), 4 * (4 + 1));
    ring.add(0..KEPT, 1, 1, KEPT);
    assert_eq!((ring.bytes.len(), ring.heap()), (48 * (4 + 1), 256));
    ring.add(3..4, u64::from(u32::MAX), 0, KEPT);
    assert_eq!(ring.bytes.len(), 48 * (5 + 1));
    ring.add(3..4, 1 << 40, 255, KEPT);
    assert_eq!(ring.bytes.len(), 48 * (8 + 4));
    assert_eq!(all_of(&ring)[3], (3, (1 << 40) + (1 << 32), 256));
}

#[test]
fn a_slot_that_is_used_for_longer_takes_room_step_by_step() {
    let mut ring = Ring::default();
    let mut rooms = Vec::new();
    for _ in 0..100 {
        ring.drop_first(1);
        ring.add(KEPT - 1..KEPT, 1, 1, KEPT);
        if rooms.last() != Some(&ring.room) {
            rooms.push(ring.room);
        }
    }
    assert_eq!(rooms, [4, 8, 16, 32, 48]);
    assert_eq!(ring.sum(0..KEPT).events, 48);
}

#[test]
fn panes_that_outgrow_their_bytes_keep_what_they_had() {
    let mut ring = Ring::default();
    for round in 1..6 {
        ring.add(10..20, 1 << 31, 100, KEPT);
        let expected = (10..20).map(|pane| (pane, round << 31, 100 * round as u32));
        assert_eq!(all_of(&ring), expected.collect::<Vec<_>>());
    }
}
