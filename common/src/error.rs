//! One error type for what crosses a boundary: whose fault, whether trying again can help, where it
//! happened and what to do. It stays typed across gRPC (`ErrorInfo` in the status details) until the
//! person who reads it.

use std::fmt;

use prost::Message;

use crate::ids::SourcePartition;
use crate::proto;

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// The spec or the request: repeating it cannot help.
    User,
    /// Kafka, Redis, the disk or the network.
    External,
    /// A bug of this system.
    Internal,
}

/// What went wrong, for a person and for the code that decides whether to try again.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct KolError {
    /// Whose fault it is.
    pub domain: Domain,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Stable, in capitals: `SINK_OUT_OF_MEMORY`.
    pub code: &'static str,
    /// What happened, in one sentence, without secrets.
    pub message: String,
    /// What the reader can do about it; empty when there is nothing to do.
    pub help: String,
    /// Where: all that is known.
    pub place: Place,
}

/// Where an error happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Job name or id.
    pub job: Option<String>,
    /// The source partition; `None` where the error concerns none.
    pub partition: Option<SourcePartition>,
    /// The Kafka offset; `None` where the error concerns no record.
    pub offset: Option<u64>,
    /// Path of a state file that is missing or differs; `None` where the error concerns none.
    pub file: Option<String>,
}

impl KolError {
    /// The request or the spec is wrong.
    pub fn user(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Domain::User, false, code, message)
    }

    /// Something outside failed, and may work later.
    pub fn external(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Domain::External, true, code, message)
    }

    /// A bug of this system.
    pub fn internal(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Domain::Internal, false, code, message)
    }

    fn new(
        domain: Domain,
        retryable: bool,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            domain,
            retryable,
            code,
            message: message.into(),
            help: String::new(),
            place: Place::default(),
        }
    }

    /// Trying the same again cannot help until a person changed something.
    #[must_use]
    pub fn terminal(mut self) -> Self {
        self.retryable = false;
        self
    }

    /// What the reader can do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }

    /// The job it concerns.
    #[must_use]
    pub fn job(mut self, job: impl Into<String>) -> Self {
        self.place.job = Some(job.into());
        self
    }

    /// The partition it concerns.
    #[must_use]
    pub fn partition(mut self, partition: &SourcePartition) -> Self {
        self.place.partition = Some(partition.clone());
        self
    }

    /// The offset it concerns.
    #[must_use]
    pub fn offset(mut self, offset: u64) -> Self {
        self.place.offset = Some(offset);
        self
    }

    /// The state file that is missing or differs. The message names it, too.
    #[must_use]
    pub fn file(mut self, path: &str) -> Self {
        self.place.file = Some(path.to_owned());
        self
    }

    /// As it travels: in reports of executors, statuses of jobs and details of a gRPC status.
    pub fn to_info(&self) -> proto::ErrorInfo {
        proto::ErrorInfo {
            domain: match self.domain {
                Domain::User => proto::ErrorDomain::User,
                Domain::External => proto::ErrorDomain::External,
                Domain::Internal => proto::ErrorDomain::Internal,
            } as i32,
            retryable: self.retryable,
            code: self.code.to_owned(),
            message: self.message.clone(),
            help: self.help.clone(),
            job: self.place.job.clone().unwrap_or_default(),
            partition: self.place.partition.as_ref().map(Into::into),
            offset: self.place.offset,
            file: self.place.file.clone().unwrap_or_default(),
        }
    }

    /// As a gRPC status with the whole error in its details.
    pub fn to_status(&self) -> tonic::Status {
        let code = match (self.domain, self.retryable) {
            _ if is_not_found(self.code) => tonic::Code::NotFound,
            (Domain::User, _) => tonic::Code::InvalidArgument,
            (_, true) => tonic::Code::Unavailable,
            (Domain::External, false) => tonic::Code::FailedPrecondition,
            (Domain::Internal, false) => tonic::Code::Internal,
        };
        let details = self.to_info().encode_to_vec();
        tonic::Status::with_details(code, self.message.clone(), details.into())
    }
}

impl fmt::Display for KolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.to_info()).fmt(f)
    }
}

/// Whether a code says that what was named does not exist.
pub fn is_not_found(code: &str) -> bool {
    code.ends_with("NOT_FOUND")
}

/// The `ErrorInfo` in a gRPC status, if the other side sent one.
pub fn info_of(status: &tonic::Status) -> Option<proto::ErrorInfo> {
    if status.details().is_empty() {
        return None;
    }
    proto::ErrorInfo::decode(status.details()).ok()
}

/// The one way an error reads: `CODE: what happened (job x, partition t/3, offset 17). What to do.`
pub struct Shown<'a>(pub &'a proto::ErrorInfo);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(error) = self;
        write!(f, "{}: {}", error.code, error.message)?;
        let job = (!error.job.is_empty()).then(|| format!("job {}", error.job));
        let partition = error.partition.as_ref();
        let partition = partition.map(|p| format!("partition {}/{}", p.topic, p.partition));
        let offset = error.offset.map(|offset| format!("offset {offset}"));
        let place: Vec<_> = [job, partition, offset].into_iter().flatten().collect();
        if !place.is_empty() {
            write!(f, " ({})", place.join(", "))?;
        }
        if !error.help.is_empty() {
            write!(f, ". {}", error.help)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_type_and_place_across_grpc() {
        let error = KolError::external("SINK_OUT_OF_MEMORY", "Redis refuses writes")
            .help("Raise maxmemory.")
            .job("kol-trending")
            .partition(&SourcePartition::new("kol.videos.raw", 3))
            .offset(17);
        let status = error.to_status();
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert_eq!(info_of(&status), Some(error.to_info()));
        assert_eq!(
            error.to_string(),
            "SINK_OUT_OF_MEMORY: Redis refuses writes (job kol-trending, partition \
             kol.videos.raw/3, offset 17). Raise maxmemory."
        );
    }
}
