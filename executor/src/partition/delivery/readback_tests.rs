use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::scoring::schema::{FIELDS, RANK};
use kol_common::scoring::{Market, SlotLayout, Sums, Terms, pack_slots};

use super::*;
use crate::sink::Values;

const MARKET: Market = Market {
    mean: 4.73,
    version: 3,
};

pub(in crate::partition::delivery) fn scoring() -> Scoring {
    Scoring::new(&ScoringSpec::defaults(
        Profile::Default,
        Counters::Cumulative,
    ))
}

/// The share of a partition: not the same for two of them.
fn slot(partition: u32) -> Slot {
    Slot {
        partition,
        generation: 7,
        window_end: 480_000 + u64::from(partition),
        engagement_e6: 3e9 + f64::from(partition),
        events: 5 + partition,
        previous_engagement_e6: 1e9,
        previous_events: 2,
        baseline_engagement_e6: 12_345.678_9,
        baseline_events: 0.25,
        first_pane: 479_000,
        provisional_e6: 0.0,
    }
}

fn sums_and_terms(scoring: &Scoring, slots: &[Slot]) -> (Sums, Terms) {
    let sums = merge(scoring, slots);
    (sums, scoring.score(&sums, MARKET.mean))
}

/// What a merge by generation 7 leaves behind of `ann` with these slots, with a legacy hash.
pub(in crate::partition::delivery) fn merged(slots: &[Slot]) -> Found {
    let scoring = scoring();
    let (sums, terms) = sums_and_terms(&scoring, slots);
    let scored = Scored {
        scoring: &scoring,
        sums: &sums,
        terms: &terms,
    };
    let mut text = String::new();
    let mut value = |field: &Field| {
        field.write(&scored, &mut text);
        text.clone()
    };
    let fields: Vec<String> = FIELDS.iter().map(&mut value).collect();
    let hash = format!("tiktok\x007\0now\0{}\0ann", fields.join("\0"));
    let (score, label) = (&fields[0], &fields[1]);
    let copy = format!("tiktok\0now\0{score}\0{label}\0{score}\0ann");
    Found {
        score: value(&RANK).parse().ok(),
        slots: Some(pack_slots(&SlotLayout::PLAIN, &MARKET, slots)),
        hash: Some(hash.into()),
        copy: Some(copy.into()),
    }
}

fn is_as_sent(sent: Option<&Slot>, found: &Found) -> bool {
    let scoring = scoring();
    Readback::new(&scoring, "tiktok", true, (0, 7)).is_as_sent("ann", sent, found)
}

/// Puts a value in the place of one of a hash, or takes it out.
fn set(values: &mut Option<Values>, place: usize, text: Option<&str>) {
    let whole = String::from_utf8(values.take().unwrap()).unwrap();
    let mut texts: Vec<&str> = whole.split('\0').collect();
    texts[place] = text.unwrap_or_default();
    let changed = text.map_or_else(String::new, |_| texts.join("\0"));
    *values = Some(changed.into());
}

#[test]
fn what_a_merge_leaves_behind_is_as_it_was_sent_whoever_merged_last() {
    let (own, other) = (slot(0), slot(1));
    for slots in [vec![own], vec![other, own], vec![own, other, slot(2)]] {
        let mut found = merged(&slots);
        assert!(is_as_sent(Some(&own), &found), "{slots:?}");
        assert!(is_as_sent(None, &found), "it has changed since");
        set(&mut found.hash, 2, Some("later"));
        assert!(is_as_sent(Some(&own), &found), "the time of it may be any");
    }
}

#[test]
fn whatever_value_of_a_creator_somebody_writes_over_or_takes_out_is_found() {
    let own = slot(0);
    let found = merged(&[own]);
    let sizes = [hash_fields(Profile::Default).count(), LEGACY_FIELDS.len()];
    for (of_copy, size) in [(false, sizes[0]), (true, sizes[1])] {
        for place in 0..size {
            for text in [Some("0"), Some("0.00"), Some("bob"), Some(""), None] {
                let mut other = found.clone();
                let values = if of_copy {
                    &mut other.copy
                } else {
                    &mut other.hash
                };
                set(values, place, text);
                // When it was written does not matter, as long as it is there.
                let is_time = place == if of_copy { 1 } else { 2 };
                let right = is_time && text.is_some() || other == found;
                assert_eq!(
                    is_as_sent(Some(&own), &other),
                    right,
                    "{of_copy} {place} {text:?}"
                );
            }
        }
    }
}

#[test]
fn another_place_in_the_ranking_is_found_and_so_is_none() {
    let own = slot(0);
    let mut found = merged(&[own]);
    let score = found.score.unwrap();
    for other in [Some(0.0), Some(score + 1e-6), Some(f64::INFINITY), None] {
        found.score = other;
        assert!(!is_as_sent(Some(&own), &found), "{other:?}");
    }
    found.score = Some(score * (1.0 + 1e-15));
    assert!(is_as_sent(Some(&own), &found), "the last bit of a number");
}

