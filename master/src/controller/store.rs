//! Jobs in the meta store: `job/{id}` holds a record, `generation/{name}` the newest generation ever
//! given out under a job name, which outlives the jobs. `checkpoint/{id}/{epoch}` holds a committed
//! epoch, `head/{id}` the newest one: an epoch is committed by replacing that one, if it is what this
//! master left there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kol_common::proto::Manifest;
use kol_common::{JobId, KolError};
use prost::Message as _;
use serde::de::DeserializeOwned;

use crate::checkpoint::Commit;
use crate::job::JobRecord;
use crate::job::record::VERSION;
use crate::meta::{Entry, MetaError, MetaStore, Revision, Transaction, Write};

const JOBS: &str = "job/";
const GENERATIONS: &str = "generation/";
const CHECKPOINTS: &str = "checkpoint/";
const HEADS: &str = "head/";
/// Attempts to write, and the pause after each.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// A job as the store has it, with its committed epochs, oldest first.
pub type Stored = (JobRecord, Vec<Manifest>);

/// The jobs' part of the meta store. It is the only writer of its keys: a conflict means that another
/// master works on the same store.
pub struct JobStore {
    meta: Arc<dyn MetaStore>,
    revisions: BTreeMap<String, Revision>,
    generations: BTreeMap<String, u64>,
}

impl JobStore {
    /// Reads everything.
    ///
    /// # Errors
    /// The store failed, or holds what this version cannot read.
    pub async fn load(meta: Arc<dyn MetaStore>) -> Result<(Self, Vec<Stored>), KolError> {
        let mut store = Self {
            meta,
            revisions: BTreeMap::new(),
            generations: BTreeMap::new(),
        };
        for entry in store.meta.list(GENERATIONS).await.map_err(failed)? {
            let name = entry.key.trim_start_matches(GENERATIONS).to_owned();
            store.generations.insert(name, read(&entry)?);
            store.revisions.insert(entry.key, entry.revision);
        }
        for entry in store.meta.list(HEADS).await.map_err(failed)? {
            store.revisions.insert(entry.key, entry.revision);
        }
        let mut jobs = Vec::new();
        for entry in store.meta.list(JOBS).await.map_err(failed)? {
            let record = read_job(&entry)?;
            let checkpoints = store.meta.list(&checkpoints_of(&record.id)).await;
            let checkpoints = checkpoints.map_err(failed)?;
            let checkpoints = checkpoints
                .iter()
                .map(read_manifest)
                .collect::<Result<_, _>>()?;
            jobs.push((record, checkpoints));
            store.revisions.insert(entry.key, entry.revision);
        }
        Ok((store, jobs))
    }

    /// The newest generation given out under this name; 0 when there was none.
    pub fn generation(&self, name: &str) -> u64 {
        self.generations.get(name).copied().unwrap_or(0)
    }

    /// Makes a job's record durable.
    ///
    /// # Errors
    /// The store failed for as long as it was tried, or another master writes to it: nothing may be
    /// decided any more.
    pub async fn save(&mut self, record: &JobRecord) -> Result<(), KolError> {
        let mut transaction = Transaction::default();
        let mut keys = vec![format!("{JOBS}{}", record.id)];
        transaction.writes.push(put(&keys[0], record)?);
        let name = &record.spec.name;
        if record.generation > self.generation(name) {
            let key = format!("{GENERATIONS}{name}");
            transaction.writes.push(put(&key, &record.generation)?);
            keys.push(key);
        }
        let revision = self.write(transaction, &keys).await?;
        for key in keys {
            self.revisions.insert(key, revision);
        }
        let newest = self.generation(name).max(record.generation);
        self.generations.insert(name.clone(), newest);
        Ok(())
    }

