//! Exit codes, and how errors are printed.

use std::io::ErrorKind;
use std::process::ExitCode;

use kol_common::KolError;
use kol_common::error::{Shown, is_not_found};
use kol_common::proto::{ErrorDomain, ErrorInfo};

use crate::print;

/// Listed in `kol-client --help`.
pub const HELP: &str = "Exit codes: 0 done, 1 internal error, 2 wrong usage or job spec, 3 not \
found, 4 master, Kafka or Redis cannot be reached, or a state file is damaged, 5 a wait timed out, 6 the job failed, 130 and 143 \
ended by SIGINT and SIGTERM";

/// Ended by SIGINT: 128 and its number, as shells have it.
pub const INTERRUPTED: i32 = 130;
/// Ended by SIGTERM: 128 and its number.
pub const TERMINATED: i32 = 143;

/// Why a command ended without success, beyond an error of its own.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// A wait reached its deadline.
    #[error("{0}")]
    TimedOut(String),
    /// The job failed while it was waited for.
    #[error("{0}")]
    JobFailed(String),
}

/// Prints an error as it should read, and chooses the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // Who reads the output has enough of it, as `head` has.
    let io = error.downcast_ref::<std::io::Error>();
    if io.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let (text, code) = describe(error);
    print::note(&text);
    ExitCode::from(code)
}

pub(crate) fn describe(error: &anyhow::Error) -> (String, u8) {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        let code = match ended {
            Ended::TimedOut(_) => 5,
            Ended::JobFailed(_) => 6,
        };
        return (ended.to_string(), code);
    }
    if let Some(own) = error.downcast_ref::<KolError>() {
        return describe_info(&own.to_info());
    }
    if let Some(status) = error.downcast_ref::<tonic::Status>() {
        return describe_status(status);
    }
    (format!("{error:#}"), 1)
}

fn describe_status(status: &tonic::Status) -> (String, u8) {
    if let Some(info) = kol_common::error::info_of(status) {
        return describe_info(&info);
    }
    if let Some(own) = transport(status) {
        return describe_info(&own.to_info());
    }
    // From the transport, not from the master.
    let code = match status.code() {
        tonic::Code::NotFound => 3,
        tonic::Code::InvalidArgument => 2,
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded => 4,
        _ => 1,
    };
    (status.message().to_owned(), code)
}

/// A connection that failed while it was used; what is wrong with it stands behind "transport error".
fn transport(status: &tonic::Status) -> Option<KolError> {
    let error = std::error::Error::source(status)?;
    error.downcast_ref::<tonic::transport::Error>()?;
    let chain = std::iter::successors(Some(error), |error| error.source());
    let why = chain.last().map(ToString::to_string).unwrap_or_default();
    let what = format!("the connection to the master failed: {why}");
    Some(KolError::external("MASTER_CONNECTION", what).help(
        "Is that its gRPC port (7077)? The one of its page (4040) takes no commands. If it is, kol-master or a proxy has \
         ended the connection: try again, and look at its log.",
    ))
}

fn describe_info(info: &ErrorInfo) -> (String, u8) {
    let code = match info.domain() {
        _ if is_not_found(&info.code) => 3,
        ErrorDomain::User => 2,
        ErrorDomain::External => 4,
        ErrorDomain::Internal | ErrorDomain::Unspecified => 1,
    };
    (Shown(info).to_string(), code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(error: anyhow::Error) -> u8 {
        describe(&error).1
    }

    #[test]
    fn every_kind_of_failure_has_its_exit_code() {
        assert_eq!(code(anyhow::anyhow!("x")), 1);
        assert_eq!(code(KolError::user("SPEC_INVALID", "x").into()), 2);
        let missing = KolError::user("JOB_NOT_FOUND", "x");
        assert_eq!(code(missing.to_status().into()), 3);
        assert_eq!(code(missing.into()), 3);
        assert_eq!(
            code(KolError::external("MASTER_UNREACHABLE", "x").into()),
            4
        );
        assert_eq!(code(Ended::TimedOut("x".into()).into()), 5);
        assert_eq!(code(Ended::JobFailed("x".into()).into()), 6);
    }

    #[test]
    fn an_error_of_the_master_reads_like_one_of_our_own() {
        let error = KolError::user("SPEC_INVALID", "two problems").help("Mend them.");
        let text = describe(&anyhow::Error::from(error.to_status())).0;
        assert_eq!(text, error.to_string());
    }
}
