//! Masters that compete for leadership in etcd: in a real one, and in what stands for it.

use std::sync::Arc;
use std::time::Duration;

use kol_common::actor::Group;
use kol_common::world;
use kol_master::election::{Candidate, LeaderStore, LeaseFile, News, Past, Tenure, run};
use kol_master::meta::etcd::{Etcd, EtcdStore};
use kol_master::meta::{MetaError, MetaStore, Transaction, Write};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::stores::{etcd_at, fake};

const LIMIT: Duration = Duration::from_secs(15);

/// A master that takes part in the election until its group is aborted.
struct Master {
    tasks: Group,
    news: mpsc::Receiver<News>,
}

impl Master {
    fn start(etcd: &Arc<Etcd>, prefix: &str, name: &str) -> Self {
        Self::start_with(etcd, prefix, name, None)
    }

    fn start_with(etcd: &Arc<Etcd>, prefix: &str, name: &str, past: Option<Arc<dyn Past>>) -> Self {
        let tasks = Group::new("master");
        let (sender, news) = mpsc::channel(64);
        let candidate = Candidate::new(Arc::clone(etcd), prefix.to_owned(), name.to_owned());
        let candidate = candidate.with_past(past);
        let election = run(candidate, sender, tasks.stop_token());
        let _ends_with_the_group = tasks.spawn("election", election);
        Self { tasks, news }
    }

    async fn hears(&mut self) -> News {
        let news = tokio::time::timeout(LIMIT, self.news.recv()).await;
        news.unwrap().unwrap()
    }

    /// Waits until it is elected.
    async fn leads(&mut self) -> Tenure {
        let leads = async {
            loop {
                if let News::Leads(tenure) = self.hears().await {
                    return tenure;
                }
            }
        };
        tokio::time::timeout(LIMIT, leads).await.unwrap()
    }

    /// Waits until it knows that another is.
    async fn follows(&mut self, leader: &str) {
        let follows = async {
            loop {
                match self.hears().await {
                    News::Follows(Some(address)) => return assert_eq!(address, leader),
                    News::Follows(None) => {}
                    News::Leads(tenure) => panic!("two lead: {tenure:?}"),
                }
            }
        };
        tokio::time::timeout(LIMIT, follows).await.unwrap();
    }
}

fn write() -> Transaction {
    Transaction {
        expected: Vec::new(),
        writes: vec![Write::Put("a".to_owned(), b"1".to_vec())],
    }
}

async fn one_leads_at_a_time_and_only_it_writes(url: String) {
    let etcd = Arc::new(etcd_at(&[url], Duration::from_secs(1)).unwrap());
    let prefix = format!("kol-{}/", world::random_id());
    let meta: Arc<dyn MetaStore> = Arc::new(EtcdStore::new(Arc::clone(&etcd), prefix.clone()));
    let mut first = Master::start(&etcd, &prefix, "http://first:1");
    let tenure = first.leads().await;
    assert_eq!(tenure.elected.term(), 1);
    let old = LeaderStore::new(Arc::clone(&meta), tenure.elected);
    old.commit(write()).await.unwrap();

    let mut second = Master::start(&etcd, &prefix, "http://second:1");
    second.follows("http://first:1").await;
    // Dead, without a word to etcd: its lease has to expire.
    let dies = Instant::now();
    first.tasks.drain(Duration::ZERO).await;
    let tenure = second.leads().await;
    assert!(
        dies.elapsed() < Duration::from_secs(8),
        "{:?}",
        dies.elapsed()
    );
    assert_eq!(tenure.elected.term(), 2);
    let new = LeaderStore::new(Arc::clone(&meta), tenure.elected);
    new.commit(write()).await.unwrap();
    let key = "leader".to_owned();
    let refused = old.commit(write()).await;
    assert_eq!(refused, Err(MetaError::Conflict { key }));

    // Left on purpose: another is elected at once.
    let mut third = Master::start(&etcd, &prefix, "http://third:1");
    third.follows("http://second:1").await;
    tenure.left.cancel();
    let left = Instant::now();
    let tenure = third.leads().await;
    assert!(
        left.elapsed() < Duration::from_secs(2),
        "{:?}",
        left.elapsed()
    );
    assert_eq!(tenure.elected.term(), 3);
    tenure.left.cancel();
    for master in [second, third] {
        master.tasks.drain(LIMIT).await;
    }
}

/// A master that is killed and started again; another one may be faster.
async fn nobody_waits_for_the_lease_of_a_master_that_is_started_again(url: String) {
    let etcd = Arc::new(etcd_at(&[url], Duration::from_secs(1)).unwrap());
    let prefix = format!("kol-{}/", world::random_id());
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let past = LeaseFile::open(folder.path()).unwrap();
        Master::start_with(&etcd, &prefix, "http://first:1", Some(Arc::new(past)))
    };
    let mut first = start();
    let tenure = first.leads().await;
    first.tasks.drain(Duration::ZERO).await;
    let again = Instant::now();
    let mut first = start();
    let next = first.leads().await;
    assert!(
        again.elapsed() < Duration::from_secs(2),
        "{:?}",
        again.elapsed()
    );
    assert_eq!(next.elected.term(), tenure.elected.term() + 1);
    next.left.cancel();
    first.tasks.drain(LIMIT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_lease_of_before_in_what_stands_for_etcd() {
    let group = Group::new("test");
    let (_, url) = fake(&group).await;
    nobody_waits_for_the_lease_of_a_master_that_is_started_again(url).await;
    group.stop_token().cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_lease_of_before_in_a_real_etcd() {
    if let Some(server) = kol_harness::Etcd::start() {
        nobody_waits_for_the_lease_of_a_master_that_is_started_again(server.url()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_at_a_time_in_what_stands_for_etcd() {
    let group = Group::new("test");
    let (_, url) = fake(&group).await;
    one_leads_at_a_time_and_only_it_writes(url).await;
    group.stop_token().cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_at_a_time_in_a_real_etcd() {
    if let Some(server) = kol_harness::Etcd::start() {
        one_leads_at_a_time_and_only_it_writes(server.url()).await;
    }
}
