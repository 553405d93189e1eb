//! Whether the places of state files are there: what this executor looks for before it reads or writes in
//! one, and which it does not see now.
//!
//! 1. A folder is looked at each time, because it can be unmounted at any moment; a bucket is believed for
//!    [`BELIEVED`] after a look.
//! 2. A place that is not there is remembered, looked for again each second, and reported to the master,
//!    which gives this executor no partitions that need it. The folder of one job may be away while its root
//!    is there: that concerns no other job, whose looks at the root do not make it forgotten.
//! 3. Damage is believed only where the marker is there and the folder with the state too.
//! 4. A root must have the newest stamp that the master said it has: one without is a copy, and not there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kol_common::checkpoint::marker::{Marker, must_have};
use kol_common::checkpoint::stamp::Stamp;
use kol_common::checkpoint::{ABSENT, DAMAGED, Store, Stores};
use kol_common::proto::{RootStamp, UnseenRoot};
use kol_common::{ClusterId, KolError, SavepointId};
use tokio::time::Instant;

/// How long a bucket is believed to be there.
const BELIEVED: Duration = Duration::from_secs(10);

/// See the module. Cheap to clone; clones share what they know.
#[derive(Clone, Debug)]
pub struct Roots {
    stores: Stores,
    /// This executor's host, for messages.
    host: Arc<str>,
    known: Arc<Mutex<BTreeMap<Place, Known>>>,
    /// What the master said that roots have, by their location.
    stamps: Arc<Mutex<BTreeMap<String, Stamp>>>,
    /// Held by the look that is under way.
    looking: Arc<tokio::sync::Mutex<()>>,
}

/// A place, and what must be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    location: String,
    marker: Marker,
    /// Folder with state, where some was written.
    folder: Option<String>,
}

#[derive(Debug)]
struct Known {
    looked: Instant,
    /// Why it is not there.
    absent: Option<KolError>,
}

impl Place {
    /// A checkpoint root of this cluster.
    pub fn root(location: &str, cluster: &ClusterId) -> Self {
        Self {
            location: location.to_owned(),
            marker: Marker::Cluster(cluster.clone()),
            folder: None,
        }
    }

    /// The folder of a savepoint that is being taken: its last part is the id.
    pub fn savepoint(folder: &str) -> Self {
        let id = folder.rsplit('/').next().unwrap_or_default();
        Self {
            location: folder.to_owned(),
            marker: Marker::Savepoint(SavepointId::from_wire(id)),
            folder: None,
        }
    }

    /// State that another job or another cluster wrote.
    pub fn state(location: &str) -> Self {
        Self {
            location: location.to_owned(),
            marker: Marker::State,
            folder: None,
        }
    }

    fn is_bucket(&self) -> bool {
        self.location.starts_with("s3://")
    }

    /// `stamp` is what a root must have, if that is known.
    async fn look(&self, stores: &Stores, stamp: Option<&Stamp>) -> Result<Store, KolError> {
        let store = stores.present(&self.location).await?;
        self.marker.check(&store).await?;
        if let (Marker::Cluster(_), Some(stamp)) = (&self.marker, stamp) {
            stamp.check(&store).await?;
        }
        if let Some(folder) = &self.folder {
            must_have(&store, folder).await?;
        }
        Ok(store)
    }
}

impl Roots {
    /// Of an executor on this host.
    pub fn new(stores: Stores, host: &str) -> Self {
        Self {
            stores,
            host: host.into(),
            known: Arc::default(),
            stamps: Arc::default(),
            looking: Arc::default(),
        }
    }

    /// The master says what roots have, from now on these only.
    pub fn hold_to(&self, stamps: Vec<RootStamp>) {
        let read = |said: RootStamp| Some((said.location, Stamp::parse(&said.stamp)?));
        *lock(&self.stamps) = stamps.into_iter().filter_map(read).collect();
    }

    /// Opens a place that is there. Nothing is created.
    ///
    /// # Errors
    /// [`ABSENT`] when it is not; the store failed.
    pub async fn open(&self, place: &Place) -> Result<Store, KolError> {
        if place.is_bucket() && self.is_believed(place) {
            return self.stores.present(&place.location).await;
        }
        let stamp = lock(&self.stamps).get(&place.location).cloned();
        let looked = place.look(&self.stores, stamp.as_ref()).await;
        let looked = looked.map_err(|error| self.on_this_host(error));
        self.remember(place, looked.as_ref().err());
        looked
    }

