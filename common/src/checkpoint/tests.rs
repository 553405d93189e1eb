use std::borrow::Cow;

use proptest::prelude::*;

use super::frame::{Damage, Decoder, Encoder};
use super::record::records;
use super::*;
use crate::proto::StateFile;

fn file_of(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut file = Vec::new();
    encoder.header(&mut file);
    for chunk in chunks {
        encoder.frame(chunk, &mut file);
    }
    encoder.trailer(&mut file);
    file
}

fn read(file: &[u8]) -> Result<Vec<Vec<u8>>, Damage> {
    Decoder::new(file)?.collect()
}

proptest! {
    #[test]
    fn what_was_written_is_read(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8)) {
        prop_assert_eq!(read(&file_of(&chunks)).unwrap(), chunks);
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 1..5),
        at in any::<prop::sample::Index>(),
        bit in 0..8u8,
    ) {
        let mut file = file_of(&chunks);
        let at = at.index(file.len());
        // The reserved bytes of the header say nothing.
        prop_assume!(at != 10 && at != 11);
        file[at] ^= 1 << bit;
        prop_assert!(read(&file).is_err(), "byte {}", at);
    }

    #[test]
    fn a_file_that_was_cut_off_anywhere_is_noticed(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..100), 0..5),
        at in any::<prop::sample::Index>(),
    ) {
        let file = file_of(&chunks);
        prop_assert!(read(&file[..at.index(file.len())]).is_err());
    }

    #[test]
    fn no_bytes_at_all_make_the_readers_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _damage = read(&bytes);
        records(&bytes).for_each(drop);
    }
}

#[test]
fn a_file_of_a_newer_version_says_so() {
    let mut file = file_of(&[vec![1]]);
    file[8] = 9;
    assert_eq!(read(&file), Err(Damage::Newer(9)));
    assert_eq!(read(b"something else"), Err(Damage::NotAStateFile));
}

#[test]
fn a_file_of_the_version_before_and_one_with_rates_that_are_carried_on_are_read() {
    let mut file = file_of(&[vec![1, 2]]);
    assert_eq!(file[8..10], super::frame::PLAIN_VERSION.to_le_bytes());
    for version in [1, super::frame::VERSION] {
        file[8..10].copy_from_slice(&version.to_le_bytes());
        assert_eq!(read(&file), Ok(vec![vec![1, 2]]));
    }
}

/// A file with one frame, whose header says that its chunk has `raw` bytes, and whose checksum holds.
fn file_that_promises(raw: u32, block: &[u8]) -> Vec<u8> {
    let mut lengths = (block.len() as u32).to_le_bytes().to_vec();
    lengths.extend_from_slice(&raw.to_le_bytes());
    let crc = crc32c::crc32c_append(crc32c::crc32c(&lengths), block);
    let mut file = Vec::new();
    Encoder::default().header(&mut file);
    file.extend_from_slice(&lengths);
    file.extend_from_slice(&crc.to_le_bytes());
    file.extend_from_slice(block);
    file
}

#[test]
fn a_frame_that_promises_more_than_its_block_can_hold_is_refused_before_it_is_decompressed() {
    let block = lz4_flex::block::compress(&[7; 100]);
    let most = (block.len() as u32 + 1) * 255;
    let refused = |raw| read(&file_that_promises(raw, &block)).unwrap_err();
    assert_eq!(refused(most + 1), Damage::Checksum(12));
    assert!(
        matches!(refused(most), Damage::CutOff(_)),
        "read, and then the trailer is missing"
    );
}

#[test]
fn what_all_chunks_have_at_most_is_known_from_their_headers() {
    let chunks = [vec![0; 100_000], vec![1, 2, 3]];
    let file = file_of(&chunks);
    assert_eq!(Decoder::new(&file).unwrap().most_raw(), 100_003);
    let lies = file_that_promises(u32::MAX, &[1, 2, 3]);
    assert_eq!(Decoder::new(&lies).unwrap().most_raw(), 4 * 255);
    assert_eq!(Decoder::new(&file[..16]).unwrap().most_raw(), 0);
}

