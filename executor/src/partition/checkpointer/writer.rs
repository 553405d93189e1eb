//! Writes one state file: takes chunks of records from the partition, packs them, and sends them to the
//! store, beside the partition's loop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use kol_common::actor::Group;
use kol_common::checkpoint::Upload;
use kol_common::checkpoint::frame::Encoder;
use kol_common::proto::StateFile;
use kol_common::{KolError, actor};
use tokio::sync::oneshot;

use crate::memory::{Memory, Share, Use};
use crate::roots::{Place, Roots};

/// Chunks that may wait to be packed.
const WAITING: usize = 4;
/// What a file takes while it is written, at most: chunks that wait, and parts that a store takes at once.
const LARGEST: u64 = 28 << 20;
/// What it takes in any case.
const SMALLEST: u64 = 1 << 20;

/// Waits for the memory that writing a file with so many bytes of records takes.
pub fn room(memory: Memory, records: u64) -> BoxFuture<'static, Share> {
    let bytes = records.clamp(SMALLEST, LARGEST);
    Box::pin(async move { memory.room_for(Use::Files, bytes).await })
}

/// A file that is being written. Dropped before [`Writer::end`], it is aborted.
#[derive(Debug)]
pub struct Writer {
    chunks: actor::Address<Chunk>,
    /// There is memory for it.
    begun: Arc<AtomicBool>,
    result: oneshot::Receiver<Result<StateFile, KolError>>,
}

#[derive(Debug)]
enum Chunk {
    Records(Vec<u8>),
    End,
}

impl Writer {
    /// Starts a file of this version at `path` in a place, once there is `room`.
    pub fn start(
        group: &Group,
        room: BoxFuture<'static, Share>,
        roots: Roots,
        place: Place,
        path: String,
        version: u16,
    ) -> Self {
        let (chunks, inbox) = actor::mailbox("state file", WAITING);
        let (mut reply, result) = oneshot::channel();
        let begun = Arc::new(AtomicBool::new(false));
        let begins = Arc::clone(&begun);
        let _runs_by_itself = group.spawn("state-file", async move {
            let _share = tokio::select! {
                biased;
                // The epoch was aborted.
                () = reply.closed() => return Ok(()),
                share = room => share,
            };
            begins.store(true, Ordering::Relaxed);
            let written = write(&roots, &place, (path, version), inbox).await;
            let _nobody_waits = reply.send(written);
            Ok(())
        });
        Self {
            chunks,
            begun,
            result,
        }
    }

    /// Hands over records; back if there is no room for them now.
    pub fn records(&self, records: Vec<u8>) -> Result<(), Vec<u8>> {
        if self.chunks.room() == 0 {
            return Err(records);
        }
        // Whether the file failed, its result says.
        let _failed = self.chunks.try_tell(Chunk::Records(records));
        Ok(())
    }

    /// Nothing more comes. False: there is no room now.
    pub fn end(&self) -> bool {
        if self.chunks.room() == 0 {
            return false;
        }
        let _failed = self.chunks.try_tell(Chunk::End);
        true
    }

    /// Whether chunks may be handed over: none waits while there is no memory for the file.
    pub fn has_room(&self) -> bool {
        self.begun.load(Ordering::Relaxed) && self.chunks.room() > 1
    }

    /// Waits for the file to be durable.
    pub async fn result(&mut self) -> Result<StateFile, KolError> {
        let gone = |_| {
            Err(KolError::internal(
                "CHECKPOINT_WRITER",
                "the writer of the state file ended early",
            ))
        };
        (&mut self.result).await.unwrap_or_else(gone)
    }
}

async fn write(
    roots: &Roots,
    place: &Place,
    (path, version): (String, u16),
    mut chunks: actor::Mailbox<Chunk>,
) -> Result<StateFile, KolError> {
    let mut upload = roots.open(place).await?.create(path);
    let filled = match fill(&mut upload, Encoder::of(version), &mut chunks).await {
        // A small file is created only when it is finished.
        Ok(()) => roots.open(place).await.map(drop),
        Err(error) => Err(error),
    };
    if let Err(error) = filled {
        upload.abort().await;
        return Err(error);
    }
    let file = upload.finish().await?;
    // It counts only if it was written into the right folder.
    roots.open(place).await?;
    Ok(file)
}

async fn fill(
    upload: &mut Upload,
    mut encoder: Encoder,
    chunks: &mut actor::Mailbox<Chunk>,
) -> Result<(), KolError> {
    let mut packed = Vec::new();
    encoder.header(&mut packed);
    loop {
        match chunks.recv().await {
            Some(Chunk::Records(records)) => {
                encoder.frame(&records, &mut packed);
                upload.append(std::mem::take(&mut packed)).await?;
            }
            Some(Chunk::End) => {
                encoder.trailer(&mut packed);
                return upload.append(packed).await;
            }
            None => {
                return Err(KolError::internal(
                    "CHECKPOINT_WRITER",
                    "the epoch was aborted",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kol_common::checkpoint::frame::PLAIN_VERSION;
    use kol_common::checkpoint::marker::CLUSTER_FILE;
    use kol_common::checkpoint::{ABSENT, Stores};
    use kol_common::{ClusterId, world};

    use super::*;

    #[tokio::test]
    async fn a_folder_that_is_unmounted_while_a_file_is_written_stays_as_it_is_and_the_file_fails()
    {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join(CLUSTER_FILE), "clu_1").unwrap();
        let location = format!("file://{}", root.display());
        let place = Place::root(&location, &ClusterId::from_wire("clu_1"));
        let roots = Roots::new(Stores::of_this_machine(), "host");
        let group = Group::new("test");
        let path = || format!("job_1/0/{}.state", world::random_id());
        let room = || room(Memory::new(1 << 30), 100);
        let mut writer = Writer::start(
            &group,
            room(),
            roots.clone(),
            place.clone(),
            path(),
            PLAIN_VERSION,
        );
        while !writer.has_room() {
            tokio::task::yield_now().await;
        }
        writer.records(vec![1; 100]).unwrap();
        assert!(writer.end());
        writer.result().await.unwrap();

        let mut writer = Writer::start(&group, room(), roots, place, path(), PLAIN_VERSION);
        writer.records(vec![1; 100]).unwrap();
        // It looked at the root, and began: what was handed over is taken.
        while writer.chunks.room() < WAITING {
            tokio::task::yield_now().await;
        }
        std::fs::rename(&root, folder.path().join("aside")).unwrap();
        std::fs::create_dir(&root).unwrap();
        assert!(writer.end());
        assert_eq!(writer.result().await.unwrap_err().code, ABSENT);
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    }
}
