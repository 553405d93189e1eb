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
use super::store::{DEADLINE, Store, UNAVAILABLE, absent, help};
use crate::{KolError, world};

/// What holds the objects of locations. Its functions may block for long: [`Stores`] calls them beside
/// the actors.
pub trait Backend: fmt::Debug + Send + Sync {
    /// A folder as a store of objects, created if it does not exist.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn folder(&self, path: &Path) -> Result<Arc<dyn ObjectStore>, String>;

    /// A folder as a store of objects; `None` if it does not exist.
    ///
    /// # Errors
    /// Why it cannot be used.
    fn existing_folder(&self, path: &Path) -> Result<Option<Arc<dyn ObjectStore>>, String>;

    /// Removes a folder in which no file lies, also below it.
    ///
    /// # Errors
    /// Why it cannot be removed: a file lies in it, or it does not exist.
    fn remove_empty(&self, path: &Path) -> Result<(), String>;

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
        let opened = self.opened(location, true).await?;
        opened.ok_or_else(|| refused(location, "it is not there"))
    }

    /// Opens a location where nothing may be created.
    ///
    /// # Errors
    /// As [`Stores::open`]; [`super::ABSENT`] when it is a folder that does not exist.
    pub async fn present(&self, location: &str) -> Result<Store, KolError> {
        let error = || absent(format!("the folder `{location}` does not exist"));
        self.opened(location, false).await?.ok_or_else(error)
    }

    /// Removes a folder in which no file lies any longer; in a bucket there is nothing to remove then.
    ///
    /// # Errors
    /// [`UNAVAILABLE`] when it cannot be removed, for example because a file lies in it.
    pub async fn remove_empty(&self, location: &str) -> Result<(), KolError> {
        let Location::Folder(path) = location.parse()? else {
            return Ok(());
        };
        let backend = Arc::clone(&self.0);
        let removal = world::blocking(move || backend.remove_empty(&path));
        let late = |_| refused(location, &format!("no answer within {DEADLINE:?}"));
        let removed = timeout(DEADLINE, removal).await.map_err(late)?;
        let removed = removed.ok_or_else(|| refused(location, "removing it panicked"))?;
        removed.map_err(|why| refused(location, &why))
    }

    /// `None` when it does not exist and is not to be created.
    async fn opened(&self, location: &str, create: bool) -> Result<Option<Store>, KolError> {
        let place: Location = location.parse()?;
        let backend = Arc::clone(&self.0);
        // A file system that hangs holds up a thread of its own, not the actors.
        let opening = world::blocking(move || connect(backend.as_ref(), &place, create));
        let late = |_| refused(location, &format!("no answer within {DEADLINE:?}"));
        let opened = timeout(DEADLINE, opening).await.map_err(late)?;
        let opened = opened.ok_or_else(|| refused(location, "opening it panicked"))?;
        let objects = opened.map_err(|why| refused(location, &why))?;
        Ok(objects.map(|objects| Store::over(location, objects)))
    }

    /// Opens a location that must exist already, to read from it.
    ///
    /// # Errors
    /// As [`Stores::open`]; `SAVEPOINT_NOT_FOUND` when it does not exist.
    pub async fn existing(&self, location: &str) -> Result<Store, KolError> {
        if let Some(store) = self.opened(location, false).await? {
            // A folder of a bucket exists when something lies in it.
            let is_folder = matches!(location.parse()?, Location::Folder(_));
            if is_folder || store.has_files().await? {
                return Ok(store);
            }
        }
        let what = format!("`{location}` does not exist");
        Err(KolError::user("SAVEPOINT_NOT_FOUND", what)
            .help("Name a folder that master and executors can read."))
    }
}

fn refused(location: &str, why: &str) -> KolError {
    KolError::external(UNAVAILABLE, format!("cannot use `{location}`: {why}")).help(help(location))
}

type Opened = Option<Arc<dyn ObjectStore>>;

fn connect(backend: &dyn Backend, place: &Location, create: bool) -> Result<Opened, String> {
    match place {
        Location::Folder(path) if create => backend.folder(path).map(Some),
        Location::Folder(path) => backend.existing_folder(path),
        Location::Bucket { bucket, path } => {
            let objects = backend.bucket(bucket)?;
            Ok(Some(Arc::new(PrefixStore::new(objects, path.as_str()))))
        }
    }
}

fn local(path: &Path) -> Result<Arc<dyn ObjectStore>, String> {
    let folder = LocalFileSystem::new_with_prefix(path).map_err(|e| e.to_string())?;
    Ok(Arc::new(folder.with_fsync(true)))
}

/// Only folders go: `remove_dir` refuses one in which anything is left.
fn remove_folders(path: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_folders(&entry.path())?;
        }
    }
    std::fs::remove_dir(path)
}

/// Folders of this machine, and buckets over its network.
#[derive(Debug, Default)]
struct ThisMachine {
    buckets: Buckets,
}

impl Backend for ThisMachine {
    fn folder(&self, path: &Path) -> Result<Arc<dyn ObjectStore>, String> {
        std::fs::create_dir_all(path).map_err(|e| e.to_string())?;
        local(path)
    }

    fn existing_folder(&self, path: &Path) -> Result<Opened, String> {
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Ok(None),
            Err(e) => {
                use std::io::ErrorKind::{NotADirectory, NotFound};
                let absent = matches!(e.kind(), NotFound | NotADirectory);
                return if absent { Ok(None) } else { Err(e.to_string()) };
            }
        }
        local(path).map(Some)
    }

    fn remove_empty(&self, path: &Path) -> Result<(), String> {
        remove_folders(path).map_err(|e| e.to_string())
    }

    fn bucket(&self, name: &str) -> Result<Arc<dyn ObjectStore>, String> {
        self.buckets.open(name)
    }
}
