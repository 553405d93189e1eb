//! What commands share: where the master is, how state files are opened, and how to print.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use kol_common::KolError;
use kol_common::checkpoint::Stores;
use kol_common::net::{tls_failure, with_schemes};
use kol_common::proto::job_service_client::JobServiceClient;
use kol_common::proto::{LeadershipReply, LeadershipRequest};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

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
    /// Address of the master, with or without a scheme, or of several, separated by commas.
    pub master: String,
    /// How results are printed, from `--output`.
    pub output: OutputFormat,
    /// Folder with the authority's certificate and the token of the person, from `--tls`.
    pub tls: Option<PathBuf>,
    /// Opens the locations of state files.
    pub stores: Stores,
}

/// The master of a cluster on this machine.
pub const MASTER: &str = "http://127.0.0.1:7077";

/// Longest time to connect, and for one response.
const CONNECT: Duration = Duration::from_secs(3);
const ANSWER: Duration = Duration::from_secs(30);

impl Context {
    /// A client of the job service: of the only master, of the leader among several, or, where none leads, of one that
    /// tells what the store has.
    ///
    /// # Errors
    /// No master can be reached.
    pub async fn jobs(&self) -> Result<Jobs, KolError> {
        self.jobs_within(ANSWER).await
    }

    /// The same, for answers that may take longer.
    ///
    /// # Errors
    /// The master cannot be reached.
    pub async fn jobs_within(&self, answer: Duration) -> Result<Jobs, KolError> {
        let access = self.access()?;
        let masters = with_schemes(&self.master, self.tls.is_some());
        let masters: Vec<&str> = masters.split(',').collect();
        let [master] = masters[..] else {
            return leader_among(&masters, &access, answer).await;
        };
        let connected = connect(&endpoint(master, &access, answer)?, &access).await;
        connected.map_err(|error| unreachable(master, &why(&error)))
    }

    /// All masters, each with what it answers to who leads; looked at side by side.
    ///
    /// # Errors
    /// `--master` or `--tls` is wrong.
    pub async fn masters(&self, answer: Duration) -> Result<Vec<Master>, KolError> {
        let access = self.access()?;
        let masters = with_schemes(&self.master, self.tls.is_some());
        let masters = masters.split(',').map(str::trim);
        let all = masters.map(|url| Ok((url, endpoint(url, &access, answer)?)));
        let all: Vec<(&str, Endpoint)> = all.collect::<Result<_, KolError>>()?;
        let calls = all.iter().map(|(url, endpoint)| async {
            let answer = match look(endpoint, &access).await {
                Ok((client, Ok(reply))) => Ok((client, reply)),
                Ok((_, Err(refused))) => Err(refused.into()),
                Err(why) => Err(unreachable(url, &why).into()),
            };
            let url = (*url).to_owned();
            Master { url, answer }
        });
        Ok(join_all(calls).await)
    }

    fn access(&self) -> Result<Access, KolError> {
        let access = self.tls.as_deref().map(Access::read).transpose()?;
        Ok(access.unwrap_or_default())
    }

    /// Whether to print JSON.
    pub fn json(&self) -> bool {
        self.output == OutputFormat::Json
    }
}

/// One of the masters of `--master`.
#[derive(Debug)]
pub struct Master {
    /// As it is called.
    pub url: String,
    /// A client of it, and what it says of who leads; or why it does not answer.
    pub answer: anyhow::Result<(Jobs, LeadershipReply)>,
}

/// The one of the masters that leads, or else the first that answered.
async fn leader_among(
    masters: &[&str],
    access: &Access,
    answer: Duration,
) -> Result<Jobs, KolError> {
    // Whichever leads: what is wrong with one of them is said.
    let all = masters
        .iter()
        .map(|master| endpoint(master, access, answer));
    let all: Vec<Endpoint> = all.collect::<Result<_, _>>()?;
    // All at the same time: one that does not answer delays nobody who wants the leader.
    let mut calls: FuturesUnordered<_> = all.iter().map(|one| look(one, access)).collect();
    let (mut follower, mut reason) = (None, String::new());
    while let Some(seen) = calls.next().await {
        match seen {
            Ok((client, Ok(reply))) if reply.leads => return Ok(client),
            // One that refuses says so again to what is requested of it.
            Ok((client, _)) => {
                follower.get_or_insert(client);
            }
            Err(why) if why.is_empty() => {}
            Err(why) => reason = why,
        }
    }
    follower.ok_or_else(|| unreachable(&masters.join(", "), &reason))
}

/// A client of a master, and whether that one leads or what it refuses.
///
/// # Errors
/// It cannot be reached: why, where that can be said.
async fn look(
    endpoint: &Endpoint,
    access: &Access,
) -> Result<(Jobs, Result<LeadershipReply, Status>), String> {
    let connected = connect(endpoint, access).await;
    let mut client = connected.map_err(|error| why(&error))?;
    let answer = client.leadership(LeadershipRequest {});
    let answer = match tokio::time::timeout(CONNECT, answer).await {
        Ok(Ok(reply)) => Ok(reply.into_inner()),
        // A version without elections: it is the only master.
        Ok(Err(status)) if status.code() == Code::Unimplemented => Ok(LeadershipReply {
            leads: true,
            ..LeadershipReply::default()
        }),
        Ok(Err(status)) => Err(status),
        Err(_) => return Err(String::new()),
    };
    Ok((client, answer))
}

