//! Looks at the internal topic of a job in Kafka, and creates it.

use std::time::Duration;

use kol_common::job::KafkaSource;
use kol_common::kafka::{classify, client_config};
use kol_common::secrets::Secrets;
use kol_common::{KolError, world};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::discovery::{QueryRekeying, Wanted};
use super::internal::{Existing, Verdict, judge};
use super::kafka::existing;
use super::record::Internal;

/// Longest wait for one answer of a broker.
const ANSWER: Duration = Duration::from_secs(5);
/// As many replicas as the brokers are set to.
const AS_THE_BROKER_SAYS: i32 = -1;
/// Largest batch of records: values stay as they came.
const LARGEST: &str = "16777216";
/// Looks until a topic that was created is seen, and the time between two.
const LOOKS: usize = 20;
const EVERY: Duration = Duration::from_millis(250);

/// The internal topic, created where there is none and there may be a new one.
///
/// # Errors
/// As [`judge`], or the brokers do not answer or refuse.
pub(super) async fn find_or_create(
    source: KafkaSource,
    query: QueryRekeying,
    secrets: Secrets,
) -> Result<Internal, KolError> {
    let mut created = false;
    for _ in 0..LOOKS {
        let found = look(&source, &query.wanted.topic, &secrets).await?;
        if created && found.is_none_or(|found| found.id.is_none()) {
            // Not all brokers know it yet.
            tokio::time::sleep(EVERY).await;
            continue;
        }
        match judge(&query, found.as_ref())? {
            Verdict::Use(internal) => return Ok(internal),
            Verdict::Create => {
                create(&source, &query.wanted, &secrets).await?;
                created = true;
            }
        }
    }
    let what = format!(
        "the internal topic `{}` was created, and brokers do not show it",
        query.wanted.topic
    );
    Err(KolError::external("SOURCE_UNREACHABLE", what))
}

async fn look(
    source: &KafkaSource,
    topic: &str,
    secrets: &Secrets,
) -> Result<Option<Existing>, KolError> {
    let (source, topic, secrets) = (source.clone(), topic.to_owned(), secrets.clone());
    let found = world::blocking(move || existing(&source, &topic, &secrets)).await;
    let panicked = || KolError::internal("DISCOVERY", "the query of Kafka panicked");
    found.ok_or_else(panicked)?.map_err(with_rights)
}

/// The look before has seen that the brokers may have the secrets.
async fn create(source: &KafkaSource, wanted: &Wanted, secrets: &Secrets) -> Result<(), KolError> {
    let admin = client_config(source, secrets, "kol-master")?.create();
    let admin: AdminClient<DefaultClientContext> = admin.map_err(|e| classify(&e))?;
    let retention = wanted.retention.0.to_string();
    let partitions = i32::try_from(wanted.partitions).unwrap_or(i32::MAX);
    let replicas = TopicReplication::Fixed(AS_THE_BROKER_SAYS);
    let topic = NewTopic::new(&wanted.topic, partitions, replicas)
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention)
        .set("message.timestamp.type", "CreateTime")
        .set("max.message.bytes", LARGEST);
    let options = AdminOptions::new()
        .request_timeout(Some(ANSWER))
        .operation_timeout(Some(ANSWER));
    let made = admin.create_topics([&topic], &options).await;
    match made.map_err(|e| classify(&e))?.into_iter().next() {
        Some(Ok(_)) | None => {
            let Wanted {
                topic, partitions, ..
            } = wanted;
            tracing::info!(
                code = "REKEY_TOPIC_CREATED",
                topic,
                partitions,
                "the internal topic of a job was created"
            );
            Ok(())
        }
        // Somebody else was faster.
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(with_rights(classify(&KafkaError::AdminOp(code)))),
    }
}

/// A refusal, with the rights that the stage needs.
fn with_rights(error: KolError) -> KolError {
    if error.code != "SOURCE_DENIED" {
        return error;
    }
    error.help(
        "The stage of source.rekey needs, for the user of the job: Create, Describe, Read and Write on the internal topic, \
         Describe and Write on transactional ids that begin with kol-rekey., and Read on groups that begin with GROUP_ID.rekey.",
    )
}
