//! What a place of state files carries so that nobody takes an empty folder for it: a folder that is not
//! mounted looks like one whose files are lost.
//!
//! 1. A checkpoint root has a file with the id of its cluster, a savepoint that is being taken one with the
//!    id of the savepoint. The master writes them; an executor looks before it reads or writes.
//! 2. Without the file, or with another content, the place is unavailable ([`ABSENT`]). Then nothing is
//!    created there, and nothing is called damaged.
//! 3. The master writes the marker of a root once, and remembers that. A root that has lost it is not
//!    there, or was emptied by a person: it is never marked a second time.
//! 4. A copy of a root has the marker, too: see [`stamp`](super::stamp).

use super::snapshot::MANIFEST;
use super::stamp::{Renewal, Renewed};
use super::store::{ABSENT, Store, absent};
use super::stores::Stores;
use crate::{ClusterId, KolError, SavepointId};

/// File with the id of the cluster, in a checkpoint root.
pub const CLUSTER_FILE: &str = "kol-cluster";
/// File with the id of the savepoint, in a folder that the master made for one.
pub const SAVEPOINT_FILE: &str = "kol-savepoint";

/// What a place must carry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    /// The id of this cluster.
    Cluster(ClusterId),
    /// The id of this savepoint.
    Savepoint(SavepointId),
    /// State of some kind: the marker of any cluster, or a manifest. For reading what others wrote.
    State,
}

impl Marker {
    /// Whether a place carries it.
    ///
    /// # Errors
    /// [`ABSENT`] if not; the store failed.
    pub async fn check(&self, store: &Store) -> Result<(), KolError> {
        let (file, id) = match self {
            Self::Cluster(id) => (CLUSTER_FILE, id.as_str()),
            Self::Savepoint(id) => (SAVEPOINT_FILE, id.as_str()),
            Self::State => return check_state(store).await,
        };
        let place = store.location();
        match store.get(file).await? {
            None => Err(absent(format!("`{place}` has no file `{file}` with {id}"))),
            Some(found) if found.trim_ascii() == id.as_bytes() => Ok(()),
            Some(found) => Err(foreign(place, file, id, &found)),
        }
    }

    /// Writes it.
    ///
    /// # Errors
    /// The store refuses it.
    pub async fn write(&self, store: &Store) -> Result<(), KolError> {
        match self {
            Self::Cluster(id) => store.put(CLUSTER_FILE, id.as_str().into()).await,
            Self::Savepoint(id) => store.put(SAVEPOINT_FILE, id.as_str().into()).await,
            Self::State => Ok(()),
        }
    }
}

async fn check_state(store: &Store) -> Result<(), KolError> {
    for file in [CLUSTER_FILE, MANIFEST] {
        if store.get(file).await?.is_some() {
            return Ok(());
        }
    }
    let place = store.location();
    let what = format!("`{place}` has neither a file `{MANIFEST}` nor a file `{CLUSTER_FILE}`");
    Err(absent(what))
}

/// A checkpoint root that the master may have to mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// URL of the root, as jobs name it.
    pub location: String,
    /// Whose it is.
    pub cluster: ClusterId,
    /// It was marked before.
    pub marked: bool,
    /// Folders with state that an earlier version wrote there, before there were markers.
    pub holds: Vec<String>,
    /// What becomes of its stamps.
    pub renewal: Renewal,
}

/// The cluster that a root is marked with, if any.
///
/// # Errors
/// The store failed.
pub async fn cluster_of(stores: &Stores, location: &str) -> Result<Option<ClusterId>, KolError> {
    let store = match stores.present(location).await {
        Err(error) if error.code == ABSENT => return Ok(None),
        other => other?,
    };
    let found = store.get(CLUSTER_FILE).await?;
    let id = found.map(|id| String::from_utf8_lossy(id.trim_ascii()).into_owned());
    Ok(id
        .filter(|id| ClusterId::is_one(id))
        .map(ClusterId::from_wire))
}

/// Makes sure that a root carries the marker of its cluster, which is written where it never was, and renews its
/// stamps.
///
/// # Errors
/// [`ABSENT`] when the root is not there, another cluster's or a copy; the store failed.
pub async fn claim(stores: &Stores, claim: Claim) -> Result<Renewed, KolError> {
    let root = marked(stores, &claim).await?;
    claim.renewal.carry_out(&root).await
}

