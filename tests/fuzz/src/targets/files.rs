//! State files and manifests.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use kol_common::Millis;
use kol_common::checkpoint::frame::Encoder;
use kol_common::checkpoint::{
    FallenRecord, Head, KolRecord, Pane, ReadingRecord, Record, VideoId, snapshot,
};
use kol_common::event::Event;
use kol_common::job::{Counters, JobSpec, Profile, ScoringSpec};
use kol_common::proto::{Manifest, PartitionCheckpoint, Snapshot};
use kol_common::scoring::Scoring;
use kol_common::view::checkpoint_json;
use kol_executor::state::{Capture, Restorer, State};
use prost::Message as _;

use super::{Target, bits, kind_of, shown};

/// A block that was compressed holds up to 255 times its length; of a creator the file says little where it has no
/// events, and the state has all its panes.
pub const STATE_FILE: Target = Target {
    name: "state-file",
    read: state_file,
    valid: state_files,
    memory: (4 << 20, 40_000),
};

pub const STATE_RECORDS: Target = Target {
    name: "state-records",
    read: state_records,
    valid: chunks,
    memory: (4 << 20, 2_000),
};

pub const MANIFEST: Target = Target {
    name: "manifest",
    read: manifest,
    valid: manifests,
    memory: (1 << 20, 1_000),
};

static SCORING: LazyLock<Arc<Scoring>> = LazyLock::new(|| {
    let mut spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    spec.entity_ttl = Millis(86_400_000);
    spec.lateness = Millis(3_600_000);
    Arc::new(Scoring::new(&spec))
});

fn state_file(data: &[u8]) -> u64 {
    let mut restorer = Restorer::new(Arc::clone(&SCORING));
    if let Err(damage) = restorer.file(data) {
        return shown(kind_of(&damage.to_string()));
    }
    used(restorer)
}

/// The records of a file whose checksums hold.
fn state_records(data: &[u8]) -> u64 {
    let mut restorer = Restorer::new(Arc::clone(&SCORING));
    if let Err(damage) = restorer.file(&file(data)) {
        return shown(kind_of(&damage.to_string()));
    }
    used(restorer)
}

/// What an owner does with the state then.
fn used(restorer: Restorer) -> u64 {
    let Ok(mut state) = restorer.finish() else {
        return 1;
    };
    state.restore_clock(Millis(1_764_133_200_000));
    for (kol, video) in [
        ("kol_1", Some("7")),
        ("kol_2", None),
        ("new", Some("a long id of a video")),
    ] {
        let event = event(kol, video);
        let _what_became_of_it = state.apply(&event, Millis(1_764_133_200_000));
    }
    state.refresh_market();
    state.sample_some(100);
    state.begin_capture(Capture::Base);
    while state.capture_some(100) {}
    let copied = state.take_copies().len();
    state.keep_capture();
    state.sweep(1_000, |_| true);
    let (kols, readings, _) = state.size();
    shown((
        bits(kols),
        bits(readings),
        bits(copied),
        state.median_gap().is_some(),
    ))
}

fn event<'a>(kol: &'a str, video: Option<&'a str>) -> Event<'a> {
    Event {
        platform: Cow::Borrowed("tiktok"),
        kol: Cow::Borrowed(kol),
        video_id: video.map(Cow::Borrowed),
        event_time: None,
        time_unreadable: false,
        published: None,
        likes: Some(100),
        comments: Some(7),
        shares: None,
        views: None,
        followers: Some(1_000),
    }
}

fn file(chunk: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut file = Vec::new();
    encoder.header(&mut file);
    encoder.frame(chunk, &mut file);
    encoder.trailer(&mut file);
    file
}

fn chunks() -> Vec<Vec<u8>> {
    let mut state = State::new(Arc::clone(&SCORING));
    for number in 0..40u64 {
        let (kol, video) = (format!("kol_{}", number % 7), number.to_string());
        let event = event(&kol, (!number.is_multiple_of(5)).then_some(&video));
        let _counts = state.apply(&event, Millis(1_764_100_000_000 + number * 600_000));
    }
    state.begin_capture(Capture::Base);
    while state.capture_some(100) {}
    let mut every_kind = Vec::new();
    let reading = ReadingRecord {
        index: 1,
        kol: 0,
        video: Some(VideoId::Text(Cow::Borrowed("short"))),
        time: 1_764_100_000_000,
        counters: [Some(1), None, Some(3), None],
    };
    for record in [
        Record::Head(Head {
            clock: Some(1_764_100_000_000),
            window_end: 490_000,
            platforms: vec![Cow::Borrowed("tiktok")],
            gaps: vec![(10, 3)],
        }),
        Record::Kol(KolRecord {
            index: 0,
            platform: 0,
            name: Cow::Borrowed("kol_1"),
            first: 1_764_000_000_000,
            newest: 1_764_100_000_000,
            base: 489_980,
            baseline_e6: 1e6,
            baseline_events: 3.5,
            panes: Cow::Owned(vec![Pane {
                after_base: 3,
                engagement_e6: 7,
                events: 2,
            }]),
        }),
        Record::NoKol(1),
        Record::Reading(reading.clone()),
        Record::NoReading(0),
        Record::FallenReading(FallenRecord { reading, fallen: 5 }),
    ] {
        record.append(&mut every_kind);
    }
    vec![state.take_copies(), every_kind]
}

fn state_files() -> Vec<Vec<u8>> {
    chunks().iter().map(|chunk| file(chunk)).collect()
}

fn manifest(data: &[u8]) -> u64 {
    // As a file, and as what a file with checksums that hold has in it.
    let (as_file, within) = (snapshot::decode(data), snapshot::decode(&file(data)));
    shown([as_file, within].map(|snapshot| match snapshot {
        Err(damage) => (kind_of(&damage.to_string()), 0),
        Ok(snapshot) => {
            let spec = serde_json::from_str::<JobSpec>(&snapshot.spec_json).is_ok();
            let json = snapshot.manifest.as_ref().map(checkpoint_json);
            let length = json.map_or(0, |json| json.to_string().len());
            (format!("{spec}"), bits(length))
        }
    }))
}

fn manifests() -> Vec<Vec<u8>> {
    let partition = |ordinal| PartitionCheckpoint {
        ordinal,
        offset: 1_234,
        ..PartitionCheckpoint::default()
    };
    let snapshot = Snapshot {
        manifest: Some(Manifest {
            job_id: "job_1".into(),
            job_name: "a".into(),
            generation: 2,
            epoch: 7,
            parent: 6,
            begun_ms: 1_764_100_000_000,
            partitions: (0..3).map(partition).collect(),
            ..Manifest::default()
        }),
        spec_json: "{\"name\":\"a\"}".into(),
        version: "1".into(),
    };
    vec![snapshot::encode(&snapshot), snapshot.encode_to_vec()]
}
