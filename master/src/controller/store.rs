//! Jobs in the meta store: `job/{id}` holds a record, `generation/{name}` the newest generation ever
//! given out under a job name, which outlives the jobs. A new one is newer than those of all names:
//! another job may have written the same rankings. `checkpoint/{id}/{epoch}` holds a committed
//! epoch, `head/{id}` the newest one: an epoch is committed by replacing that one, if it is what this
//! master left there. `savepoint/{id}` holds a savepoint that is complete, and `root/{location}` says that a
//! checkpoint root was marked with the cluster's id, and holds the stamp that it must have. `deletion/{id}` holds the
//! place of files of a job or a savepoint that is forgotten, until they are deleted. `drain/{id}` says whether a person has
//! an executor drained, until that is gone.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::checkpoint::stamp::Stamp;
use kol_common::proto::{Manifest, Savepoint};
use kol_common::{ClusterId, ExecutorId, JobId, KolError, SavepointId, StoreId};
use prost::Message as _;

use super::entries::{decode, failed, put, read, read_job};
use super::identity::{cluster_of, store_of};
use crate::checkpoint::Commit;
use crate::checkpoint::deletion::Deletion;
use crate::election::LeaderStore;
use crate::job::JobRecord;
use crate::meta::{Entry, MetaError, MetaStore, Revision, Transaction, Write};

const JOBS: &str = "job/";
const GENERATIONS: &str = "generation/";
const CHECKPOINTS: &str = "checkpoint/";
const HEADS: &str = "head/";
const SAVEPOINTS: &str = "savepoint/";
const DELETIONS: &str = "deletion/";
const ROOTS: &str = "root/";
const DRAINS: &str = "drain/";
/// Attempts to write, and the pause after each.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(500);

/// A job as the store has it, with its committed epochs, oldest first.
pub type Stored = (JobRecord, Vec<Manifest>);

/// The jobs' part of the meta store. It is the only writer of its keys: a conflict means that another
/// master works on the same store, or leads by now.
pub struct JobStore {
    meta: LeaderStore,
    revisions: BTreeMap<String, Revision>,
    generations: BTreeMap<String, u64>,
    /// Savepoints by id.
    savepoints: BTreeMap<String, Savepoint>,
    /// By the id of what was forgotten.
    deletions: BTreeMap<String, Deletion>,
    /// What people said last of executors.
    drains: BTreeMap<ExecutorId, bool>,
    cluster: ClusterId,
    id: StoreId,
    /// Locations that carry the marker of the cluster, and the stamps that they must have.
    roots: BTreeMap<String, Option<Stamp>>,
}

impl JobStore {
    /// Reads everything.
    ///
    /// # Errors
    /// The store failed, or holds what this version cannot read.
    pub async fn load(meta: LeaderStore) -> Result<(Self, Vec<Stored>), KolError> {
        let mut store = Self {
            cluster: cluster_of(&meta).await?,
            id: store_of(&meta).await?,
            meta,
            revisions: BTreeMap::new(),
            generations: BTreeMap::new(),
            savepoints: BTreeMap::new(),
            deletions: BTreeMap::new(),
            drains: BTreeMap::new(),
            roots: BTreeMap::new(),
        };
        for entry in store.meta.reader().list(DRAINS).await.map_err(failed)? {
            let id = ExecutorId::from_wire(entry.key.trim_start_matches(DRAINS));
            store.drains.insert(id, read(&entry)?);
            store.revisions.insert(entry.key, entry.revision);
        }
        for entry in store.meta.reader().list(ROOTS).await.map_err(failed)? {
            let location = entry.key.trim_start_matches(ROOTS).to_owned();
            let stamp = Stamp::parse(&String::from_utf8_lossy(&entry.value));
            store.roots.insert(location, stamp);
            store.revisions.insert(entry.key, entry.revision);
        }
        for entry in store
            .meta
            .reader()
            .list(GENERATIONS)
            .await
            .map_err(failed)?
        {
            let name = entry.key.trim_start_matches(GENERATIONS).to_owned();
            store.generations.insert(name, read(&entry)?);
            store.revisions.insert(entry.key, entry.revision);
        }
        for entry in store.meta.reader().list(HEADS).await.map_err(failed)? {
            store.revisions.insert(entry.key, entry.revision);
        }
        for (entry, savepoint) in saved(store.meta.reader()).await? {
            store.savepoints.insert(savepoint.id.clone(), savepoint);
            store.revisions.insert(entry.key, entry.revision);
        }
        for entry in store.meta.reader().list(DELETIONS).await.map_err(failed)? {
            let id = entry.key.trim_start_matches(DELETIONS).to_owned();
            store.deletions.insert(id, read(&entry)?);
            store.revisions.insert(entry.key, entry.revision);
        }
        let mut jobs = Vec::new();
        for (entry, job) in stored(store.meta.reader()).await? {
            jobs.push(job);
            store.revisions.insert(entry.key, entry.revision);
        }
        Ok((store, jobs))
    }

    /// The term in which it is written.
    pub fn term(&self) -> u64 {
        self.meta.term()
    }

