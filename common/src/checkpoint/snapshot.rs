//! The manifest file: it describes the state files beside it, so that a job can start with them where the
//! job that wrote them is unknown: in another cluster, or after the master's own store is lost.
//!
//! It has the container of a state file with one frame, a `Snapshot` message. Its paths are relative
//! to its folder, so a folder can be copied or moved as a whole.

use prost::Message as _;

use super::frame::{Damage, Decoder, Encoder};
use super::stores::Stores;
use crate::KolError;
use crate::proto::Snapshot;

/// Name of the file in its folder.
pub const MANIFEST: &str = "manifest";

/// The bytes of a manifest file.
pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut file = Vec::new();
    encoder.header(&mut file);
    encoder.frame(&snapshot.encode_to_vec(), &mut file);
    encoder.trailer(&mut file);
    file
}

/// Decodes a manifest file.
///
/// # Errors
/// It is damaged, or something else.
pub fn decode(file: &[u8]) -> Result<Snapshot, Damage> {
    let chunks = Decoder::new(file)?.collect::<Result<Vec<_>, _>>()?;
    match chunks.as_slice() {
        [chunk] => Snapshot::decode(&**chunk).map_err(|_| Damage::Undecodable(0)),
        _ => Err(Damage::NotAStateFile),
    }
}

/// Reads the manifest file of a folder. Each partition names the location of its files: this folder, or
/// another one while the job that resumed from there has no files of its own yet.
///
/// # Errors
/// `SAVEPOINT_NOT_FOUND` without a manifest, [`super::DAMAGED`], or the store fails.
pub async fn read(stores: &Stores, location: &str) -> Result<Snapshot, KolError> {
    let store = stores.existing(location).await?;
    let Some(file) = store.get(MANIFEST).await? else {
        let what = format!(
            "`{location}` has no file `{MANIFEST}`: it is neither a savepoint nor a job's folder of checkpoints"
        );
        return Err(KolError::user("SAVEPOINT_NOT_FOUND", what)
            .help("kol-client checkpoints JOB lists the savepoints with their folders."));
    };
    let decoded = decode(&file).map_err(|d| store.damaged(MANIFEST, &d.to_string()));
    let mut snapshot = decoded?;
    let manifest = snapshot.manifest.get_or_insert_default();
    let here = manifest.partitions.iter_mut();
    for partition in here.filter(|p| p.location.is_empty()) {
        location.clone_into(&mut partition.location);
    }
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{Manifest, PartitionCheckpoint};

    fn snapshot() -> Snapshot {
        Snapshot {
            manifest: Some(Manifest {
                epoch: 7,
                partitions: vec![PartitionCheckpoint::default()],
                ..Manifest::default()
            }),
            spec_json: "{}".into(),
            version: "1".into(),
        }
    }

    #[tokio::test]
    async fn a_manifest_file_names_the_folder_that_it_is_read_from() {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}", folder.path().display());
        let stores = Stores::of_this_machine();
        let store = stores.open(&location).await.unwrap();
        store
            .put("one/manifest", encode(&snapshot()))
            .await
            .unwrap();
        let moved = folder.path().join("moved");
        std::fs::rename(folder.path().join("one"), &moved).unwrap();
        let location = format!("file://{}", moved.display());
        let manifest = read(&stores, &location).await.unwrap().manifest.unwrap();
        assert_eq!(
            (manifest.epoch, manifest.partitions[0].location.as_str()),
            (7, &*location)
        );
    }

    #[tokio::test]
    async fn a_folder_without_manifest_a_missing_folder_and_a_damaged_file_differ() {
        let folder = tempfile::tempdir().unwrap();
        let location = format!("file://{}", folder.path().display());
        let stores = Stores::of_this_machine();
        assert_eq!(
            read(&stores, &location).await.unwrap_err().code,
            "SAVEPOINT_NOT_FOUND"
        );
        let missing = format!("{location}/typo");
        assert_eq!(
            read(&stores, &missing).await.unwrap_err().code,
            "SAVEPOINT_NOT_FOUND"
        );
        assert!(
            !folder.path().join("typo").exists(),
            "reading creates nothing"
        );
        let mut file = encode(&snapshot());
        let middle = file.len() / 2;
        file[middle] ^= 1;
        std::fs::write(folder.path().join(MANIFEST), file).unwrap();
        assert_eq!(
            read(&stores, &location).await.unwrap_err().code,
            super::super::DAMAGED
        );
    }
}
