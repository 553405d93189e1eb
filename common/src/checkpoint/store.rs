//! One opened location. A file is visible only as a whole and once it is durable, and is never
//! written again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::s3;
use crate::KolError;
use crate::proto::StateFile;

/// Error code: a state file is missing or not what was written; an older one may be undamaged.
pub const DAMAGED: &str = "CHECKPOINT_DAMAGED";
/// Error code: no state of a partition can be used, and the log no longer has all that gives it.
pub const LOST: &str = "STATE_LOST";
/// Error code: the store fails now, and may work later.
pub const UNAVAILABLE: &str = "CHECKPOINT_STORE";
/// Error code: a place is not there, or is another cluster's.
pub const ABSENT: &str = "CHECKPOINT_UNAVAILABLE";
/// Error code: a state does not fit the memory of the executor now; it may later, or on another one.
pub const NO_ROOM: &str = "MEMORY_LIMIT";
/// Longest time one call to the store may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// Bytes of a file that are sent as one: a smaller file is a single request, a larger one several parts,
/// of which Amazon S3 wants at least 5 MiB.
const PART: usize = 5 << 20;
/// Parts of one file that may be under way.
const PARTS: usize = 4;

/// A checkpoint location.
#[derive(Clone, Debug)]
pub struct Store {
    location: String,
    objects: Arc<dyn ObjectStore>,
}

impl Store {
    /// A location over given objects.
    pub fn over(location: &str, objects: Arc<dyn ObjectStore>) -> Self {
        Self {
            location: location.to_owned(),
            objects,
        }
    }

    /// Its URL, as the job spec or a manifest has it.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// Starts a new file.
    pub fn create(&self, path: String) -> Upload {
        let place = object_store::path::Path::from(path.as_str());
        let objects = Arc::clone(&self.objects);
        Upload {
            store: self.clone(),
            path,
            writer: BufWriter::with_capacity(objects, place, PART).with_max_concurrency(PARTS),
            bytes: 0,
            crc: 0,
        }
    }

    /// Reads a file, and checks that it is the one that was written.
    ///
    /// # Errors
    /// [`DAMAGED`] when it is missing or differs, [`UNAVAILABLE`] when the store failed.
    pub async fn read(&self, file: &StateFile) -> Result<Bytes, KolError> {
        let place = object_store::path::Path::from(file.path.as_str());
        let content = within(async { self.objects.get(&place).await?.bytes().await });
        let content = content.await.map_err(|e| self.unread(file, &e))?;
        let crc = crc32c::crc32c(&content);
        self.compare(file, content.len() as u64, crc)?;
        Ok(content)
    }

