//! Writes one state file: takes chunks of records from the partition, packs them, and sends them to the
//! store, beside the partition's loop.

use kol_common::actor::Group;
use kol_common::checkpoint::frame::Encoder;
use kol_common::checkpoint::{Stores, Upload};
use kol_common::proto::StateFile;
use kol_common::{KolError, actor};
use tokio::sync::oneshot;

/// Chunks that may wait to be packed.
const WAITING: usize = 4;

/// A file that is being written. Dropped before [`Writer::end`], it is aborted.
#[derive(Debug)]
pub struct Writer {
    chunks: actor::Address<Chunk>,
    result: oneshot::Receiver<Result<StateFile, KolError>>,
}

#[derive(Debug)]
enum Chunk {
    Records(Vec<u8>),
    End,
}

impl Writer {
    /// Starts a file at `path` below `location`.
    pub fn start(group: &Group, stores: Stores, location: String, path: String) -> Self {
        let (chunks, inbox) = actor::mailbox("state file", WAITING);
        let (reply, result) = oneshot::channel();
        let _runs_by_itself = group.spawn("state-file", async move {
            let written = write(&stores, &location, path, inbox).await;
            let _nobody_waits = reply.send(written);
            Ok(())
        });
        Self { chunks, result }
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

    /// Whether chunks may be handed over.
    pub fn has_room(&self) -> bool {
        self.chunks.room() > 1
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
    stores: &Stores,
    location: &str,
    path: String,
    mut chunks: actor::Mailbox<Chunk>,
) -> Result<StateFile, KolError> {
    let mut upload = stores.open(location).await?.create(path);
    match fill(&mut upload, &mut chunks).await {
        Ok(()) => upload.finish().await,
        Err(error) => {
            upload.abort().await;
            Err(error)
        }
    }
}

async fn fill(upload: &mut Upload, chunks: &mut actor::Mailbox<Chunk>) -> Result<(), KolError> {
    let mut encoder = Encoder::default();
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
