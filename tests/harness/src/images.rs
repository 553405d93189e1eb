//! Images without a registry: the product's, from the binaries under test, and stand-ins for those that
//! `deploy/docker-compose.yml` takes from elsewhere, on a base made by debootstrap.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::docker::done;
use super::{Docker, binary, root};

/// What the stand-ins run.
const PACKAGES: &str =
    "bash,ca-certificates,etcd-client,etcd-server,openjdk-17-jre-headless,prometheus,redis-server";
/// Image that all stand-ins begin with.
const BASE: &str = "kol-stand-ins";
/// Image that holds what goes into the product's.
const ROOTFS: &str = "kol-rootfs";

/// Names of images, without their tags, and what stands in: lines of a Dockerfile after the first.
const STAND_INS: [(&str, &str); 4] = [
    ("apache/kafka", "CMD [\"/opt/kafka/start\"]"),
    // The official image turns protected mode off.
    (
        "redis",
        "WORKDIR /data\nENTRYPOINT [\"sh\", \"-c\", \"exec \\\"$@\\\" --protected-mode no\", \"sh\"]",
    ),
    ("quay.io/coreos/etcd", ""),
    ("prom/prometheus", "ENTRYPOINT [\"/usr/bin/prometheus\"]"),
];

/// Turns the variables of the official image into properties.
const START_KAFKA: &str = "#!/bin/bash
set -eu
env | sed -n 's/^KAFKA_//p' | while IFS='=' read -r name value; do
    echo \"$(tr 'A-Z_' 'a-z.' <<<\"$name\")=$value\"
done >/tmp/server.properties
tool() { java -cp '/opt/kafka/libs/*' kafka.tools.StorageTool \"$@\"; }
[[ -e $KAFKA_LOG_DIRS/meta.properties ]] ||
    tool format -t \"$(tool random-uuid | tail -n 1)\" -c /tmp/server.properties
exec java -Xmx512m -XX:+UseSerialGC -cp '/opt/kafka/libs/*' kafka.Kafka /tmp/server.properties
";
const KAFKA_TOPICS: &str = "#!/bin/bash
exec java -Xmx128m -XX:+UseSerialGC -cp '/opt/kafka/libs/*' org.apache.kafka.tools.TopicCommand \"$@\"
";

impl Docker {
    /// Makes the images of a compose file: those that it takes from elsewhere stand in, `kol` is the product.
    pub fn make_images(&self, compose: &str, kafka_libs: &Path) {
        let images = images(compose);
        self.import(&stand_ins(kafka_libs), BASE);
        for image in images.iter().filter(|image| !image.starts_with("kol:")) {
            let name = image.split(':').next().unwrap_or_default();
            let (_, lines) = STAND_INS
                .iter()
                .find(|(stand_in, _)| *stand_in == name)
                .unwrap_or_else(|| panic!("nothing stands in for {image}"));
            self.build(&format!("FROM {BASE}\n{lines}\n"), &[], image);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let binaries = binary("kol-master");
        let made = Command::new(root().join("deploy/image/rootfs"))
            .arg(binaries.parent().expect("a folder"))
            .arg(root().join("deploy/jobs"))
            .arg(folder.path().join("rootfs"))
            .output();
        done("deploy/image/rootfs", made);
        let archive = folder.path().join("rootfs.tar");
        pack(folder.path(), "rootfs", &archive);
        self.import(&archive, ROOTFS);
        let file = fs::read_to_string(root().join("deploy/Dockerfile")).expect("the Dockerfile");
        let product = images.iter().find(|image| image.starts_with("kol:"));
        let product = product.expect("the product is in the compose file");
        self.build(
            &file,
            &["--build-arg", &format!("ROOTFS={ROOTFS}")],
            product,
        );
    }

    fn import(&self, archive: &Path, name: &str) {
        let mut import = self.command("docker");
        import.arg("import").arg(archive).arg(name);
        done("docker import", import.output());
    }

    fn build(&self, file: &str, arguments: &[&str], tag: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("Dockerfile"), file).expect("a file");
        let mut build = self.command("docker");
        build.arg("build").args(arguments).args(["--tag", tag]);
        done("docker build", build.arg(folder.path()).output());
    }
}

/// Names and tags of the images in a compose file, each once, with the defaults of variables.
fn images(compose: &str) -> Vec<String> {
    let lines = compose
        .lines()
        .filter_map(|line| line.trim().strip_prefix("image: "));
    let mut images: Vec<String> = lines
        .map(|image| match image.split_once("${") {
            None => image.to_owned(),
            Some((name, variable)) => {
                let default = variable.split_once(":-").map(|(_, default)| default);
                let default = default.expect("a default").trim_end_matches('}');
                format!("{name}{default}")
            }
        })
        .collect();
    images.sort();
    images.dedup();
    images
}

/// The archive of a Debian with everything that stands in; made once, and kept beside other tools.
fn stand_ins(kafka_libs: &Path) -> PathBuf {
    let archive = root().join("target/tools/stand-ins.tar");
    if archive.is_file() {
        return archive;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let system = folder.path();
    let made = Command::new("debootstrap")
        .args([
            "--variant=minbase",
            &format!("--include={PACKAGES}"),
            "bookworm",
        ])
        .arg(system)
        .output();
    done("debootstrap", made);
    let kafka = system.join("opt/kafka");
    fs::create_dir_all(kafka.join("bin")).expect("a folder");
    let copied = Command::new("cp")
        .arg("-RL")
        .arg(kafka_libs)
        .arg(kafka.join("libs"))
        .output();
    done("cp", copied);
    for (name, text) in [
        ("start", START_KAFKA),
        ("bin/kafka-topics.sh", KAFKA_TOPICS),
    ] {
        let path = kafka.join(name);
        fs::write(&path, text).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("executable");
    }
    for name in ["etcd", "etcdctl"] {
        let link = system.join("usr/local/bin").join(name);
        symlink(Path::new("/usr/bin").join(name), link).expect("a link");
    }
    for name in [
        "usr/share/doc",
        "usr/share/locale",
        "var/cache/apt",
        "var/lib/apt/lists",
    ] {
        let _smaller = fs::remove_dir_all(system.join(name));
    }
    // Moved at the end: one that was interrupted never looks complete.
    let part = archive.with_extension("part");
    fs::create_dir_all(archive.parent().expect("a folder")).expect("a folder");
    pack(system, ".", &part);
    fs::rename(&part, &archive).expect("the archive");
    archive
}

/// An archive of a part of a folder.
fn pack(folder: &Path, part: &str, archive: &Path) {
    let mut tar = Command::new("tar");
    tar.arg("-C").arg(folder).arg("-cf").arg(archive).arg(part);
    done("tar", tar.output());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_read_from_a_compose_file_with_their_defaults() {
        let file = "a:\n  image: kol:${V:-1.2}\nb:\n  image: x/y:3\nc:\n  image: x/y:3\n";
        assert_eq!(images(file), ["kol:1.2", "x/y:3"]);
    }
}
