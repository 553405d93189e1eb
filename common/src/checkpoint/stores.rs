//! Opens checkpoint locations. One [`Stores`] is made in `main` and handed to whoever reads or writes
//! state files; a simulation makes one over folders in memory.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::prefix::PrefixStore;
use tokio::time::timeout;

use super::location::Location;
use super::s3::Buckets;
use super::store::{DEADLINE, Store, UNAVAILABLE, help};
use crate::{KolError, world};

/// What holds the objects of locations. Its functions may block for long: [`Stores`] calls them beside
/// the actors.
pub trait Backend: fmt::Debug + Send + Sync {
    /// A folder as a store of objects, created if it does not exist.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn folder(&self, path: &Path) -> Result<Arc<dyn ObjectStore>, String>;

    /// Whether a folder exists.
    fn has_folder(&self, path: &Path) -> bool;

    /// A bucket as a store of objects; it must exist.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>, String>;
}

/// Opens locations. Cheap to clone; clones share the connections to buckets.
#[derive(Clone, Debug)]
pub struct Stores(Arc<dyn Backend>);

impl Stores {
    /// Over a given backend.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self(backend)
    }

    /// Over this machine's file system, and S3 as its environment variables describe it.
    pub fn of_this_machine() -> Self {
        Self::new(Arc::new(ThisMachine::default()))
    }

    /// Opens a location; a folder is created if it does not exist.
    ///
    /// # Errors
    /// [`UNAVAILABLE`] when it cannot be reached or written; `CHECKPOINT_LOCATION` when it is not a
    /// location.
    pub async fn open(&self, location: &str) -> Result<Store, KolError> {
        let place: Location = location.parse()?;
        let refused = |why: String| {
            KolError::external(UNAVAILABLE, format!("cannot use `{location}`: {why}"))
                .help(help(location))
        };
        let backend = Arc::clone(&self.0);
        // A file system that hangs holds up a thread of its own, not the actors.
        let opening = world::blocking(move || connect(backend.as_ref(), &place));
        let opened = timeout(DEADLINE, opening).await;
        let opened = opened.map_err(|_| refused(format!("no answer within {DEADLINE:?}")))?;
        let opened = opened.ok_or_else(|| refused("opening it panicked".to_owned()))?;
        Ok(Store::over(location, opened.map_err(refused)?))
    }

    /// Opens a location that must exist already, to read from it.
    ///
    /// # Errors
    /// As [`Stores::open`]; `SAVEPOINT_NOT_FOUND` when it does not exist.
    pub async fn existing(&self, location: &str) -> Result<Store, KolError> {
        let exists = match location.parse()? {
            Location::Folder(path) => {
                let backend = Arc::clone(&self.0);
                let look = world::blocking(move || backend.has_folder(&path));
                !matches!(timeout(DEADLINE, look).await, Ok(Some(false)))
            }
            // A folder of a bucket exists when something lies in it.
            Location::Bucket { .. } => self.open(location).await?.has_files().await?,
        };
        if !exists {
            let what = format!("`{location}` does not exist");
            return Err(KolError::user("SAVEPOINT_NOT_FOUND", what)
                .help("Name a folder that master and executors can read."));
        }
        self.open(location).await
    }
}

fn connect(backend: &dyn Backend, place: &Location) -> Result<Arc<dyn ObjectStore>, String> {
    match place {
        Location::Folder(path) => backend.folder(path),
        Location::Bucket { bucket, path } => {
            let objects = backend.bucket(bucket)?;
            Ok(Arc::new(PrefixStore::new(objects, path.as_str())))
        }
    }
}

/// Folders of this machine, and buckets over its network.
#[derive(Debug, Default)]
struct ThisMachine {
    buckets: Buckets,
}

impl Backend for ThisMachine {
    fn folder(&self, path: &Path) -> Result<Arc<dyn ObjectStore>, String> {
        std::fs::create_dir_all(path).map_err(|e| e.to_string())?;
        let folder = LocalFileSystem::new_with_prefix(path).map_err(|e| e.to_string())?;
        Ok(Arc::new(folder.with_fsync(true)))
    }

    fn has_folder(&self, path: &Path) -> bool {
        path.exists()
    }

    fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>, String> {
        self.buckets.open(name)
    }
}
