//! Alerts as HTTP requests: `POST` with JSON, `Idempotency-Key` and a bearer token.
//!
//! - It is posted only to the host of the URL, which must be in the list beside the token: a redirect is not followed, and no
//!   proxy of the environment is used.
//! - Status 2xx: it arrived. 408, 425, 5xx: to be sent again, others may be taken meanwhile. 401, 403: the token is read again
//!   first. 429 and no answer: nothing is taken now. Any other status, also a redirect: it will never be taken.
//! - What the answer says is not read.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode, Url};

use super::destination::{Destination, Failure, Means};
use super::message::Alert;
use crate::KolError;
use crate::job::AlertsSpec;
use crate::job::alerts::webhook_host;
use crate::secrets::Secrets;

/// Longest time for a connection, and for the whole request.
const CONNECT: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(10);
/// Does not arrive now.
const FAILED: &str = "ALERT_WEBHOOK";

/// See the module.
#[derive(Debug)]
pub struct Webhook {
    url: Url,
    host: String,
    /// Never shown: it is marked as sensitive.
    authorization: HeaderValue,
    client: Client,
}

impl Webhook {
    /// A URL, and what it is to be used with.
    ///
    /// # Errors
    /// The token is missing or may not be sent there; the certificates cannot be read.
    pub fn open(url: &str, spec: &AlertsSpec, secrets: &Secrets) -> Result<Self, KolError> {
        let malformed = |why: String| KolError::user(FAILED, format!("alerts.webhook {why}"));
        let host = webhook_host(url).map_err(malformed)?;
        let url: Url = url.parse().map_err(|e| malformed(format!("{e}")))?;
        let missing = || malformed("has no alerts.webhook_token".to_owned());
        let token = spec.webhook_token.as_ref().ok_or_else(missing)?;
        let token = secrets.resolve(token, &[&host])?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| malformed("has a token that no header can have".to_owned()))?;
        authorization.set_sensitive(true);
        // One provider for the whole process; another part of it may have chosen it already.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
        let mut client = Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(DEADLINE)
            .user_agent("kol-alerts");
        if let Some(ca) = &spec.webhook_ca {
            let pem = secrets.certificate(ca)?;
            let certificates = Certificate::from_pem_bundle(pem.as_bytes());
            client = client.tls_certs_only(certificates.map_err(|e| failed(&host, &deepest(&e)))?);
        }
        Ok(Self {
            client: client.build().map_err(|e| failed(&host, &deepest(&e)))?,
            url,
            host,
            authorization,
        })
    }

    async fn post(&self, alert: Alert) -> Result<(), Failure> {
        let body = alert.json();
        let answered = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, &self.authorization)
            .header("Idempotency-Key", &alert.key)
            .body(body)
            .send()
            .await;
        match answered {
            Ok(answer) => judge(&self.host, answer.status()),
            Err(error) => Err(Failure {
                error: failed(&self.host, &deepest(&error.without_url())),
                means: Means::Down,
            }),
        }
    }
}

/// What a status means.
fn judge(host: &str, status: StatusCode) -> Result<(), Failure> {
    if status.is_success() {
        return Ok(());
    }
    let means = match status {
        // A login that is refused is put right by a person: nothing is dropped meanwhile.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Means::Login,
        StatusCode::TOO_MANY_REQUESTS => Means::Down,
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => Means::NotNow,
        _ if status.is_server_error() => Means::NotNow,
        _ => Means::Never,
    };
    let error = failed(host, &format!("answered {status}"));
    let error = match means {
        Means::Never => error.help(
            "Correct alerts.webhook, or what answers there: an alert that is answered so is dropped.",
        ),
        Means::NotNow | Means::Down | Means::Login => error,
    };
    Err(Failure { error, means })
}

fn failed(host: &str, why: &str) -> KolError {
    KolError::external(
        FAILED,
        format!("the webhook at {host} does not take alerts: {why}"),
    )
    .help("See what answers there; alerts wait, and are sent again by themselves.")
}

/// The cause behind all others.
fn deepest(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}

impl Destination for Webhook {
    fn deliver(&self, alert: Alert) -> BoxFuture<'_, Result<(), Failure>> {
        self.post(alert).boxed()
    }
}

#[cfg(test)]
#[path = "webhook_tests.rs"]
mod tests;
