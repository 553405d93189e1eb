//! Keeps secrets from servers that may not have them: also from those that Sentinels or nodes of a Cluster
//! name, and from what a URL turns out to mean. It stands where names are resolved, before anything is sent.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use redis::io::AsyncDNSResolver;
use redis::{Client, RedisFuture, RedisResult};

use crate::KolError;
use crate::job::SinkSpec;
use crate::secrets::{Binding, Secrets};

/// See the module. Clones share what they refused.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    bindings: Arc<[Binding]>,
    refused: Arc<Mutex<Option<KolError>>>,
}

impl Guard {
    /// For the servers of a sink; `None` where no secret is shown to them.
    pub(super) fn of(spec: &SinkSpec, secrets: &Secrets) -> Result<Option<Self>, KolError> {
        let shown = [&spec.password, &spec.tls.key].into_iter().flatten();
        let bindings: Vec<_> = shown
            .map(|reference| secrets.binding(reference))
            .collect::<Result<_, _>>()?;
        let guard = Self {
            bindings: bindings.into(),
            refused: Arc::default(),
        };
        Ok((!guard.bindings.is_empty()).then_some(guard))
    }

    /// Why a connection was not opened, if it was for this.
    pub(super) fn refused(&self) -> Option<KolError> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.clone()
    }

    /// Whether the primary that a Sentinel names may have the secrets.
    pub(super) async fn check_primary(&self, sentinel: &Client, service: &str) -> RedisResult<()> {
        let mut open = sentinel.get_multiplexed_async_connection().await?;
        let mut request = redis::cmd("SENTINEL");
        request.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
        let named: Option<(String, u16)> = request.query_async(&mut open).await?;
        // A service that the Sentinel does not know is reported by who opens the connection.
        let checked = named.map_or(Ok(()), |(host, port)| self.check(&host, port));
        Ok(checked?)
    }

    fn check(&self, host: &str, port: u16) -> io::Result<()> {
        let place = format!("{host}:{port}");
        for binding in self.bindings.iter() {
            if let Err(error) = binding.check(&place) {
                let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
                *refused = Some(error.clone());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, error));
            }
        }
        Ok(())
    }
}

impl AsyncDNSResolver for Guard {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        host: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            self.check(host, port)?;
            let found = tokio::net::lookup_host((host, port)).await?;
            let found: Vec<_> = found.collect();
            let found: Box<dyn Iterator<Item = SocketAddr> + Send> = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::redis::connect;
    use crate::secrets::ELSEWHERE;

    /// A sink with a password, and secrets that may go to `hosts`.
    fn locked(url: &str, hosts: &str) -> (tempfile::TempDir, SinkSpec, Secrets) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("redis"), "hunter2").unwrap();
        std::fs::write(folder.path().join("redis.hosts"), hosts).unwrap();
        let toml = format!("name = \"x\"\n[sink]\nurl = \"{url}\"\npassword = \"file:redis\"\n");
        let toml = format!("{toml}[source]\nbootstrap = \"k:1\"\n");
        let spec = crate::job::parse(&toml, "x").unwrap().spec.sink;
        let secrets = Secrets::new(Some(folder.path().to_owned()));
        (folder, spec, secrets)
    }

    #[tokio::test]
    async fn a_server_that_may_not_have_the_password_sees_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for url in [
            format!("redis://127.0.0.1:{port}"),
            format!("redis+cluster://127.0.0.1:{port}"),
            format!("redis+sentinel://127.0.0.1:{port}/s"),
        ] {
            // The spec's parser and the check at submit are not all that keeps it back.
            let (_folder, mut spec, secrets) = locked("redis://127.0.0.1", "other.example");
            spec.url = url;
            let error = connect(&spec, &secrets).await.unwrap_err();
            assert_eq!(error.code, ELSEWHERE, "{error}");
        }
        let (_folder, mut spec, secrets) = locked("redis://other.example", "other.example");
        spec.url = format!("redis://127.0.0.1:{port}?@other.example");
        connect(&spec, &secrets).await.unwrap_err();
        let nobody = tokio::time::timeout(std::time::Duration::from_millis(200), listener.accept());
        assert!(nobody.await.is_err(), "a connection was opened");
    }

    #[tokio::test]
    async fn a_server_that_may_have_the_password_is_reached_by_name() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("redis://127.0.0.1:{port}");
        let (_folder, spec, secrets) = locked(&url, &format!("127.0.0.1:{port}"));
        let served = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut sent = vec![0; 1024];
            let length = stream.read(&mut sent).await.unwrap();
            String::from_utf8_lossy(&sent[..length]).into_owned()
        };
        let (sent, _closed) = tokio::join!(served, connect(&spec, &secrets));
        assert!(sent.contains("hunter2"), "{sent}");
    }
}
