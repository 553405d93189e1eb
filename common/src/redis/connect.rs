//! Opens connections to Redis, and looks at what is at the other end.

use std::time::Duration;

use futures::future::BoxFuture;
use redis::cluster::ClusterClient;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionInfo, IntoConnectionInfo as _,
    RedisResult, TlsCertificates, TlsMode,
};

use super::classify::{classify, denied};
use super::guard::Guard;
use super::{RedisConnection, farewell};
use crate::KolError;
use crate::job::{RedisTopology, RedisUrl, SecretRef, SinkSpec};
use crate::secrets::Secrets;

/// Longest time to connect to a server, to find and connect to one, and for one answer.
const CONNECT: Duration = Duration::from_secs(3);
const FIND: Duration = Duration::from_secs(10);
const RESPONSE: Duration = Duration::from_secs(10);

/// Opens connections to the Redis of jobs; a simulation has a network of its own.
pub trait Connect: std::fmt::Debug + Send + Sync {
    /// Opens a connection to a job's Redis.
    ///
    /// # Errors
    /// Code `SINK_…`: see [`classify`].
    fn connect<'a>(
        &'a self,
        spec: &'a SinkSpec,
        secrets: &'a Secrets,
    ) -> BoxFuture<'a, Result<RedisConnection, KolError>>;
}

/// Opens connections over this machine's network.
#[derive(Clone, Copy, Debug)]
pub struct Network;

impl Connect for Network {
    fn connect<'a>(
        &'a self,
        spec: &'a SinkSpec,
        secrets: &'a Secrets,
    ) -> BoxFuture<'a, Result<RedisConnection, KolError>> {
        Box::pin(connect(spec, secrets))
    }
}

/// Opens a connection to a job's Redis: resolves names, queries Sentinels for the primary or nodes for their
/// hash slots, and reads secrets, each time. Small packets go out at once (TCP_NODELAY).
///
/// # Errors
/// Code `SINK_…`: see [`classify`]. `SECRET_…` where a secret is missing, or would be sent to a host that may
/// not have it.
pub async fn connect(spec: &SinkSpec, secrets: &Secrets) -> Result<RedisConnection, KolError> {
    let url: RedisUrl = spec.url.parse().map_err(|why: String| {
        KolError::user("SINK_URL", why).help("Correct sink.url (--redis).")
    })?;
    let access = Access::resolve(&url, spec, secrets)?;
    let opened = match tokio::time::timeout(FIND, open(&url, &access)).await {
        Ok(opened) => opened,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    };
    match opened {
        Ok(connection) => Ok(connection),
        Err(_) if let Some(refused) = access.guard.as_ref().and_then(Guard::refused) => {
            Err(refused)
        }
        Err(error) => {
            let mut error = match farewell::of(&url, &error).await {
                Some(words) => denied(&words),
                None => classify(&error),
            };
            error.message = format!("{} ({})", error.message, without_login(&spec.url));
            Err(error)
        }
    }
}

/// What is shown to servers to be let in.
struct Access {
    password: Option<String>,
    sentinel: (Option<String>, Option<String>),
    /// For `rediss…://` with certificates of one's own.
    certificates: Option<TlsCertificates>,
    /// Where what is shown may go.
    guard: Option<Guard>,
}

impl Access {
    fn resolve(url: &RedisUrl, spec: &SinkSpec, secrets: &Secrets) -> Result<Self, KolError> {
        let secret = |reference: &Option<SecretRef>| {
            let resolved = reference.as_ref().map(|r| secrets.resolve(r, url.hosts()));
            resolved.transpose()
        };
        let certificate = |reference: &Option<SecretRef>| {
            let read = reference.as_ref().map(|r| secrets.certificate(r));
            read.transpose()
        };
        let (ca, cert) = (certificate(&spec.tls.ca)?, certificate(&spec.tls.cert)?);
        let key = secret(&spec.tls.key)?;
        let client_tls = cert.zip(key).map(|(cert, key)| ClientTlsConfig {
            client_cert: cert.into_bytes(),
            client_key: key.into_bytes(),
        });
        let own = url.tls && (ca.is_some() || client_tls.is_some());
        Ok(Self {
            password: secret(&spec.password)?,
            sentinel: (
                spec.sentinel.username.clone(),
                secret(&spec.sentinel.password)?,
            ),
            certificates: own.then(|| TlsCertificates {
                client_tls,
                root_cert: ca.map(String::into_bytes),
            }),
            guard: Guard::of(spec, secrets)?,
        })
    }
}

