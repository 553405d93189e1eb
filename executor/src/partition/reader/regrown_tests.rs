//! Logs that lost their tail and have grown again, under the same leader epoch: only their records tell.

use kol_common::proto::KeptEpoch;

use super::written::{TOPIC, Written, record};
use super::*;
use crate::source::{Batch, Record};

/// An epoch that ended behind this record.
fn behind(offset: u64, value: &str) -> KeptEpoch {
    KeptEpoch {
        offset: offset + 1,
        last_record: Some(record(offset, value).mark()),
    }
}

/// A reader that starts from the first of these epochs, newest first; without one from the beginning.
fn reader(log: &Written, epochs: &[KeptEpoch], source: &str) -> Reader {
    let assignment = Assignment::with_source(source);
    reader_of(log, epochs, assignment)
}

fn reader_of(log: &Written, epochs: &[KeptEpoch], assignment: Assignment) -> Reader {
    let (newest, kept) = epochs.split_first().unzip();
    let assignment = Assignment {
        topic_id: Some(TOPIC),
        kept: kept.map_or_else(Vec::new, <[KeptEpoch]>::to_vec),
        ..assignment
    };
    let source = Arc::new(log.clone()) as Source;
    let mut reader = Reader::new(Arc::new(assignment), source, Instant::now());
    if let Some(newest) = newest {
        let checkpoint = PartitionCheckpoint {
            offset: newest.offset,
            last_record: newest.last_record,
            ..PartitionCheckpoint::default()
        };
        reader.restored(Instant::now(), &checkpoint);
    }
    reader.open().unwrap();
    reader
}

/// Reads all there is, with looks between: what was read, and what became of the log.
async fn read(reader: &mut Reader) -> (Vec<String>, Result<Recovered, KolError>) {
    let (mut batch, mut all) = (Batch::with_capacity(100), Vec::new());
    for _ in 0..20 {
        tokio::time::advance(Duration::from_secs(1)).await;
        let now = Instant::now();
        reader.look(now).unwrap();
        let news = tokio::time::timeout(Duration::from_millis(1), reader.news(now, true));
        let became = match news.await {
            Ok(News::Records) => {
                let take = |r: &Record<'_>| {
                    let value = r.value.unwrap_or_default();
                    all.push(String::from_utf8_lossy(value).into_owned());
                };
                reader.read(now, &mut batch, take).unwrap();
                continue;
            }
            Ok(News::Range(range)) => reader.recover(now, range),
            Err(_) => continue,
        };
        if became != Ok(Recovered::SameLog) {
            return (all, became);
        }
    }
    (all, Ok(Recovered::SameLog))
}

fn lost(from: u64, to: u64, differs: Option<u64>) -> Result<Recovered, KolError> {
    Ok(Recovered::LostTail(LostTail {
        from,
        to,
        differs,
        unproven: false,
        oldest: 0,
    }))
}

