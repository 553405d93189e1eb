//! Names that jobs use for what a job spec needs, most specific first.

/// Environment variables with the brokers.
pub const BROKERS: [&str; 8] = [
    "KAFKA_BOOTSTRAP_SERVERS",
    "KAFKA_BOOTSTRAP_SERVER",
    "KAFKA_BROKERS",
    "KAFKA_BROKER",
    "KAFKA_BROKER_URL",
    "KAFKA_SERVERS",
    "BOOTSTRAP_SERVERS",
    "KAFKA_BOOTSTRAP",
];
/// Environment variables with the topics.
pub const TOPICS: [&str; 4] = [
    "KAFKA_TOPIC",
    "KAFKA_TOPICS",
    "TOPIC_NAME",
    "KAFKA_TOPIC_NAME",
];
/// Environment variables with the consumer group.
pub const GROUPS: [&str; 2] = ["KAFKA_GROUP_ID", "KAFKA_CONSUMER_GROUP"];
/// Environment variables with the checkpoint folder.
pub const CHECKPOINTS: [&str; 3] = ["CHECKPOINT_DIR", "CHECKPOINT_LOCATION", "CHECKPOINT_PATH"];
/// Environment variables with the Redis.
pub const REDIS: [&str; 7] = [
    "REDIS_URL",
    "REDIS_URI",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_DB",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
];

/// All that say something about the job even when no source reads them.
pub fn all() -> impl Iterator<Item = &'static str> {
    let kafka = BROKERS.into_iter().chain(TOPICS).chain(GROUPS);
    kafka.chain(CHECKPOINTS).chain(REDIS)
}
