//! How to reach Kafka: by flags, or as a job's spec says.

use std::path::PathBuf;

use kol_common::KolError;
use kol_common::event::Decoder;
use kol_common::job::{Counters, KafkaSource, Profile, ScoringSpec, parse};
use kol_common::kafka::client_config;
use kol_common::secrets::Secrets;
use rdkafka::ClientConfig;

/// Flags that say where Kafka is.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ClusterArgs {
    /// Kafka brokers. By default those of --spec, or localhost:9092.
    #[arg(long, env = "KOL_BOOTSTRAP")]
    bootstrap: Option<String>,
    /// A job spec: its [source] says how to log in and which names the records use.
    #[arg(long, value_name = "FILE")]
    spec: Option<PathBuf>,
    /// Folder of `file:` secrets of the spec.
    #[arg(long, env = "KOL_SECRETS_DIR")]
    secrets_dir: Option<PathBuf>,
}

/// A Kafka cluster, and how records in it are read.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Brokers, properties and names.
    pub source: KafkaSource,
    /// Platform of events that name none.
    pub default_platform: String,
    secrets: Secrets,
}

impl ClusterArgs {
    /// Whether a flag says which brokers.
    pub fn has_bootstrap(&self) -> bool {
        self.bootstrap.is_some() && self.bootstrap != std::env::var("KOL_BOOTSTRAP").ok()
    }

    /// Whether a spec was given.
    pub fn has_spec(&self) -> bool {
        self.spec.is_some()
    }

    /// Reads the spec, if one was given.
    ///
    /// # Errors
    /// It cannot be read, or is wrong.
    pub fn open(&self) -> Result<Cluster, KolError> {
        let secrets = Secrets::new(self.secrets_dir.clone());
        let mut cluster = match &self.spec {
            None => Cluster::default(),
            Some(file) => {
                let text = super::spec::read_spec(file, &[])?;
                let spec = parse(&text, &file.display().to_string()).map_err(KolError::from)?;
                let spec = spec.spec;
                Cluster::new(spec.source.into(), spec.scoring.default_platform, secrets)
            }
        };
        if let Some(bootstrap) = &self.bootstrap {
            bootstrap.clone_into(&mut cluster.source.bootstrap);
        }
        Ok(cluster)
    }
}

impl Default for Cluster {
    /// On this machine, without a login, with the default names.
    fn default() -> Self {
        let scoring = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
        Self::new(
            KafkaSource::default(),
            scoring.default_platform,
            Secrets::default(),
        )
    }
}

impl Cluster {
    /// Without a login, with the default names.
    pub fn at(bootstrap: &str) -> Self {
        let mut cluster = Self::default();
        bootstrap.clone_into(&mut cluster.source.bootstrap);
        cluster
    }

    /// The Kafka of a job.
    pub fn new(source: KafkaSource, default_platform: String, secrets: Secrets) -> Self {
        Self {
            source,
            default_platform,
            secrets,
        }
    }

    /// That of a job with these lines below `[source]`.
    #[cfg(test)]
    pub(crate) fn of_source(lines: &str) -> Self {
        let spec = parse(&format!("name = \"x\"\n[source]\n{lines}"), "x");
        let spec = spec.unwrap_or_else(|e| panic!("{e}")).spec;
        let platform = spec.scoring.default_platform;
        Self::new(spec.source.into(), platform, Secrets::default())
    }

    /// What Kafka clients are made from. `client_id` is what brokers log.
    ///
    /// # Errors
    /// A secret that the spec refers to is missing.
    pub fn config(&self, client_id: &str) -> Result<ClientConfig, KolError> {
        client_config(&self.source, &self.secrets, client_id)
    }

    /// Decodes records as the job would.
    pub fn decoder(&self) -> Decoder {
        Decoder::of(&self.source, &self.default_platform)
    }
}
