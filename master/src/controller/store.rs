//! Jobs in the meta store: `job/{id}` holds a record, `generation/{name}` the newest generation ever
//! given out under a job name, which outlives the jobs. A new one is newer than those of all names:
//! another job may have written the same rankings. `checkpoint/{id}/{epoch}` holds a committed
//! epoch, `head/{id}` the newest one: an epoch is committed by replacing that one, if it is what this
//! master left there. `savepoint/{id}` holds a savepoint that is complete. `cluster` holds the id of the cluster, made
//! with the store, and `root/{location}` says that a checkpoint root was marked with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kol_common::checkpoint::{Stores, marker};
use kol_common::proto::{Manifest, Savepoint};
use kol_common::{ClusterId, JobId, KolError, SavepointId};
use prost::Message as _;
use serde::de::DeserializeOwned;

use crate::checkpoint::Commit;
use crate::election::LeaderStore;
use crate::job::JobRecord;
use crate::job::record::VERSION;
use crate::meta::{Entry, MetaError, MetaStore, Revision, Transaction, Write};

const JOBS: &str = "job/";
const GENERATIONS: &str = "generation/";
const CHECKPOINTS: &str = "checkpoint/";
const HEADS: &str = "head/";
const SAVEPOINTS: &str = "savepoint/";
const CLUSTER: &str = "cluster";
const ROOTS: &str = "root/";
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
    /// By id.
    savepoints: BTreeMap<String, Savepoint>,
    cluster: ClusterId,
    /// Locations that carry the marker of the cluster.
    roots: BTreeSet<String>,
}