async fn marked(stores: &Stores, claim: &Claim) -> Result<Store, KolError> {
    let marker = Marker::Cluster(claim.cluster.clone());
    if claim.marked {
        let checked = async {
            let store = stores.present(&claim.location).await?;
            marker.check(&store).await.map(|()| store)
        };
        return checked.await.map_err(|error| restorable(error, claim));
    }
    if !claim.holds.is_empty() {
        let store = stores.present(&claim.location).await?;
        if store.get(CLUSTER_FILE).await?.is_some() {
            marker.check(&store).await?;
            return Ok(store);
        }
        for folder in &claim.holds {
            must_have(&store, folder).await?;
        }
        marker.write(&store).await?;
        return Ok(store);
    }
    let store = stores.open(&claim.location).await?;
    if store.get(CLUSTER_FILE).await?.is_none() {
        marker.write(&store).await?;
    }
    marker.check(&store).await?;
    Ok(store)
}

/// Whether a folder below a place has any file.
///
/// # Errors
/// [`ABSENT`] if not; the store failed.
pub async fn must_have(store: &Store, folder: &str) -> Result<(), KolError> {
    if store.list(folder).await?.is_empty() {
        let place = store.location();
        let what = format!("`{place}` has no state in the folder `{folder}`");
        return Err(absent(what));
    }
    Ok(())
}

fn foreign(place: &str, file: &str, id: &str, found: &[u8]) -> KolError {
    let found: String = String::from_utf8_lossy(found)
        .trim()
        .chars()
        .take(64)
        .collect();
    let what = format!("the file `{file}` in `{place}` names {found}, and not {id}");
    KolError::external(ABSENT, what).help(
        "Another cluster keeps its state there, or another folder is mounted: correct the mount, or give \
         this cluster a --checkpoint-root of its own. If the other cluster no longer exists, delete \
         that file.",
    )
}

fn restorable(error: KolError, claim: &Claim) -> KolError {
    if error.code != ABSENT {
        return error;
    }
    let Claim {
        location, cluster, ..
    } = claim;
    let help = format!(
        "On the host of kol-master: {} If it is the right folder and only the file is gone, write `{cluster}` \
         into {location}/{CLUSTER_FILE}.",
        error.help
    );
    error.help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claimed(location: &str, marked: bool, holds: &[&str]) -> Claim {
        Claim {
            location: location.to_owned(),
            cluster: ClusterId::from_wire("clu_1"),
            marked,
            holds: holds.iter().map(|&f| f.to_owned()).collect(),
            renewal: Renewal::default(),
        }
    }

    #[tokio::test]
    async fn a_root_is_marked_once_and_never_where_it_is_not_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        let location = format!("file://{}", root.display());
        let stores = Stores::of_this_machine();
        claim(&stores, claimed(&location, false, &[]))
            .await
            .unwrap();
        claim(&stores, claimed(&location, true, &[])).await.unwrap();
        // Not mounted: nothing, then an empty folder.
        std::fs::remove_dir_all(&root).unwrap();
        for empty in [false, true] {
            if empty {
                std::fs::create_dir(&root).unwrap();
            }
            let error = claim(&stores, claimed(&location, true, &[]))
                .await
                .unwrap_err();
            assert_eq!(error.code, ABSENT, "{error}");
            assert!(error.help.contains("clu_1"), "{error}");
            assert_eq!(root.exists(), empty);
            assert!(!root.join(CLUSTER_FILE).exists());
        }
    }

    #[tokio::test]
    async fn a_root_of_another_cluster_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}", folder.path().display());
        std::fs::write(folder.path().join(CLUSTER_FILE), "clu_2\n").unwrap();
        let stores = Stores::of_this_machine();
        for marked in [false, true] {
            let taken = claim(&stores, claimed(&location, marked, &[])).await;
            let error = taken.unwrap_err();
            assert_eq!(error.code, ABSENT);
            assert!(error.message.contains("clu_2"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_root_from_before_there_were_markers_is_marked_where_its_jobs_have_state() {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}", folder.path().display());
        let stores = Stores::of_this_machine();
        let old = claimed(&location, false, &["job_1"]);
        assert_eq!(claim(&stores, old.clone()).await.unwrap_err().code, ABSENT);
        assert!(!folder.path().join(CLUSTER_FILE).exists());
        std::fs::create_dir(folder.path().join("job_1")).unwrap();
        std::fs::write(folder.path().join("job_1/manifest"), "x").unwrap();
        claim(&stores, old.clone()).await.unwrap();
        let store = stores.present(&location).await.unwrap();
        Marker::Cluster(old.cluster).check(&store).await.unwrap();
        Marker::State.check(&store).await.unwrap();
    }
}
