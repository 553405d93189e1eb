//! What a mark means that the client put in place of a record.

use kol_common::KolError;
use kol_common::kafka::classify;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;

use crate::source::Mark;

/// See the module.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// Everything before this offset was read: the end of the log may be a marker of a transaction, or a
    /// compacted gap.
    End(u64),
    /// The log does not have the position.
    OutOfRange,
    /// The log cannot be read now.
    Failed(KolError),
}

/// The one place that knows the client's codes.
pub fn meaning(mark: Mark) -> Meaning {
    match mark.code {
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Meaning::End(mark.offset),
        RDKafkaRespErr::RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET => Meaning::OutOfRange,
        code => Meaning::Failed(classify(&KafkaError::MessageConsumption(code.into()))),
    }
}
