//! The terms of this master: in each a controller of its own, started when the term begins and stopped when it is over.
//! Between them it follows.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kol_common::actor::{Exit, Group};
use kol_common::{Domain, KolError};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::autostart;
use crate::controller::{self, Options, Standby};
use crate::election::{Elected, LeaderStore, News, Tenure};
use crate::meta::MetaStore;
use crate::role::{Calls, Role};
use crate::specs::Admission;

/// How long the tasks of a term that is over may take: within the margin that the election leaves.
const STEP_DOWN: Duration = Duration::from_millis(200);

/// What each term needs.
#[derive(Clone)]
pub struct Terms {
    /// The store of all masters.
    pub meta: Arc<dyn MetaStore>,
    /// Of the controller.
    pub options: Options,
    /// Every spec must keep to this.
    pub admission: Admission,
    /// Location of the checkpoint root.
    pub root: String,
    /// Folder of specs that are submitted when a term begins.
    pub autostart: Option<PathBuf>,
}

impl Terms {
    /// A master that follows someone, or no one.
    pub fn following(&self, leader: Option<String>) -> Role {
        let standby = Standby::new(Arc::clone(&self.meta), self.options.drain);
        Role::Following { standby, leader }
    }

    /// Leads when it is elected, follows otherwise, until it is stopped; `role` says which. `calls` are those that it
    /// refused meanwhile.
    ///
    /// # Errors
    /// None: a term that fails is over, and another master can be elected.
    pub async fn run(
        self,
        mut news: mpsc::Receiver<News>,
        role: watch::Sender<Role>,
        calls: Calls,
        stop: CancellationToken,
    ) -> Result<(), KolError> {
        loop {
            let news = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                news = news.recv() => news,
            };
            match news {
                None => return Ok(()),
                Some(News::Follows(leader)) => {
                    role.send_replace(self.following(leader));
                }
                Some(News::Leads(tenure)) => {
                    let options = Options {
                        grace: calls.grace(),
                        ..self.options.clone()
                    };
                    self.serve(tenure, options, &role, &stop).await;
                }
            }
        }
    }

    /// One term, from its beginning until nothing acts in it any more.
    async fn serve(
        &self,
        tenure: Tenure,
        options: Options,
        role: &watch::Sender<Role>,
        stop: &CancellationToken,
    ) {
        let Tenure {
            elected,
            over,
            left,
        } = tenure;
        let _left = left.drop_guard();
        let tasks = Group::new("term");
        // The end of the term before anything that happens in it.
        let patience = tokio::select! {
            biased;
            () = over.cancelled() => STEP_DOWN,
            // The rest is for the lease to be ended.
            () = stop.cancelled() => self.options.drain * 4 / 5,
            error = self.lead(elected, options, &tasks, role) => {
                gives_up(&error);
                STEP_DOWN
            }
        };
        role.send_replace(self.following(None));
        tasks.drain(patience).await;
    }

    /// Leads until that fails.
    async fn lead(
        &self,
        elected: Elected,
        options: Options,
        tasks: &Group,
        role: &watch::Sender<Role>,
    ) -> KolError {
        let store = LeaderStore::new(Arc::clone(&self.meta), elected);
        let started = start(store, options, self, tasks).await;
        let (controller, mut decides) = match started {
            Ok(started) => started,
            Err(error) => return error,
        };
        role.send_replace(Role::Leading {
            controller,
            tasks: tasks.clone(),
        });
        failure(decides.exit().await)
    }
}

/// Starts a controller in `tasks`, over a store that may be new, and what an operator wants started.
///
/// # Errors
/// The store cannot be read or written.
pub async fn start(
    store: LeaderStore,
    options: Options,
    terms: &Terms,
    tasks: &Group,
) -> Result<(controller::Handle, kol_common::actor::Task), KolError> {
    controller::adopt(&store, &options.outside.stores, &terms.root).await?;
    let (handle, decides) = controller::start(store.clone(), options, tasks).await?;
    if let Some(folder) = terms.autostart.clone() {
        let (controller, admission) = (handle.clone(), terms.admission.clone());
        let _runs_by_itself = tasks.spawn("autostart", async move {
            let submitted = autostart::submit_all(&folder, &controller, &admission, &store).await;
            submitted.inspect_err(|error| {
                tracing::error!(code = "AUTOSTART_FAILED", %error, "nothing was started");
            })
        });
    }
    Ok((handle, decides))
}

/// What is outside may be repaired, or fail one master alone; the rest is for people to look at.
fn gives_up(error: &KolError) {
    if error.domain == Domain::External {
        tracing::warn!(code = "LEADING_FAILED", %error, "this master no longer leads: another can");
    } else {
        tracing::error!(code = "LEADING_FAILED", %error, "this master no longer leads: another can");
    }
}

/// Why a controller that was not stopped ended.
pub fn failure(exit: Exit) -> KolError {
    match exit {
        Exit::Failed(error) => error,
        other => KolError::internal("CONTROLLER", format!("the controller ended: {other:?}")),
    }
}
