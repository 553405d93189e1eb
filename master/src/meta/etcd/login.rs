//! A login to etcd: user and password give a token, which goes with each call. etcd ends tokens by itself, as when it
//! is started again or when rights change: a call that is refused for that is made once more with a new one.

use std::sync::Arc;

use kol_common::KolError;
use kol_common::job::SecretRef;
use kol_common::secrets::{ELSEWHERE, Secrets};
use tokio::sync::Mutex;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use super::failure::{AUTH, Failure};
use super::wire::AuthenticateRequest;
use super::wire::auth_client::AuthClient;

/// Name of the metadata that holds it.
const TOKEN: &str = "token";

/// What each call carries; nothing by default. It never prints.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert(TOKEN, token.clone());
        }
        Ok(request)
    }
}

/// See the module. Cheap to clone; clones share the token.
#[derive(Clone)]
pub(super) struct Login {
    user: String,
    password: SecretRef,
    secrets: Secrets,
    /// The newest; none before the first login.
    token: Arc<Mutex<Option<Token>>>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.user.fmt(f)
    }
}

impl Login {
    pub(super) fn new(user: String, password: SecretRef, secrets: Secrets) -> Self {
        Self {
            user,
            password,
            secrets,
            token: Arc::default(),
        }
    }

    /// Whether there is a password, and it may be sent to all these members.
    ///
    /// # Errors
    /// Those of secrets.
    pub(super) fn check(&self, urls: &[String]) -> Result<(), KolError> {
        let hosts: Vec<&str> = urls.iter().map(|url| host(url)).collect();
        self.resolve(&hosts).map(drop)
    }

    fn resolve(&self, hosts: &[&str]) -> Result<String, KolError> {
        let found = self.secrets.resolve(&self.password, hosts);
        // What is said there of executors is about secrets of jobs.
        found.map_err(|error| match error.code {
            "SECRET_MISSING" => error.help("Set it for each kol-master; executors do not need it."),
            ELSEWHERE => error.help(
                "If that member may have it, list it there, for each kol-master; executors do not need it.",
            ),
            _ => error,
        })
    }

    /// A token: the newest, unless it is the one that was `refused`.
    ///
    /// # Errors
    /// The member does not accept user and password, or does not answer.
    pub(super) async fn token(
        &self,
        refused: Option<&Token>,
        url: &str,
        channel: Channel,
    ) -> Result<Token, Failure> {
        // Held while one logs in: others wait for its token in place of getting their own.
        let mut newest = self.token.lock().await;
        if let Some(token) = newest.as_ref().filter(|token| Some(*token) != refused) {
            return Ok(token.clone());
        }
        *newest = None;
        let password = self.resolve(&[host(url)]);
        let request = AuthenticateRequest {
            name: self.user.clone(),
            password: password.map_err(|e| Failure::new(AUTH, e.to_string()))?,
        };
        let answer = AuthClient::new(channel).authenticate(request).await;
        let answer = answer.map_err(|status| self.refused(&status))?;
        let token: Result<MetadataValue<Ascii>, _> = answer.into_inner().token.parse();
        let mut token = token.map_err(|_| Failure::new(AUTH, "a token that is not text"))?;
        token.set_sensitive(true);
        Ok(newest.insert(Token(Some(token))).clone())
    }

    fn refused(&self, status: &Status) -> Failure {
        let Self { user, .. } = self;
        match status.code() {
            Code::InvalidArgument => Failure::new(
                AUTH,
                format!("it does not accept the user `{user}` with this password"),
            ),
            Code::FailedPrecondition => {
                Failure::new(AUTH, "it has no login: enable it, or leave --etcd-user out")
            }
            _ => Failure::of(status),
        }
    }
}

/// Whether a call was refused for its token, and another one may help.
pub(super) fn is_token_over(status: &Status) -> bool {
    const OVER: [&str; 2] = [
        "etcdserver: revision of auth store is old",
        "etcdserver: user name is empty",
    ];
    status.code() == Code::Unauthenticated || OVER.contains(&status.message())
}

/// `host:port` of a URL.
fn host(url: &str) -> &str {
    let place = url.split_once("://").map_or(url, |(_, place)| place);
    place.split('/').next().unwrap_or_default()
}