    /// The store itself: another one may continue as the same cluster.
    pub fn id(&self) -> &StoreId {
        &self.id
    }

    /// The cluster that this store makes.
    pub fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// Whether a checkpoint root was marked before.
    pub fn is_marked(&self, location: &str) -> bool {
        self.roots.contains_key(location)
    }

    /// The checkpoint roots that were marked.
    pub fn roots(&self) -> Vec<String> {
        self.roots.keys().cloned().collect()
    }

    /// The stamp that a checkpoint root must have, if it has one.
    pub fn stamp_of(&self, location: &str) -> Option<&Stamp> {
        self.roots.get(location)?.as_ref()
    }

    /// The stamps that checkpoint roots must have.
    pub fn stamps(&self) -> impl Iterator<Item = (&str, &Stamp)> {
        let all = self.roots.iter();
        all.filter_map(|(location, stamp)| Some((location.as_str(), stamp.as_ref()?)))
    }

    /// Remembers that a checkpoint root carries the marker, and which stamp it must have. Answers whether that is
    /// news.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn mark(&mut self, location: &str, stamp: Option<Stamp>) -> Result<bool, KolError> {
        if self.roots.get(location) == Some(&stamp) {
            return Ok(false);
        }
        let key = format!("{ROOTS}{location}");
        let value = stamp.as_ref().map(Stamp::to_string).unwrap_or_default();
        let write = Write::Put(key.clone(), value.into_bytes());
        self.write(vec![write], vec![key]).await?;
        self.roots.insert(location.to_owned(), stamp);
        Ok(true)
    }

    /// The newest generation ever given out; 0 when there was none.
    pub fn generation(&self) -> u64 {
        self.generations.values().copied().max().unwrap_or(0)
    }

    fn generation_of(&self, name: &str) -> u64 {
        self.generations.get(name).copied().unwrap_or(0)
    }

    /// Makes a job's record durable, an epoch of it, or both together. A committed epoch becomes the
    /// newest, and those that are not kept go.
    ///
    /// # Errors
    /// The store failed for as long as it was tried, or another master writes to it: nothing may be
    /// decided then.
    pub async fn save(
        &mut self,
        record: Option<&JobRecord>,
        epoch: Option<(&JobId, &Commit)>,
    ) -> Result<(), KolError> {
        let mut writes = Vec::new();
        let mut keys = Vec::new();
        if let Some(record) = record {
            let key = format!("{JOBS}{}", record.id);
            writes.push(put(&key, record)?);
            keys.push(key);
            let name = &record.spec.name;
            if record.generation > self.generation_of(name) {
                let key = format!("{GENERATIONS}{name}");
                writes.push(put(&key, &record.generation)?);
                keys.push(key);
            }
        }
        if let Some((job, commit)) = epoch {
            keys.push(format!("{HEADS}{job}"));
            writes.extend(commit_writes(job, commit));
        }
        self.write(writes, keys).await?;
        if let Some(record) = record {
            let name = &record.spec.name;
            let newest = self.generation_of(name).max(record.generation);
            self.generations.insert(name.clone(), newest);
        }
        Ok(())
    }

    /// A savepoint by its id.
    pub fn savepoint(&self, id: &str) -> Option<&Savepoint> {
        self.savepoints.get(id)
    }

    /// The savepoints of the jobs of a name, newest first.
    pub fn savepoints(&self, name: &str) -> impl Iterator<Item = &Savepoint> {
        let newest_first = self.savepoints.values().rev();
        newest_first.filter(move |s| s.job_name == name)
    }

    /// The id of the savepoint that was requested last.
    pub fn last_savepoint(&self) -> Option<SavepointId> {
        let id = self.savepoints.keys().next_back()?;
        Some(SavepointId::from_wire(id.as_str()))
    }

    /// Puts a savepoint on record.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn keep_savepoint(&mut self, savepoint: &Savepoint) -> Result<(), KolError> {
        let key = format!("{SAVEPOINTS}{}", savepoint.id);
        let write = Write::Put(key.clone(), savepoint.encode_to_vec());
        self.write(vec![write], vec![key]).await?;
        let id = savepoint.id.clone();
        self.savepoints.insert(id, savepoint.clone());
        Ok(())
    }

    /// Takes a savepoint off the record; its files are to be deleted.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn forget_savepoint(&mut self, id: &str, files: Deletion) -> Result<(), KolError> {
        let keys = [format!("{SAVEPOINTS}{id}")];
        let gone = vec![Write::Delete(keys[0].clone())];
        self.forget(id, gone, &keys, Some(files)).await?;
        self.savepoints.remove(id);
        Ok(())
    }

    /// Forgets a job that is over, and its checkpoints; its files, if it has any, are to be deleted.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn remove(&mut self, id: &JobId, files: Option<Deletion>) -> Result<(), KolError> {
        let keys = [format!("{JOBS}{id}"), format!("{HEADS}{id}")];
        let checkpoints = self
            .meta
            .reader()
            .list(&checkpoints_of(id))
            .await
            .map_err(failed)?;
        let gone = keys
            .iter()
            .cloned()
            .chain(checkpoints.into_iter().map(|e| e.key));
        let gone = gone.map(Write::Delete).collect();
        self.forget(id.as_str(), gone, &keys, files).await
    }

    /// In one transaction: what is forgotten is to be deleted, also by a master that is started again.
    async fn forget(
        &mut self,
        id: &str,
        mut writes: Vec<Write>,
        gone: &[String],
        files: Option<Deletion>,
    ) -> Result<(), KolError> {
        let mut keys = gone.to_vec();
        if let Some(files) = &files {
            let key = format!("{DELETIONS}{id}");
            writes.push(put(&key, files)?);
            keys.push(key);
        }
        self.write(writes, keys).await?;
        for key in gone {
            self.revisions.remove(key);
        }
        self.deletions
            .extend(files.map(|files| (id.to_owned(), files)));
        Ok(())
    }

    /// What is to be deleted, by the id of what was forgotten.
    pub fn deletions(&self) -> &BTreeMap<String, Deletion> {
        &self.deletions
    }

    /// The files of something that was forgotten are deleted.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn deleted(&mut self, id: &str) -> Result<(), KolError> {
        if self.deletions.remove(id).is_none() {
            return Ok(());
        }
        let key = format!("{DELETIONS}{id}");
        let write = Write::Delete(key.clone());
        self.write(vec![write], vec![key.clone()]).await?;
        self.revisions.remove(&key);
        Ok(())
    }

    /// What people said last of executors: that they drain, or no longer.
    pub fn drains(&self) -> &BTreeMap<ExecutorId, bool> {
        &self.drains
    }

    /// A person says that an executor drains, or no longer; `None`: it is gone.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn set_drains(
        &mut self,
        id: &ExecutorId,
        word: Option<bool>,
    ) -> Result<(), KolError> {
        if self.drains.get(id).copied() == word {
            return Ok(());
        }
        let key = format!("{DRAINS}{id}");
        let write = match &word {
            Some(draining) => put(&key, draining)?,
            None => Write::Delete(key.clone()),
        };
        self.write(vec![write], vec![key.clone()]).await?;
        match word {
            Some(draining) => {
                self.drains.insert(id.clone(), draining);
            }
            None => {
                self.drains.remove(id);
                self.revisions.remove(&key);
            }
        }
        Ok(())
    }

    /// Writes if `keys` are as this master left them; tries again while the store fails.
    async fn write(&mut self, writes: Vec<Write>, keys: Vec<String>) -> Result<(), KolError> {
        let revision = |key| self.revisions.get(key).copied().unwrap_or_default();
        let transaction = Transaction {
            expected: keys.iter().map(|k| (k.clone(), revision(k))).collect(),
            writes,
        };
        let mut attempt = 1;
        loop {
            match self.meta.commit(transaction.clone()).await {
                Ok(revision) => {
                    let written = keys.into_iter().map(|key| (key, revision));
                    self.revisions.extend(written);
                    return Ok(());
                }
                Err(MetaError::Failed(error)) if attempt < ATTEMPTS => {
                    tracing::warn!(code = "STATE_STORE", %error, attempt, "the state store does not take a write: the master tries again");
                    attempt += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

/// All jobs as a store has them, each with the entry of its record.
///
/// # Errors
/// The store failed, or holds what this version cannot read.
pub(super) async fn stored(meta: &dyn MetaStore) -> Result<Vec<(Entry, Stored)>, KolError> {
    let mut jobs = Vec::new();
    for entry in meta.list(JOBS).await.map_err(failed)? {
        let record = read_job(&entry)?;
        let checkpoints = meta.list(&checkpoints_of(&record.id)).await;
        let checkpoints = checkpoints.map_err(failed)?;
        let checkpoints = checkpoints.iter().map(decode).collect::<Result<_, _>>()?;
        jobs.push((entry, (record, checkpoints)));
    }
    Ok(jobs)
}

/// All savepoints as a store has them, each with its entry.
///
/// # Errors
/// As [`stored`].
pub(super) async fn saved(meta: &dyn MetaStore) -> Result<Vec<(Entry, Savepoint)>, KolError> {
    let entries = meta.list(SAVEPOINTS).await.map_err(failed)?;
    let read = |entry: Entry| decode(&entry).map(|savepoint| (entry, savepoint));
    entries.into_iter().map(read).collect()
}

fn checkpoints_of(job: &JobId) -> String {
    format!("{CHECKPOINTS}{job}/")
}

fn commit_writes(job: &JobId, commit: &Commit) -> Vec<Write> {
    let folder = checkpoints_of(job);
    let place = |epoch: u64| format!("{folder}{epoch:020}");
    let epoch = commit.manifest.epoch;
    let gone = commit.forgotten.iter();
    let gone = gone.map(|old| Write::Delete(place(*old)));
    let reduced = commit.reduced.iter();
    let reduced = reduced.map(|m| Write::Put(place(m.epoch), m.encode_to_vec()));
    let mut writes = vec![
        Write::Put(format!("{HEADS}{job}"), epoch.to_string().into_bytes()),
        Write::Put(place(epoch), commit.manifest.encode_to_vec()),
    ];
    writes.extend(gone.chain(reduced));
    writes
}
