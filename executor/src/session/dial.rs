//! What opens connections to masters.

use futures::future::BoxFuture;
use kol_common::net::Credentials;
use tonic::transport::{Channel, Endpoint};

/// Opens connections to masters.
pub trait Dial: std::fmt::Debug + Send + Sync {
    /// Opens one.
    ///
    /// # Errors
    /// The master cannot be reached.
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Channel, tonic::transport::Error>>;
}

/// Opens connections over this machine's network.
#[derive(Clone, Debug)]
pub struct Network {
    /// What a master with TLS is shown, as it is when a connection is opened.
    pub credentials: Option<Credentials>,
}

impl Dial for Network {
    fn dial<'a>(
        &'a self,
        endpoint: &'a Endpoint,
    ) -> BoxFuture<'a, Result<Channel, tonic::transport::Error>> {
        Box::pin(async move {
            match &self.credentials {
                None => endpoint.connect().await,
                Some(credentials) => credentials.dialer().connect(endpoint).await,
            }
        })
    }
}
