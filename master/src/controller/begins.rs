//! Traces of jobs that begin: from their submission to their first epoch.

use std::collections::BTreeMap;

use kol_common::JobId;
use kol_common::traces::{Span, SpanKind};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Begins(BTreeMap<JobId, Span>);

impl Begins {
    /// A job was accepted.
    pub(super) fn begin(&mut self, id: &JobId, name: &str, traceparent: &str) {
        let about = [("kol.job", name.to_owned()), ("kol.job_id", id.to_string())];
        let span = Span::begin("first epoch", SpanKind::Internal, traceparent, about);
        if span.is_recorded() {
            self.0.insert(id.clone(), span);
        }
    }

    /// What traces of its partitions belong to; empty once it has begun.
    pub(super) fn traceparent(&self, id: &JobId) -> String {
        self.0.get(id).map(Span::traceparent).unwrap_or_default()
    }

    /// An epoch of it is committed.
    pub(super) fn committed(&mut self, id: &JobId) {
        self.0.remove(id);
    }

    /// It is over.
    pub(super) fn over(&mut self, id: &JobId, reason: &str) {
        if let Some(span) = self.0.remove(id) {
            span.fail(reason);
        }
    }
}
