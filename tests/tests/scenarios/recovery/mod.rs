//! Checkpoints, and what is left after something died: state comes back from the last committed
//! epoch, only what came after it is read again, and in the end Redis equals the fold.

mod disk;
mod files;
mod processes;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kol_harness::{Cluster, Scene};

const LIMIT: Duration = Duration::from_secs(60);

/// A job that has read half of a generated log, all of it in a committed epoch.
fn half_way(executors: usize, partitions: u32) -> Scene {
    let scene = Scene::half_way(Cluster::start(executors), "recovery", partitions);
    scene.wait_checkpoint(scene.first.len() as u64);
    scene
}

/// Kills an executor, and waits until the master has noticed.
fn kill(scene: &mut Scene, executor: usize) {
    scene.kill(executor);
    scene.wait_noticed();
}

fn checkpoints(scene: &Scene) -> PathBuf {
    scene.cluster.folder().join("state/checkpoints")
}

fn state_files(scene: &Scene) -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&checkpoints(scene), &mut files);
    // Not the manifest, and not the marker of the root.
    files.retain(|file| file.extension().is_some_and(|e| e == "state"));
    files.sort();
    files
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}