fn endpoint(master: &str, access: &Access, answer: Duration) -> Result<Endpoint, KolError> {
    let endpoint = access.endpoint(master)?;
    let endpoint = endpoint.connect_timeout(CONNECT).timeout(answer);
    Ok(endpoint.tcp_nodelay(true))
}

async fn connect(endpoint: &Endpoint, access: &Access) -> Result<Jobs, tonic::transport::Error> {
    let channel = access.connect(endpoint).await?;
    let client = JobServiceClient::with_interceptor(channel, access.token.clone());
    Ok(client.max_decoding_message_size(64 << 20))
}

fn unreachable(master: &str, why: &str) -> KolError {
    KolError::external(
        "MASTER_UNREACHABLE",
        format!("no master answers at {master}{why}"),
    )
    .help("Start kol-master, or give --master (or KOL_MASTER).")
}

/// What is wrong with certificates, where they are to blame: "transport error" alone does not help.
fn why(error: &tonic::transport::Error) -> String {
    tls_failure(error).map_or_else(String::new, |why| format!(": {why}"))
}

#[cfg(test)]
mod tests {
    use kol_common::Millis;
    use kol_common::net::authority::Authority;
    use kol_common::proto::ListJobsRequest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn masters_that_do_not_answer_are_named_and_what_is_no_url_is_refused() {
        let ctx = |master: &str| Context {
            master: master.to_owned(),
            output: OutputFormat::Text,
            tls: None,
            stores: Stores::of_this_machine(),
        };
        // Nobody listens on the discard port.
        let silent = ctx("http://127.0.0.1:9, http://127.0.0.1:9");
        let error = silent.jobs().await.err().unwrap();
        assert_eq!(error.code, "MASTER_UNREACHABLE");
        assert!(
            error.message.contains("127.0.0.1:9, http://127.0.0.1:9"),
            "{error}"
        );
        let wrong = ctx("http://127.0.0.1:9,").jobs().await.err().unwrap();
        assert_eq!(wrong.code, "MASTER_URL");
        let short = ctx("127.0.0.1:9").jobs().await.err().unwrap();
        assert_eq!(short.code, "MASTER_UNREACHABLE", "{short}");
        assert!(short.message.contains("http://127.0.0.1:9"), "{short}");
    }

    #[tokio::test]
    async fn a_port_that_does_not_speak_grpc_is_named_with_the_one_that_does() {
        let pages = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = pages.local_addr().unwrap();
        let serve = async {
            let mut opened = Vec::new();
            while let Ok((mut stream, _)) = pages.accept().await {
                // As an HTTP/1 server answers what is no request.
                let mut preface = [0; 24];
                let _gone = stream.read(&mut preface).await;
                let answer = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
                let _gone = stream.write_all(answer).await;
                opened.push(stream);
            }
        };
        let ctx = Context {
            master: format!("http://{address}"),
            output: OutputFormat::Text,
            tls: None,
            stores: Stores::of_this_machine(),
        };
        let call = async {
            let mut jobs = ctx.jobs().await?;
            let listed = jobs.list_jobs(ListJobsRequest {}).await;
            anyhow::Ok(listed.map(|_| ())?)
        };
        let failed = tokio::select! {
            () = serve => unreachable!("it serves until it is dropped"),
            answer = call => answer.unwrap_err(),
        };
        let (_, code) = crate::exit::describe(&failed);
        let text = crate::exit::sentence(&failed);
        assert_eq!(code, 4, "{text}");
        assert!(text.starts_with("MASTER_CONNECTION: "), "{text}");
        assert!(text.contains("7077"), "{text}");
    }

    #[tokio::test]
    async fn each_master_of_a_list_is_reached_over_tls_or_none_is() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::generate(Millis::now()).unwrap();
        authority.write(folder.path()).unwrap();
        std::fs::write(folder.path().join("token"), "kol_abc").unwrap();
        let code = async |master: &str, tls: bool| {
            let ctx = Context {
                master: master.to_owned(),
                output: OutputFormat::Text,
                tls: tls.then(|| folder.path().to_owned()),
                stores: Stores::of_this_machine(),
            };
            ctx.jobs().await.err().unwrap().code
        };
        let (plain, secured) = ("http://127.0.0.1:9", "https://127.0.0.1:9");
        let mixed = [format!("{secured},{plain}"), format!("{plain},{secured}")];
        for masters in mixed {
            assert_eq!(code(&masters, true).await, "MASTER_URL");
            assert_eq!(code(&masters, false).await, "MASTER_URL");
        }
        let both = format!("{secured},{secured}");
        assert_eq!(code(&both, true).await, "MASTER_UNREACHABLE");
    }
}
