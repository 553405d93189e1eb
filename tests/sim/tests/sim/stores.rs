//! What a store of the master's state must do: the same for the one on disk, for etcd, and for what stands for
//! etcd in tests.

use std::sync::Arc;
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::secrets::Secrets;
use kol_common::{KolError, world};
use kol_master::meta::etcd::{Access, Etcd, EtcdStore, Members};
use kol_master::meta::{EmbeddedStore, MetaError, MetaStore, Revision, Transaction, Write};
use kol_sim::etcd::Etcd as Fake;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;

/// Longest wait for an answer of etcd.
const ANSWER: Duration = Duration::from_secs(2);

fn put(key: &str, value: &str, expected: Revision) -> Transaction {
    Transaction {
        expected: vec![(key.to_owned(), expected)],
        writes: vec![Write::Put(key.to_owned(), value.as_bytes().to_vec())],
    }
}

fn writes(writes: Vec<Write>) -> Transaction {
    Transaction {
        expected: Vec::new(),
        writes,
    }
}

async fn keys(store: &dyn MetaStore, prefix: &str) -> Vec<String> {
    let listed = store.list(prefix).await.unwrap();
    listed.into_iter().map(|entry| entry.key).collect()
}

/// The suite. The store is empty.
async fn keeps_its_promises(store: &dyn MetaStore) {
    values_come_back_as_they_were_written(store).await;
    a_write_that_relies_on_another_revision_changes_nothing(store).await;
    all_of_a_transaction_happens_or_nothing(store).await;
    keys_are_listed_in_order_and_by_whole_prefixes(store).await;
    a_transaction_may_have_many_writes_and_two_of_one_key(store).await;
}

async fn values_come_back_as_they_were_written(store: &dyn MetaStore) {
    assert_eq!(store.get("v").await.unwrap(), None);
    let first = store.commit(put("v", "1", Revision::ABSENT)).await.unwrap();
    let second = store.commit(put("v", "2", first)).await.unwrap();
    assert!(first > Revision::ABSENT && second > first);
    let entry = store.get("v").await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.value), ("v", b"2".to_vec()));
    assert_eq!(entry.revision, second);
    let bytes: Vec<u8> = (0..=255).collect();
    let written = store.commit(writes(vec![Write::Put("v".into(), bytes.clone())]));
    written.await.unwrap();
    assert_eq!(store.get("v").await.unwrap().unwrap().value, bytes);
    let gone = store.commit(writes(vec![Write::Delete("v".into())]));
    gone.await.unwrap();
    assert_eq!(store.get("v").await.unwrap(), None);
    let again = store.commit(put("v", "3", Revision::ABSENT)).await.unwrap();
    assert!(again > second, "revisions are never reused");
}

async fn a_write_that_relies_on_another_revision_changes_nothing(store: &dyn MetaStore) {
    let first = store.commit(put("c", "1", Revision::ABSENT)).await.unwrap();
    let second = store.commit(put("c", "2", first)).await.unwrap();
    for stale in [Revision::ABSENT, first] {
        let refused = store.commit(put("c", "3", stale)).await.unwrap_err();
        let key = "c".to_owned();
        assert_eq!(refused, MetaError::Conflict { key });
    }
    let entry = store.get("c").await.unwrap().unwrap();
    assert_eq!((entry.value, entry.revision), (b"2".to_vec(), second));
}

async fn all_of_a_transaction_happens_or_nothing(store: &dyn MetaStore) {
    let a = store
        .commit(put("t/a", "1", Revision::ABSENT))
        .await
        .unwrap();
    let both = |b: Revision| Transaction {
        expected: vec![("t/a".into(), a), ("t/b".into(), b)],
        writes: vec![
            Write::Put("t/b".into(), b"1".to_vec()),
            Write::Delete("t/a".into()),
            Write::Delete("t/nothing".into()),
        ],
    };
    let refused = store.commit(both(a)).await.unwrap_err();
    let key = "t/b".to_owned();
    assert_eq!(refused, MetaError::Conflict { key });
    assert_eq!(keys(store, "t/").await, ["t/a"]);
    store.commit(both(Revision::ABSENT)).await.unwrap();
    assert_eq!(keys(store, "t/").await, ["t/b"]);
}

async fn keys_are_listed_in_order_and_by_whole_prefixes(store: &dyn MetaStore) {
    let all = ["job/b", "job/a", "jobs", "joa", "job/\u{10ffff}"];
    let put = |key: &str| Write::Put(key.into(), key.into());
    let written = store.commit(writes(all.map(put).to_vec())).await.unwrap();
    assert_eq!(
        keys(store, "job/").await,
        ["job/a", "job/b", "job/\u{10ffff}"]
    );
    let listed = store.list("job/").await.unwrap();
    assert!(listed.iter().all(|entry| entry.revision == written));
    assert_eq!(keys(store, "none/").await, [""; 0]);
}

