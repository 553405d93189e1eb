//! How entries of the meta store are written and read: records as JSON, manifests and savepoints as protobuf.

use kol_common::KolError;
use serde::de::DeserializeOwned;

use crate::job::JobRecord;
use crate::job::record::VERSION;
use crate::meta::{Entry, MetaError, Write};

pub(super) fn decode<T: prost::Message + Default>(entry: &Entry) -> Result<T, KolError> {
    T::decode(&*entry.value).map_err(|e| {
        KolError::internal("STATE_STORE", format!("cannot read `{}`: {e}", entry.key))
            .help("Start the version of kol-master that wrote it, or another --state-dir.")
    })
}

pub(super) fn failed(error: MetaError) -> KolError {
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

pub(super) fn put(key: &str, value: &impl serde::Serialize) -> Result<Write, KolError> {
    let bytes = serde_json::to_vec(value)
        .map_err(|e| KolError::internal("STATE_STORE", format!("cannot write `{key}`: {e}")))?;
    Ok(Write::Put(key.to_owned(), bytes))
}

pub(super) fn read<T: DeserializeOwned>(entry: &Entry) -> Result<T, KolError> {
    serde_json::from_slice(&entry.value).map_err(|e| {
        KolError::internal("STATE_STORE", format!("cannot read `{}`: {e}", entry.key))
            .help("Start the version of kol-master that wrote it, or another --state-dir.")
    })
}

pub(super) fn read_job(entry: &Entry) -> Result<JobRecord, KolError> {
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
