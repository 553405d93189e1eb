//! State files of what is forgotten. They go once their place is there:
//!
//! 1. A checkpoint root is there if it carries the marker of the cluster.
//! 2. The folder of a savepoint is there if it has the marker, the manifest or a file of it. Without any of
//!    them its files are gone only if a root of this cluster that it lies below is there: another folder, or an
//!    empty one, looks the same while the right one is not mounted.
//!
//! Then their folder goes, unless something else lies in it.

use std::collections::BTreeSet;

use kol_common::checkpoint::marker::{Marker, SAVEPOINT_FILE};
use kol_common::checkpoint::snapshot::MANIFEST;
use kol_common::checkpoint::{ABSENT, Location, Store, Stores};
use kol_common::{JobId, KolError};
use serde::{Deserialize, Serialize};

/// What is to be deleted, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// URL of the checkpoint root of a job, or of the folder of a savepoint.
    pub location: String,
    /// What lies there.
    pub what: Forgotten,
}

/// What a person or the master has forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forgotten {
    /// All state of a job.
    Job(JobId),
    /// A savepoint with these files.
    Savepoint(BTreeSet<String>),
}

impl Deletion {
    /// Deletes it. `cluster` is what a root must carry, `roots` are those that were marked with it.
    ///
    /// # Errors
    /// [`ABSENT`] when the place is not there; the store failed. Then some of it may be gone.
    pub async fn carry_out(
        &self,
        stores: &Stores,
        cluster: &Marker,
        roots: &[String],
    ) -> Result<(), KolError> {
        match &self.what {
            Forgotten::Job(job) => {
                let store = stores.present(&self.location).await?;
                cluster.check(&store).await?;
                let files = store.list(job.as_str()).await?;
                store.delete(paths(files)).await?;
                let folder = format!("{}/{job}", self.location.trim_end_matches('/'));
                remove_folder(stores, &folder).await;
                Ok(())
            }
            Forgotten::Savepoint(files) => match self.savepoint(stores, files).await {
                Err(absent) if absent.code == ABSENT => {
                    let is_gone = self.is_gone(stores, cluster, roots).await?;
                    if is_gone { Ok(()) } else { Err(absent) }
                }
                done => done,
            },
        }
    }

    async fn savepoint(&self, stores: &Stores, files: &BTreeSet<String>) -> Result<(), KolError> {
        let store = stores.present(&self.location).await?;
        let found: BTreeSet<String> = paths(store.list("").await?).into_iter().collect();
        let marks = [MANIFEST, SAVEPOINT_FILE].map(str::to_owned);
        if found.is_disjoint(files) && !marks.iter().any(|mark| found.contains(mark)) {
            return Err(nothing_of_it(&store));
        }
        let [manifest, marker] = marks;
        // The manifest first: what remains of an interrupted deletion is not a savepoint. The marker last: it
        // says that the place is there.
        for part in [
            vec![manifest],
            found.intersection(files).cloned().collect(),
            vec![marker],
        ] {
            let there: Vec<_> = part.into_iter().filter(|p| found.contains(p)).collect();
            store.delete(there).await?;
        }
        remove_folder(stores, &self.location).await;
        Ok(())
    }

    /// Whether a root of the cluster that the place lies below is there.
    async fn is_gone(
        &self,
        stores: &Stores,
        cluster: &Marker,
        roots: &[String],
    ) -> Result<bool, KolError> {
        let place: Location = self.location.parse()?;
        for root in roots {
            if root.parse::<Location>()?.holds(&place) {
                let store = stores.present(root).await?;
                return cluster.check(&store).await.map(|()| true);
            }
        }
        Ok(false)
    }
}

/// A folder that stays does no harm: something else lies in it, or it never was one.
async fn remove_folder(stores: &Stores, location: &str) {
    if let Err(error) = stores.remove_empty(location).await {
        tracing::debug!(%error, "the folder of what was deleted stays");
    }
}

fn paths(files: Vec<(String, u64)>) -> Vec<String> {
    files.into_iter().map(|(path, _)| path).collect()
}

fn nothing_of_it(store: &Store) -> KolError {
    let what = format!("`{}` has nothing of the savepoint", store.location());
    KolError::external(ABSENT, what)
        .help("Mount the folder: its files are deleted by themselves then.")
}

