use std::collections::HashMap;

use kol_common::event::{Decoder, Event};

use super::*;

fn options() -> Options {
    Options {
        kols: 200,
        videos_per_kol: 4,
        seed: 7,
        start: Millis(1_750_000_000_000),
        step_us: 500_000,
        delta: false,
        viral: None,
    }
}

fn events(options: Options, count: usize) -> Vec<(Meta, String)> {
    let mut generator = Generator::new(options);
    let mut out = Vec::new();
    (0..count)
        .map(|_| {
            let meta = generator.next_into(&mut out);
            (meta, String::from_utf8(out.clone()).unwrap())
        })
        .collect()
}

fn decoded(text: &str, check: impl FnOnce(&Event<'_>)) {
    let decoder = Decoder::new("tiktok");
    check(&decoder.decode(Some(text.as_bytes())).unwrap());
}

#[test]
fn the_same_seed_gives_the_same_events_and_another_seed_others() {
    assert_eq!(events(options(), 500), events(options(), 500));
    let other = Options {
        seed: 8,
        ..options()
    };
    assert_ne!(events(options(), 500), events(other, 500));
}

#[test]
fn nearly_all_events_decode_and_the_shares_of_odd_ones_are_as_promised() {
    let all = events(options(), 20_000);
    let broken = all.iter().filter(|(meta, _)| meta.broken).count();
    assert!((5..60).contains(&broken), "{broken}");
    let decoder = Decoder::new("tiktok");
    for (meta, text) in &all {
        let event = decoder.decode(Some(text.as_bytes()));
        assert_eq!(event.is_err(), meta.broken, "{text}");
        if let Ok(event) = event {
            assert_eq!(event.event_time, Some(meta.event_time));
            assert_eq!(event.kol, Generator::username(meta.kol));
        }
    }
    let late = all
        .windows(2)
        .filter(|w| w[1].0.event_time.0 + LATE_BY / 2 < w[0].0.event_time.0)
        .count();
    assert!((15..90).contains(&late), "{late}");
    let profiles = all
        .iter()
        .filter(|(_, text)| text.contains("\"profile\""))
        .count();
    assert!((300..500).contains(&profiles), "{profiles}");
}

#[test]
fn lifetime_totals_never_fall_in_the_order_of_event_times() {
    let mut last: HashMap<String, (Millis, u64)> = HashMap::new();
    let mut compared = 0;
    for (meta, text) in events(options(), 20_000) {
        if meta.broken || !text.contains("\"video\"") {
            continue;
        }
        decoded(&text, |event| {
            let (Some(id), Some(likes)) = (&event.video_id, event.likes) else {
                return;
            };
            let raw = text.contains("like_count_raw");
            let known = last.entry(id.to_string()).or_default();
            if meta.event_time >= known.0 && !raw {
                assert!(likes >= known.1, "{text}");
                compared += 1;
                *known = (meta.event_time, likes);
            }
        });
    }
    assert!(compared > 5_000);
}

#[test]
fn a_few_creators_have_most_of_the_likes() {
    let mut likes: HashMap<u64, u64> = HashMap::new();
    for (meta, text) in events(options(), 2_000) {
        if !meta.broken {
            decoded(&text, |e| {
                *likes.entry(meta.kol).or_default() += e.likes.unwrap_or(0)
            });
        }
    }
    let mut totals: Vec<_> = likes.into_values().collect();
    totals.sort_unstable_by(|a, b| b.cmp(a));
    let top: u64 = totals.iter().take(20).sum();
    assert!(
        top * 2 > totals.iter().sum(),
        "a tenth of the creators have half of the likes"
    );
}

#[test]
fn a_planted_video_outgrows_all_others() {
    let since = options().start;
    let viral = Options {
        viral: Some((3, since)),
        ..options()
    };
    let last = |options: Options| {
        let mut best = 0;
        for (meta, text) in events(options, 2_000) {
            if meta.kol == 3 && !meta.broken {
                decoded(&text, |e| best = best.max(e.likes.unwrap_or(0)));
            }
        }
        best
    };
    assert!(last(viral) > last(options()) + 1_000_000);
}