#[tokio::test(start_paused = true)]
async fn a_start_finds_another_record_in_the_place_of_the_last_one_and_goes_behind_the_newest_epoch_that_is_the_same()
 {
    let log = Written::of(&["a", "b", "c", "D", "E", "F", "G"]);
    let epochs = [
        behind(4, "e"),
        behind(3, "d"),
        behind(1, "b"),
        behind(0, "a"),
    ];
    let mut reader = reader(&log, &epochs, "");
    let (all, became) = read(&mut reader).await;
    assert_eq!(became, lost(2, 5, Some(4)));
    assert!(all.is_empty(), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_state_that_is_continued_before_its_end_does_not_look_for_its_last_record() {
    let log = Written::of(&["a", "b", "c", "D", "E", "F"]);
    let assignment = Assignment {
        resume_at: Some(3),
        ..Assignment::with_source("")
    };
    let mut reader = reader_of(&log, &[behind(4, "e")], assignment);
    assert_eq!((reader.position(), reader.last_record()), (3, None));
    let (all, became) = read(&mut reader).await;
    assert_eq!(became, Ok(Recovered::SameLog));
    assert_eq!(all, ["D", "E", "F"]);
}

/// An owner before had read one more record, and died before an epoch had it: as the next one learns before it has
/// read that far, or later.
async fn with_a_record_of_before(
    log: &Written,
    read_before: RecordMark,
    late: bool,
) -> (Result<Recovered, KolError>, bool) {
    let mut reader = reader(log, &[behind(1, "b")], "");
    if late {
        let (_, became) = read(&mut reader).await;
        assert_eq!(became, Ok(Recovered::SameLog));
    }
    reader.compare_with(Instant::now(), Some(read_before));
    assert!(!reader.is_same_log());
    let (_, became) = read(&mut reader).await;
    (became, reader.is_same_log())
}

#[tokio::test(start_paused = true)]
async fn a_record_that_an_owner_before_had_read_and_that_is_another_one_now_shows_a_lost_tail() {
    let log = Written::of(&["a", "b", "C", "D", "E"]);
    for late in [false, true] {
        let (became, same) = with_a_record_of_before(&log, record(3, "d").mark(), late).await;
        assert_eq!((became, same), (lost(2, 5, Some(3)), false), "late: {late}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_an_owner_before_had_read_and_that_is_there_or_gone_shows_nothing() {
    let log = Written::of(&["a", "b", "c", "d", "e"]);
    let compacted = Written::of(&["a", "b", "c", "d", "e"]);
    compacted.lock().records.remove(3);
    for log in [&log, &compacted] {
        for late in [false, true] {
            let (became, same) = with_a_record_of_before(log, record(3, "d").mark(), late).await;
            assert_eq!((became, same), (Ok(Recovered::SameLog), true));
        }
    }
    let mut reader = reader(&log, &[behind(1, "b")], "");
    reader.compare_with(Instant::now(), Some(record(1, "b").mark()));
    assert!(
        reader.is_same_log(),
        "it is compared when the log is opened"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_before_it_is_known_what_an_owner_before_had_read_unless_that_takes_long() {
    let log = Written::of(&["a", "b", "c", "d"]);
    for known_after in [Some(100), None] {
        let mut reader = reader(&log, &[behind(1, "b")], "");
        let begun = Instant::now();
        let ms = Duration::from_millis;
        reader.await_before(begun);
        for waited in [0, 99] {
            assert!(!may_read(&mut reader, begun + ms(waited)).await);
        }
        if let Some(after) = known_after {
            reader.compare_with(begun + ms(after), Some(record(3, "d").mark()));
            assert!(may_read(&mut reader, begun + ms(after)).await);
            let (all, became) = read(&mut reader).await;
            assert_eq!((all.len(), became), (2, Ok(Recovered::SameLog)));
            assert_eq!(log.lock().opened, [1], "it was compared as it was read");
        } else {
            assert!(!may_read(&mut reader, begun + ms(499)).await);
            assert_eq!(reader.ready_at(), Some(begun + ms(500)));
            assert!(may_read(&mut reader, begun + ms(500)).await);
        }
    }
}

async fn may_read(reader: &mut Reader, now: Instant) -> bool {
    let news = tokio::time::timeout(Duration::from_millis(1), reader.news(now, true));
    news.await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_read_of_a_log_that_is_another_one_until_that_is_looked_into() {
    let log = Written::of(&["a", "B", "C", "D"]);
    let mut reader = reader(&log, &[behind(1, "b")], "");
    let mut batch = Batch::with_capacity(1);
    let now = Instant::now();
    let take = |r: &Record<'_>| panic!("{r:?}");
    reader.read(now, &mut batch, take).unwrap();
    let news = tokio::time::timeout(Duration::from_millis(1), reader.news(now, true));
    assert!(news.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_lost_with_the_tail_of_the_log_lets_nothing_of_the_new_records_in() {
    let log = Written::of(&["a", "b", "c"]);
    let mut reader = reader(&log, &[], "");
    assert_eq!(read(&mut reader).await.0, ["a", "b", "c"]);
    reader.epoch_ends();
    log.append(&["d", "e"]);
    assert_eq!(read(&mut reader).await.0, ["d", "e"]);
    log.lose_from(3);
    log.append(&["D", "E", "F", "G"]);
    let (all, became) = read(&mut reader).await;
    assert_eq!(became, lost(3, 5, Some(4)));
    assert!(all.is_empty(), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_lost_alone_costs_no_record_and_brings_none_twice() {
    let log = Written::of(&["a", "b"]);
    let mut reader = reader(&log, &[], "");
    assert_eq!(read(&mut reader).await.0, ["a", "b"]);
    for value in ["c", "d"] {
        log.lock().starts += 1;
        log.append(&[value]);
        let (all, became) = read(&mut reader).await;
        assert_eq!(
            (all, became),
            (vec![value.to_owned()], Ok(Recovered::SameLog))
        );
    }
    assert_eq!(reader.position(), 4);
    assert_eq!(reader.last_record(), Some(record(3, "d").mark()));
}

#[tokio::test(start_paused = true)]
async fn without_an_epoch_that_is_the_same_the_oldest_record_that_differs_is_where_it_was_cut_off()
{
    let log = Written::of(&["A", "B", "C", "D", "E", "F"]);
    let mut reader = reader(&log, &[behind(4, "e"), behind(2, "c")], "");
    let unproven = LostTail {
        from: 2,
        to: 5,
        differs: Some(4),
        unproven: true,
        oldest: 0,
    };
    let became = read(&mut reader).await.1;
    assert_eq!(became, Ok(Recovered::LostTail(unproven)));
}

#[tokio::test(start_paused = true)]
async fn a_last_record_that_was_deleted_shows_nothing() {
    for oldest in [0, 5] {
        let log = Written::of(&["a", "b", "c", "d", "e", "f", "g"]);
        // Compacted away, or with all before it.
        log.lock()
            .records
            .retain(|(offset, _)| *offset != 4 && *offset >= oldest);
        log.lock().oldest = oldest;
        let mut reader = reader(&log, &[behind(4, "e")], "");
        let (all, became) = read(&mut reader).await;
        assert_eq!(became, Ok(Recovered::SameLog));
        assert_eq!(all, ["f", "g"], "oldest {oldest}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_of_an_older_version_is_read_on_from_its_offset() {
    let log = Written::of(&["a", "b", "c"]);
    let old = KeptEpoch {
        offset: 2,
        last_record: None,
    };
    let mut reader = reader(&log, &[old], "");
    assert_eq!(
        read(&mut reader).await,
        (vec!["c".into()], Ok(Recovered::SameLog))
    );
    assert_eq!(log.lock().opened, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_ends_before_its_last_record_lost_its_tail() {
    let log = Written::of(&["a", "b", "c"]);
    let mut reader = reader(&log, &[behind(3, "d")], "");
    assert_eq!(read(&mut reader).await.1, lost(3, 4, None));
}

#[tokio::test(start_paused = true)]
async fn records_in_the_place_of_markers_behind_the_last_one_are_read() {
    let log = Written::of(&["a", "b", "C", "D"]);
    let epoch = KeptEpoch {
        // Two markers of a transaction.
        offset: 4,
        ..behind(1, "b")
    };
    let mut reader = reader(&log, &[epoch], "");
    assert_eq!(read(&mut reader).await.0, ["C", "D"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_must_not_lose_data_fails_with_the_record_that_differs() {
    let log = Written::of(&["a", "b", "C", "D", "E"]);
    let epochs = [behind(3, "d"), behind(1, "b")];
    let mut reader = reader(&log, &epochs, "on_data_loss = \"fail\"");
    let error = read(&mut reader).await.1.unwrap_err();
    assert_eq!(error.code, "DATA_LOSS");
    assert!(error.message.contains("record 3 is another one"), "{error}");
    assert!(error.message.contains("records 2 to 3"), "{error}");
}
