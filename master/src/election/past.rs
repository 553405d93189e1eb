//! The lease of this master's life before. A process that is killed cannot end its lease; started again, it does that
//! first, so that no one waits until it expires.
//!
//! Whoever has the file open is alone with it: the life before is over, so ending its lease stops no one who leads. A
//! lease that no longer exists, or that was never used, does no harm there.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

const FILE: &str = "lease";

/// What is left of a master whose process has ended.
pub trait Past: fmt::Debug + Send + Sync {
    /// The newest lease that was kept.
    fn lease(&self) -> Option<i64>;

    /// A lease that may soon be this master's. Where it cannot be kept, it expires by itself.
    fn keep(&self, lease: i64);
}

/// In a folder of this machine.
#[derive(Debug)]
pub struct LeaseFile(File);

impl LeaseFile {
    /// Creates the folder if need be. It is this process' alone until it is dropped.
    ///
    /// # Errors
    /// It cannot be written, or another process has it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(FILE))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::from(io::ErrorKind::ResourceBusy),
            TryLockError::Error(error) => error,
        })?;
        Ok(Self(file))
    }

    fn read(&self) -> io::Result<String> {
        let (mut file, mut text) = (&self.0, String::new());
        file.rewind()?;
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    fn write(&self, lease: i64) -> io::Result<()> {
        let mut file = &self.0;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(lease.to_string().as_bytes())
    }
}

impl Past for LeaseFile {
    fn lease(&self) -> Option<i64> {
        self.read().ok()?.trim().parse().ok()
    }

    fn keep(&self, lease: i64) {
        let _it_expires_by_itself = self.write(lease);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_process_finds_the_newest_lease_and_no_other_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("state");
        let first = LeaseFile::open(&place).unwrap();
        assert_eq!(first.lease(), None);
        first.keep(7_587_871_234_567_890_123);
        first.keep(42);
        let meanwhile = LeaseFile::open(&place).unwrap_err();
        assert_eq!(meanwhile.kind(), io::ErrorKind::ResourceBusy);
        drop(first);
        assert_eq!(LeaseFile::open(&place).unwrap().lease(), Some(42));
    }

    #[test]
    fn what_is_no_lease_is_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "7a").unwrap();
        assert_eq!(LeaseFile::open(folder.path()).unwrap().lease(), None);
    }
}
