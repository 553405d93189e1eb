//! One member of etcd, and how it is called.

use std::time::Duration;

use kol_common::KolError;
use kol_common::net::{self, Dialer, Trust};
use tonic::transport::{Channel, Endpoint};

use super::access::Access;
use super::failure::{EtcdError, Failure, wrong};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Silence of the network after which a connection counts as broken.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Member {
    pub(super) url: String,
    pub(super) channel: Channel,
    dialer: Option<Dialer>,
}

impl Member {
    /// Connects when it is called first, without TLS as `open` says. Must be called inside a runtime.
    ///
    /// # Errors
    /// `ETCD_URL`: it is not a URL.
    pub(super) fn new(
        url: &str,
        access: &Access,
        open: impl Fn(&Endpoint) -> Channel,
    ) -> Result<Self, KolError> {
        let url = url.trim().trim_end_matches('/');
        let not_a_url = |e| wrong(&format!("`{url}` is not a URL: {e}"));
        let endpoint = net::endpoint(url).map_err(not_a_url)?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let dialer = access.trust.as_ref().map(Trust::dialer);
        let channel = match &dialer {
            Some(dialer) => dialer.connect_lazy(&endpoint),
            None => open(&endpoint),
        };
        Ok(Self {
            url: url.to_owned(),
            channel,
            dialer,
        })
    }

    /// A failed call to it, with what its connection says of TLS.
    pub(super) fn failure(&self, failure: Failure) -> EtcdError {
        let trouble = self.dialer.as_ref().and_then(Dialer::trouble);
        failure.or_of_tls(trouble).at(&self.url)
    }
}