    /// What an error of reading a file means: damage is believed only where everything else is there.
    pub async fn judge(&self, place: &Place, file: &str, error: KolError) -> KolError {
        if error.code != DAMAGED {
            return error;
        }
        let folder = file.split_once('/').map(|(folder, _)| folder.to_owned());
        let with_folder = Place {
            folder: folder.filter(|_| place.marker != Marker::State),
            ..place.clone()
        };
        // The root first: if that is away, so it is for every job.
        for place in [place, &with_folder] {
            self.lock().remove(place);
            match self.open(place).await {
                Err(absent) if absent.code == ABSENT => return absent,
                _ => {}
            }
        }
        error
    }

    /// Looks again for what is not there, unless somebody does so already: a file system may hang.
    pub async fn look_again(&self) {
        let Ok(_looking) = self.looking.try_lock() else {
            return;
        };
        let absent: Vec<Place> = {
            let known = self.lock();
            let absent = known.iter().filter(|(_, k)| k.absent.is_some());
            absent.map(|(place, _)| place.clone()).collect()
        };
        for place in absent {
            if self.open(&place).await.is_ok() {
                tracing::info!(
                    code = "ROOT_PRESENT",
                    location = place.location,
                    "the checkpoint folder is there again"
                );
            }
        }
    }

    /// What is not there now, for the master.
    pub fn unseen(&self) -> Vec<UnseenRoot> {
        let known = self.lock();
        let absent = known
            .iter()
            .filter_map(|(place, k)| Some((place, k.absent.as_ref()?)));
        absent
            .map(|(place, error)| UnseenRoot {
                location: place.location.clone(),
                error: Some(error.to_info()),
                folder: place.folder.clone().unwrap_or_default(),
            })
            .collect()
    }

    fn is_believed(&self, place: &Place) -> bool {
        let known = self.lock();
        let known = known.get(place);
        known.is_some_and(|k| k.absent.is_none() && k.looked.elapsed() < BELIEVED)
    }

    /// An error of the store says nothing about the place, but that it must be looked at again.
    fn remember(&self, place: &Place, error: Option<&KolError>) {
        // A savepoint that is being taken is nobody's root.
        if matches!(place.marker, Marker::Savepoint(_)) {
            return;
        }
        let absent = error.filter(|e| e.code == ABSENT).cloned();
        let mut known = self.lock();
        if error.is_some() && absent.is_none() {
            known.retain(|other, k| k.absent.is_some() || other.location != place.location);
            return;
        }
        let news = known.get(place).is_none_or(|k| k.absent.is_none());
        if let Some(error) = absent.as_ref().filter(|_| news) {
            tracing::warn!(code = "ROOT_ABSENT", %error, "a checkpoint folder is not there: this executor takes no partitions that need it");
        }
        let entry = Known {
            looked: Instant::now(),
            absent,
        };
        known.insert(place.clone(), entry);
    }

    fn on_this_host(&self, mut error: KolError) -> KolError {
        if error.code == ABSENT {
            error.message = format!("{} does not see it: {}", self.host, error.message);
        }
        error
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Known>> {
        lock(&self.known)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use kol_common::checkpoint::marker::CLUSTER_FILE;
    use kol_common::checkpoint::stamp::STAMPS;
    use kol_common::proto::StateFile;

    use super::*;

    /// A marked root with one state file of a job.
    fn root() -> (tempfile::TempDir, Roots, Place) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(CLUSTER_FILE), "clu_1").unwrap();
        std::fs::create_dir(folder.path().join("job_1")).unwrap();
        std::fs::write(folder.path().join("job_1/a"), "state").unwrap();
        let location = format!("file://{}", folder.path().display());
        let place = Place::root(&location, &ClusterId::from_wire("clu_1"));
        let roots = Roots::new(Stores::of_this_machine(), "host7");
        (folder, roots, place)
    }

    fn entries(folder: &std::path::Path) -> usize {
        std::fs::read_dir(folder).map_or(0, Iterator::count)
    }

    #[tokio::test]
    async fn a_folder_that_is_unmounted_while_it_is_used_is_noticed_named_and_seen_again() {
        let (folder, roots, place) = root();
        roots.open(&place).await.unwrap();
        assert_eq!(roots.unseen(), []);
        let aside = folder.path().with_extension("aside");
        std::fs::rename(folder.path(), &aside).unwrap();
        for empty in [false, true] {
            if empty {
                std::fs::create_dir(folder.path()).unwrap();
            }
            let error = roots.open(&place).await.unwrap_err();
            assert_eq!(error.code, ABSENT, "{error}");
            assert!(error.message.contains("host7"), "{error}");
            assert_eq!(entries(folder.path()), 0, "nothing is created");
        }
        roots.look_again().await;
        assert_eq!(roots.unseen().len(), 1);
        assert_eq!(roots.unseen()[0].location, place.location);
        std::fs::remove_dir(folder.path()).unwrap();
        std::fs::rename(&aside, folder.path()).unwrap();
        roots.look_again().await;
        assert_eq!(roots.unseen(), []);
    }

