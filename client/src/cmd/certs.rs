//! `certs init DIR`, `certs renew DIR` and `certs token DIR`.
//!
//! ```text
//! DIR/authority/   ca.crt ca.key issued            signs; keep it off the cluster's hosts
//! DIR/master/      ca.crt tls.crt tls.key tokens   kol-master --tls
//! DIR/executor/    ca.crt tls.crt tls.key tokens   kol-executor --tls
//! DIR/etcd/        ca.crt tls.crt tls.key          members of etcd, where masters share their state
//! DIR/NAME/        ca.crt token                    kol-client --tls, for each person
//! ```
//!
//! After `certs renew DIR --revoke` all but the first have `ca.crl`, too: the certificates that are no longer valid.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kol_common::net::authority::{Authority, write_secret};
use kol_common::net::{EXECUTOR, Role, Tokens, new_token};
use kol_common::{KolError, Millis};
use serde_json::json;

use crate::Context;
use crate::print;

/// Names that every process answers to.
const HERE: [&str; 3] = ["localhost", "127.0.0.1", "::1"];
/// Name of a master in certificates, beside those of its hosts: etcd can be set to admit no one else.
const MASTER: &str = "kol-master";
/// Name of a member of etcd.
const ETCD: &str = "kol-etcd";
/// The folders of what gets a certificate, and the name that this is made out to.
const SIGNED: [(&str, &str); 3] = [("master", MASTER), ("executor", EXECUTOR), ("etcd", ETCD)];
/// The folders of processes that take tokens.
const PROCESSES: [&str; 2] = ["master", "executor"];
/// File with the certificates that are no longer valid, beside each `ca.crt`.
const REVOKED: &str = "ca.crl";
/// Folder of the authority.
const AUTHORITY: &str = "authority";

/// Arguments of `kol-client certs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make an authority, certificates for masters, executors and etcd, and a token for each role.
    Init {
        #[command(flatten)]
        hosts: Hosts,
        /// Where the folder has an authority already, sign new certificates as `renew` does: for scripts that run at
        /// each start.
        #[arg(long)]
        or_renew: bool,
    },
    /// Sign new certificates for masters, executors and etcd. Copied over the old ones, they are used without a restart.
    Renew {
        #[command(flatten)]
        hosts: Hosts,
        /// Refuse all certificates that were signed before, as when a key was stolen: the new ones and ca.crl must then
        /// be on all hosts, and ca.crl in the folders of people.
        #[arg(long)]
        revoke: bool,
    },
    /// Make a token for a person or a scraper. It is valid where the file `tokens` is copied to, without a restart.
    Token {
        /// Folder that `certs init` made.
        dir: PathBuf,
        /// Name of the person, for audit lines.
        #[arg(long)]
        name: String,
        /// viewer, operator or admin.
        #[arg(long)]
        role: Role,
    },
}

#[derive(Debug, clap::Args)]
struct Hosts {
    /// Folder for certificates, keys and tokens.
    dir: PathBuf,
    /// Name or address under which clients and executors reach masters, masters reach etcd, or scrapers reach
    /// executors; may be given several times.
    #[arg(long = "host", value_name = "HOST")]
    hosts: Vec<String>,
    /// How long certificates are valid, in days.
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
}

/// Makes files; nothing is sent anywhere.
///
/// # Errors
/// A folder that cannot be written, or has an authority already.
pub fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    match args.command {
        Command::Init { hosts, or_renew } => {
            let is_there = hosts.dir.join(AUTHORITY).exists();
            if or_renew && is_there {
                return renew(&hosts, ctx);
            }
            if is_there {
                let what = format!("{} has an authority already", hosts.dir.display());
                let error = KolError::user("CERTS", what);
                return Err(error
                    .help("kol-client certs renew signs new certificates with it.")
                    .into());
            }
            let authority = Authority::generate(Millis::now())?;
            authority.write(&hosts.dir.join(AUTHORITY))?;
            issue(&authority, &hosts)?;
            add_roles(&authority, &hosts.dir)?;
            report(ctx, &hosts.dir, "made certificates and tokens in")?;
        }
        Command::Renew { hosts, revoke } => {
            if revoke {
                let authority = Authority::read(&hosts.dir.join(AUTHORITY))?;
                revoke_all(&authority, &hosts.dir)?;
            }
            renew(&hosts, ctx)?;
        }
        Command::Token { dir, name, role } => {
            let authority = Authority::read(&dir.join(AUTHORITY))?;
            add_token(&dir, &authority, &name, role)?;
            report(ctx, &dir.join(&name), "made a token in")?;
        }
    }
    Ok(())
}

