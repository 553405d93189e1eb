//! Jobs in the meta store: what is there after a restart.

use kol_common::checkpoint::stamp::Stamp;
use kol_common::checkpoint::{Stores, marker};
use kol_common::proto::{Manifest, Savepoint};
use kol_common::{ClusterId, JobId, Millis};

use super::identity::{adopt, put_cluster};
use super::store::JobStore;
use crate::checkpoint::Commit;
use crate::checkpoint::deletion::{Deletion, Forgotten};
use crate::election::LeaderStore;
use crate::job::JobRecord;
use crate::job::record::VERSION;
use crate::meta::EmbeddedStore;
use crate::testing::spec;

fn record(name: &str, generation: u64) -> JobRecord {
    let mut record = JobRecord::new(JobId::generate(), spec(name), vec![], Millis(5));
    record.generation = generation;
    record
}

/// Of what is forgotten.
fn files() -> Deletion {
    Deletion {
        location: "file:///a".into(),
        what: Forgotten::Savepoint(["0/b.state".to_owned()].into()),
    }
}

#[tokio::test]
async fn jobs_and_generations_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let meta = LeaderStore::alone(EmbeddedStore::open(folder.path()).unwrap());
    let (mut store, none) = JobStore::load(meta.clone()).await.unwrap();
    assert_eq!(none, []);
    let (kept, removed) = (record("a", 3), record("a", 7));
    store.save(Some(&kept), None).await.unwrap();
    store.save(Some(&removed), None).await.unwrap();
    store.remove(&removed.id, Some(files())).await.unwrap();
    let (store, found) = JobStore::load(meta).await.unwrap();
    assert_eq!(found, [(kept, vec![])]);
    assert_eq!(store.generation(), 7, "generations outlive their jobs");
}

#[tokio::test]
async fn committed_epochs_are_there_after_a_restart_without_those_that_were_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let meta = LeaderStore::alone(EmbeddedStore::open(folder.path()).unwrap());
    let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
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
    let (mut other, found) = JobStore::load(meta.clone()).await.unwrap();
    let epochs: Vec<u64> = found[0].1.iter().map(|m| m.epoch).collect();
    assert_eq!(epochs, [10, 11]);
    let next = commit(12, &[]);
    other.save(None, Some((&job.id, &next))).await.unwrap();
    let late = store.save(None, Some((&job.id, &commit(13, &[])))).await;
    assert!(late.is_err(), "another master has committed meanwhile");
    other.remove(&job.id, Some(files())).await.unwrap();
    let left: Vec<_> = meta.reader().list("").await.unwrap().into_iter().collect();
    let left: Vec<_> = left.iter().map(|e| e.key.as_str()).collect();
    let deletion = format!("deletion/{}", job.id);
    assert_eq!(left, ["cluster", &deletion, "generation/a", "store"]);
}

#[tokio::test]
async fn a_new_store_continues_as_the_cluster_that_its_root_is_marked_with() {
    let folder = tempfile::tempdir().unwrap();
    let root = format!("file://{}", folder.path().display());
    let stores = Stores::of_this_machine();
    let marker = folder.path().join(marker::CLUSTER_FILE);
    let fresh = || EmbeddedStore::in_memory().unwrap();
    let cluster = async |meta: EmbeddedStore| {
        let meta = LeaderStore::alone(meta);
        adopt(&meta, &stores, &root).await.unwrap();
        let (store, _) = JobStore::load(meta).await.unwrap();
        store.cluster().to_string()
    };
    let made = cluster(fresh()).await;
    std::fs::write(&marker, "clu_7\n").unwrap();
    assert_eq!(cluster(fresh()).await, "clu_7");
    let known = fresh();
    let mine = LeaderStore::alone(known.clone());
    put_cluster(&mine, &ClusterId::from_wire(&made))
        .await
        .unwrap();
    assert_eq!(cluster(known).await, made);
    std::fs::write(&marker, "torn").unwrap();
    assert!(cluster(fresh()).await.starts_with("clu_"));
}

#[tokio::test]
async fn the_cluster_its_marked_roots_and_their_stamps_stay_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let meta = LeaderStore::alone(EmbeddedStore::open(folder.path()).unwrap());
    let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
    let cluster = store.cluster().clone();
    assert!(!store.is_marked("file:///a"));
    assert!(store.mark("file:///a", None).await.unwrap());
    let stamp = Stamp::after(None);
    for news in [true, false] {
        let marked = store.mark("file:///c", Some(stamp.clone())).await;
        assert_eq!(marked.unwrap(), news);
    }
    let (store, _) = JobStore::load(meta).await.unwrap();
    assert_eq!(*store.cluster(), cluster);
    assert!(store.is_marked("file:///a") && !store.is_marked("file:///b"));
    let stamps: Vec<_> = store.stamps().collect();
    assert_eq!(stamps, [("file:///c", &stamp)]);
}

#[tokio::test]
async fn savepoints_outlive_their_jobs_until_they_are_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let meta = LeaderStore::alone(EmbeddedStore::open(folder.path()).unwrap());
    let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
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
    store.remove(&job.id, Some(files())).await.unwrap();
    let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
    let ids = |store: &JobStore| {
        store
            .savepoints("a")
            .map(|s| s.id.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&store), ["sav_3", "sav_1"]);
    store.forget_savepoint("sav_3", files()).await.unwrap();
    let (store, _) = JobStore::load(meta.clone()).await.unwrap();
    assert_eq!(ids(&store), ["sav_1"]);
    // Until it is done, the deletion of its files is on record.
    let (mut store, _) = JobStore::load(meta.clone()).await.unwrap();
    assert_eq!(store.deletions().get("sav_3"), Some(&files()));
    store.deleted("sav_3").await.unwrap();
    let (store, _) = JobStore::load(meta).await.unwrap();
    assert!(!store.deletions().contains_key("sav_3"));
}

#[tokio::test]
async fn a_second_writer_is_noticed_and_a_newer_version_is_not_misread() {
    let folder = tempfile::tempdir().unwrap();
    let meta = LeaderStore::alone(EmbeddedStore::open(folder.path()).unwrap());
    let (mut one, _) = JobStore::load(meta.clone()).await.unwrap();
    let mut job = record("a", 0);
    one.save(Some(&job), None).await.unwrap();
    let (mut two, _) = JobStore::load(meta.clone()).await.unwrap();
    one.save(Some(&job), None).await.unwrap();
    let error = two.save(Some(&job), None).await.unwrap_err();
    assert!(error.help.contains("one master"), "{error}");
    job.version = VERSION + 1;
    one.save(Some(&job), None).await.unwrap();
    let error = JobStore::load(meta).await.err().unwrap();
    assert!(error.message.contains("newer kol-master"), "{error}");
}
