//! What tells a checkpoint root from a copy of it, which has the marker of the cluster, too.
//!
//! 1. The leading master writes a new stamp into a root now and then: a file of its own in the folder [`STAMPS`],
//!    which nobody writes again. So a copy has none that is newer than itself, however it was made.
//! 2. A stamp comes on record, and executors are held to it, when the root still has it a while after it was
//!    written: by then every host that mounts the root can see it.
//! 3. The master holds its own root to the stamp on record. One that has older stamps only is a copy, or was
//!    restored from a backup: a person says so by deleting the folder [`STAMPS`]. One with newer stamps is the root,
//!    and the record is old.
//! 4. The newest [`KEPT`] stay, for executors that no master has reached for a while.

use std::fmt;

use uuid::Uuid;

use super::store::{ABSENT, Store};
use crate::{KolError, world};

/// Folder with the stamps, in a checkpoint root.
pub const STAMPS: &str = "kol-stamps";
/// Stamps that stay in a root.
const KEPT: usize = 100;

/// A stamp. Later ones are greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    number: u64,
    unique: Uuid,
}

impl Stamp {
    /// A new one, later than this.
    pub fn after(last: Option<&Self>) -> Self {
        Self {
            number: last.map_or(0, |last| last.number).saturating_add(1),
            unique: world::random_id(),
        }
    }

    /// One that came over the wire, from the store or from a folder; `None` if it does not have the form.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unique) = text.split_once('-')?;
        let stamp = Self {
            number: number.parse().ok()?,
            unique: Uuid::parse_str(unique).ok()?,
        };
        (stamp.to_string() == text).then_some(stamp)
    }

    fn path(&self) -> String {
        format!("{STAMPS}/{self}")
    }

    /// Whether a root has it.
    ///
    /// # Errors
    /// [`ABSENT`] if not: it is a copy; the store failed.
    pub async fn check(&self, root: &Store) -> Result<(), KolError> {
        if root.get(&self.path()).await?.is_some() {
            return Ok(());
        }
        let what = format!(
            "`{}` is an older copy of the checkpoint folder: it has no file `{}`, which kol-master wrote there",
            root.location(),
            self.path()
        );
        Err(KolError::external(ABSENT, what).help(
            "Mount the folder that kol-master has there, under the same path: it is looked for again every few \
             seconds. Nothing was created and nothing is lost.",
        ))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:020}-{}", self.number, self.unique.simple())
    }
}

/// What the master does with the stamps of a root at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// On record: the root must have it.
    pub recorded: Option<Stamp>,
    /// Was written a while ago, and comes on record if the root has it still.
    pub settles: Option<Stamp>,
    /// Whether a new one is written.
    pub writes: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// The root is right without the one on record.
    pub gone: Option<Stamp>,
    /// The root has this one still.
    pub settled: Option<Stamp>,
    /// This one was written.
    pub written: Option<Stamp>,
}

impl Renewal {
    /// Does it in a root that carries its marker.
    ///
    /// # Errors
    /// [`ABSENT`] when the root is older than the record; the stamps cannot be read. That one cannot be written is no
    /// error: the next look tries again.
    pub async fn carry_out(self, root: &Store) -> Result<Renewed, KolError> {
        let found = found(root).await?;
        let newest = found.last();
        let gone = self.recorded.filter(|recorded| !found.contains(recorded));
        if let (Some(gone), Some(newest)) = (&gone, newest)
            && newest.number <= gone.number
        {
            return Err(older(root, gone, newest));
        }
        let settled = self.settles.filter(|stamp| found.contains(stamp));
        let written = if self.writes {
            write(root, Stamp::after(newest.max(gone.as_ref()))).await
        } else {
            None
        };
        if written.is_some() {
            forget_oldest(root, &found).await;
        }
        Ok(Renewed {
            gone,
            settled,
            written,
        })
    }
}

/// The stamps of a root, oldest first.
async fn found(root: &Store) -> Result<Vec<Stamp>, KolError> {
    let files = root.list(STAMPS).await?;
    let names = files.iter().filter_map(|(path, _)| path.rsplit('/').next());
    let mut stamps: Vec<_> = names.filter_map(Stamp::parse).collect();
    stamps.sort();
    Ok(stamps)
}

async fn write(root: &Store, stamp: Stamp) -> Option<Stamp> {
    match root.put(&stamp.path(), stamp.to_string().into()).await {
        Ok(()) => Some(stamp),
        Err(error) => {
            tracing::debug!(%error, "the checkpoint root gets no new stamp now");
            None
        }
    }
}

async fn forget_oldest(root: &Store, found: &[Stamp]) {
    let most = found.len().saturating_sub(KEPT);
    let old = found.iter().take(most).map(Stamp::path).collect();
    if let Err(error) = root.delete(old).await {
        tracing::debug!(%error, "old stamps of the checkpoint root stay for now");
    }
}

fn older(root: &Store, recorded: &Stamp, newest: &Stamp) -> KolError {
    let place = root.location();
    let what = format!(
        "`{place}` is an older copy of the checkpoint folder: its newest file in `{STAMPS}` is {newest}, and \
         {recorded} was written since"
    );
    KolError::external(ABSENT, what).help(format!(
        "On the host of kol-master: mount the right folder there. If this one was restored from a backup, delete the \
         folder {place}/{STAMPS}: it is looked at again every few seconds."
    ))
}

