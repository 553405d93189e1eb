use std::sync::Mutex;

use futures::future::BoxFuture;
use kol_common::Millis;

use super::*;
use crate::source::Committed;

/// Keeps what is written: key, partition, value.
#[derive(Debug, Default)]
struct Fake {
    written: Mutex<Vec<(String, u32, String)>>,
    /// Refuses what comes after so many.
    most: Option<usize>,
}

impl Transactions for Fake {
    fn fence(&self) -> BoxFuture<'static, Result<(), Refusal>> {
        unreachable!()
    }

    fn committed(&self) -> BoxFuture<'static, Result<Option<Committed>, Refusal>> {
        unreachable!()
    }

    fn write(&self, keyed: &Keyed<'_>) -> Result<(), Refusal> {
        let mut written = self.written.lock().unwrap();
        if self.most == Some(written.len()) {
            return Err(Refusal::Aborted(KolError::external("SOURCE_BUSY", "no")));
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let value = text(keyed.record.value.unwrap());
        written.push((text(keyed.key), keyed.partition, value));
        Ok(())
    }

    fn commit(&self, _position: Committed) -> BoxFuture<'static, Result<(), Refusal>> {
        unreachable!()
    }

    fn abort(&self) -> BoxFuture<'static, ()> {
        unreachable!()
    }

    fn bytes(&self) -> u64 {
        0
    }
}

fn takes(values: &[&str], most: Option<usize>) -> (Rekeyer, Arc<Fake>) {
    let fake = Arc::new(Fake {
        most,
        ..Fake::default()
    });
    let assignment = Assignment::with_source("");
    let mut rekeyer = Rekeyer::new(&assignment, 8, Arc::clone(&fake) as _, None);
    for (offset, value) in (0..).zip(values) {
        rekeyer.take(&Record {
            offset,
            key: Some(b"random"),
            value: Some(value.as_bytes()),
            timestamp: Some(Millis(1)),
            headers: None,
        });
    }
    (rekeyer, fake)
}

/// Computed by another program: CRC-32C by its definition.
#[test]
fn creators_are_spread_as_the_contract_says() {
    for (platform, kol, sum) in [
        ("tiktok", "ann", 532_033_501_u32),
        ("youtube", "ann", 1_156_632_944),
        ("tiktok", "Ünï", 3_313_606_571),
        ("a", "b", 1_677_306_204),
    ] {
        for partitions in [1, 8, 32, 10_000] {
            let wanted = sum % partitions;
            assert_eq!(partition_of(platform, kol, partitions), wanted, "{kol}");
        }
    }
}

#[test]
fn records_pass_as_they_came_under_the_key_of_their_creator_and_others_are_counted() {
    let ann = r#"{"username": "@ann ", "platform": "TikTok"}"#;
    let (mut rekeyer, fake) = takes(&[ann, "{", r#"{"username":"ann"}"#], None);
    let written = fake.written.lock().unwrap().clone();
    let key = "tiktok:ann".to_owned();
    assert_eq!(written[0], (key, 5, ann.to_owned()));
    assert_eq!(written.len(), 2);
    let Taken {
        records, refused, ..
    } = rekeyer.taken();
    assert_eq!((records, refused), (3, None));
    let counters = rekeyer.counters();
    assert_eq!((counters.events, counters.dead_letter), (3, 1));
    assert_eq!(rekeyer.taken().records, 0, "they were taken already");
}

#[test]
fn nothing_is_written_behind_a_record_that_could_not_be() {
    let ann = r#"{"username":"ann"}"#;
    let (mut rekeyer, fake) = takes(&[ann; 4], Some(2));
    assert_eq!(fake.written.lock().unwrap().len(), 2);
    assert!(matches!(rekeyer.taken().refused, Some(Refusal::Aborted(_))));
}