async fn open(url: &RedisUrl, access: &Access) -> RedisResult<RedisConnection> {
    if url.tls {
        // The client uses what is installed for the process.
        let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    }
    match &url.topology {
        RedisTopology::Single => open_server(url, access).await,
        RedisTopology::Sentinel { service } => open_watched(url, service, access).await,
        RedisTopology::Cluster => open_cluster(url, access).await,
    }
}

fn limits(access: &Access) -> AsyncConnectionConfig {
    let limits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(RESPONSE));
    match &access.guard {
        Some(guard) => limits.set_dns_resolver(guard.clone()),
        None => limits,
    }
}

fn tcp() -> TcpSettings {
    TcpSettings::default().set_nodelay(true)
}

/// What a URL of one node says, with the password.
fn info(url: &str, password: Option<&str>) -> RedisResult<ConnectionInfo> {
    let mut info = url.into_connection_info()?.set_tcp_settings(tcp());
    if let Some(password) = password {
        let settings = info.redis_settings().clone().set_password(password);
        info = info.set_redis_settings(settings);
    }
    Ok(info)
}

async fn open_server(url: &RedisUrl, access: &Access) -> RedisResult<RedisConnection> {
    let node = url.nodes().remove(0);
    let info = info(&node, access.password.as_deref())?;
    let client = match &access.certificates {
        Some(certificates) => Client::build_with_tls(info, certificates.clone())?,
        None => Client::open(info)?,
    };
    let limits = limits(access);
    let opened = client.get_multiplexed_async_connection_with_config(&limits);
    Ok(opened.await?.into())
}

/// The client takes a server for the primary only when that says so itself.
async fn open_watched(
    url: &RedisUrl,
    service: &str,
    access: &Access,
) -> RedisResult<RedisConnection> {
    let mut sentinels = Vec::new();
    for node in url.nodes() {
        sentinels.push(node.into_connection_info()?.addr().clone());
    }
    let server = info(&url.behind_sentinels(), access.password.as_deref())?;
    let server = server.redis_settings();
    let kind = SentinelServerType::Master;
    let mut builder = SentinelClientBuilder::new(sentinels, service, kind)?
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_redis_db(server.db());
    if let Some(username) = server.username() {
        builder = builder.set_client_to_redis_username(username);
    }
    if let Some(password) = server.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(username) = &access.sentinel.0 {
        builder = builder.set_client_to_sentinel_username(username);
    }
    if let Some(password) = &access.sentinel.1 {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if url.tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
    }
    if let Some(certificates) = &access.certificates {
        builder = builder
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_certificates(certificates.clone());
    }
    let mut client = builder.build()?;
    if let Some(guard) = &access.guard {
        // The client logs in at the primary to see whether it is one.
        let sentinel = client.async_get_sentinel_client().await?;
        guard.check_primary(&sentinel, service).await?;
    }
    let limits = limits(access);
    let opened = client.get_async_connection_with_config(&limits);
    Ok(opened.await?.into())
}

/// The client does not send anything again by itself: a flush that may have been executed needs a new
/// sequence.
async fn open_cluster(url: &RedisUrl, access: &Access) -> RedisResult<RedisConnection> {
    let mut builder = ClusterClient::builder(url.nodes())
        .tcp_settings(tcp())
        .connection_timeout(CONNECT)
        .response_timeout(RESPONSE)
        .retries(0);
    if let Some(password) = &access.password {
        builder = builder.password(password);
    }
    if let Some(certificates) = &access.certificates {
        builder = builder.certs(certificates.clone());
    }
    if let Some(guard) = &access.guard {
        builder = builder.async_dns_resolver(guard.clone());
    }
    Ok(builder.build()?.get_async_connection().await?.into())
}

/// A URL without user and password: one from a command line may have them.
fn without_login(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place);
            format!("{scheme}://{place}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_login() {
        let shown = "redis://localhost:6379/0";
        assert_eq!(without_login(shown), shown);
        for login in ["user@", ":hunter2@", "user:p@ss@"] {
            let url = format!("redis://{login}localhost:6379/0");
            assert_eq!(without_login(&url), shown);
        }
    }
}