#[cfg(test)]
mod tests {
    use kol_common::ClusterId;

    use super::*;

    /// A root of the cluster, with state of two jobs and a savepoint.
    struct Scene {
        folder: tempfile::TempDir,
        root: String,
        cluster: Marker,
    }

    impl Scene {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let root = format!("file://{}/root", folder.path().display());
            let cluster = Marker::Cluster(ClusterId::generate());
            let scene = Self {
                folder,
                root,
                cluster,
            };
            let store = Stores::of_this_machine().open(&scene.root).await.unwrap();
            scene.cluster.write(&store).await.unwrap();
            for path in [
                "job_1/0/a.state",
                "job_2/0/b.state",
                "sav_1/manifest",
                "sav_1/kol-savepoint",
                "sav_1/0/c.state",
                "sav_1/notes",
            ] {
                store.put(path, b"x".to_vec()).await.unwrap();
            }
            scene
        }

        fn there(&self, path: &str) -> bool {
            self.folder.path().join("root").join(path).exists()
        }

        /// Takes the root away, and puts an empty folder in its place, or brings it back.
        fn mounted(&self, mounted: bool) {
            let (root, aside) = (
                self.folder.path().join("root"),
                self.folder.path().join("b"),
            );
            if mounted {
                std::fs::remove_dir_all(&root).unwrap();
                std::fs::rename(aside, root).unwrap();
            } else {
                std::fs::rename(&root, aside).unwrap();
                std::fs::create_dir_all(root.join("sav_1")).unwrap();
            }
        }

        async fn delete(&self, below: &str, what: Forgotten) -> Result<(), KolError> {
            let location = format!("{}{below}", self.root);
            let deletion = Deletion { location, what };
            let stores = Stores::of_this_machine();
            let roots = [self.root.clone()];
            deletion.carry_out(&stores, &self.cluster, &roots).await
        }
    }

    fn job() -> Forgotten {
        Forgotten::Job(JobId::from_wire("job_1"))
    }

    fn savepoint() -> Forgotten {
        Forgotten::Savepoint(["0/c.state".to_owned()].into())
    }

    #[tokio::test]
    async fn what_is_forgotten_goes_and_nothing_else() {
        let scene = Scene::new().await;
        scene.delete("", job()).await.unwrap();
        assert!(!scene.there("job_1/0/a.state") && scene.there("job_2/0/b.state"));
        scene.delete("/sav_1", savepoint()).await.unwrap();
        for path in ["manifest", "kol-savepoint", "0/c.state"] {
            assert!(!scene.there(&format!("sav_1/{path}")), "{path}");
        }
        assert!(scene.there("sav_1/notes"));
        scene.delete("/sav_1", savepoint()).await.unwrap();
    }

    #[tokio::test]
    async fn the_folder_of_what_is_deleted_goes_once_nothing_else_lies_in_it() {
        let scene = Scene::new().await;
        scene.delete("", job()).await.unwrap();
        assert!(!scene.there("job_1") && scene.there("job_2"));
        std::fs::remove_file(scene.folder.path().join("root/sav_1/notes")).unwrap();
        scene.delete("/sav_1", savepoint()).await.unwrap();
        assert!(!scene.there("sav_1") && scene.there("job_2"));
    }

    #[tokio::test]
    async fn nothing_counts_as_deleted_where_the_place_is_not_there() {
        let scene = Scene::new().await;
        scene.mounted(false);
        for (below, what) in [
            ("", job()),
            ("/sav_1", savepoint()),
            ("/sav_2", savepoint()),
        ] {
            let error = scene.delete(below, what).await.unwrap_err();
            assert_eq!(error.code, ABSENT, "{error}");
        }
        scene.mounted(true);
        scene.delete("", job()).await.unwrap();
        assert!(!scene.there("job_1/0/a.state"));
        // Deleted by hand: below a root that is there it is gone, and elsewhere nobody knows.
        scene.delete("/sav_2", savepoint()).await.unwrap();
        let error = scene.delete("-other/sav_2", savepoint()).await.unwrap_err();
        assert_eq!(error.code, ABSENT, "{error}");
    }
}
