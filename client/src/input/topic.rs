//! A topic that is read from or written to. It must exist: brokers that make topics by themselves would make one of
//! every mistyped name.

use std::time::Duration;

use kol_common::KolError;
use kol_common::kafka::{Consumer, classify, consumer, failure};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::runtime::Handle;

use super::cluster::Cluster;

/// Longest time for one request to the broker.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// Partitions and replicas as the broker is set to make them.
const AS_THE_BROKER_SAYS: i32 = -1;

/// The partitions of a topic.
///
/// # Errors
/// Kafka cannot be reached, the topic does not exist.
pub(super) fn partitions(
    consumer: &Consumer,
    cluster: &Cluster,
    topic: &str,
) -> Result<Vec<i32>, KolError> {
    let metadata = consumer
        .fetch_metadata(Some(topic), ANSWER)
        .map_err(|e| failure(consumer, &e))?;
    let found = metadata.topics().first();
    let partitions = found.map_or(&[][..], |t| t.partitions()).iter();
    let partitions: Vec<i32> = partitions.map(|p| p.id()).collect();
    if partitions.is_empty() {
        let bootstrap = &cluster.source.bootstrap;
        let what = format!("there is no topic {topic} on {bootstrap}");
        return Err(KolError::user("TOPIC_NOT_FOUND", what).help("Create it, or name another one."));
    }
    Ok(partitions)
}

/// Looks for a topic to write to; creates it if that is wanted, with as many partitions and replicas as the broker is
/// set to. Must be called in a runtime, on a thread that may block.
///
/// # Errors
/// Kafka cannot be reached, the topic does not exist or cannot be created.
pub fn find(cluster: &Cluster, topic: &str, create: bool) -> Result<(), KolError> {
    let looks = consumer(cluster.config("kol-client")?)?;
    match partitions(&looks, cluster, topic) {
        Err(missing) if missing.code == "TOPIC_NOT_FOUND" && create => {
            Handle::current().block_on(make(cluster, topic))
        }
        Err(missing) if missing.code == "TOPIC_NOT_FOUND" => {
            Err(missing.help("Give another with --topic, or --create-topic."))
        }
        found => found.map(drop),
    }
}

async fn make(cluster: &Cluster, topic: &str) -> Result<(), KolError> {
    let admin = cluster.config("kol-client")?.create();
    let admin: AdminClient<DefaultClientContext> = admin.map_err(|e| classify(&e))?;
    let replicas = TopicReplication::Fixed(AS_THE_BROKER_SAYS);
    let wanted = NewTopic::new(topic, AS_THE_BROKER_SAYS, replicas);
    let options = AdminOptions::new()
        .request_timeout(Some(ANSWER))
        .operation_timeout(Some(ANSWER));
    let made = admin.create_topics([&wanted], &options).await;
    match made.map_err(|e| classify(&e))?.into_iter().next() {
        // Somebody else was faster.
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | Some(Ok(_)) | None => Ok(()),
        Some(Err((_, code))) => Err(classify(&KafkaError::AdminOp(code))),
    }
}
