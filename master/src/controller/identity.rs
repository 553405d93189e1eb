//! Who a store is: `cluster` holds the id of the cluster and `store` that of this store, both made with it.

use kol_common::checkpoint::{Stores, marker};
use kol_common::{ClusterId, KolError, StoreId};

use super::entries::failed;
use crate::election::LeaderStore;
use crate::meta::{MetaStore, Revision, Transaction, Write};

const CLUSTER: &str = "cluster";
const STORE: &str = "store";

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
            tracing::info!(code = "CLUSTER_KNOWN", %cluster, root, "the state store is new, and the checkpoint root is marked: continuing as its cluster");
            put_cluster(meta, &cluster).await
        }
        Err(error) => {
            tracing::warn!(code = "CLUSTER_UNKNOWN", %error, "the checkpoint root cannot be read: if it is marked, it will count as another cluster's");
            Ok(())
        }
    }
}

/// The id of the cluster, made when the store is new.
pub(super) async fn cluster_of(meta: &LeaderStore) -> Result<ClusterId, KolError> {
    if let Some(entry) = meta.get(CLUSTER).await.map_err(failed)? {
        return Ok(ClusterId::from_wire(String::from_utf8_lossy(&entry.value)));
    }
    let made = ClusterId::generate();
    put_cluster(meta, &made).await?;
    Ok(made)
}

pub(super) async fn put_cluster(meta: &LeaderStore, cluster: &ClusterId) -> Result<(), KolError> {
    put_new(meta, CLUSTER, cluster.as_str()).await
}

/// The id of the store, made when it is new or of an earlier version.
pub(super) async fn store_of(meta: &LeaderStore) -> Result<StoreId, KolError> {
    if let Some(entry) = meta.get(STORE).await.map_err(failed)? {
        return Ok(StoreId::from_wire(String::from_utf8_lossy(&entry.value)));
    }
    let made = StoreId::generate();
    put_new(meta, STORE, made.as_str()).await?;
    Ok(made)
}

async fn put_new(meta: &LeaderStore, key: &str, value: &str) -> Result<(), KolError> {
    let transaction = Transaction {
        expected: vec![(key.to_owned(), Revision::ABSENT)],
        writes: vec![Write::Put(key.to_owned(), value.into())],
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
