//! What a master knows, once a second while somebody looks at the page.

use async_trait::async_trait;
use futures::future::join_all;
use kol_common::proto::JobStatus;
use kol_common::view::problem_json;
use kol_common::{KolError, Millis};
use serde_json::json;
use tokio::time::Instant;

use super::live::{Look, Snapshot};
use super::pace::Pace;
use super::snapshot::{Seen, counters, detail, overview};
use crate::role::Roles;

/// Looks at one master.
#[derive(Debug)]
pub(super) struct Master {
    roles: Roles,
    warnings: Vec<String>,
    pace: Pace,
    began: Instant,
}

impl Master {
    pub(super) fn new(roles: Roles, warnings: Vec<String>) -> Self {
        Self {
            roles,
            warnings,
            pace: Pace::default(),
            began: Instant::now(),
        }
    }

    async fn seen(&self) -> Seen {
        let leadership = self.roles.leadership();
        let jobs = self.roles.jobs().await;
        let executors = if leadership.leads {
            self.roles.executors().await.map(Some)
        } else {
            Ok(None)
        };
        let failure = jobs.as_ref().err().or(executors.as_ref().err()).cloned();
        Seen {
            wall: Millis::now(),
            leadership,
            failure,
            jobs: jobs.unwrap_or_default(),
            executors: executors.unwrap_or_default(),
            warnings: self.warnings.clone(),
        }
    }

    /// A job by what somebody calls it, as JSON.
    async fn job(&self, name: &str, all: &[JobStatus]) -> Result<String, KolError> {
        let mut status: JobStatus = self.roles.job(name.to_owned()).await?;
        status.warnings.extend(self.warnings.iter().cloned());
        let kept = self.roles.checkpoints(name.to_owned()).await?;
        Ok(detail(&status, all, &kept, &self.pace).to_string())
    }
}

#[async_trait]
impl Look for Master {
    async fn look(&mut self, jobs: Vec<String>) -> Snapshot {
        let seen = self.seen().await;
        let now = Millis::from(self.began.elapsed());
        self.pace.note(now, counters(&seen));
        let overview = overview(&seen, &self.pace).to_string();
        let (this, all) = (&*self, &seen.jobs);
        let details = jobs.into_iter().map(|name| async move {
            let job = this.job(&name, all).await.unwrap_or_else(|error| {
                json!({"name": name, "error": problem_json(&error.to_info())}).to_string()
            });
            (name, job)
        });
        Snapshot {
            overview,
            jobs: join_all(details).await.into_iter().collect(),
        }
    }
}