    /// Checks that a file is the one that was written, and keeps nothing of it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn verify(&self, file: &StateFile) -> Result<(), KolError> {
        let unread = |e| self.unread(file, &e);
        let place = object_store::path::Path::from(file.path.as_str());
        let found = within(self.objects.get(&place)).await.map_err(unread)?;
        let mut chunks = found.into_stream();
        let (mut bytes, mut crc) = (0, 0);
        while let Some(chunk) = within(chunks.try_next()).await.map_err(unread)? {
            bytes += chunk.len() as u64;
            crc = crc32c::crc32c_append(crc, &chunk);
        }
        self.compare(file, bytes, crc)
    }

    /// What was read of a file is what was written.
    fn compare(&self, file: &StateFile, bytes: u64, crc: u32) -> Result<(), KolError> {
        if bytes != file.bytes {
            let what = format!("it has {bytes} bytes instead of {}", file.bytes);
            return Err(self.damaged(&file.path, &what).file(&file.path));
        }
        if crc != file.crc32c {
            let what = "its checksum does not hold";
            return Err(self.damaged(&file.path, what).file(&file.path));
        }
        Ok(())
    }

    /// A file that was written cannot be read.
    fn unread(&self, file: &StateFile, error: &object_store::Error) -> KolError {
        let missing = matches!(error, object_store::Error::NotFound { .. });
        if missing && !s3::is_missing_bucket(error) {
            return self.damaged(&file.path, "it is missing").file(&file.path);
        }
        self.failed("read", &file.path, error)
    }

    /// Writes a small file as a whole, in place of one of that name.
    ///
    /// # Errors
    /// The store refuses it.
    pub async fn put(&self, path: &str, content: Vec<u8>) -> Result<(), KolError> {
        let place = object_store::path::Path::from(path);
        let put = self.objects.put(&place, content.into());
        let written = within(put).await.map(drop);
        written.map_err(|e| self.failed("write", path, &e))
    }

    /// A small file without any check; `None` when it does not exist.
    ///
    /// # Errors
    /// The store failed.
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, KolError> {
        let place = object_store::path::Path::from(path);
        match within(async { self.objects.get(&place).await?.bytes().await }).await {
            Ok(content) => Ok(Some(content)),
            Err(e @ object_store::Error::NotFound { .. }) if !s3::is_missing_bucket(&e) => Ok(None),
            Err(e) => Err(self.failed("read", path, &e)),
        }
    }

    /// Deletes files; one that does not exist counts as deleted.
    ///
    /// # Errors
    /// The store failed; some may be gone.
    pub async fn delete(&self, paths: Vec<String>) -> Result<(), KolError> {
        let Some(first) = paths.first().cloned() else {
            return Ok(());
        };
        let places = paths.into_iter().map(|path| Ok(path.into()));
        let places = futures::stream::iter(places).boxed();
        let gone = self.objects.delete_stream(places);
        let failure = gone.filter_map(|outcome| async {
            match outcome {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => None,
                Err(e) => Some(e),
            }
        });
        let mut failures = std::pin::pin!(failure);
        match within(async { Ok(failures.next().await) }).await {
            Ok(None) => Ok(()),
            Ok(Some(e)) | Err(e) => Err(self.failed("delete", &first, &e)),
        }
    }

    /// Paths and sizes of all files below a folder.
    ///
    /// # Errors
    /// The store failed.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, KolError> {
        let place = object_store::path::Path::from(folder);
        let all = self.objects.list(Some(&place));
        let found = all.map_ok(|meta| (meta.location.to_string(), meta.size));
        within(found.try_collect())
            .await
            .map_err(|e| self.failed("list", folder, &e))
    }

    /// Whether it contains any file.
    pub(super) async fn has_files(&self) -> Result<bool, KolError> {
        let mut all = self.objects.list(None);
        let first = within(all.try_next()).await;
        first
            .map(|f| f.is_some())
            .map_err(|e| self.failed("list", "the files", &e))
    }

    /// A file is not what was written.
    pub fn damaged(&self, path: &str, what: &str) -> KolError {
        let message = format!("state file {path} below {}: {what}", self.location);
        KolError::external(DAMAGED, message)
    }

    fn failed(&self, verb: &str, path: &str, error: &object_store::Error) -> KolError {
        let location = &self.location;
        let message = format!(
            "cannot {verb} {path} below {location}: {}",
            s3::words(error)
        );
        KolError::external(UNAVAILABLE, message).help(help(location))
    }
}

/// A file that is being written. Dropped before [`Upload::finish`] it never becomes visible.
#[derive(Debug)]
pub struct Upload {
    store: Store,
    path: String,
    writer: BufWriter,
    bytes: u64,
    crc: u32,
}

impl Upload {
    /// Appends bytes; waits while too many are on their way.
    ///
    /// # Errors
    /// The store refuses them.
    pub async fn append(&mut self, bytes: Vec<u8>) -> Result<(), KolError> {
        self.crc = crc32c::crc32c_append(self.crc, &bytes);
        self.bytes += bytes.len() as u64;
        let taken = within(self.writer.put(bytes.into())).await;
        taken.map_err(|e| self.store.failed("write", &self.path, &e))
    }

    /// Makes the file durable and visible.
    ///
    /// # Errors
    /// The store refuses it.
    pub async fn finish(mut self) -> Result<StateFile, KolError> {
        let whole = async {
            let finished = self.writer.shutdown().await;
            finished.map_err(|e| object_store::Error::Generic {
                store: "checkpoint store",
                source: e.into(),
            })
        };
        let finished = within(whole).await;
        finished.map_err(|e| self.store.failed("write", &self.path, &e))?;
        Ok(StateFile {
            path: self.path,
            bytes: self.bytes,
            crc32c: self.crc,
        })
    }

    /// Drops what was written; the file never becomes visible.
    pub async fn abort(mut self) {
        // What is left behind is collected with other files that no checkpoint refers to.
        let _left_behind = within(self.writer.abort()).await;
    }
}

/// What to do when a location cannot be used.
pub(super) fn help(location: &str) -> &'static str {
    if location.starts_with("s3://") {
        "Processing continues. Check the bucket, the AWS_… variables of kol-master and of every \
         kol-executor, and that they may read, write, list and delete there."
    } else {
        "Processing continues. Check space and permissions: master and executors must be able to write \
         to the same folder there."
    }
}

/// A place is not there.
pub(super) fn absent(what: String) -> KolError {
    KolError::external(ABSENT, what).help(
        "Mount the checkpoint folder there under the same path, or correct the bucket: it is looked for \
         again every few seconds. Nothing was created and nothing is lost.",
    )
}

async fn within<T>(
    call: impl Future<Output = Result<T, object_store::Error>>,
) -> Result<T, object_store::Error> {
    timeout(DEADLINE, call).await.unwrap_or_else(|_| {
        Err(object_store::Error::Generic {
            store: "checkpoint store",
            source: format!("no answer within {DEADLINE:?}").into(),
        })
    })
}