    /// Commits an epoch: its manifest becomes the newest, and those that are not kept go.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn commit(&mut self, job: &JobId, commit: &Commit) -> Result<(), KolError> {
        let folder = checkpoints_of(job);
        let place = |epoch: u64| format!("{folder}{epoch:020}");
        let head = format!("{HEADS}{job}");
        let epoch = commit.manifest.epoch;
        let mut writes = vec![
            Write::Put(head.clone(), epoch.to_string().into_bytes()),
            Write::Put(place(epoch), commit.manifest.encode_to_vec()),
        ];
        writes.extend(
            commit
                .forgotten
                .iter()
                .map(|old| Write::Delete(place(*old))),
        );
        let transaction = Transaction {
            expected: Vec::new(),
            writes,
        };
        let revision = self.write(transaction, std::slice::from_ref(&head)).await?;
        self.revisions.insert(head, revision);
        Ok(())
    }

    /// Forgets a job that is over, and its checkpoints.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn remove(&mut self, id: &JobId) -> Result<(), KolError> {
        let keys = [format!("{JOBS}{id}"), format!("{HEADS}{id}")];
        let checkpoints = self.meta.list(&checkpoints_of(id)).await.map_err(failed)?;
        let gone = keys
            .iter()
            .cloned()
            .chain(checkpoints.into_iter().map(|e| e.key));
        let transaction = Transaction {
            expected: Vec::new(),
            writes: gone.map(Write::Delete).collect(),
        };
        self.write(transaction, &keys).await?;
        for key in keys {
            self.revisions.remove(&key);
        }
        Ok(())
    }

    /// Writes if `keys` are as this master left them; tries again while the store fails.
    async fn write(
        &self,
        mut transaction: Transaction,
        keys: &[String],
    ) -> Result<Revision, KolError> {
        let revision = |key| self.revisions.get(key).copied().unwrap_or_default();
        transaction.expected = keys.iter().map(|k| (k.clone(), revision(k))).collect();
        let mut attempt = 1;
        loop {
            match self.meta.commit(transaction.clone()).await {
                Ok(revision) => return Ok(revision),
                Err(MetaError::Failed(error)) if attempt < ATTEMPTS => {
                    tracing::warn!(%error, attempt, "the state store does not take a write: trying again");
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn checkpoints_of(job: &JobId) -> String {
    format!("{CHECKPOINTS}{job}/")
}

fn read_manifest(entry: &Entry) -> Result<Manifest, KolError> {
    Manifest::decode(&*entry.value).map_err(|e| {
        KolError::internal("STATE_STORE", format!("cannot read `{}`: {e}", entry.key))
            .help("Start the version of kol-master that wrote it, or another --state-dir.")
    })
}

fn failed(error: MetaError) -> KolError {
    let help = match error {
        MetaError::Conflict { .. } => "Run one master on one state folder only.",
        MetaError::Failed(_) => {
            "Check the disk of --state-dir; executors go on meanwhile, and a master that is started \
             again adopts them."
        }
    };
    KolError::external("STATE_STORE", error.to_string())
        .terminal()
        .help(help)
}

fn put(key: &str, value: &impl serde::Serialize) -> Result<Write, KolError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|e| KolError::internal("STATE_STORE", format!("cannot write `{key}`: {e}")))?;
    Ok(Write::Put(key.to_owned(), bytes))
}

fn read<T: DeserializeOwned>(entry: &Entry) -> Result<T, KolError> {
    serde_json::from_slice(&entry.value).map_err(|e| {
        KolError::internal("STATE_STORE", format!("cannot read `{}`: {e}", entry.key))
            .help("Start the version of kol-master that wrote it, or another --state-dir.")
    })
}

fn read_job(entry: &Entry) -> Result<JobRecord, KolError> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let Versioned { version } = read(entry)?;
    if version > VERSION {
        return Err(KolError::user(
            "STATE_STORE",
            format!(
                "`{}` was written by a newer kol-master (version {version}; this one reads \
                 {VERSION})",
                entry.key
            ),
        )
        .help("Start the newer kol-master."));
    }
    read(entry)
}

#[cfg(test)]
mod tests {
    use kol_common::Millis;

    use super::*;
    use crate::meta::EmbeddedStore;
    use crate::testing::spec;

    fn record(name: &str, generation: u64) -> JobRecord {
        let mut record = JobRecord::new(JobId::generate(), spec(name), vec![], Millis(5));
        record.generation = generation;
        record
    }

    #[tokio::test]
    async fn jobs_and_generations_are_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let meta = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let (mut store, none) = JobStore::load(meta.clone()).await.unwrap();
        assert_eq!(none, []);
        let (kept, removed) = (record("a", 3), record("a", 7));
        store.save(&kept).await.unwrap();
        store.save(&removed).await.unwrap();
        store.remove(&removed.id).await.unwrap();
        let (store, found) = JobStore::load(meta).await.unwrap();
        assert_eq!(found, [(kept, vec![])]);
        assert_eq!(store.generation("a"), 7, "generations outlive their jobs");
        assert_eq!(store.generation("b"), 0);
    }

    #[tokio::test]
    async fn committed_epochs_are_there_after_a_restart_without_those_that_were_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let meta = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
        let job = record("a", 1);
        store.save(&job).await.unwrap();
        let commit = |epoch: u64, forgotten: &[u64]| Commit {
            manifest: Manifest {
                epoch,
                ..Manifest::default()
            },
            forgotten: forgotten.to_vec(),
            sweep: None,
        };
        for (epoch, forgotten) in [(9, &[][..]), (10, &[]), (11, &[9])] {
            store
                .commit(&job.id, &commit(epoch, forgotten))
                .await
                .unwrap();
        }
        let (mut other, found) = JobStore::load(meta.clone()).await.unwrap();
        let epochs: Vec<u64> = found[0].1.iter().map(|m| m.epoch).collect();
        assert_eq!(epochs, [10, 11]);
        other.commit(&job.id, &commit(12, &[])).await.unwrap();
        let late = store.commit(&job.id, &commit(13, &[])).await;
        assert!(late.is_err(), "another master has committed meanwhile");
        other.remove(&job.id).await.unwrap();
        assert_eq!(meta.list("").await.unwrap().len(), 1, "its generation");
    }

    #[tokio::test]
    async fn a_second_writer_is_noticed_and_a_newer_version_is_not_misread() {
        let folder = tempfile::tempdir().unwrap();
        let meta = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let (mut one, _) = JobStore::load(meta.clone()).await.unwrap();
        let mut job = record("a", 0);
        one.save(&job).await.unwrap();
        let (mut two, _) = JobStore::load(meta.clone()).await.unwrap();
        one.save(&job).await.unwrap();
        let error = two.save(&job).await.unwrap_err();
        assert!(error.help.contains("one master"), "{error}");
        job.version = VERSION + 1;
        one.save(&job).await.unwrap();
        let error = JobStore::load(meta).await.err().unwrap();
        assert!(error.message.contains("newer kol-master"), "{error}");
    }
}
