//! `submit FILE`.

use std::path::PathBuf;
use std::time::Duration;

use kol_common::KolError;
use kol_common::job::parse;
use kol_common::proto::{SubmitOutcome, SubmitReply, SubmitRequest};
use kol_common::traces::{Span, SpanKind, TRACEPARENT};
use serde_json::{Value, json};

use super::status::{self, Until};
use crate::Context;
use crate::input::spec::read_spec;
use crate::print;

/// Arguments of `kol-client submit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job spec, TOML.
    file: PathBuf,
    /// Change a key of the spec, e.g. --set scoring.window=12h; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = super::key_value)]
    sets: Vec<(String, String)>,
    /// Start with this state: a savepoint (sav_…), the folder of one or of a job's checkpoints
    /// (file:///PATH or s3://BUCKET/PATH), or a job that is over (id or name). By default the job resumes
    /// from the last checkpoint of the job of its name before it.
    #[arg(long, value_name = "SAVEPOINT")]
    from_savepoint: Option<String>,
    /// If a job of that name runs, stop it with a last checkpoint and resume from there.
    #[arg(long)]
    replace: bool,
    /// Start without state, at the starting offsets of the spec.
    #[arg(long, conflicts_with = "from_savepoint")]
    discard_state: bool,
    /// Take the job's keys in Redis from a job of another cluster that writes them; that one then fails.
    #[arg(long)]
    take_over: bool,
    /// Wait until the job runs.
    #[arg(long)]
    wait: bool,
    /// How long to wait.
    #[arg(long, default_value = "60s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Parses the spec, submits it, and prints the id of the job and the state that it starts with.
///
/// # Errors
/// The spec is wrong, the master refuses it, the wait times out.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let spec_toml = read_spec(&args.file, &args.sets)?;
    let origin = args.file.display().to_string();
    // What is wrong is found before anything is sent.
    parse(&spec_toml, &origin).map_err(KolError::from)?;
    let request = SubmitRequest {
        spec_toml,
        origin,
        from_savepoint: args.from_savepoint.unwrap_or_default(),
        replace: args.replace,
        discard_state: args.discard_state,
        take_over: args.take_over,
    };
    let reply = traced(ctx, request).await?;
    let wait = args.wait.then_some(args.timeout);
    report(ctx, &reply, wait).await
}

/// Submits, as a span that the job's beginning belongs to.
async fn traced(ctx: &Context, request: SubmitRequest) -> anyhow::Result<SubmitReply> {
    let span = Span::begin("submit", SpanKind::Client, "", []);
    let mut request = tonic::Request::new(request);
    if let Ok(traceparent) = span.traceparent().parse() {
        request.metadata_mut().insert(TRACEPARENT, traceparent);
    }
    let reply = ctx.jobs().await?.submit(request).await;
    let reply = reply.inspect_err(|status| span.fail(status.code().description()))?;
    Ok(reply.into_inner())
}

/// Prints the outcome of a submission, and waits until the job runs.
///
/// # Errors
/// The wait times out.
pub(super) async fn report(
    ctx: &Context,
    reply: &SubmitReply,
    wait: Option<Duration>,
) -> anyhow::Result<()> {
    let outcome = match reply.outcome() {
        SubmitOutcome::Unchanged => "unchanged",
        SubmitOutcome::Created | SubmitOutcome::Unspecified => "created",
    };
    if ctx.json() {
        print::json(&as_json(outcome, reply))?;
    } else {
        print::text(&as_text(outcome, reply))?;
    }
    if let Some(timeout) = wait {
        status::wait(ctx, &reply.job_id, Until::Running, timeout).await?;
    }
    Ok(())
}

pub(crate) fn as_json(outcome: &str, reply: &SubmitReply) -> Value {
    json!({
        "job_id": reply.job_id,
        "outcome": outcome,
        "origin": reply.origin,
        "warnings": reply.warnings,
    })
}

/// The outcome of a submission, for people.
pub(crate) fn as_text(outcome: &str, reply: &SubmitReply) -> String {
    let mut lines = vec![format!("{outcome} {}", reply.job_id)];
    if !reply.origin.is_empty() {
        lines.push(format!("it starts with {}", reply.origin));
    }
    let warnings = reply.warnings.iter();
    lines.extend(warnings.map(|warning| format!("warning: {warning}")));
    print::lines(&lines)
}
