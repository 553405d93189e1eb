//! A real Kafka that has clients log in again while their connections stay open.

use std::time::{Duration, Instant};

use kol_common::SourcePartition;
use kol_common::job::{KafkaSource, SourceSpec};
use kol_common::secrets::Secrets;
use kol_executor::memory::Memory;
use kol_executor::source::{Batch, KafkaLogs, Logs as _, PartitionQueue, Place};
use kol_harness::{Key, Secured, Topic, generated};

const LIMIT: Duration = Duration::from_secs(30);

/// Writes some records and takes them all.
fn passes(topic: &Topic, queue: &mut PartitionQueue) {
    let records = generated(Key::Username, 5, 50, 3);
    topic.produce(&records);
    let (mut batch, mut taken) = (Batch::with_capacity(1_000), 0);
    let begun = Instant::now();
    while taken < records.len() {
        queue.take(&mut batch, 1_000);
        taken += batch.records().filter(Result::is_ok).count();
        assert!(begun.elapsed() < LIMIT, "{taken} of {}", records.len());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_login_that_is_repeated_on_an_open_connection_is_not_taken_for_a_new_connection() {
    let Some(secured) = Secured::start() else {
        eprintln!("NOT TESTED: this needs real Kafka");
        return;
    };
    let topic = Topic::create(secured.kafka, "logins", 1);
    let (user, password) = secured.login();
    let folder = tempfile::tempdir().unwrap();
    for (name, secret) in [("password", password), ("ca", &secured.ca)] {
        std::fs::write(folder.path().join(name), secret).unwrap();
    }
    let properties = [
        ("security.protocol", "sasl_ssl"),
        ("sasl.mechanism", "PLAIN"),
        ("sasl.username", user),
        ("sasl.password", "file:password"),
        ("ssl.ca.pem", "file:ca"),
    ];
    let spec = SourceSpec::Kafka(KafkaSource {
        bootstrap: secured.secure.clone(),
        properties: properties.map(|(k, v)| (k.into(), v.into())).into(),
        ..KafkaSource::default()
    });
    let secrets = Secrets::new(Some(folder.path().to_owned()));
    let logs = KafkaLogs::new(Memory::new(512 << 20));
    let source = logs.open(&spec, &secrets, "test").unwrap();
    let partition = SourcePartition::new(&*topic.name, 0);
    let mut queue = source.open(&partition, Place::at(0)).unwrap();
    passes(&topic, &mut queue);
    // A broker cuts a connection whose login has ended when the next request comes.
    let begun = Instant::now();
    while begun.elapsed() < 3 * secured.login_ends_after() {
        passes(&topic, &mut queue);
        assert!(!queue.is_reconnected(), "after {:?}", begun.elapsed());
    }
    secured.kafka.down();
    secured.kafka.up();
    passes(&topic, &mut queue);
    assert!(queue.is_reconnected(), "this is one");
    secured.kafka.down();
}
