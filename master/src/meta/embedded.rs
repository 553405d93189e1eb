//! The store of a single master: one redb file in the state folder. Every commit is synced to disk
//! before it is answered; the blocking work is done on the runtime's blocking threads. After a failed write
//! (a full disk) the file is opened again for the next request: what was committed is there, and writes are
//! taken as soon as there is room.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use kol_common::{KolError, world};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition, TableError};

use super::contract::{Entry, MetaError, MetaStore, Revision, Transaction, Write};

/// Name of the file in the state folder.
const FILE: &str = "meta.redb";
/// Key → (revision, value).
const ENTRIES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("entries");
/// One row: the newest revision given out.
const REVISIONS: TableDefinition<'_, &str, u64> = TableDefinition::new("revisions");
const NEWEST: &str = "newest";

/// A [`MetaStore`] in a file that one process holds open.
#[derive(Clone)]
pub struct EmbeddedStore(Arc<Shared>);

struct Shared {
    /// Opens the database again.
    open: Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>,
    /// `None` after a failure: redb refuses everything after a failed write, also when there is room again.
    database: Mutex<Option<Database>>,
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in `folder`, and makes both when they are not there.
    ///
    /// # Errors
    /// The folder cannot be written, the file is damaged, or another process has it open.
    pub fn open(folder: &Path) -> Result<Self, KolError> {
        let failed = |what: &str, error: String| {
            KolError::external("STATE_STORE", format!("cannot {what}: {error}"))
                .terminal()
                .help(format!(
                    "Give --state-dir a folder that has free space, that this user may write and that no \
                     other master uses (it is {}). What was committed there is kept.",
                    folder.display()
                ))
        };
        std::fs::create_dir_all(folder)
            .map_err(|e| failed("make the state folder", e.to_string()))?;
        let file = folder.join(FILE);
        Self::over(move || Ok(Database::create(&file)?))
            .map_err(|e| failed("open the state store", e.to_string()))
    }

    /// A store in memory, which lasts as long as one of its clones.
    ///
    /// # Errors
    /// There is not enough memory.
    pub fn in_memory() -> Result<Self, redb::Error> {
        let memory = Mutex::new(Some(InMemoryBackend::new()));
        Self::over(move || {
            let unused = memory.lock().unwrap_or_else(PoisonError::into_inner).take();
            // Its content went with the database that failed.
            let backend = unused.ok_or(redb::Error::DatabaseClosed)?;
            Ok(Database::builder().create_with_backend(backend)?)
        })
    }