#[cfg(test)]
mod tests {
    use super::super::stores::Stores;
    use super::*;

    /// A root in an own folder.
    async fn root(folder: &std::path::Path) -> Store {
        let location = format!("file://{}", folder.display());
        Stores::of_this_machine().open(&location).await.unwrap()
    }

    fn copy(from: &std::path::Path, to: &std::path::Path) {
        std::fs::create_dir_all(to.join(STAMPS)).unwrap();
        for file in std::fs::read_dir(from.join(STAMPS)).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(STAMPS).join(file.file_name())).unwrap();
        }
    }

    /// Writes a stamp.
    async fn stamped(root: &Store) -> Stamp {
        let renewal = Renewal {
            writes: true,
            ..Renewal::default()
        };
        renewal.carry_out(root).await.unwrap().written.unwrap()
    }

    /// A look that writes nothing.
    async fn look(root: &Store, recorded: &Stamp) -> Result<Renewed, KolError> {
        let renewal = Renewal {
            recorded: Some(recorded.clone()),
            ..Renewal::default()
        };
        renewal.carry_out(root).await
    }

    #[test]
    fn only_what_has_the_form_of_a_stamp_is_one() {
        let stamp = Stamp::after(None);
        assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp.clone()));
        assert!(Stamp::after(Some(&stamp)) > stamp);
        for text in ["", "-", "1", "+1-2", "../kol-cluster", "1-../x"] {
            assert_eq!(Stamp::parse(text), None, "{text}");
        }
    }

    #[tokio::test]
    async fn a_copy_of_a_root_has_none_of_the_stamps_that_come_later() {
        let folder = tempfile::tempdir().unwrap();
        let (original, backup) = (folder.path().join("a"), folder.path().join("b"));
        let store = root(&original).await;
        let first = stamped(&store).await;
        copy(&original, &backup);
        let second = stamped(&store).await;
        let copied = root(&backup).await;
        first.check(&copied).await.unwrap();
        for stamp in [&first, &second] {
            stamp.check(&store).await.unwrap();
        }
        let error = second.check(&copied).await.unwrap_err();
        assert_eq!(error.code, ABSENT, "{error}");
        assert!(error.message.contains("copy"), "{error}");
        assert!(!backup.join(second.path()).exists());
    }

    #[tokio::test]
    async fn a_root_that_is_older_than_the_record_is_none_until_a_person_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (original, backup) = (folder.path().join("a"), folder.path().join("b"));
        let store = root(&original).await;
        stamped(&store).await;
        copy(&original, &backup);
        let second = stamped(&store).await;
        assert_eq!(look(&store, &second).await.unwrap(), Renewed::default());
        let restored = root(&backup).await;
        let error = look(&restored, &second).await.unwrap_err();
        assert_eq!(error.code, ABSENT, "{error}");
        assert!(error.help.contains(STAMPS), "{error}");
        std::fs::remove_dir_all(backup.join(STAMPS)).unwrap();
        let renewal = Renewal {
            recorded: Some(second.clone()),
            writes: true,
            ..Renewal::default()
        };
        let renewed = renewal.carry_out(&restored).await.unwrap();
        assert_eq!(renewed.gone, Some(second.clone()));
        assert!(renewed.written.unwrap() > second);
    }

    #[tokio::test]
    async fn a_root_with_newer_stamps_than_the_record_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let store = root(folder.path()).await;
        let old = Stamp::after(None);
        let renewed = async || look(&store, &old).await.unwrap();
        stamped(&store).await;
        assert_eq!(look(&store, &old).await.unwrap_err().code, ABSENT);
        stamped(&store).await;
        assert_eq!(renewed().await.gone, Some(old.clone()));
    }

    #[tokio::test]
    async fn a_stamp_comes_on_record_only_if_the_root_has_it_still() {
        let folder = tempfile::tempdir().unwrap();
        let store = root(folder.path()).await;
        let stamp = stamped(&store).await;
        let settle = Renewal {
            settles: Some(stamp.clone()),
            ..Renewal::default()
        };
        let renewed = settle.clone().carry_out(&store).await.unwrap();
        assert_eq!(renewed.settled, Some(stamp.clone()));
        std::fs::remove_file(folder.path().join(stamp.path())).unwrap();
        let renewed = settle.carry_out(&store).await.unwrap();
        assert_eq!(renewed, Renewed::default());
    }

    #[tokio::test]
    async fn the_newest_stamps_stay_and_a_root_that_takes_none_is_right_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let store = root(folder.path()).await;
        let first = stamped(&store).await;
        let mut last = first.clone();
        for _ in 0..=KEPT {
            last = stamped(&store).await;
        }
        first.check(&store).await.unwrap_err();
        last.check(&store).await.unwrap();
        assert!(found(&store).await.unwrap().len() <= KEPT + 1);
        let stamps = folder.path().join(STAMPS);
        std::fs::remove_dir_all(&stamps).unwrap();
        std::fs::write(&stamps, "in the way").unwrap();
        let renewal = Renewal {
            writes: true,
            ..Renewal::default()
        };
        assert_eq!(renewal.carry_out(&store).await.unwrap(), Renewed::default());
    }
}
