//! Listens, and has everything that answers need.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use kol_common::actor::{Drained, Group};
use kol_common::job::{Labels, SinkSpec};
use kol_common::net::{self, Protection, protect, serve_http};
use kol_common::secrets::Secrets;
use tokio::net::TcpListener;

use crate::dashboard;
use crate::link::Link;
use crate::pages;
use crate::reader::Reader;
use crate::serving::Serving;

/// What is served, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the HTTP server; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Who may reach it.
    pub protection: Protection,
    /// The Redis that is read, and the keys that the job writes there, with the job's name filled in.
    pub sink: SinkSpec,
    /// Where its secrets are.
    pub secrets: Secrets,
    /// From which score on a creator has which label.
    pub labels: Labels,
    /// Platform of requests that name none.
    pub default_platform: String,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    tasks: Group,
}

impl Server {
    /// Listens. Redis need not be there yet.
    ///
    /// # Errors
    /// `ADDRESS_OPEN`: others could reach the address; `ADDRESS`: it cannot be listened on.
    pub async fn start(options: Options) -> Result<Self, KolError> {
        let protection = options.protection;
        protection.check_address("--listen", options.listen)?;
        let refused = |e: std::io::Error| {
            let what = format!("cannot listen on {}: {e}", options.listen);
            KolError::external("ADDRESS", what)
                .terminal()
                .help("Choose another --listen address; port 0 takes a free one.")
        };
        let listener = TcpListener::bind(options.listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let tasks = Group::new("serve");
        let keys = options.sink.keys.clone();
        let link = Link::keep(options.sink, options.secrets, &tasks);
        let reader = Reader::new(link.clone(), keys, options.labels);
        let is_open = protection.credentials().is_none();
        let serving = Serving::new(reader, link, options.default_platform, is_open);
        protection.keep(protection.warning(&[address]).into_iter().collect(), &tasks);
        let router = protect(pages::router(Arc::new(serving)), protection.clone());
        let router = net::files::files(dashboard::files()).merge(router);
        serve_http(listener, router, &protection, &tasks);
        Ok(Self { address, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends: requests that are under way are answered, if that does not take longer.
    pub async fn stop(&self, deadline: Duration) -> Drained {
        self.tasks.drain(deadline).await
    }
}