/// New certificates, and the tokens that are missing: an `init` may have been interrupted.
fn renew(hosts: &Hosts, ctx: &Context) -> anyhow::Result<()> {
    let authority = Authority::read(&hosts.dir.join(AUTHORITY))?;
    issue(&authority, hosts)?;
    add_roles(&authority, &hosts.dir)?;
    report(ctx, &hosts.dir, "signed new certificates in")?;
    Ok(())
}

fn report(ctx: &Context, folder: &Path, what: &str) -> std::io::Result<()> {
    if ctx.json() {
        return print::json(&json!({ "folder": folder }));
    }
    print::line(&format!("{what} {}", folder.display()))
}

fn issue(authority: &Authority, hosts: &Hosts) -> Result<(), KolError> {
    let valid = Duration::from_secs(u64::from(hosts.days) * 24 * 3_600);
    for (folder, name) in SIGNED {
        let names = [name].into_iter().chain(HERE);
        let names = names.chain(hosts.hosts.iter().map(String::as_str));
        let names: Vec<&str> = names.collect();
        let folder = hosts.dir.join(folder);
        let serial = authority.equip(&folder, &names, Millis::now(), valid)?;
        let (file, before) = issued(&hosts.dir);
        write_secret(&file, &format!("{before}{serial} {name}\n"))?;
    }
    Ok(())
}

/// The file with a line for each certificate that was signed, and what it holds.
fn issued(dir: &Path) -> (PathBuf, String) {
    let file = dir.join(AUTHORITY).join("issued");
    let before = fs::read_to_string(&file).unwrap_or_default();
    (file, before)
}

fn revoke_all(authority: &Authority, dir: &Path) -> Result<(), KolError> {
    let (_, issued) = issued(dir);
    let serials = issued.lines().filter_map(|line| line.split(' ').next());
    let list = authority.revoke(&serials.collect::<Vec<_>>(), Millis::now())?;
    let processes = SIGNED.map(|(folder, _)| dir.join(folder)).into_iter();
    let mut folders = processes.chain(people(dir)?);
    folders.try_for_each(|folder| write_secret(&folder.join(REVOKED), &list))
}

/// Folders of those who have a token.
fn people(dir: &Path) -> Result<Vec<PathBuf>, KolError> {
    let entries = fs::read_dir(dir).map_err(|e| unreadable(dir, &e))?;
    let folders = entries.map(|entry| Ok(entry.map_err(|e| unreadable(dir, &e))?.path()));
    let folders: Vec<PathBuf> = folders.collect::<Result<_, KolError>>()?;
    let of_people = folders.into_iter().filter(|f| f.join("token").exists());
    Ok(of_people.collect())
}

fn unreadable(path: &Path, error: &std::io::Error) -> KolError {
    KolError::user("CERTS", format!("{}: {error}", path.display()))
}

/// A token for each role that has none.
fn add_roles(authority: &Authority, dir: &Path) -> Result<(), KolError> {
    let missing = |role: &Role| !dir.join(role.as_str()).join("token").exists();
    let mut missing = Role::ALL.into_iter().filter(missing);
    missing.try_for_each(|role| add_token(dir, authority, role.as_str(), role))
}