    #[tokio::test]
    async fn damage_is_believed_only_where_marker_and_folder_of_the_job_are_there() {
        let (folder, roots, place) = root();
        let gone = StateFile {
            path: "job_1/b".into(),
            ..StateFile::default()
        };
        let read = async || {
            let stores = Stores::of_this_machine();
            let store = stores.open(&place.location).await.unwrap();
            let error = store.read(&gone).await.unwrap_err();
            assert_eq!(error.code, DAMAGED);
            roots.judge(&place, &gone.path, error).await.code
        };
        assert_eq!(read().await, DAMAGED);
        std::fs::remove_dir_all(folder.path().join("job_1")).unwrap();
        assert_eq!(read().await, ABSENT);
        roots.look_again().await;
        // Another job finds the root, and nothing it needs is away.
        roots.open(&place).await.unwrap();
        let unseen = roots.unseen();
        assert_eq!(unseen.len(), 1, "the marker alone is not enough");
        assert_eq!(unseen[0].folder, "job_1");
        std::fs::remove_file(folder.path().join(CLUSTER_FILE)).unwrap();
        assert_eq!(read().await, ABSENT);
        assert!(roots.unseen().iter().any(|u| u.folder.is_empty()));
    }

    #[tokio::test]
    async fn a_copy_of_the_root_is_not_there_until_the_root_is_in_its_place() {
        let (folder, roots, place) = root();
        let stamps = folder.path().join(STAMPS);
        let said = |stamp: &Stamp| RootStamp {
            location: place.location.clone(),
            stamp: stamp.to_string(),
        };
        let copied = Stamp::after(None);
        std::fs::create_dir(&stamps).unwrap();
        std::fs::write(stamps.join(copied.to_string()), "").unwrap();
        let newer = Stamp::after(Some(&copied));
        roots.hold_to(vec![said(&copied)]);
        roots.open(&place).await.unwrap();
        roots.hold_to(vec![said(&newer)]);
        let error = roots.open(&place).await.unwrap_err();
        assert_eq!(error.code, ABSENT, "{error}");
        assert!(error.message.contains("host7"), "{error}");
        assert!(!error.help.is_empty());
        roots.look_again().await;
        assert_eq!(roots.unseen().len(), 1);
        // Damage in a copy is none.
        let missing = KolError::external(DAMAGED, "it is missing");
        assert_eq!(roots.judge(&place, "job_1/b", missing).await.code, ABSENT);
        std::fs::write(stamps.join(newer.to_string()), "").unwrap();
        roots.look_again().await;
        assert_eq!(roots.unseen(), []);
    }

    #[tokio::test]
    async fn a_root_of_which_the_master_says_nothing_needs_its_marker_only() {
        let (_folder, roots, place) = root();
        let said = |location: &str, stamp: String| RootStamp {
            location: location.to_owned(),
            stamp,
        };
        let newer = Stamp::after(None).to_string();
        roots.hold_to(vec![said(&place.location, newer.clone())]);
        roots.open(&place).await.unwrap_err();
        roots.hold_to(vec![said("file:///elsewhere", newer)]);
        roots.look_again().await;
        assert_eq!(roots.unseen(), []);
        roots.hold_to(vec![said(&place.location, "of a later version".to_owned())]);
        roots.open(&place).await.unwrap();
    }

    #[tokio::test]
    async fn state_from_elsewhere_needs_a_manifest_and_no_marker_of_this_cluster() {
        let (folder, roots, _) = root();
        let savepoint = folder.path().join("sav_1");
        let place = Place::state(&format!("file://{}", savepoint.display()));
        assert_eq!(roots.open(&place).await.unwrap_err().code, ABSENT);
        std::fs::create_dir(&savepoint).unwrap();
        std::fs::write(savepoint.join("manifest"), "x").unwrap();
        roots.open(&place).await.unwrap();
        let taken = Place::savepoint(&place.location);
        assert_eq!(roots.open(&taken).await.unwrap_err().code, ABSENT);
        std::fs::write(savepoint.join("kol-savepoint"), "sav_1").unwrap();
        roots.open(&taken).await.unwrap();
    }
}