#[test]
fn slots_that_this_partition_did_not_send_are_found_even_where_all_else_follows_from_them() {
    let own = slot(0);
    let others = [
        vec![],
        vec![slot(1)],
        vec![own, own],
        vec![
            Slot {
                generation: 6,
                ..slot(1)
            },
            own,
        ],
        vec![Slot {
            window_end: 1,
            ..own
        }],
        vec![Slot {
            engagement_e6: 1.0,
            ..own
        }],
        vec![Slot { events: 1, ..own }],
        vec![Slot {
            previous_engagement_e6: 1.0,
            ..own
        }],
        vec![Slot {
            previous_events: 1,
            ..own
        }],
        vec![Slot {
            baseline_engagement_e6: 1.0,
            ..own
        }],
        vec![Slot {
            baseline_events: 1.0,
            ..own
        }],
        vec![Slot {
            first_pane: 1,
            ..own
        }],
        vec![Slot {
            engagement_e6: f64::NAN,
            ..own
        }],
    ];
    for slots in others {
        assert!(!is_as_sent(Some(&own), &merged(&slots)), "{slots:?}");
    }
    let mut found = merged(&[own]);
    let packed = found.slots.clone().unwrap();
    for bytes in [None, Some(&b"mine"[..]), Some(&packed[..packed.len() - 1])] {
        found.slots = bytes.map(<[u8]>::to_vec);
        assert!(!is_as_sent(Some(&own), &found), "{bytes:?}");
    }
}

#[test]
fn a_slot_of_another_partition_that_somebody_wrote_over_shows_in_what_follows_from_it() {
    let own = slot(0);
    let mut found = merged(&[slot(1), own]);
    let forged = Slot {
        events: 900,
        ..slot(1)
    };
    found.slots = Some(pack_slots(&SlotLayout::PLAIN, &MARKET, &[forged, own]));
    assert!(!is_as_sent(Some(&own), &found));
    found.slots = Some(pack_slots(
        &SlotLayout::PLAIN,
        &Market {
            mean: 9.0,
            ..MARKET
        },
        &[slot(1), own],
    ));
    assert!(!is_as_sent(Some(&own), &found), "scored by another market");
}

#[test]
fn what_only_another_partition_can_put_right_is_left_to_it() {
    let own = slot(0);
    let newer = Slot {
        generation: 8,
        ..slot(1)
    };
    assert!(
        is_as_sent(Some(&own), &merged(&[newer, own])),
        "a merge would be void"
    );
    let endless = Slot {
        engagement_e6: f64::NAN,
        ..slot(1)
    };
    assert!(
        is_as_sent(Some(&own), &merged(&[endless, own])),
        "no ranking takes it"
    );
}

#[test]
fn a_number_on_a_rounding_edge_is_right_with_either_text() {
    for (text, right) in [
        ("0.12", true),
        ("0.13", true),
        ("0.14", false),
        ("0.120", false),
    ] {
        assert_eq!(is_rounded(text, 2, 0.125), right, "{text}");
    }
    assert!(!is_rounded("0.12", 2, 0.125_1));
    assert!(!is_rounded("nan", 2, 0.1) && !is_rounded("", 2, 0.0));
    // So is the label that goes by the score beside it.
    let scoring = scoring();
    let [score_field, label] =
        [SCORE, LABEL].map(|name| FIELDS.iter().find(|f| f.name == name).unwrap());
    let (sums, terms) = sums_and_terms(&scoring, &[slot(0)]);
    let terms = Terms {
        score: 79.995,
        ..terms
    };
    let scored = Scored {
        scoring: &scoring,
        sums: &sums,
        terms: &terms,
    };
    let mut readback = Readback::new(&scoring, "tiktok", false, (0, 7));
    for (score, shown, other) in [("79.99", "Hot", "Cold"), ("80.00", "Viral", "Warm")] {
        assert!(readback.shows(label, &scored, shown, score), "{score}");
        assert!(!readback.shows(label, &scored, other, score), "{score}");
        assert!(
            readback.shows(score_field, &scored, score, score),
            "{score}"
        );
    }
}

#[test]
fn sums_of_old_panes_may_differ_in_their_last_bits() {
    let own = slot(0);
    let found = merged(&[own]);
    let later = Slot {
        baseline_engagement_e6: own.baseline_engagement_e6 * (1.0 + 1e-15),
        baseline_events: own.baseline_events * (1.0 - 1e-15),
        ..own
    };
    assert_ne!(later, own);
    assert!(is_as_sent(Some(&later), &found));
}

#[test]
fn where_a_platform_has_no_legacy_hashes_none_is_missed() {
    let own = slot(0);
    let found = Found {
        copy: Some(Values::new()),
        ..merged(&[own])
    };
    assert!(!is_as_sent(Some(&own), &found));
    let scoring = scoring();
    let mut readback = Readback::new(&scoring, "tiktok", false, (0, 7));
    assert!(readback.is_as_sent("ann", Some(&own), &found));
}
