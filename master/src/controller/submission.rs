//! What a person wants started.

use kol_common::job::JobSpec;

/// A job to start.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What the job is to do.
    pub spec: JobSpec,
    /// What the parser remarked on the spec.
    pub warnings: Vec<String>,
    /// Where the job begins.
    pub begin: Begin,
    /// It takes the place of a live job of its name.
    pub replace: bool,
    /// It takes its keys in Redis from whoever has them.
    pub take_over: bool,
    /// What the trace of its beginning belongs to; empty without one.
    pub traceparent: String,
}

/// Where a submitted job begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begin {
    /// From the last epoch of the job of that name before it, if there was one.
    Resume,
    /// Without state, at the starting offsets of its spec.
    WithoutState,
    /// From a job by id or name.
    From(String),
    /// From the manifest file in a folder, whose state was found to fit.
    Folder(String),
}
