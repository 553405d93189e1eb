//! File systems that are mounted for a test, for everybody or for one process with a mount namespace of its own.

use std::path::Path;
use std::process::{Command, Stdio};

/// The command that starts a program in a mount namespace of its own.
pub const IN_OWN_NAMESPACE: [&str; 4] = ["unshare", "--mount", "--propagation", "private"];

/// Whether processes may have mount namespaces of their own, and mount there; says loudly that `what` is not tested
/// where they may not.
pub fn may_mount(what: &str) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let (program, arguments) = IN_OWN_NAMESPACE.split_first().expect("a program");
    let mounted = Command::new(program)
        .args(arguments)
        .args(["mount", "-t", "tmpfs", "tmpfs"])
        .arg(folder.path())
        .stderr(Stdio::null())
        .status();
    let mounted = mounted.is_ok_and(|status| status.success());
    if !mounted {
        eprintln!("NOT TESTED: {what}, because mounting is not allowed");
    }
    mounted
}

/// Runs `mount` on a folder; whether that succeeded.
pub fn mount(arguments: &[&str], folder: &Path) -> bool {
    let status = Command::new("mount").args(arguments).arg(folder).status();
    status.is_ok_and(|status| status.success())
}

/// A process with a mount namespace of its own sees an empty folder in place of this one.
pub fn hide_from(pid: u32, folder: &Path) {
    in_namespace_of(pid, &["mount", "-t", "tmpfs", "tmpfs"], folder);
}

/// It sees a copy of this folder in its place.
pub fn show_copy_to(pid: u32, folder: &Path, copy: &Path) {
    let copy = copy.to_str().expect("UTF-8");
    in_namespace_of(pid, &["mount", "--bind", copy], folder);
}

/// It sees the folder again.
pub fn show_to(pid: u32, folder: &Path) {
    in_namespace_of(pid, &["umount", "--lazy"], folder);
}

/// How many files a process sees in a folder.
pub fn seen_by(pid: u32, folder: &Path) -> usize {
    let there = format!("/proc/{pid}/root{}", folder.display());
    std::fs::read_dir(there).expect("a folder").count()
}

fn in_namespace_of(pid: u32, command: &[&str], folder: &Path) {
    let done = Command::new("nsenter")
        .args(["--target", &pid.to_string(), "--mount"])
        .args(command)
        .arg(folder)
        .status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "{command:?} {} for process {pid}",
        folder.display()
    );
}