fn add_token(dir: &Path, authority: &Authority, name: &str, role: Role) -> Result<(), KolError> {
    let reserved = name == AUTHORITY || SIGNED.iter().any(|(folder, _)| *folder == name);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if reserved || name.is_empty() || name.starts_with('.') || !name.chars().all(allowed) {
        let what = format!("`{name}` cannot be the name of a token");
        return Err(
            KolError::user("CERTS", what).help("Use letters, digits, `-`, `_`, `.` and `@`.")
        );
    }
    let (token, line) = new_token(name, role)?;
    for process in PROCESSES {
        let file = dir.join(process).join("tokens");
        let before = fs::read_to_string(&file).unwrap_or_default();
        let others = before.lines().filter(|l| l.split(' ').nth(1) != Some(name));
        let lines: Vec<&str> = others.chain([line.as_str()]).collect();
        let text = format!("{}\n", lines.join("\n"));
        let readable = Tokens::parse(&text).map(drop);
        readable.map_err(|why| KolError::user("CERTS", format!("{}: {why}", file.display())))?;
        write_secret(&file, &text)?;
    }
    let folder = dir.join(name);
    write_secret(&folder.join("ca.crt"), authority.certificate())?;
    let revoked = dir.join(SIGNED[0].0).join(REVOKED);
    if revoked.exists() {
        let list = fs::read_to_string(&revoked).map_err(|e| unreadable(&revoked, &e))?;
        write_secret(&folder.join(REVOKED), &list)?;
    }
    write_secret(&folder.join("token"), &format!("{token}\n"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use kol_common::checkpoint::Stores;
    use kol_common::net::{Credentials, Trust};

    use super::*;
    use crate::access::Access;
    use crate::context::OutputFormat;

    fn certs(arguments: &[&str]) -> anyhow::Result<()> {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let all = ["certs"].iter().chain(arguments);
        let line = <Line as clap::Parser>::parse_from(all);
        let ctx = Context {
            master: String::new(),
            tls: None,
            output: OutputFormat::Json,
            stores: Stores::of_this_machine(),
        };
        run(line.args, &ctx)
    }

    #[test]
    fn init_makes_folders_that_processes_can_use_and_only_their_owner_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("certs");
        let path = dir.to_str().unwrap();
        certs(&["init", path, "--host", "kol.example", "--host", "10.0.0.7"]).unwrap();
        for process in PROCESSES {
            Credentials::load(&dir.join(process)).unwrap();
            let key = fs::metadata(dir.join(process).join("tls.key")).unwrap();
            assert_eq!(key.permissions().mode() & 0o777, 0o600);
        }
        let token = |name: &str| fs::read_to_string(dir.join(name).join("token")).unwrap();
        let holder = |name: &str| {
            let credentials = Credentials::load(&dir.join("master")).unwrap();
            credentials.holder(token(name).trim()).map(|who| who.role)
        };
        assert_eq!(holder("viewer"), Some(Role::Viewer));
        assert_eq!(holder("admin"), Some(Role::Admin));
        assert!(certs(&["init", path]).is_err(), "nothing is replaced");
        fs::remove_file(dir.join("viewer/token")).unwrap();
        let (of_admin, signed) = (
            token("admin"),
            fs::read(dir.join("master/tls.crt")).unwrap(),
        );
        certs(&["init", path, "--or-renew", "--host", "kol.example"]).unwrap();
        assert_eq!(token("admin"), of_admin, "who has a token keeps it");
        assert_eq!(
            holder("viewer"),
            Some(Role::Viewer),
            "a missing one is made"
        );
        assert_ne!(fs::read(dir.join("master/tls.crt")).unwrap(), signed);
        certs(&["token", path, "--name", "ann", "--role", "operator"]).unwrap();
        let first = token("ann");
        certs(&["token", path, "--name", "ann", "--role", "viewer"]).unwrap();
        assert_eq!(holder("ann"), Some(Role::Viewer));
        let credentials = Credentials::load(&dir.join("executor")).unwrap();
        assert_eq!(
            credentials.holder(first.trim()),
            None,
            "the old one is gone"
        );
        for name in ["master", "etcd", "authority", "../x", "", "a b"] {
            assert!(certs(&["token", path, "--name", name, "--role", "viewer"]).is_err());
        }
        let before = fs::read(dir.join("master/tls.crt")).unwrap();
        certs(&["renew", path, "--host", "kol.example"]).unwrap();
        assert_ne!(before, fs::read(dir.join("master/tls.crt")).unwrap());
        certs(&["renew", path, "--revoke"]).unwrap();
        Credentials::load(&dir.join("master")).unwrap();
        let list = fs::read_to_string(dir.join("master/ca.crl")).unwrap();
        assert!(list.contains("X509 CRL"), "{list}");
        let issued = fs::read_to_string(dir.join("authority/issued")).unwrap();
        assert_eq!(issued.lines().count(), 12, "{issued}");
        Trust::load(&dir.join("etcd"), "--etcd-tls").unwrap();
        let of_etcd = fs::read_to_string(dir.join("etcd/ca.crl")).unwrap();
        assert_eq!(of_etcd, list, "etcd refuses them, too");
        certs(&["token", path, "--name", "bob", "--role", "viewer"]).unwrap();
        for person in ["viewer", "ann", "bob"] {
            let of_person = fs::read_to_string(dir.join(person).join(REVOKED)).unwrap();
            assert_eq!(of_person, list, "{person}");
            Access::read(&dir.join(person)).unwrap();
        }
        assert!(!dir.join("authority/ca.crl").exists());
        assert!(!dir.join("etcd/tokens").exists(), "etcd takes no tokens");
    }
}
