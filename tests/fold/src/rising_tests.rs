//! The profile `rising`, with numbers that were computed by hand.

use kol_common::job::{Counters, Profile, ScoringSpec};

use super::tests::{HOUR, T0, field, record};
use super::{Fold, Record};

const DAY: u64 = 24 * HOUR;

fn rising() -> ScoringSpec {
    ScoringSpec::defaults(Profile::Rising, Counters::Cumulative)
}

fn reading(time: u64, video: &str, likes: Option<u64>) -> Record {
    let counter = likes.map_or(String::new(), |n| format!(r#","like_count":{n}"#));
    let json = format!(r#"{{"username":"an","video_id":"{video}"{counter}}}"#);
    record(0, time, &json)
}

/// What hourly readings gain in all, in engagements.
fn gained(likes: &[Option<u64>]) -> u128 {
    let readings = likes.iter().zip(0..);
    let log: Vec<_> = readings
        .map(|(likes, hour)| reading(T0 + hour * HOUR, "v", *likes))
        .collect();
    let fold = Fold::of(&rising(), &log);
    let slots = fold.slots.values().flat_map(|slot| &slot.gains);
    let millionths: u128 = slots.map(|g| g.each * u128::from(g.to - g.from + 1)).sum();
    assert_eq!(millionths % 1_000_000, 0);
    millionths / 1_000_000
}

#[test]
fn a_false_rise_is_taken_back_and_the_value_before_counts_again() {
    let chains: &[(&[u64], u128)] = &[
        (&[4_830, 4_938, 42_200, 5_069], 108 + 131),
        (&[1_000, 50_000, 1_010, 1_020], 20),
        (&[1_000, 50_000, 25_000, 1_010, 1_020], 49_000),
        (&[1_000, 50_000, 24_999], 23_999),
        (&[1_000, 8_000, 1_001], 7_000),
        (&[1_000, 8_001, 1_001], 1),
        (&[999, 50_000, 1_000, 1_010], 49_001),
        (&[1_000, 50_000, 0, 50_010, 50_020], 49_020),
        (&[1_000, 50_000, 0, 1_010, 1_020], 20),
        (&[1_000, 50_000, 20_000, 20_010], 19_010),
        (&[1_000, 50_000, 50_000, 1_010, 1_020], 49_000),
        (&[50_000, 1_000, 1_010, 50_020, 1_020], 10),
        (&[1_000, 50_000, 300, 320, 330], 10),
    ];
    for (likes, gain) in chains {
        let likes: Vec<_> = likes.iter().map(|n| Some(*n)).collect();
        assert_eq!(gained(&likes), *gain, "{likes:?}");
    }
    let hidden = [Some(1_000), Some(50_000), None, Some(1_010)];
    assert_eq!(gained(&hidden), 10);
}

#[test]
fn each_counter_of_a_reading_is_taken_back_by_its_own_next_reading() {
    let at = |hour: u64, counters: &str| {
        let json = format!(r#"{{"username":"an","video_id":"v",{counters}}}"#);
        record(0, T0 + hour * HOUR, &json)
    };
    let log = [
        at(
            0,
            r#""like_count":1000,"share_count":2000,"comment_count":5"#,
        ),
        at(
            1,
            r#""like_count":50000,"share_count":60000,"comment_count":9"#,
        ),
        at(2, r#""like_count":1001,"comment_count":9"#),
        at(3, r#""like_count":1001,"share_count":2003"#),
    ];
    assert_eq!(
        field(&Fold::of(&rising(), &log[..2]), "total_engagement"),
        "107004"
    );
    assert_eq!(
        field(&Fold::of(&rising(), &log[..3]), "total_engagement"),
        "58005"
    );
    assert_eq!(field(&Fold::of(&rising(), &log), "total_engagement"), "8");
}

#[test]
fn the_rate_of_a_reading_is_carried_on_until_the_next_one_takes_it_out() {
    // 2,400 in a day, and then 100 an hour: the window of the reading's pane has 23 hours of it, and one pane ahead.
    let log = [
        reading(T0, "v", Some(0)),
        reading(T0 + DAY, "v", Some(2_400)),
    ];
    let fold = Fold::of(&rising(), &log);
    assert_eq!(field(&fold, "total_engagement"), "2300");
    // The pane of the reading: 100 of 1,440 minutes.
    assert_eq!(field(&fold, "provisional"), "0.07");
    assert_eq!(field(&fold, "velocity"), "1.67");
    let an = |hours: u64| {
        let view = fold.view_at(T0 + DAY + hours * HOUR);
        let an = &view.kols[&("tiktok".to_owned(), "an".to_owned())];
        super::tests::shown(an, "provisional")
    };
    // As long as it was seen, not longer: at 36 hours half of the window is within.
    assert_eq!([an(24), an(36), an(48)], ["1.67", "0.83", "0.00"]);
    let mut more = log.to_vec();
    more.push(reading(T0 + DAY + HOUR, "v", Some(2_400)));
    assert_eq!(field(&Fold::of(&rising(), &more), "provisional"), "0.00");
    // Of a gap of four days two are carried on.
    let slow = [
        reading(T0, "v", Some(0)),
        reading(T0 + 4 * DAY, "v", Some(9_600)),
    ];
    let view = Fold::of(&rising(), &slow).view_at(T0 + 4 * DAY + 60 * HOUR);
    let an = &view.kols[&("tiktok".to_owned(), "an".to_owned())];
    assert_eq!(super::tests::shown(an, "provisional"), "0.83");
}

#[test]
fn a_steady_creator_shows_no_growth_and_one_that_doubles_shows_one() {
    let steady = |factor: u64| {
        let mut log: Vec<_> = (0..=40)
            .map(|day| reading(T0 + day * DAY, "v", Some(day * 14_400)))
            .collect();
        log.push(reading(
            T0 + 41 * DAY,
            "v",
            Some(40 * 14_400 + factor * 14_400),
        ));
        log
    };
    let fold = Fold::of(&rising(), &steady(1));
    // The market is this creator: 10 a minute is in the bin from 9.51 to 11.31, half of which is 10.37.
    assert_eq!(fold.view().map(|v| v.market["tiktok"]), Some(10.4));
    assert_eq!(field(&fold, "velocity"), "10.00");
    let growth: f64 = field(&fold, "growth").parse().unwrap();
    assert!(growth == 0.0, "or the other zero: {growth}");
    assert_eq!(field(&fold, "usual"), "10.0000");
    // 0.2 · log2(1 + 10/10.4)
    assert_eq!(field(&fold, "rising"), "0.1944");
    // 25 + 15 · (0.1944 + 0.5) / 1.1
    assert_eq!(field(&fold, "trending_score"), "34.47");
    assert_eq!(field(&fold, "newcomer"), "0");
    let fold = Fold::of(&rising(), &steady(2));
    assert_eq!(field(&fold, "velocity"), "20.00");
    // The market's window has 23 hours of 20 and one of 10 a minute: 19.58, in the bin from 19.03 to 22.63.
    assert_eq!(fold.view().map(|v| v.market["tiktok"]), Some(20.7));
    // log2((20 + 20.7) / (10 + 20.7))
    assert_eq!(field(&fold, "growth"), "0.4068");
}

#[test]
fn the_median_is_that_of_the_bins() {
    let of = super::score::median;
    assert_eq!(of(&[]), 0.0);
    assert_eq!(
        of(&[0.0, 0.000_04]),
        0.0,
        "what rounds to nothing is in no bin"
    );
    assert_eq!(of(&[2.1, 2.2]), 2.18);
    assert_eq!(of(&[1.0, 1.05, 1.1, 2.0]), 1.12);
    assert_eq!(of(&[1.0, 1.1, 4.0, 4.1]), 1.19);
}
