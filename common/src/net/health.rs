//! Queries a process whether it is well, as container engines do.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;

use super::trust::trusted;
use crate::{KolError, world};

/// Longest time for the whole request.
const DEADLINE: Duration = Duration::from_secs(2);
/// What the folder of `--tls` needs.
const NEEDS: &str = "Copy ca.crt of the cluster into it, readable for who runs this.";

/// Whether the page at `url` (`/healthz` or `/readyz`) answers that all is well. With `https` the process shows a
/// certificate of the authority whose `ca.crt` lies in the folder `tls`; `ca.crl`, where it exists, does not list it.
///
/// # Errors
/// `HEALTH`: it does not answer in time, or says why it is not ready; `TLS_FILES`: a file of the folder is missing, cannot
/// be read or is not what it should be.
pub async fn check_health(url: &str, tls: Option<&Path>) -> Result<(), KolError> {
    // One provider for the whole process; another part of it may have chosen it already.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder().no_proxy().timeout(DEADLINE);
    if let Some(folder) = tls {
        let folder = folder.to_owned();
        let outward = world::blocking(move || trusted(&folder, NEEDS)).await;
        let panicked = || {
            Err(KolError::internal(
                "HEALTH",
                "reading certificates panicked",
            ))
        };
        let mut config = Arc::unwrap_or_clone(outward.unwrap_or_else(panicked)?.config);
        // Pages are HTTP/1.1.
        config.alpn_protocols.clear();
        client = client.tls_backend_preconfigured(config);
    }
    let answer = async {
        let response = client.build()?.get(url).send().await?;
        let is_well = response.status().is_success();
        Ok::<_, reqwest::Error>((is_well, response.text().await?))
    };
    match answer.await {
        Ok((true, _)) => Ok(()),
        Ok((false, said)) => Err(unhealthy(url, said.trim())),
        Err(error) => Err(unhealthy(url, &deepest(&error))),
    }
}

fn unhealthy(url: &str, why: &str) -> KolError {
    KolError::external("HEALTH", format!("{url}: {why}"))
        .help("See the log of the process. With TLS the URL begins with https, and --tls names a folder with ca.crt.")
}

/// The cause behind all others.
fn deepest(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), deepest)
}
