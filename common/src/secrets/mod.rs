//! Secrets are named in job specs and read where they are used: from the environment or from files
//! below one folder. They never travel, print or appear in errors, and go only to the hosts that are listed
//! beside them ([`Binding`]): in the variable `KOL_SECRET_NAME_HOSTS`, or in the file `NAME.hosts`.

mod binding;

pub use binding::{Binding, ELSEWHERE};

use std::path::{Component, Path, PathBuf};

use crate::KolError;
use crate::job::{JobSpec, Refers, SecretRef, references};

/// Prefix that an environment variable must have to be used as a secret: a spec cannot read the rest
/// of a process's environment.
const ENV_PREFIX: &str = "KOL_SECRET_";
/// What the name of a variable with hosts ends with.
const ENV_HOSTS: &str = "_HOSTS";
/// What the name of a file with hosts ends with.
const FILE_HOSTS: &str = ".hosts";
/// Largest secret file, bytes.
const MAX_FILE: u64 = 64 << 10;

/// Resolves secret references.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    dir: Option<PathBuf>,
}

impl Secrets {
    /// `dir` is the folder of `file:` references; without one they are refused.
    pub fn new(dir: Option<PathBuf>) -> Self {
        Self { dir }
    }

    /// The secret itself, for sending it to `hosts`, each `host:port`.
    ///
    /// # Errors
    /// The reference is malformed, there is nothing where it points, or it may not be sent there.
    pub fn resolve<S: AsRef<str>>(
        &self,
        reference: &SecretRef,
        hosts: &[S],
    ) -> Result<String, KolError> {
        let binding = self.binding(reference)?;
        for host in hosts {
            binding.check(host.as_ref())?;
        }
        self.read(reference)
    }

    /// A certificate, which is no secret.
    ///
    /// # Errors
    /// The reference is malformed, or there is no certificate where it points.
    pub fn certificate(&self, reference: &SecretRef) -> Result<String, KolError> {
        let text = self.read(reference)?;
        if text.contains("-----BEGIN CERTIFICATE-----") {
            return Ok(text);
        }
        let what = format!("`{}` is not a certificate in PEM", reference.0);
        Err(KolError::user("SECRET_REFERENCE", what)
            .help("A secret cannot be used where a certificate is meant."))
    }

    /// Where a secret may be sent.
    ///
    /// # Errors
    /// The reference is malformed, or its list cannot be read.
    pub fn binding(&self, reference: &SecretRef) -> Result<Binding, KolError> {
        let text = reference.0.as_str();
        match kind_of(text)? {
            Kind::Env(name) => {
                let list = format!("{name}{ENV_HOSTS}");
                let hosts = std::env::var(&list).ok();
                Binding::read(text, &list, hosts.as_deref())
            }
            Kind::File(path) => {
                let list = format!("{path}{FILE_HOSTS}");
                let exists = self
                    .dir
                    .as_ref()
                    .is_some_and(|dir| dir.join(&list).exists());
                let hosts = exists.then(|| self.read_file(&list)).transpose()?;
                Binding::read(text, &format!("the secret file `{list}`"), hosts.as_deref())
            }
        }
    }

    /// Whether a spec sends secrets only where they may go, as far as the spec itself says.
    ///
    /// # Errors
    /// The first one that it would send elsewhere.
    pub fn check(&self, spec: &JobSpec) -> Result<(), KolError> {
        for reference in references(spec) {
            if reference.kind == Refers::Certificate {
                continue;
            }
            let binding = self.binding(&reference.to)?;
            for host in &reference.hosts {
                binding.check(host).map_err(|mut error| {
                    error.message = format!("{}: {}", reference.key, error.message);
                    error.job(&spec.name)
                })?;
            }
        }
        Ok(())
    }

    fn read(&self, reference: &SecretRef) -> Result<String, KolError> {
        match kind_of(&reference.0)? {
            Kind::Env(name) => Self::read_env(name),
            Kind::File(path) => self.read_file(path),
        }
    }

    fn read_env(name: &str) -> Result<String, KolError> {
        std::env::var(name).map_err(|_| {
            KolError::user(
                "SECRET_MISSING",
                format!("the environment variable {name} is not set"),
            )
            .help("Set it for kol-master and every kol-executor.")
        })
    }

