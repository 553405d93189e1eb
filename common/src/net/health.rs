//! Asks a process whether it is well, as container engines do.

use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client};

use crate::{KolError, world};

/// Longest time for the whole request.
const DEADLINE: Duration = Duration::from_secs(2);

/// Whether the page at `url` (`/healthz` or `/readyz`) answers that all is well. With `https` the process shows a
/// certificate of the authority whose `ca.crt` lies in the folder `tls`.
///
/// # Errors
/// `HEALTH`: it does not answer in time, or says why it is not ready; `TLS_FILES`.
pub async fn check_health(url: &str, tls: Option<&Path>) -> Result<(), KolError> {
    // One provider for the whole process; another part of it may have chosen it already.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let mut client = Client::builder().no_proxy().timeout(DEADLINE);
    if let Some(folder) = tls {
        let file = folder.join("ca.crt");
        let read = world::blocking(move || std::fs::read(file)).await;
        let pem = read.and_then(Result::ok).unwrap_or_default();
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            let what = format!("the folder {} of --tls has no ca.crt", folder.display());
            return Err(
                KolError::user("TLS_FILES", what).help("Copy ca.crt of the cluster into it.")
            );
        }
        client = client.tls_certs_only(certificates);
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
