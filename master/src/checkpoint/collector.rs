//! Deletes state files that nothing refers to: one request after the other, beside everything else. What
//! it has no room for, or cannot delete, stays behind until a sweep finds it.

use kol_common::actor::{Address, Group, Mailbox, mailbox};
use kol_common::checkpoint::Store;
use kol_common::{JobId, KolError};

use super::Sweep;

/// Requests that may wait.
const WAITING: usize = 64;

/// What to delete below a location.
#[derive(Debug)]
pub enum Garbage {
    /// These files.
    Files(Vec<String>),
    /// What was left behind of a job.
    LeftBehind(JobId, Sweep),
    /// All state of a job.
    Everything(JobId),
}

/// A cheap way to the collector. It ends when all are gone.
#[derive(Clone, Debug)]
pub struct Collector {
    address: Address<(String, Garbage)>,
}

impl Collector {
    /// Starts one.
    pub fn start(group: &Group) -> Self {
        let (address, inbox) = mailbox("collector", WAITING);
        let stop = group.stop_token();
        let _runs_by_itself = group.spawn("collector", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = run(inbox) => {}
            }
            Ok(())
        });
        Self { address }
    }

    /// Has it deleted, sooner or later.
    pub fn delete(&self, location: String, what: Garbage) {
        if self.address.try_tell((location, what)).is_err() {
            tracing::debug!("state files that are not needed stay until the next sweep");
        }
    }
}

async fn run(mut inbox: Mailbox<(String, Garbage)>) {
    while let Some((location, what)) = inbox.recv().await {
        if let Err(error) = delete(&location, what).await {
            tracing::debug!(%error, "state files that are not needed stay until the next sweep");
        }
    }
}

async fn delete(location: &str, what: Garbage) -> Result<(), KolError> {
    let store = Store::open(location).await?;
    let paths = match what {
        Garbage::Files(paths) => paths,
        Garbage::Everything(job) => {
            let files = store.list(job.as_str()).await?;
            files.into_iter().map(|(path, _)| path).collect()
        }
        Garbage::LeftBehind(job, sweep) => {
            let files = store.list(job.as_str()).await?;
            let paths = files.into_iter().map(|(path, _)| path);
            let left: Vec<_> = paths.filter(|path| is_left_behind(path, &sweep)).collect();
            if !left.is_empty() {
                tracing::info!(%job, files = left.len(), "deleting state files that were left behind");
            }
            left
        }
    };
    for path in paths {
        store.delete(&path).await?;
    }
    Ok(())
}

/// The name of a state file begins with its epoch.
fn is_left_behind(path: &str, sweep: &Sweep) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let epoch = name.split('-').next().and_then(|e| e.parse::<u64>().ok());
    epoch.is_some_and(|epoch| epoch < sweep.before) && !sweep.used.contains(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_USE: &str = "job_1/0/000000000007-1-a.state";
    const LEFT: &str = "job_1/0/000000000008-1-b.state";
    const IN_THE_MAKING: &str = "job_1/0/000000000040-2-c.state";
    const OF_ANOTHER: &str = "job_2/0/000000000001-1-d.state";

    fn sweep() -> Sweep {
        Sweep {
            before: 40,
            used: [IN_USE.to_owned()].into(),
        }
    }

    #[test]
    fn only_files_of_the_past_that_nobody_refers_to_are_left_behind() {
        let left = |path: &str| is_left_behind(path, &sweep());
        assert!(left(LEFT));
        assert!(!left(IN_USE));
        assert!(!left(IN_THE_MAKING));
        assert!(!left("job_1/0/notes.txt"), "not ours");
    }

    #[tokio::test]
    async fn what_is_to_be_deleted_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}", folder.path().display());
        let store = Store::open(&location).await.unwrap();
        let all = [IN_USE, LEFT, IN_THE_MAKING, OF_ANOTHER];
        for path in all {
            let upload = store.create(path.to_owned()).await.unwrap();
            upload.finish().await.unwrap();
        }
        let there = || all.map(|path| folder.path().join(path).exists());
        let job = || JobId::from_wire("job_1");
        let left_behind = Garbage::LeftBehind(job(), sweep());
        delete(&location, left_behind).await.unwrap();
        assert_eq!(there(), [true, false, true, true]);
        let files = Garbage::Files(vec![IN_THE_MAKING.to_owned(), LEFT.to_owned()]);
        delete(&location, files).await.unwrap();
        assert_eq!(there(), [true, false, false, true]);
        delete(&location, Garbage::Everything(job())).await.unwrap();
        assert_eq!(there(), [false, false, false, true]);
    }
}
