//! Connecting.

use std::time::Duration;

use futures::future::BoxFuture;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, IntoConnectionInfo as _};

use super::classify;
use crate::KolError;
use crate::job::SinkSpec;
use crate::secrets::Secrets;

/// Longest time to connect, and for one answer.
const CONNECT: Duration = Duration::from_secs(3);
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
    ) -> BoxFuture<'a, Result<MultiplexedConnection, KolError>>;
}

/// Opens connections over this machine's network.
#[derive(Clone, Copy, Debug)]
pub struct Network;

impl Connect for Network {
    fn connect<'a>(
        &'a self,
        spec: &'a SinkSpec,
        secrets: &'a Secrets,
    ) -> BoxFuture<'a, Result<MultiplexedConnection, KolError>> {
        Box::pin(connect(spec, secrets))
    }
}

/// Opens a connection to a job's Redis. Small packets go out at once (TCP_NODELAY).
///
/// # Errors
/// Code `SINK_…`: see [`classify`].
pub async fn connect(
    spec: &SinkSpec,
    secrets: &Secrets,
) -> Result<MultiplexedConnection, KolError> {
    let mut info = spec
        .url
        .as_str()
        .into_connection_info()
        .map_err(|e| classify(&e))?;
    let tcp = TcpSettings::default().set_nodelay(true);
    info = info.set_tcp_settings(tcp);
    if let Some(reference) = &spec.password {
        let password = secrets.resolve(reference)?;
        let settings = info.redis_settings().clone().set_password(password);
        info = info.set_redis_settings(settings);
    }
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(RESPONSE));
    let client = Client::open(info).map_err(|e| classify(&e))?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .map_err(|e| {
            let mut error = classify(&e);
            error.message = format!("{} ({})", error.message, without_login(&spec.url));
            error
        })
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
