//! Hosts: network namespaces on one bridge. The program itself is on the bridge too, with Kafka, Redis and people.
//!
//! Everything lives in a network and a mount namespace that only this program and its children have: the kernel removes
//! all of it with the last of them, however they end.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

/// Address of what is on the bridge itself.
pub const HUB: &str = "10.77.0.1";
/// Set for the program once it is in namespaces of its own.
const INSIDE: &str = "KOL_HOSTS_INSIDE";
/// Namespaces of its own.
const OWN: [&str; 4] = ["--net", "--mount", "--propagation", "private"];
/// Where `ip` keeps the names of network namespaces.
const NAMES: &str = "/run/netns";
/// Folder for all temporary files: in memory, so that a slow disk is not taken for a fault of the network.
const TEMPORARY: &str = "/mnt";

/// Hosts and their links.
#[derive(Debug)]
pub struct Network(());

/// Continues this program in namespaces of its own; returns once it is in them.
///
/// # Errors
/// It may not have any, as a sentence.
pub fn enter() -> Result<(), String> {
    if std::env::var_os(INSIDE).is_some() {
        return settle();
    }
    let may = Command::new("unshare")
        .args(OWN)
        .args(["mount", "-t", "tmpfs", "tmpfs", TEMPORARY])
        .stderr(Stdio::null())
        .status();
    if !may.is_ok_and(|status| status.success()) {
        return Err(
            "network namespaces cannot be created here: run this as root, on a kernel and in a container that allow \
             them"
                .to_owned(),
        );
    }
    let program = std::env::current_exe().map_err(|e| e.to_string())?;
    let error = Command::new("unshare")
        .args(OWN)
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .env("TMPDIR", TEMPORARY)
        .exec();
    Err(format!("cannot start this program again: {error}"))
}

/// The first steps inside.
fn settle() -> Result<(), String> {
    let links = output("ip", &["-oneline", "link"])?;
    if links.lines().count() != 1 {
        return Err(format!(
            "{INSIDE} is set, but this is not a network namespace of its own"
        ));
    }
    std::fs::create_dir_all(NAMES).map_err(|e| format!("{NAMES}: {e}"))?;
    for folder in [NAMES, TEMPORARY] {
        output("mount", &["-t", "tmpfs", "tmpfs", folder])?;
    }
    Ok(())
}

impl Network {
    /// Creates this many hosts.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn create(hosts: usize) -> Result<Self, String> {
        ip("link set lo up")?;
        ip("link add kol type bridge")?;
        ip(&format!("address add {HUB}/24 dev kol"))?;
        ip("link set kol up")?;
        for host in 0..hosts {
            let (name, link, address) = (name(host), link(host), address(host));
            ip(&format!("netns add {name}"))?;
            ip(&format!(
                "link add {link} type veth peer name eth0 netns {name}"
            ))?;
            ip(&format!("link set {link} master kol up"))?;
            ip(&format!("-netns {name} link set lo up"))?;
            ip(&format!("-netns {name} address add {address}/24 dev eth0"))?;
            ip(&format!("-netns {name} link set eth0 up"))?;
        }
        Ok(Self(()))
    }

    /// Cuts a host off from all others: no packet passes, and connections are not closed.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn cut(&self, host: usize) -> Result<(), String> {
        ip(&format!("link set {} down", link(host)))
    }

    /// Its link works again.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn heal(&self, host: usize) -> Result<(), String> {
        ip(&format!("link set {} up", link(host)))
    }
}

/// What a host is called.
pub fn name(host: usize) -> String {
    format!("host-{}", host + 1)
}

/// IP address of a host, by its number.
pub fn address(host: usize) -> String {
    format!("10.77.0.{}", host + 11)
}

/// The command that runs a program on a host, which follows it.
pub fn on(host: usize) -> [String; 2] {
    let namespace = format!("--net={NAMES}/{}", name(host));
    ["nsenter".to_owned(), namespace]
}

/// The end of its link at the bridge.
fn link(host: usize) -> String {
    format!("to-{}", name(host))
}

fn ip(arguments: &str) -> Result<(), String> {
    let arguments: Vec<&str> = arguments.split(' ').collect();
    output("ip", &arguments).map(drop)
}

fn output(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} {}: {why}", arguments.join(" ")))
}