impl JobStore {
    /// Reads everything.
    ///
    /// # Errors
    /// The store failed, or holds what this version cannot read.
    pub async fn load(meta: LeaderStore) -> Result<(Self, Vec<Stored>), KolError> {
        let mut store = Self {
            cluster: cluster_of(&meta).await?,
            meta,
            revisions: BTreeMap::new(),
            generations: BTreeMap::new(),
            savepoints: BTreeMap::new(),
            roots: BTreeSet::new(),
        };
        for entry in store.meta.reader().list(ROOTS).await.map_err(failed)? {
            let location = entry.key.trim_start_matches(ROOTS).to_owned();
            store.roots.insert(location);
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

    /// The cluster that this store makes.
    pub fn cluster(&self) -> &ClusterId {
        &self.cluster
    }

    /// Whether a checkpoint root was marked before.
    pub fn is_marked(&self, location: &str) -> bool {
        self.roots.contains(location)
    }

    /// Remembers that a checkpoint root carries the marker.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn mark(&mut self, location: &str) -> Result<(), KolError> {
        if self.is_marked(location) {
            return Ok(());
        }
        let key = format!("{ROOTS}{location}");
        let write = Write::Put(key.clone(), Vec::new());
        self.write(vec![write], vec![key]).await?;
        self.roots.insert(location.to_owned());
        Ok(())
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

    /// Takes a savepoint off the record.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn forget_savepoint(&mut self, id: &str) -> Result<(), KolError> {
        let key = format!("{SAVEPOINTS}{id}");
        let write = Write::Delete(key.clone());
        self.write(vec![write], vec![key.clone()]).await?;
        self.revisions.remove(&key);
        self.savepoints.remove(id);
        Ok(())
    }

    /// Forgets a job that is over, and its checkpoints.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub async fn remove(&mut self, id: &JobId) -> Result<(), KolError> {
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
        let writes = gone.map(Write::Delete).collect();
        self.write(writes, keys.to_vec()).await?;
        for key in keys {
            self.revisions.remove(&key);
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

/// Gives a new store the id that the checkpoint root is marked with: a master that lost its own store
/// continues as the same cluster.
///
/// # Errors
/// The store failed.
pub async fn adopt(meta: &LeaderStore, stores: &Stores, root: &str) -> Result<(), KolError> {
    if meta.get(CLUSTER).await.map_err(failed)?.is_some() {
        return Ok(());
    }
    match marker::cluster_of(stores, root).await {
        Ok(None) => Ok(()),
        Ok(Some(cluster)) => {
            tracing::info!(%cluster, root, "the state store is new, and the checkpoint root is marked: continuing as its cluster");
            put_cluster(meta, &cluster).await
        }
        Err(error) => {
            tracing::warn!(%error, "the checkpoint root cannot be read: if it is marked, it will count as another cluster's");
            Ok(())
        }
    }
}

/// The id of the cluster, made when the store is new.
async fn cluster_of(meta: &LeaderStore) -> Result<ClusterId, KolError> {
    if let Some(entry) = meta.get(CLUSTER).await.map_err(failed)? {
        return Ok(ClusterId::from_wire(String::from_utf8_lossy(&entry.value)));
    }
    let made = ClusterId::generate();
    put_cluster(meta, &made).await?;
    Ok(made)
}

async fn put_cluster(meta: &LeaderStore, cluster: &ClusterId) -> Result<(), KolError> {
    let transaction = Transaction {
        expected: vec![(CLUSTER.to_owned(), Revision::ABSENT)],
        writes: vec![Write::Put(CLUSTER.to_owned(), cluster.as_str().into())],
    };
    meta.commit(transaction).await.map(drop).map_err(failed)
}

/// Whether a store answers.
///
/// # Errors
/// It does not.
pub(super) async fn reachable(meta: &dyn MetaStore) -> Result<(), KolError> {
    meta.get(CLUSTER).await.map(drop).map_err(failed)
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

fn decode<T: prost::Message + Default>(entry: &Entry) -> Result<T, KolError> {
    T::decode(&*entry.value).map_err(|e| {
        KolError::internal("STATE_STORE", format!("cannot read `{}`: {e}", entry.key))
            .help("Start the version of kol-master that wrote it, or another --state-dir.")
    })
}

fn failed(error: MetaError) -> KolError {
    let help = match error {
        MetaError::Conflict { .. } => {
            "Run one master on one state folder only. With --etcd: another master leads now, and this one follows."
        }
        MetaError::Failed(_) => {
            "Free space on the disk of --state-dir, or repair it, and start kol-master again: its jobs are \
             intact, and it adopts the executors, which continue meanwhile."
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

    use std::sync::Arc;

    use super::*;
    use crate::meta::EmbeddedStore;
    use crate::testing::spec;

    fn leading(meta: &Arc<EmbeddedStore>) -> LeaderStore {
        LeaderStore::alone((**meta).clone())
    }

    fn record(name: &str, generation: u64) -> JobRecord {
        let mut record = JobRecord::new(JobId::generate(), spec(name), vec![], Millis(5));
        record.generation = generation;
        record
    }

    #[tokio::test]
    async fn jobs_and_generations_are_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let meta = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let (mut store, none) = JobStore::load(leading(&meta)).await.unwrap();
        assert_eq!(none, []);
        let (kept, removed) = (record("a", 3), record("a", 7));
        store.save(Some(&kept), None).await.unwrap();
        store.save(Some(&removed), None).await.unwrap();
        store.remove(&removed.id).await.unwrap();
        let (store, found) = JobStore::load(leading(&meta)).await.unwrap();
        assert_eq!(found, [(kept, vec![])]);
        assert_eq!(store.generation(), 7, "generations outlive their jobs");
    }

    #[tokio::test]
    async fn committed_epochs_are_there_after_a_restart_without_those_that_were_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let meta = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let (mut store, _) = JobStore::load(leading(&meta)).await.unwrap();
        let job = record("a", 1);
        store.save(Some(&job), None).await.unwrap();
        let commit = |epoch: u64, forgotten: &[u64]| Commit {
            manifest: Manifest {
                epoch,
                ..Manifest::default()
            },
            forgotten: forgotten.to_vec(),
            reduced: Vec::new(),
            orphans: None,
        };
        for (epoch, forgotten) in [(9, &[][..]), (10, &[]), (11, &[9])] {
            let commit = commit(epoch, forgotten);
            store.save(None, Some((&job.id, &commit))).await.unwrap();
        }
        let (mut other, found) = JobStore::load(leading(&meta)).await.unwrap();
        let epochs: Vec<u64> = found[0].1.iter().map(|m| m.epoch).collect();
        assert_eq!(epochs, [10, 11]);
        let next = commit(12, &[]);
        other.save(None, Some((&job.id, &next))).await.unwrap();
        let late = store.save(None, Some((&job.id, &commit(13, &[])))).await;
        assert!(late.is_err(), "another master has committed meanwhile");
        other.remove(&job.id).await.unwrap();
        let left: Vec<_> = meta.list("").await.unwrap().into_iter().collect();
        let left: Vec<_> = left.iter().map(|e| e.key.as_str()).collect();
        assert_eq!(left, ["cluster", "generation/a"]);
    }

    #[tokio::test]
    async fn a_new_store_continues_as_the_cluster_that_its_root_is_marked_with() {
        let folder = tempfile::tempdir().unwrap();
        let root = format!("file://{}", folder.path().display());
        let stores = Stores::of_this_machine();
        let marker = folder.path().join(marker::CLUSTER_FILE);
        let fresh = || EmbeddedStore::in_memory().unwrap();
        let cluster = async |meta: EmbeddedStore| {
            let meta = leading(&Arc::new(meta));
            adopt(&meta, &stores, &root).await.unwrap();
            let (store, _) = JobStore::load(meta).await.unwrap();
            store.cluster().to_string()
        };
        let made = cluster(fresh()).await;
        std::fs::write(&marker, "clu_7\n").unwrap();
        assert_eq!(cluster(fresh()).await, "clu_7");
        let known = fresh();
        let mine = leading(&Arc::new(known.clone()));
        put_cluster(&mine, &ClusterId::from_wire(&made))
            .await
            .unwrap();
        assert_eq!(cluster(known).await, made);
        std::fs::write(&marker, "torn").unwrap();
        assert!(cluster(fresh()).await.starts_with("clu_"));
    }

    #[tokio::test]
    async fn the_cluster_and_its_marked_roots_stay_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let meta = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let (mut store, _) = JobStore::load(leading(&meta)).await.unwrap();
        let cluster = store.cluster().clone();
        assert!(!store.is_marked("file:///a"));
        store.mark("file:///a").await.unwrap();
        store.mark("file:///a").await.unwrap();
        let (store, _) = JobStore::load(leading(&meta)).await.unwrap();
        assert_eq!(*store.cluster(), cluster);
        assert!(store.is_marked("file:///a") && !store.is_marked("file:///b"));
    }

    #[tokio::test]
    async fn savepoints_outlive_their_jobs_until_they_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let meta = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let (mut store, _) = JobStore::load(leading(&meta)).await.unwrap();
        let job = record("a", 1);
        store.save(Some(&job), None).await.unwrap();
        for (id, name) in [("sav_1", "a"), ("sav_2", "b"), ("sav_3", "a")] {
            let savepoint = Savepoint {
                id: id.into(),
                job_name: name.into(),
                ..Savepoint::default()
            };
            store.keep_savepoint(&savepoint).await.unwrap();
        }
        store.remove(&job.id).await.unwrap();
        let (mut store, _) = JobStore::load(leading(&meta)).await.unwrap();
        let ids = |store: &JobStore| {
            store
                .savepoints("a")
                .map(|s| s.id.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&store), ["sav_3", "sav_1"]);
        store.forget_savepoint("sav_3").await.unwrap();
        let (store, _) = JobStore::load(leading(&meta)).await.unwrap();
        assert_eq!(ids(&store), ["sav_1"]);
    }

    #[tokio::test]
    async fn a_second_writer_is_noticed_and_a_newer_version_is_not_misread() {
        let folder = tempfile::tempdir().unwrap();
        let meta = Arc::new(EmbeddedStore::open(folder.path()).unwrap());
        let (mut one, _) = JobStore::load(leading(&meta)).await.unwrap();
        let mut job = record("a", 0);
        one.save(Some(&job), None).await.unwrap();
        let (mut two, _) = JobStore::load(leading(&meta)).await.unwrap();
        one.save(Some(&job), None).await.unwrap();
        let error = two.save(Some(&job), None).await.unwrap_err();
        assert!(error.help.contains("one master"), "{error}");
        job.version = VERSION + 1;
        one.save(Some(&job), None).await.unwrap();
        let error = JobStore::load(leading(&meta)).await.err().unwrap();
        assert!(error.message.contains("newer kol-master"), "{error}");
    }
}
