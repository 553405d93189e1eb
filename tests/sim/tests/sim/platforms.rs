//! Product and reference admit the same platforms, whatever the log has and wherever a state was restored.

use std::borrow::Cow;
use std::sync::Arc;

use kol_common::Millis;
use kol_common::checkpoint::frame::Encoder;
use kol_common::event::Event;
use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::scoring::Scoring;
use kol_executor::state::{Applied, Capture, Restorer, State};
use kol_fold::{Fold, Record};
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

const MINUTE: u64 = 60_000;
const T0: u64 = 485_000 * 60 * MINUTE;

/// Rankings keep creators for an hour, and a state is dropped after two.
fn spec() -> ScoringSpec {
    let mut spec = ScoringSpec::defaults(Profile::Default, Counters::Delta);
    spec.lateness = Millis(90 * MINUTE);
    spec.entity_ttl = Millis(120 * MINUTE);
    spec.platforms = vec!["youtube".into()];
    spec
}

fn applied(state: &mut State, platform: &str, time: u64) -> Applied {
    let event = Event {
        platform: Cow::Borrowed(platform),
        kol: Cow::Borrowed("a"),
        video_id: None,
        event_time: None,
        time_unreadable: false,
        published: None,
        likes: Some(1),
        comments: None,
        shares: None,
        views: None,
        followers: None,
    };
    state.apply(&event, Millis(time))
}

fn record(platform: &str, time: u64) -> Record {
    let json = format!(r#"{{"username":"a","platform":"{platform}","like_count":1}}"#);
    Record {
        timestamp_ms: Some(time),
        value: Some(json.into_bytes()),
        ..Record::default()
    }
}

/// The state as another executor reads it.
fn restored(state: &mut State, scoring: &Arc<Scoring>) -> State {
    state.begin_capture(Capture::Savepoint);
    let (mut encoder, mut file) = (Encoder::default(), Vec::new());
    encoder.header(&mut file);
    while state.capture_some(1_000) {}
    encoder.frame(&state.take_copies(), &mut file);
    encoder.trailer(&mut file);
    state.keep_capture();
    let mut restorer = Restorer::new(Arc::clone(scoring));
    restorer.file(&file).unwrap();
    restorer.finish().unwrap()
}

#[test]
fn product_and_reference_admit_the_same_platforms() {
    let (mut rejected, mut admitted) = (0, 0);
    for seed in 0..8 {
        let mut random = SmallRng::seed_from_u64(seed);
        let scoring = Arc::new(Scoring::new(&spec()));
        let (mut state, mut fold) = (State::new(Arc::clone(&scoring)), Fold::new(&spec()));
        let mut clock = T0;
        for number in 0..4_000 {
            clock += random.random_range(0..4 * MINUTE / 100);
            // Nearly all that come first are new; later ones may be late, or of a platform that was there.
            let name = match number {
                0..990 => format!("p{number}"),
                _ => format!("p{}", number / 10 + random.random_range(0..1_100)),
            };
            let name = if random.random_range(0..200) == 0 {
                "youtube"
            } else {
                &name
            };
            let time = clock
                - random.random_range(0..100 * MINUTE) * u64::from(random.random_range(0..4) == 0);
            let before = fold.counts();
            let is_rejected = fold.rejects(&record(name, time));
            let is_late = fold.counts().late > before.late;
            let expected = match (is_late, is_rejected) {
                (true, _) => Applied::Late,
                (_, true) => Applied::TooManyPlatforms,
                _ => Applied::Counted,
            };
            assert_eq!(
                applied(&mut state, name, time),
                expected,
                "{seed}: {number}"
            );
            rejected += usize::from(expected == Applied::TooManyPlatforms);
            admitted += usize::from(number > 1_000 && expected == Applied::Counted);
            if random.random_range(0..50) == 0 {
                state.sweep(random.random_range(0..500), |_| true);
            }
            if random.random_range(0..500) == 0 {
                state = restored(&mut state, &scoring);
            }
        }
    }
    assert!(rejected > 500 && admitted > 500, "{rejected} {admitted}");
}
