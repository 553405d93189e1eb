//! Cleans up the folders of state files: writes the manifest file of each job after a commit, and
//! deletes what nothing refers to. One request after the other, beside everything else. What it has no
//! room for, or cannot do, is done after a later commit, or when orphans are looked for.

use kol_common::actor::{Address, Group, Mailbox, mailbox};
use kol_common::checkpoint::Stores;
use kol_common::checkpoint::marker::Marker;
use kol_common::checkpoint::snapshot::{MANIFEST, encode};
use kol_common::proto::Snapshot;
use kol_common::{ClusterId, JobId, KolError};

use super::effect::Orphans;

/// Requests that may wait.
const WAITING: usize = 64;

/// What to do below a location.
#[derive(Debug)]
pub enum Chore {
    /// Write the manifest file of a job.
    Manifest(JobId, Box<Snapshot>),
    /// Delete these files.
    Files(Vec<String>),
    /// Delete the orphans of a job.
    Orphans(JobId, Orphans),
    /// Delete the folder that the location is, with everything in it.
    Folder,
}

/// A cheap way to the keeper. It ends when all are gone.
#[derive(Clone, Debug)]
pub struct Keeper {
    address: Address<(String, Chore)>,
}

impl Keeper {
    /// Starts a keeper in `group`; it ends with the group.
    pub fn start(group: &Group, stores: Stores, cluster: ClusterId) -> Self {
        let (address, inbox) = mailbox("keeper", WAITING);
        let stop = group.stop_token();
        let root = Marker::Cluster(cluster);
        let _runs_by_itself = group.spawn("keeper", async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = run(inbox, &stores, &root) => {}
            }
            Ok(())
        });
        Self { address }
    }

    /// Requests a chore, which is done sooner or later.
    pub fn tell(&self, location: String, what: Chore) {
        if self.address.try_tell((location, what)).is_err() {
            tracing::debug!("cleanup deferred: the keeper is busy");
        }
    }
}

async fn run(mut inbox: Mailbox<(String, Chore)>, stores: &Stores, root: &Marker) {
    while let Some((location, what)) = inbox.recv().await {
        if let Err(error) = carry_out(stores, root, &location, what).await {
            tracing::debug!(%error, "cleanup deferred: it failed");
        }
    }
}

async fn carry_out(
    stores: &Stores,
    root: &Marker,
    location: &str,
    what: Chore,
) -> Result<(), KolError> {
    let store = stores.present(location).await?;
    if !matches!(what, Chore::Folder) {
        root.check(&store).await?;
    }
    let paths = match what {
        Chore::Manifest(job, snapshot) => {
            let path = format!("{job}/{MANIFEST}");
            return store.put(&path, encode(&relative(&job, *snapshot))).await;
        }
        Chore::Files(paths) => paths,
        Chore::Folder => {
            let files = store.list("").await?;
            let all = files.into_iter().map(|(path, _)| path).collect();
            store.delete(all).await?;
            return stores.remove_empty(location).await;
        }
        Chore::Orphans(job, orphans) => {
            let files = store.list(job.as_str()).await?;
            let paths = files.into_iter().map(|(path, _)| path);
            let found: Vec<_> = paths.filter(|path| is_orphan(path, &orphans)).collect();
            if !found.is_empty() {
                tracing::info!(code = "ORPHANS_DELETED", %job, files = found.len(), "deleting orphans: state files that nothing refers to");
            }
            found
        }
    };
    store.delete(paths).await
}

/// With the paths of its own files below the folder of the job.
fn relative(job: &JobId, mut snapshot: Snapshot) -> Snapshot {
    let partitions = snapshot.manifest.iter_mut().flat_map(|m| &mut m.partitions);
    let ours = partitions.filter(|p| p.location.is_empty());
    for file in ours.flat_map(|p| &mut p.files) {
        let below = file.path.strip_prefix(job.as_str());
        if let Some(below) = below.and_then(|p| p.strip_prefix('/')) {
            file.path = below.to_owned();
        }
    }
    snapshot
}

/// The name of a state file begins with its epoch.
fn is_orphan(path: &str, orphans: &Orphans) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let epoch = name.split('-').next().and_then(|e| e.parse::<u64>().ok());
    epoch.is_some_and(|epoch| epoch < orphans.before) && !orphans.used.contains(path)
}

#[cfg(test)]
mod tests {
    use kol_common::checkpoint::ABSENT;

    use super::*;

    const IN_USE: &str = "job_1/0/000000000007-1-a.state";
    const LEFT: &str = "job_1/0/000000000008-1-b.state";
    const IN_THE_MAKING: &str = "job_1/0/000000000040-2-c.state";
    const OF_ANOTHER: &str = "job_2/0/000000000001-1-d.state";

    fn orphans() -> Orphans {
        Orphans {
            before: 40,
            used: [IN_USE.to_owned()].into(),
        }
    }

    #[test]
    fn only_older_files_that_nothing_refers_to_are_orphans() {
        let left = |path: &str| is_orphan(path, &orphans());
        assert!(left(LEFT));
        assert!(!left(IN_USE));
        assert!(!left(IN_THE_MAKING));
        assert!(!left("job_1/0/notes.txt"), "not ours");
    }

    #[tokio::test]
    async fn what_is_to_be_deleted_goes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}", folder.path().display());
        let stores = Stores::of_this_machine();
        let store = stores.open(&location).await.unwrap();
        let root = Marker::Cluster(ClusterId::generate());
        root.write(&store).await.unwrap();
        let all = [IN_USE, LEFT, IN_THE_MAKING, OF_ANOTHER];
        for path in all {
            let upload = store.create(path.to_owned());
            upload.finish().await.unwrap();
        }
        let there = || all.map(|path| folder.path().join(path).exists());
        let job = || JobId::from_wire("job_1");
        let orphans = Chore::Orphans(job(), orphans());
        carry_out(&stores, &root, &location, orphans).await.unwrap();
        assert_eq!(there(), [true, false, true, true]);
        let files = Chore::Files(vec![IN_THE_MAKING.to_owned(), LEFT.to_owned()]);
        carry_out(&stores, &root, &location, files).await.unwrap();
        assert_eq!(there(), [true, false, false, true]);
        let other = Marker::Cluster(ClusterId::generate());
        let in_use = || Chore::Files(vec![IN_USE.to_owned()]);
        let refused = carry_out(&stores, &other, &location, in_use()).await;
        assert_eq!(refused.unwrap_err().code, ABSENT);
        carry_out(&stores, &root, &location, in_use())
            .await
            .unwrap();
        assert_eq!(there(), [false, false, false, true]);
    }

    #[tokio::test]
    async fn a_folder_goes_with_everything_in_it_and_nothing_beside_it() {
        let below = tempfile::tempdir().unwrap();
        let stores = Stores::of_this_machine();
        let location = format!("file://{}/sav_1", below.path().display());
        let store = stores.open(&location).await.unwrap();
        for path in ["kol-savepoint", "0/a.state"] {
            store.put(path, b"x".to_vec()).await.unwrap();
        }
        std::fs::write(below.path().join("notes"), b"x").unwrap();
        let root = Marker::Cluster(ClusterId::generate());
        carry_out(&stores, &root, &location, Chore::Folder)
            .await
            .unwrap();
        let left = std::fs::read_dir(below.path()).unwrap();
        let left: Vec<_> = left.map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["notes"]);
    }
}
