//! What commands share: where the master is, how state files are opened, and how to print.

use std::path::PathBuf;
use std::time::Duration;

use kol_common::KolError;
use kol_common::checkpoint::Stores;
use kol_common::proto::job_service_client::JobServiceClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::access::{Access, Token};

/// A client of the master's job service, which shows the token of the person.
pub type Jobs = JobServiceClient<InterceptedService<Channel, Token>>;

/// Form of what a command prints to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// Tables and sentences, for people; may change between versions.
    #[default]
    Text,
    /// One JSON value, for scripts; keys are stable.
    Json,
}

/// Made once from the global arguments; commands borrow it.
#[derive(Clone, Debug)]
pub struct Context {
    /// URL of the master.
    pub master: String,
    /// From `--output`.
    pub output: OutputFormat,
    /// Folder with the authority's certificate and the token of the person, from `--tls`.
    pub tls: Option<PathBuf>,
    /// Opens the locations of state files.
    pub stores: Stores,
}

/// Longest time to connect, and for one response.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(30);

impl Context {
    /// A client of the master's job service.
    ///
    /// # Errors
    /// The master cannot be reached.
    pub async fn jobs(&self) -> Result<Jobs, KolError> {
        self.jobs_within(ANSWER).await
    }

    /// The same, for answers that may take longer.
    ///
    /// # Errors
    /// The master cannot be reached.
    pub async fn jobs_within(&self, answer: Duration) -> Result<Jobs, KolError> {
        let access = self.tls.as_deref().map(Access::read).transpose()?;
        let access = access.unwrap_or_default();
        let endpoint = Endpoint::from_shared(self.master.clone())
            .map_err(|e| {
                KolError::user("MASTER_URL", format!("`{}` is not a URL: {e}", self.master))
                    .help("Give --master like http://127.0.0.1:7077.")
            })?
            .connect_timeout(CONNECT)
            .timeout(answer)
            .tcp_nodelay(true);
        let endpoint = access.secure(endpoint, &self.master)?;
        let channel = endpoint.connect().await.map_err(|error| {
            let why = why(&error);
            KolError::external(
                "MASTER_UNREACHABLE",
                format!("no master answers at {}{why}", self.master),
            )
            .help("Start kol-master, or give --master (or KOL_MASTER).")
        })?;
        let client = JobServiceClient::with_interceptor(channel, access.token);
        Ok(client.max_decoding_message_size(64 << 20))
    }

    /// Whether to print JSON.
    pub fn json(&self) -> bool {
        self.output == OutputFormat::Json
    }
}

/// The last cause of an error, where a certificate is to blame: "transport error" alone does not help.
fn why(error: &tonic::transport::Error) -> String {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    let mut last = String::new();
    while let Some(error) = cause {
        last = error.to_string();
        cause = error.source();
    }
    if last.contains("certificate") || last.contains("HTTPS") {
        return format!(": {last}");
    }
    String::new()
}
