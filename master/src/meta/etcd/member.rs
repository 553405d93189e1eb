//! One member of etcd, and how it is called.

use std::time::Duration;

use kol_common::{KolError, net};
use tonic::transport::Channel;

use super::access::Access;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Silence of the network after which a connection counts as broken.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

/// See the module.
pub(super) struct Member {
    pub(super) url: String,
    pub(super) channel: Channel,
}

impl Member {
    /// Connects when it is called first. Must be called inside a runtime.
    ///
    /// # Errors
    /// `ETCD_URL`: it is not a URL.
    pub(super) fn new(url: &str, access: &Access) -> Result<Self, KolError> {
        let url = url.trim().trim_end_matches('/');
        let not_a_url = |e| wrong(&format!("`{url}` is not a URL: {e}"));
        let endpoint = net::endpoint(url).map_err(not_a_url)?;
        let endpoint = endpoint
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE);
        let channel = match &access.trust {
            Some(trust) => trust.dialer().connect_lazy(&endpoint),
            None => endpoint.connect_lazy(),
        };
        Ok(Self {
            url: url.to_owned(),
            channel,
        })
    }
}

pub(super) fn wrong(what: &str) -> KolError {
    KolError::user("ETCD_URL", what)
        .help("Give --etcd like https://10.0.0.1:2379,https://10.0.0.2:2379.")
}
