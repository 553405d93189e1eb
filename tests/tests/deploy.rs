//! What an operator installs fits together: systemd units, Kubernetes manifests, versions. Nothing of it is started here;
//! the compose file is, in `tests/scenarios/compose`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot continue should say where"
)]

#[path = "deploy/manifests.rs"]
mod manifests;

use std::path::PathBuf;
use std::process::Command;

use kol_common::job::parse;
use kol_harness::{binary, client, root};

use manifests::Manifests;

/// The most that `systemd-analyze security` may find, of 100.
const EXPOSURE: &str = "--threshold=20";
/// Tiers of Kubernetes: executors, and the memory of each.
const TIERS: [(&str, u64, &str); 4] = [
    ("dev", 1, "1Gi"),
    ("small", 2, "2Gi"),
    ("medium", 4, "4Gi"),
    ("large", 8, "8Gi"),
];

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Standard output of a program that must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}\n{err}");
    out
}

#[test]
fn every_place_names_the_version_of_the_product() {
    let version = env!("CARGO_PKG_VERSION");
    for (file, text) in [
        (
            "deploy/docker-compose.yml",
            format!("image: kol:${{KOL_VERSION:-{version}}}\n"),
        ),
        ("deploy/Dockerfile", format!("-t kol:{version} .\n")),
        (
            "deploy/kubernetes/base/kustomization.yaml",
            format!("newTag: {version}\n"),
        ),
    ] {
        assert!(read(file).contains(&text), "{file} does not say {text}");
    }
}

#[test]
fn every_shipped_job_is_read() {
    for folder in ["deploy/jobs", "deploy/kubernetes/base/jobs"] {
        let files = std::fs::read_dir(root().join(folder)).unwrap();
        let files: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{folder} has no jobs");
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let name = file.display().to_string();
            parse(&text, &name).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }
}

#[test]
fn the_units_of_systemd_are_right_and_give_away_little() {
    let known = Command::new("systemd-analyze").arg("--version").output();
    if !known.is_ok_and(|output| output.status.success()) {
        eprintln!("NOT TESTED WITH SYSTEMD: there is no program `systemd-analyze`");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let binaries = binary("kol-master").parent().unwrap().display().to_string();
    for unit in ["kol-master.service", "kol-executor.service"] {
        // What is started must exist.
        let text = read(&format!("deploy/systemd/{unit}")).replace("/usr/local/bin", &binaries);
        let file = folder.path().join(unit);
        std::fs::write(&file, text).unwrap();
        let more = folder.path().join(format!("{unit}.d"));
        std::fs::create_dir(&more).unwrap();
        std::fs::write(more.join("tls.conf"), read("deploy/systemd/tls.conf")).unwrap();
        let verify = Command::new("systemd-analyze")
            .arg("verify")
            .arg(&file)
            .output()
            .unwrap();
        // It may warn of other units of this machine.
        let said = String::from_utf8_lossy(&verify.stderr).into_owned();
        let ours: Vec<&str> = said.lines().filter(|line| line.contains(unit)).collect();
        assert!(ours.is_empty() && verify.status.success(), "{unit}: {said}");
        let mut security = Command::new("systemd-analyze");
        output(
            security
                .args(["security", "--offline=true", EXPOSURE])
                .arg(&file),
        );
    }
}

/// A copy of the manifests with certificates, as an operator has it.
fn manifests() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let from = root().join("deploy/kubernetes");
    output(
        Command::new("cp")
            .arg("-R")
            .args([from.as_path(), folder.path()]),
    );
    let certs = folder.path().join("kubernetes/base/certs");
    let _of_the_operator = std::fs::remove_dir_all(&certs);
    let certs = [
        "certs",
        "init",
        certs.to_str().unwrap(),
        "--host",
        "kol-master-0.kol-master",
    ];
    client(folder.path(), &certs, &[]).done();
    folder
}

#[test]
fn the_manifests_of_every_tier_are_valid_and_fit_together() {
    let Some(tools) = manifests::Tools::installed() else {
        return;
    };
    let folder = manifests();
    for (tier, executors, memory) in TIERS {
        let all = tools.build(&folder.path().join("kubernetes/tiers").join(tier));
        fits_together(&all, tier);
        let executor = all.one("StatefulSet", "kol-executor");
        assert_eq!(executor["spec"]["replicas"], executors, "{tier}");
        let container = &executor["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(container["resources"]["limits"]["memory"], memory, "{tier}");
    }
    let all = tools.build(&folder.path().join("kubernetes/autoscale"));
    fits_together(&all, "autoscale");
    let target = &all.one("HorizontalPodAutoscaler", "kol-executor")["spec"]["scaleTargetRef"];
    let executor = all.one("StatefulSet", target["name"].as_str().unwrap());
    assert!(
        executor["spec"]["replicas"].is_null(),
        "two would set the number"
    );
}

fn fits_together(all: &Manifests, tier: &str) {
    let problems = all.problems(&format!("kol:{}", env!("CARGO_PKG_VERSION")));
    assert!(problems.is_empty(), "{tier}: {problems:#?}");
}
