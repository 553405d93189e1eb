//! How the supervisor starts a partition, and learns what becomes of it.

use std::sync::Arc;

use kol_common::KolError;
use kol_common::actor::Exit;
use kol_common::proto;
use kol_common::proto::PartitionState;
use kol_common::proto::executor_message::Body;
use kol_common::traces::{Span, SpanKind};
use tokio::sync::{oneshot, watch};

use super::driver::Supervisor;
use super::machine::Key;
use super::news::without_sample;
use crate::partition::{self, Assignment, Ended, Started};

impl Supervisor {
    /// The machine says so.
    pub(super) fn start(&mut self, key: Key, assignment_epoch: u64) {
        let standby = self.ahead.take(&key);
        let assigned = self.assigned.get(&key);
        let assigned = assigned.filter(|a| a.assignment_epoch == assignment_epoch);
        let Some(assignment) = assigned.map(Arc::clone) else {
            return;
        };
        let spec = serde_json::to_string(&*assignment.spec).unwrap_or_default();
        let (writer, options) = ((&assignment.master, assignment.generation), &self.options);
        let opened = self.jobs.open(&key.0, &spec, writer, options, &self.group);
        let deps = match opened {
            Ok(job) => job.deps(&self.options, &self.present, &self.roots, &self.group),
            Err(error) => return self.cannot_start(key, error),
        };
        let state = assignment.restore.as_ref();
        let offset = state.map_or(assignment.offset, |s| s.offset);
        let offset = assignment.resume_at.unwrap_or(offset);
        let files = state.map_or(0, |s| s.files.len());
        let span = trace(&assignment);
        tracing::info!(
            code = "PARTITION_STARTS",
            job = assignment.spec.name.as_str(), job_id = %key.0, partition = %key.1, offset, assignment_epoch, files,
            ahead = standby.is_some(), "a partition starts"
        );
        let started = match &assignment.rekeying {
            Some(_) => partition::start_rekeying(&self.group, assignment, deps),
            None => Ok(partition::start(&self.group, assignment, deps, standby)),
        };
        let Started {
            partition,
            mut task,
            ended,
            caught_up,
        } = match started {
            Ok(started) => started,
            Err(error) => return self.cannot_start(key, error),
        };
        if span.is_recorded() {
            let running = until_running(span, partition.report.clone());
            let _runs_by_itself = self.group.spawn("trace", running);
        }
        let report = report_when(caught_up, partition.report.clone());
        self.replies.push(Box::pin(report));
        self.partitions.insert(key.clone(), partition);
        self.ends.push(Box::pin(async move {
            let how = match ended.await {
                Ok(how) => how,
                Err(_) => Ended::Failed(died(&key, task.exit().await)),
            };
            (key, how)
        }));
    }
}

/// A span of its start.
fn trace(assignment: &Assignment) -> Span {
    let about = [
        ("kol.job", assignment.spec.name.clone()),
        ("kol.job_id", assignment.job.to_string()),
        ("kol.partition", assignment.partition.to_string()),
        (
            "kol.assignment_epoch",
            assignment.assignment_epoch.to_string(),
        ),
    ];
    let kind = SpanKind::Consumer;
    Span::begin("start partition", kind, &assignment.traceparent, about)
}

/// The span ends when the partition runs, or when it ends before that.
async fn until_running(
    span: Span,
    mut report: watch::Receiver<Arc<proto::PartitionReport>>,
) -> Result<(), KolError> {
    let runs = |report: &Arc<proto::PartitionReport>| report.state() == PartitionState::Running;
    if report.wait_for(runs).await.is_err() {
        span.fail("it ended before it ran");
    }
    Ok(())
}

impl Supervisor {
    fn cannot_start(&self, key: Key, error: KolError) {
        self.ends
            .push(Box::pin(async move { (key, Ended::Failed(error)) }));
    }
}

/// The report of a partition at that moment: the next round of reports may be a while away.
async fn report_when(
    comes: oneshot::Receiver<()>,
    report: watch::Receiver<Arc<proto::PartitionReport>>,
) -> Option<Body> {
    comes.await.ok()?;
    let report = without_sample(&report.borrow());
    Some(Body::Reports(proto::Reports {
        reports: vec![report],
        unchanged: None,
    }))
}

/// Why a partition ended that did not say how.
fn died(key: &Key, exit: Exit) -> KolError {
    let what = match exit {
        Exit::Failed(error) => return error,
        Exit::Panicked(text) => format!("the partition panicked: {text}"),
        Exit::Done | Exit::Aborted => "the partition was aborted".to_owned(),
    };
    let mut error = KolError::internal("PARTITION_DIED", what).partition(&key.1);
    error.retryable = true;
    error
}
