//! Opens gRPC connections over TLS, with the certificates that are valid when one is opened.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::Uri;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tower::Service;

use super::answering::{Answering, Trouble};
use super::session::{Sessions, Shown, Verified};
use super::tls::Outward;

/// Port of a URL that has none.
const PORT: u16 = 443;

type Servers = Sessions<ServerName<'static>>;
type Stream = Verified<Answering<TlsStream<TcpStream>>>;

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    outward: Arc<dyn Fn() -> Outward + Send + Sync>,
    servers: Servers,
    trouble: Trouble,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dialer")
    }
}

impl Dialer {
    pub(super) fn new(
        outward: impl Fn() -> Outward + Send + Sync + 'static,
        servers: Servers,
    ) -> Self {
        Self {
            outward: Arc::new(outward),
            servers,
            trouble: Trouble::default(),
        }
    }

    /// Why the newest connection ended before the server's first answer, if it did: a call may learn only that it was
    /// cancelled.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.now()
    }

    /// Opens a connection to what [`endpoint`] made.
    ///
    /// # Errors
    /// The server cannot be reached, or one of the two does not accept the other's certificate.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, tonic::transport::Error> {
        endpoint.connect_with_connector(self.clone()).await
    }

    /// The same when it is called first, and again whenever it broke. Must be called inside a runtime.
    pub fn connect_lazy(&self, endpoint: &Endpoint) -> Channel {
        endpoint.connect_with_connector_lazy(self.clone())
    }

    async fn open(self, url: Uri) -> io::Result<TokioIo<Stream>> {
        self.trouble.set(None);
        let host = url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_u16().unwrap_or(PORT);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from((self.outward)().config);
        let stream = connector.connect(name.clone(), stream).await?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let shown = Shown {
            chain: chain.iter().map(|c| c.clone().into_owned()).collect(),
            what: name,
            peer: format!("{host}:{port}"),
        };
        let verify =
            |shown: &Shown<ServerName<'_>>| (self.outward)().verify(&shown.chain, &shown.what);
        let session = self.servers.open(shown, verify);
        let stream = Verified::new(Answering::new(stream, self.trouble.clone()), Some(session));
        Ok(TokioIo::new(stream))
    }
}

/// How a server at a URL that begins with `https` is called by a [`Dialer`]: to tonic it is one without TLS, because the
/// connection that it gets does that itself.
///
/// # Errors
/// Why it is not the URL of such a server.
pub fn endpoint(url: &str) -> Result<Endpoint, String> {
    let (scheme, place) = url.split_once("://").unwrap_or(("", url));
    if !["http", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
    {
        return Err("it begins neither with http:// nor with https://".to_owned());
    }
    let endpoint = Endpoint::from_shared(format!("http://{place}"));
    endpoint.map_err(|e| e.to_string())
}

/// The URLs of a list that is separated by commas, each with its scheme: `host:port` alone is over TLS where the process
/// has certificates for that, and not otherwise.
pub fn with_schemes(urls: &str, over_tls: bool) -> String {
    let scheme = if over_tls { "https" } else { "http" };
    let urls = urls.split(',').map(str::trim).map(|url| match url {
        "" => String::new(),
        url if url.contains("://") => url.to_owned(),
        place => format!("{scheme}://{place}"),
    });
    urls.collect::<Vec<_>>().join(",")
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().open(url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_needs_no_scheme_in_its_address() {
        let listed = "kol-1:7077, https://kol-2:7077,http://kol-3:7077";
        let plain = "http://kol-1:7077,https://kol-2:7077,http://kol-3:7077";
        assert_eq!(with_schemes(listed, false), plain);
        assert_eq!(with_schemes("kol-1:7077", true), "https://kol-1:7077");
        // What is missing stays missing: who calls it says so.
        assert_eq!(with_schemes("kol-1:7077,", false), "http://kol-1:7077,");
    }

    #[test]
    fn what_is_no_url_of_a_server_is_refused_and_not_called_forever() {
        for url in ["https://kol-1:7077", "HTTP://kol-1:7077"] {
            endpoint(url).unwrap();
        }
        for url in [
            "kol-1:7077",
            "ftp://kol-1:7077",
            "",
            "http://",
            "http://no where",
        ] {
            assert!(endpoint(url).is_err(), "{url}");
        }
    }
}
