//! The checkpoint store: in memory, and for a while slow or failing. A host may not see it: then it finds an empty
//! folder in place of each, into which nobody may write.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use kol_common::checkpoint::Backend;
use kol_common::checkpoint::snapshot::MANIFEST;
use object_store::memory::InMemory;
use object_store::path::Path as Place;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt as _, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};

/// How the store does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// It answers at once.
    #[default]
    Well,
    /// Every call takes so long.
    Slow(Duration),
    /// No call succeeds.
    Failing,
    /// The next state file cannot be written; then it does well again.
    FailsOnce,
}

/// What becomes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// A bit of its middle byte is another.
    Flipped,
    /// Its second half is gone.
    CutOff,
    /// It is gone.
    Deleted,
}

/// All folders there are; they share one mood.
#[derive(Clone, Debug, Default)]
pub struct Folders {
    folders: Arc<Mutex<BTreeMap<PathBuf, Arc<InMemory>>>>,
    mood: Arc<Mutex<Mood>>,
    manifests: Arc<Mutex<Vec<PutPayload>>>,
    view: View,
}

/// What a host sees of all folders.
#[derive(Clone, Debug, Default)]
struct View {
    /// None of them.
    hidden: Arc<AtomicBool>,
    /// What is in their place then.
    instead: Arc<InMemory>,
}

impl View {
    fn is_hidden(&self) -> bool {
        self.hidden.load(Ordering::Relaxed)
    }
}

impl Folders {
    /// From now on.
    pub fn set_mood(&self, mood: Mood) {
        *lock(&self.mood) = mood;
    }

    /// Damages the newest state file of a partition, of the newest job that has one; whether there is
    /// one.
    pub fn damage(&self, ordinal: u32, how: Damage) -> bool {
        let folders = lock(&self.folders);
        folders.values().any(|objects| {
            let damaged = damage_newest(objects, ordinal, how).now_or_never();
            damaged.flatten().is_some()
        })
    }

    /// The same folders with a view of their own, which may be hidden.
    pub fn of_another_host(&self) -> Self {
        Self {
            view: View::default(),
            ..self.clone()
        }
    }

    /// They are not mounted from now on, or they are again. Answers how many files were written in their place.
    pub fn hide(&self, hidden: bool) -> usize {
        self.view.hidden.store(hidden, Ordering::Relaxed);
        let written = self.view.instead.list(None).count().now_or_never();
        written.unwrap_or_default()
    }

    /// The manifest files that were written since the last call.
    pub fn take_manifests(&self) -> Vec<Bytes> {
        let written = std::mem::take(&mut *lock(&self.manifests));
        written.into_iter().map(Bytes::from).collect()
    }
}

impl Backend for Folders {
    fn folder(&self, path: &Path) -> std::result::Result<Arc<dyn ObjectStore>, String> {
        let mut folders = lock(&self.folders);
        Ok(Arc::new(FlakyStore {
            objects: Arc::clone(folders.entry(path.to_owned()).or_default()),
            mood: Arc::clone(&self.mood),
            manifests: Arc::clone(&self.manifests),
            view: self.view.clone(),
        }))
    }

    fn existing_folder(
        &self,
        path: &Path,
    ) -> std::result::Result<Option<Arc<dyn ObjectStore>>, String> {
        let exists = self.view.is_hidden() || lock(&self.folders).contains_key(path);
        exists.then(|| self.folder(path)).transpose()
    }

    fn remove_empty(&self, path: &Path) -> std::result::Result<(), String> {
        let mut folders = lock(&self.folders);
        let files = folders.get(path).map(|objects| objects.list(None).count());
        if self.view.is_hidden() || files.and_then(|count| count.now_or_never()) != Some(0) {
            return Err("it is not empty, or not there".to_owned());
        }
        folders.remove(path);
        Ok(())
    }

    fn bucket(&self, name: &str) -> std::result::Result<Arc<dyn ObjectStore>, String> {
        Err(format!("the simulation has no bucket {name}"))
    }
}

/// One folder of a store that may fail.
#[derive(Clone, Debug)]
pub struct FlakyStore {
    objects: Arc<InMemory>,
    mood: Arc<Mutex<Mood>>,
    manifests: Arc<Mutex<Vec<PutPayload>>>,
    view: View,
}

/// State files lie in JOB/ORDINAL/, with names that begin with the epoch; savepoints lie elsewhere.
async fn damage_newest(objects: &InMemory, ordinal: u32, how: Damage) -> Option<()> {
    let mut files: Vec<Place> = objects
        .list(None)
        .filter_map(|listed| async { listed.ok().map(|meta| meta.location) })
        .collect()
        .await;
    files.retain(|path| {
        let parts: Vec<_> = path.parts().collect();
        parts.len() == 3 && parts[1].as_ref() == ordinal.to_string()
    });
    files.sort();
    let newest = files.pop()?;
    let content = objects.get(&newest).await.ok()?.bytes().await.ok()?;
    let mut content = content.to_vec();
    let middle = content.len() / 2;
    match how {
        Damage::Flipped => *content.get_mut(middle)? ^= 1,
        Damage::CutOff => content.truncate(middle),
        Damage::Deleted => return objects.delete(&newest).await.ok(),
    }
    objects.put(&newest, content.into()).await.ok().map(drop)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FlakyStore {
    /// What the host sees now.
    fn seen(&self) -> &Arc<InMemory> {
        if self.view.is_hidden() {
            &self.view.instead
        } else {
            &self.objects
        }
    }

    async fn suffer(&self) -> Result<()> {
        let mood = *lock(&self.mood);
        match mood {
            Mood::Well | Mood::FailsOnce => Ok(()),
            Mood::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(())
            }
            Mood::Failing => Err(failure()),
        }
    }

    /// Whether this is the one state file that cannot be written.
    fn fails_once(&self, location: &Place) -> bool {
        let mut mood = lock(&self.mood);
        let fails = *mood == Mood::FailsOnce && location.as_ref().ends_with(".state");
        if fails {
            *mood = Mood::Well;
        }
        fails
    }
}

fn failure() -> Error {
    Error::Generic {
        store: "flaky",
        source: "it fails".into(),
    }
}

impl fmt::Display for FlakyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("flaky store")
    }
}

#[async_trait]
impl ObjectStore for FlakyStore {
    async fn put_opts(
        &self,
        location: &Place,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        // What is being written ends where it began, although the folders are no longer mounted there.
        let seen = Arc::clone(self.seen());
        self.suffer().await?;
        if self.fails_once(location) {
            return Err(failure());
        }
        let written = seen.put_opts(location, payload.clone(), opts).await?;
        if location.filename() == Some(MANIFEST) {
            lock(&self.manifests).push(payload);
        }
        Ok(written)
    }

    async fn put_multipart_opts(
        &self,
        location: &Place,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let seen = Arc::clone(self.seen());
        self.suffer().await?;
        seen.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Place, options: GetOptions) -> Result<GetResult> {
        self.suffer().await?;
        self.seen().get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Place>>,
    ) -> BoxStream<'static, Result<Place>> {
        self.seen().delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Place>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, listed) = (self.clone(), self.seen().list(prefix));
        let first = futures::stream::once(async move { store.suffer().await });
        let failed = first.filter_map(|outcome| async { outcome.err().map(Err) });
        failed.chain(listed).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Place>) -> Result<ListResult> {
        self.suffer().await?;
        self.seen().list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Place, to: &Place, options: CopyOptions) -> Result<()> {
        self.suffer().await?;
        self.seen().copy_opts(from, to, options).await
    }
}