async fn a_transaction_may_have_many_writes_and_two_of_one_key(store: &dyn MetaStore) {
    let name = |number: u32| format!("many/{number:04}");
    let put = |number| Write::Put(name(number), b"x".to_vec());
    let mut many: Vec<Write> = (0..500).map(put).collect();
    many.push(Write::Put(name(0), b"last".to_vec()));
    many.push(Write::Delete(name(499)));
    store.commit(writes(many)).await.unwrap();
    assert_eq!(keys(store, "many/").await.len(), 499);
    let first = store.get(&name(0)).await.unwrap().unwrap();
    assert_eq!(first.value, b"last");
}

#[tokio::test]
async fn the_store_on_disk_keeps_its_promises() {
    let folder = tempfile::tempdir().unwrap();
    keeps_its_promises(&EmbeddedStore::open(folder.path()).unwrap()).await;
}

/// What stands for etcd, at the end of a real socket.
pub async fn fake(group: &Group) -> (Fake, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let fake = Fake::default();
    let router = fake.router();
    let _ends_with_the_group = group.spawn("etcd", async move {
        let served = router.serve_with_incoming(TcpListenerStream::new(listener));
        let served = served.await;
        served.map_err(|e| KolError::internal("TEST", e.to_string()))
    });
    (fake, url)
}

/// Members at these URLs, without a login.
pub fn etcd_at(urls: &[String], answer: Duration) -> Result<Etcd, KolError> {
    let members = Members {
        urls: urls.to_vec(),
        ..Members::default()
    };
    Etcd::new(&Access::new(&members, &Secrets::default())?, answer)
}

fn store_at(urls: &[String]) -> EtcdStore {
    let prefix = format!("kol-{}/", world::random_id());
    EtcdStore::new(Arc::new(etcd_at(urls, ANSWER).unwrap()), prefix)
}

#[tokio::test]
async fn what_stands_for_etcd_keeps_the_same_promises() {
    let group = Group::new("test");
    let (_, url) = fake(&group).await;
    keeps_its_promises(&store_at(&[url])).await;
    group.stop_token().cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_etcd_keeps_the_same_promises() {
    let Some(server) = kol_harness::Etcd::start() else {
        return;
    };
    keeps_its_promises(&store_at(&[server.url()])).await;
}

#[tokio::test]
async fn a_transaction_whose_answer_was_lost_happens_once() {
    let group = Group::new("test");
    let (fake, url) = fake(&group).await;
    let store = store_at(&[url]);
    let transaction = put("a", "1", Revision::ABSENT);
    fake.lose_an_answer();
    let lost = store.commit(transaction.clone()).await;
    assert!(matches!(lost, Err(MetaError::Failed(_))), "{lost:?}");
    let revision = store.commit(transaction.clone()).await.unwrap();
    let entry = store.get("a").await.unwrap().unwrap();
    assert_eq!(entry.revision, revision, "the first one, found again");
    let other = store.commit(transaction).await;
    let key = "a".to_owned();
    assert_eq!(other, Err(MetaError::Conflict { key }), "not any more");
    group.stop_token().cancel();
}

#[tokio::test]
async fn another_member_is_called_when_one_does_not_answer() {
    let group = Group::new("test");
    let (_, url) = fake(&group).await;
    let nobody = format!("http://127.0.0.1:{}", kol_harness::free_port());
    let store = store_at(&[nobody, url]);
    assert_eq!(store.get("a").await.unwrap(), None);
    store.commit(put("a", "1", Revision::ABSENT)).await.unwrap();
    group.stop_token().cancel();
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_with_advice() {
    for urls in [
        vec![],
        vec!["10.0.0.1:2379".to_owned()],
        vec!["http://".to_owned()],
    ] {
        let error = etcd_at(&urls, ANSWER).unwrap_err();
        assert_eq!(error.code, "ETCD_URL", "{urls:?}");
        assert!(error.help.contains("--etcd"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_long_ago_does_not_fill_etcd() {
    let Some(server) = kol_harness::Etcd::start() else {
        return;
    };
    let store = store_at(&[server.url()]);
    let written = |value: u32| writes(vec![Write::Put("a".into(), value.to_be_bytes().into())]);
    let first = store.commit(written(0)).await.unwrap().0;
    for value in 1..=1_000 {
        store.commit(written(value)).await.unwrap();
    }
    let at = |revision: u64| server.ctl(&["get", "x", &format!("--rev={revision}")]);
    assert!(at(first).contains("compacted"), "{}", at(first));
    assert!(
        !at(first + 600).contains("compacted"),
        "{}",
        at(first + 600)
    );
}