    fn over(
        open: impl Fn() -> Result<Database, redb::Error> + Send + Sync + 'static,
    ) -> Result<Self, redb::Error> {
        let database = opened(&open)?;
        Ok(Self(Arc::new(Shared {
            open: Box::new(open),
            database: Mutex::new(Some(database)),
        })))
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, MetaError> {
        let shared = Arc::clone(&self.0);
        match world::blocking(move || shared.run(work)).await {
            Some(Ok(value)) => Ok(value),
            Some(Err(Refused::Conflict(key))) => Err(MetaError::Conflict { key }),
            Some(Err(Refused::Failed(error))) => Err(MetaError::Failed(error.to_string())),
            None => Err(MetaError::Failed("it panicked".to_owned())),
        }
    }
}

impl Shared {
    /// Runs `work` on the database, which is opened again if it failed before.
    fn run<T>(&self, work: impl FnOnce(&Database) -> Result<T, Refused>) -> Result<T, Refused> {
        let mut held = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match held.take() {
            Some(database) => database,
            None => opened(&self.open)?,
        };
        let outcome = work(&database);
        if !matches!(outcome, Err(Refused::Failed(_))) {
            *held = Some(database);
        }
        outcome
    }
}

/// With its tables, so that readers find them before the first write.
fn opened(open: &impl Fn() -> Result<Database, redb::Error>) -> Result<Database, redb::Error> {
    let database = open()?;
    let reading = database.begin_read()?;
    let is_new = matches!(
        reading.open_table(ENTRIES),
        Err(TableError::TableDoesNotExist(_))
    );
    drop(reading);
    if is_new {
        let writing = database.begin_write()?;
        writing.open_table(ENTRIES)?;
        writing.open_table(REVISIONS)?;
        writing.commit()?;
    }
    Ok(database)
}

enum Refused {
    Conflict(String),
    Failed(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

#[async_trait]
impl MetaStore for EmbeddedStore {
    async fn get(&self, key: &str) -> Result<Option<Entry>, MetaError> {
        let key = key.to_owned();
        self.blocking(move |database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let found = table.get(key.as_str())?;
            Ok(found.map(|guard| entry(&key, guard.value())))
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Entry>, MetaError> {
        let prefix = prefix.to_owned();
        self.blocking(move |database| {
            let table = database.begin_read()?.open_table(ENTRIES)?;
            let mut entries = Vec::new();
            for row in table.range(prefix.as_str()..)? {
                let (key, value) = row?;
                if !key.value().starts_with(&prefix) {
                    break;
                }
                entries.push(entry(key.value(), value.value()));
            }
            Ok(entries)
        })
        .await
    }

    async fn commit(&self, transaction: Transaction) -> Result<Revision, MetaError> {
        self.blocking(move |database| apply(database, &transaction))
            .await
    }
}

fn entry(key: &str, (revision, value): (u64, &[u8])) -> Entry {
    Entry {
        key: key.to_owned(),
        value: value.to_vec(),
        revision: Revision(revision),
    }
}

/// A write transaction that is dropped before `commit` leaves nothing behind.
fn apply(database: &Database, transaction: &Transaction) -> Result<Revision, Refused> {
    let writing = database.begin_write()?;
    let newest = {
        let mut entries = writing.open_table(ENTRIES)?;
        for (key, expected) in &transaction.expected {
            let found = entries.get(key.as_str())?.map_or(0, |e| e.value().0);
            if Revision(found) != *expected {
                return Err(Refused::Conflict(key.clone()));
            }
        }
        let mut revisions = writing.open_table(REVISIONS)?;
        let newest = revisions.get(NEWEST)?.map_or(0, |r| r.value()) + 1;
        revisions.insert(NEWEST, newest)?;
        for write in &transaction.writes {
            match write {
                Write::Put(key, value) => {
                    entries.insert(key.as_str(), (newest, value.as_slice()))?;
                }
                Write::Delete(key) => {
                    entries.remove(key.as_str())?;
                }
            }
        }
        newest
    };
    writing.commit()?;
    Ok(Revision(newest))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicBool, Ordering};

    use redb::StorageBackend;

    use super::*;

    fn put(key: &str, value: &str, expected: Revision) -> Transaction {
        Transaction {
            expected: vec![(key.into(), expected)],
            writes: vec![Write::Put(key.into(), value.into())],
        }
    }

    #[tokio::test]
    async fn a_write_that_relied_on_an_older_revision_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        let first = store.commit(put("a", "1", Revision::ABSENT)).await.unwrap();
        let second = store.commit(put("a", "2", first)).await.unwrap();
        assert!(second > first);
        let mut stale = put("a", "3", first);
        stale.writes.push(Write::Put("b".into(), b"x".to_vec()));
        assert_eq!(
            store.commit(stale).await,
            Err(MetaError::Conflict { key: "a".into() })
        );
        let entry = store.get("a").await.unwrap().unwrap();
        assert_eq!(
            (entry.value.as_slice(), entry.revision),
            (&b"2"[..], second)
        );
        assert_eq!(store.get("b").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_list_holds_the_keys_of_its_prefix_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        for key in ["job/b", "job/a", "jobs", "aa", "job/c"] {
            store.commit(put(key, key, Revision::ABSENT)).await.unwrap();
        }
        store
            .commit(Transaction {
                expected: vec![],
                writes: vec![Write::Delete("job/c".into())],
            })
            .await
            .unwrap();
        let listed = store.list("job/").await.unwrap();
        let keys: Vec<_> = listed.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(keys, ["job/a", "job/b"]);
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_a_crash_and_what_was_not_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let crashed = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(folder.path()).unwrap();
        let revision = store.commit(put("a", "1", Revision::ABSENT)).await.unwrap();
        // An open write transaction that never commits, and the file as a crash would leave it.
        {
            let held = store.0.database.lock().unwrap();
            let writing = held.as_ref().unwrap().begin_write().unwrap();
            writing
                .open_table(ENTRIES)
                .unwrap()
                .insert("a", (9, &b"torn"[..]))
                .unwrap();
            std::fs::copy(folder.path().join(FILE), crashed.path().join(FILE)).unwrap();
        }
        let after = EmbeddedStore::open(crashed.path()).unwrap();
        let entry = after.get("a").await.unwrap().unwrap();
        assert_eq!(
            (entry.value.as_slice(), entry.revision),
            (&b"1"[..], revision)
        );
        assert!(after.commit(put("a", "2", revision)).await.unwrap() > revision);
    }

    /// A disk that can be full. What was written stays when the database is opened again.
    #[derive(Clone, Debug, Default)]
    struct Disk {
        content: Arc<Mutex<Vec<u8>>>,
        full: Arc<AtomicBool>,
    }

    impl StorageBackend for Disk {
        fn len(&self) -> Result<u64, io::Error> {
            Ok(self.content.lock().unwrap().len() as u64)
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
            let from = offset as usize;
            out.copy_from_slice(&self.content.lock().unwrap()[from..from + out.len()]);
            Ok(())
        }

        fn set_len(&self, len: u64) -> Result<(), io::Error> {
            self.content.lock().unwrap().resize(len as usize, 0);
            Ok(())
        }

        fn sync_data(&self) -> Result<(), io::Error> {
            Ok(())
        }

        fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
            if self.full.load(Ordering::SeqCst) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let from = offset as usize;
            self.content.lock().unwrap()[from..from + data.len()].copy_from_slice(data);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_store_whose_disk_was_full_has_everything_and_takes_writes_when_there_is_room() {
        let disk = Disk::default();
        let backend = disk.clone();
        let open = move || Ok(Database::builder().create_with_backend(backend.clone())?);
        let store = EmbeddedStore::over(open).unwrap();
        let first = store.commit(put("a", "1", Revision::ABSENT)).await.unwrap();
        disk.full.store(true, Ordering::SeqCst);
        for _ in 0..2 {
            let refused = store.commit(put("a", "2", first)).await;
            assert!(matches!(refused, Err(MetaError::Failed(_))), "{refused:?}");
        }
        disk.full.store(false, Ordering::SeqCst);
        let entry = store.get("a").await.unwrap().unwrap();
        assert_eq!((entry.value, entry.revision), (b"1".to_vec(), first));
        let second = store.commit(put("a", "2", first)).await.unwrap();
        assert!(second > first);
    }

    #[test]
    fn a_store_that_another_master_holds_is_refused_with_advice() {
        let folder = tempfile::tempdir().unwrap();
        let _held = EmbeddedStore::open(folder.path()).unwrap();
        let error = EmbeddedStore::open(folder.path()).unwrap_err();
        assert_eq!(error.code, "STATE_STORE");
        assert!(error.help.contains("no other master"), "{error}");
    }
}