fn some_records() -> Vec<Record<'static>> {
    vec![
        Record::Head(Head {
            clock: Some(5),
            window_end: 7,
            platforms: vec!["tiktok".into(), "youtube".into()],
            gaps: vec![(3, 9)],
        }),
        Record::Kol(KolRecord {
            index: 4,
            platform: 1,
            name: "näme".into(),
            first: 1,
            newest: 2,
            base: 3,
            baseline_e6: 0.1,
            baseline_events: f64::MIN_POSITIVE,
            panes: Cow::Owned(vec![Pane {
                after_base: 1,
                engagement_e6: u64::MAX,
                events: 2,
            }]),
        }),
        Record::NoKol(8),
        Record::Reading(ReadingRecord {
            index: 0,
            kol: 4,
            video: Some(VideoId::Number(7_518_376_794_681_117_970)),
            time: 1_750_000_000_000,
            counters: [Some(0), None, Some(u64::MAX - 1), None],
        }),
        Record::Reading(ReadingRecord {
            index: 1,
            kol: 4,
            video: Some(VideoId::Text("dQw4w9WgXcQ".into())),
            time: 0,
            counters: [None; 4],
        }),
        Record::NoReading(2),
        Record::FallenReading(FallenRecord {
            reading: ReadingRecord {
                index: 3,
                kol: 4,
                video: None,
                time: 9,
                counters: [Some(50_000), None, None, None],
            },
            fallen: 1,
        }),
    ]
}

#[test]
fn records_are_read_as_they_were_written() {
    let mut chunk = Vec::new();
    for record in some_records() {
        record.append(&mut chunk);
    }
    let read: Vec<_> = records(&chunk).map(Result::unwrap).collect();
    assert_eq!(read, some_records());
    assert!(records(&chunk[..chunk.len() - 1]).any(|r| r.is_err()));
}

async fn put(store: &Store, path: &str, content: &[u8]) -> StateFile {
    let mut upload = store.create(path.to_owned());
    for part in content.chunks(1_000) {
        upload.append(part.to_vec()).await.unwrap();
    }
    upload.finish().await.unwrap()
}

#[tokio::test]
async fn a_folder_keeps_whole_files_and_distinguishes_damaged_from_missing_ones() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("file://{}/below", folder.path().display());
    let store = Stores::of_this_machine().open(&location).await.unwrap();
    let content: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
    let file = put(&store, "job/0/1.state", &content).await;
    assert_eq!(file.bytes, content.len() as u64);
    assert_eq!(store.read(&file).await.unwrap(), content);

    let mut unfinished = store.create("job/0/2.state".into());
    unfinished.append(content.clone()).await.unwrap();
    let seen = store.list("job").await.unwrap();
    assert_eq!(
        seen,
        [(file.path.clone(), file.bytes)],
        "only what is whole"
    );
    unfinished.abort().await;

    let path = folder.path().join("below/job/0/1.state");
    let mut torn = content.clone();
    torn[500] ^= 1;
    store.verify(&file).await.unwrap();
    let refused = async |words: &str| {
        let error = store.read(&file).await.unwrap_err();
        assert_eq!(error.code, "CHECKPOINT_DAMAGED");
        assert!(error.message.contains(words), "{error}");
        assert_eq!(error.to_info().file, file.path, "for who looks again");
        assert_eq!(store.verify(&file).await.unwrap_err(), error);
    };
    std::fs::write(&path, &torn).unwrap();
    refused("checksum").await;
    std::fs::write(&path, &torn[..700]).unwrap();
    refused("700 bytes").await;
    store.delete(vec![file.path.clone()]).await.unwrap();
    store.delete(vec![file.path.clone()]).await.unwrap();
    refused("missing").await;
}

#[tokio::test]
async fn a_folder_syncs_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let location = format!("file://{}", folder.path().display());
    let store = Stores::of_this_machine().open(&location).await.unwrap();
    // What a disk does when the power fails cannot be tested here: the store's own settings are read.
    assert!(format!("{store:?}").contains("fsync: true"), "{store:?}");
}

#[tokio::test]
async fn the_error_of_a_store_that_refuses_writes_has_the_place_and_the_help() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let error = Stores::of_this_machine()
        .open(&format!("file://{}", in_the_way.display()))
        .await
        .unwrap_err();
    assert_eq!(error.code, "CHECKPOINT_STORE");
    assert!(error.help.contains("the same folder"), "{error}");
    let error = Stores::of_this_machine()
        .open("ftp://somewhere")
        .await
        .unwrap_err();
    assert_eq!(error.code, "CHECKPOINT_LOCATION");
}
