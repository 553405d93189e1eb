//! Exit codes, and how errors are printed.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

use kol_common::KolError;
use kol_common::error::{Shown, info_of, is_not_found};
use kol_common::proto::{ErrorDomain, ErrorInfo};
use kol_common::view::problem_json;

use crate::context::OutputFormat;
use crate::print;

/// Listed in `kol-client --help`.
pub const HELP: &str = "Exit codes: 0 done, 1 internal error, 2 wrong usage or job spec, 3 not \
found, 4 master, Kafka or Redis cannot be reached, or a state file is damaged, 5 a wait timed out, 6 the job failed, \
7 doctor found something wrong, 130 and 143 \
ended by SIGINT and SIGTERM";

/// Wrong usage, as clap has it.
const USAGE: u8 = 2;
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
    /// Something is wrong with what was looked at.
    #[error("{0}")]
    Unwell(String),
}

/// Prints an error in the form that answers have, on standard error in any case, and chooses the exit code.
pub fn report(error: &anyhow::Error, output: OutputFormat) -> ExitCode {
    // Who reads the output has enough of it, as `head` has.
    let io = error.downcast_ref::<io::Error>();
    if io.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let (problem, code) = describe(error);
    show(&problem, output);
    ExitCode::from(code)
}

/// Prints what is wrong with a command line, or the help that it wanted, as clap does; as JSON where it wants that.
pub fn usage(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> ExitCode {
    if !error.use_stderr() || !wants_json(arguments) {
        let _nobody_reads = error.print();
        return ExitCode::from(u8::from(error.use_stderr()) * USAGE);
    }
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let (what, help) = text.split_once("\n\n").unwrap_or((text, ""));
    let error = KolError::user("USAGE", what.trim()).help(help.trim());
    show(&error.to_info(), OutputFormat::Json);
    ExitCode::from(USAGE)
}

/// Whether a command line that cannot be read wants its answer as JSON.
fn wants_json(arguments: impl Iterator<Item = OsString>) -> bool {
    let words: Vec<_> = arguments
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let flag = |word: &str| matches!(word, "-o" | "--output");
    let together = ["-ojson", "-o=json", "--output=json"];
    words
        .windows(2)
        .any(|two| flag(&two[0]) && two[1] == "json")
        || words.iter().any(|word| together.contains(&word.as_str()))
}

fn show(problem: &ErrorInfo, output: OutputFormat) {
    match output {
        OutputFormat::Text => print::note(&Shown(problem).to_string()),
        OutputFormat::Json => print::json_note(&problem_json(problem)),
    }
}

/// An error as it should read, whatever it was.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    Shown(&describe(error).0).to_string()
}

/// The error as it travels, whatever it was, and its exit code.
pub(crate) fn describe(error: &anyhow::Error) -> (ErrorInfo, u8) {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        let what = ended.to_string();
        let (error, code) = match ended {
            Ended::TimedOut(_) => (KolError::external("WAIT_TIMED_OUT", what), 5),
            Ended::JobFailed(_) => (KolError::external("JOB_FAILED", what).terminal(), 6),
            Ended::Unwell(_) => (KolError::external("CLUSTER_UNWELL", what).terminal(), 7),
        };
        return (error.to_info(), code);
    }
    let info = if let Some(own) = error.downcast_ref::<KolError>() {
        own.to_info()
    } else if let Some(status) = error.downcast_ref::<tonic::Status>() {
        let own = || transport(status).unwrap_or_else(|| of_code(status));
        info_of(status).unwrap_or_else(|| own().to_info())
    } else if let Some(io) = error.downcast_ref::<io::Error>() {
        KolError::internal("OUTPUT", io.to_string()).to_info()
    } else {
        KolError::internal("CLIENT", format!("{error:#}")).to_info()
    };
    let code = match info.domain() {
        _ if is_not_found(&info.code) => 3,
        ErrorDomain::User => USAGE,
        ErrorDomain::External => 4,
        ErrorDomain::Internal | ErrorDomain::Unspecified => 1,
    };
    (info, code)
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

/// The error of any other status that the master did not make.
fn of_code(status: &tonic::Status) -> KolError {
    let what = status.message();
    match status.code() {
        tonic::Code::Unavailable => KolError::external("MASTER_UNREACHABLE", what),
        tonic::Code::DeadlineExceeded => KolError::external("MASTER_BUSY", what),
        tonic::Code::InvalidArgument | tonic::Code::NotFound => {
            KolError::user("MASTER_ANSWER", what)
        }
        _ => KolError::internal("MASTER_ANSWER", what),
    }
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
        assert_eq!(code(Ended::Unwell("x".into()).into()), 7);
    }

    #[test]
    fn an_error_of_the_master_reads_like_one_of_our_own() {
        let error = KolError::user("SPEC_INVALID", "two problems").help("Mend them.");
        let info = describe(&anyhow::Error::from(error.to_status())).0;
        assert_eq!(info, error.to_info());
    }

    #[test]
    fn every_error_has_a_code_whatever_it_was() {
        let code = |error: anyhow::Error| describe(&error).0.code;
        assert_eq!(code(Ended::TimedOut("x".into()).into()), "WAIT_TIMED_OUT");
        assert_eq!(code(Ended::JobFailed("x".into()).into()), "JOB_FAILED");
        let away = tonic::Status::unavailable("transport error");
        assert_eq!(code(away.into()), "MASTER_UNREACHABLE");
        assert_eq!(
            code(tonic::Status::unimplemented("x").into()),
            "MASTER_ANSWER"
        );
        assert_eq!(code(io::Error::other("no space left").into()), "OUTPUT");
        assert_eq!(code(anyhow::anyhow!("x")), "CLIENT");
    }

    #[test]
    fn a_wrong_command_line_is_answered_in_the_form_that_it_wants() {
        let wants = |line: &str| wants_json(line.split(' ').map(OsString::from));
        for json in [
            "kol-client jbos -o json",
            "kol-client --output=json jbos",
            "kol-client -ojson",
        ] {
            assert!(wants(json), "{json}");
        }
        for text in [
            "kol-client jbos -o text",
            "kol-client jbos json",
            "kol-client -o",
        ] {
            assert!(!wants(text), "{text}");
        }
    }
}