    fn read_file(&self, path: &str) -> Result<String, KolError> {
        let missing = |what: &str| {
            KolError::user("SECRET_MISSING", format!("secret file `{path}`: {what}"))
                .help("Put it below --secrets-dir of kol-master and every kol-executor.")
        };
        let dir = self
            .dir
            .as_deref()
            .ok_or_else(|| missing("no --secrets-dir was given"))?;
        let plain = Path::new(path)
            .components()
            .all(|c| matches!(c, Component::Normal(_)));
        if !plain {
            return Err(missing("the path must be relative, without `..`"));
        }
        // A link must not lead out of the folder.
        let root = dir
            .canonicalize()
            .map_err(|_| missing("the folder does not exist"))?;
        let file = root
            .join(path)
            .canonicalize()
            .map_err(|_| missing("it does not exist"))?;
        if !file.starts_with(&root) {
            return Err(missing("it lies outside of the folder"));
        }
        let size = file
            .metadata()
            .map_err(|_| missing("it cannot be read"))?
            .len();
        if size > MAX_FILE {
            return Err(missing("it is too large"));
        }
        let text = std::fs::read_to_string(&file).map_err(|_| missing("it cannot be read"))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// Where a reference points.
enum Kind<'r> {
    Env(&'r str),
    File(&'r str),
}

fn kind_of(text: &str) -> Result<Kind<'_>, KolError> {
    let refused =
        |what: String, help: &str| Err(KolError::user("SECRET_REFERENCE", what).help(help));
    if let Some(name) = text.strip_prefix("env:") {
        if !name.starts_with(ENV_PREFIX) {
            let help = format!("Names of secrets start with {ENV_PREFIX}.");
            return refused(format!("`env:{name}` may not be read"), &help);
        }
        if name.ends_with(ENV_HOSTS) {
            return refused(
                format!("`env:{name}` lists hosts and is not a secret"),
                "Name the secret itself.",
            );
        }
        return Ok(Kind::Env(name));
    }
    match text.strip_prefix("file:") {
        Some(path) if path.ends_with(FILE_HOSTS) => refused(
            format!("`file:{path}` lists hosts and is not a secret"),
            "Name the secret itself.",
        ),
        Some(path) => Ok(Kind::File(path)),
        None => refused(
            "a secret must be given as a reference".to_owned(),
            "Write env:KOL_SECRET_NAME or file:NAME (below --secrets-dir).",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(dir: &Path, reference: &str) -> Result<String, KolError> {
        let none: [&str; 0] = [];
        Secrets::new(Some(dir.to_owned())).resolve(&SecretRef(reference.into()), &none)
    }

    #[test]
    fn a_secret_is_not_read_for_a_host_that_may_not_have_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("redis"), "hunter2").unwrap();
        let secrets = Secrets::new(Some(dir.path().to_owned()));
        let reference = SecretRef("file:redis".into());
        let to = |host: &str| secrets.resolve(&reference, &["localhost:1", host]);
        assert_eq!(to("127.0.0.1:6379").unwrap(), "hunter2");
        let error = to("evil.example:6379").unwrap_err();
        assert_eq!(error.code, ELSEWHERE);
        assert!(error.message.contains("evil.example:6379"), "{error}");
        assert!(error.help.contains("redis.hosts"), "{error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
        std::fs::write(dir.path().join("redis.hosts"), "localhost\nredis.example\n").unwrap();
        assert_eq!(to("redis.example:6379").unwrap(), "hunter2");
        assert_eq!(to("127.0.0.1:6379").unwrap_err().code, ELSEWHERE);
        let list = SecretRef("file:redis.hosts".into());
        assert_eq!(secrets.binding(&list).unwrap_err().code, "SECRET_REFERENCE");
    }

    #[test]
    fn a_password_cannot_be_used_in_place_of_a_certificate() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("redis"), "hunter2").unwrap();
        let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----";
        std::fs::write(dir.path().join("ca"), pem).unwrap();
        let secrets = Secrets::new(Some(dir.path().to_owned()));
        let certificate = |name: &str| secrets.certificate(&SecretRef(format!("file:{name}")));
        assert_eq!(certificate("ca").unwrap(), pem);
        let error = certificate("redis").unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    #[test]
    fn a_spec_that_sends_a_secret_to_a_strange_host_is_refused_by_key_and_host() {
        let spec = |sink: &str, source: &str| {
            let toml = format!(
                "name = \"x\"\n[source]\nbootstrap = \"localhost:9092\"\n{source}\n[sink]\n{sink}\n"
            );
            crate::job::parse(&toml, "x").unwrap().spec
        };
        let secret = "password = \"env:KOL_SECRET_R\"";
        let good = format!("url = \"redis://localhost\"\n{secret}");
        Secrets::default().check(&spec(&good, "")).unwrap();
        let sasl = "bootstrap = \"localhost:1,evil:2\"\n[source.properties]\n\"sasl.password\" = \"env:KOL_SECRET_K\"";
        let with_kafka = {
            let toml = format!("name = \"x\"\n[source]\n{sasl}\n[sink]\n{good}\n");
            crate::job::parse(&toml, "x").unwrap().spec
        };
        for (spec, key, host) in [
            (
                spec(&format!("url = \"redis://evil\"\n{secret}"), ""),
                "sink.password",
                "evil:6379",
            ),
            (
                spec(
                    &format!("url = \"redis+sentinel://127.0.0.1,evil/s\"\n{secret}"),
                    "",
                ),
                "sink.password",
                "evil:26379",
            ),
            (
                spec(
                    "url = \"redis+sentinel://evil/s\"\nsentinel.password = \"env:KOL_SECRET_S\"",
                    "",
                ),
                "sink.sentinel.password",
                "evil:26379",
            ),
            (with_kafka, "source.properties.sasl.password", "evil:2"),
        ] {
            let error = Secrets::default().check(&spec).unwrap_err();
            assert_eq!(error.code, ELSEWHERE, "{error}");
            assert!(error.message.starts_with(key), "{error}");
            assert!(error.message.contains(host), "{error}");
        }
    }

    #[test]
    fn a_file_below_the_folder_is_read_and_nothing_outside_of_it() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("s"), "no").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("redis"), "hunter2\n").unwrap();
        std::os::unix::fs::symlink(outside.path().join("s"), dir.path().join("link")).unwrap();
        assert_eq!(resolve(dir.path(), "file:redis").unwrap(), "hunter2");
        let absolute = format!("file:{}", outside.path().join("s").display());
        for bad in ["file:../x", "file:link", "file:nothing", &absolute] {
            assert_eq!(resolve(dir.path(), bad).unwrap_err().code, "SECRET_MISSING");
        }
    }

    #[test]
    fn only_variables_named_as_secrets_are_read() {
        let dir = Path::new("/nonexistent");
        assert_eq!(
            resolve(dir, "env:PATH").unwrap_err().code,
            "SECRET_REFERENCE"
        );
        assert_eq!(
            resolve(dir, "env:KOL_SECRET_NOT_SET").unwrap_err().code,
            "SECRET_MISSING"
        );
        let plain = resolve(dir, "hunter2").unwrap_err();
        assert!(!plain.to_string().contains("hunter2"));
    }
}
