//! What a person shows to the master: `ca.crt` and `token` in the folder of `--tls`.

use std::fs;
use std::path::Path;

use kol_common::KolError;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

/// See the module; nothing by default.
#[derive(Debug, Default)]
pub struct Access {
    authority: Option<Certificate>,
    /// What each request carries.
    pub token: Token,
}

/// Puts a token on each request, if there is one. It never prints.
#[derive(Clone, Debug, Default)]
pub struct Token(Option<MetadataValue<Ascii>>);

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request
                .metadata_mut()
                .insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl Access {
    /// Reads the folder.
    ///
    /// # Errors
    /// `TLS_FILES`: a file is missing, or is not what it should be.
    pub fn read(folder: &Path) -> Result<Self, KolError> {
        let file = |name: &str| {
            fs::read_to_string(folder.join(name))
                .map_err(|e| wrong(folder, &format!("{name}: {e}")))
        };
        let authority = Certificate::from_pem(file("ca.crt")?);
        let token = format!("Bearer {}", file("token")?.trim());
        let token: Result<MetadataValue<Ascii>, _> = token.parse();
        let mut token = token.map_err(|_| wrong(folder, "token: not a token"))?;
        token.set_sensitive(true);
        Ok(Self {
            authority: Some(authority),
            token: Token(Some(token)),
        })
    }

    /// An endpoint that trusts the authority. The token is sent over TLS only.
    ///
    /// # Errors
    /// `MASTER_URL`: `--tls` without https, or the other way round; `TLS_FILES`.
    pub fn secure(&self, endpoint: Endpoint, master: &str) -> Result<Endpoint, KolError> {
        let is_secure = master.starts_with("https://");
        match &self.authority {
            None if is_secure => Err(KolError::user(
                "MASTER_URL",
                format!("`{master}` needs --tls DIR (or KOL_TLS)"),
            )
            .help("The folder has ca.crt and token; kol-client certs init makes them.")),
            None => Ok(endpoint),
            Some(_) if !is_secure => Err(KolError::user(
                "MASTER_URL",
                format!("`{master}` is not encrypted, and a token must not be sent to it"),
            )
            .help("Write --master https://HOST:7077, or leave --tls out.")),
            Some(authority) => {
                let tls = ClientTlsConfig::new().ca_certificate(authority.clone());
                let secured = endpoint.tls_config(tls);
                secured.map_err(|_| {
                    KolError::user("TLS_FILES", "ca.crt is not a certificate in PEM")
                        .help("Copy ca.crt of the cluster again.")
                })
            }
        }
    }
}

fn wrong(folder: &Path, why: &str) -> KolError {
    let what = format!("the folder {} of --tls: {why}", folder.display());
    KolError::user("TLS_FILES", what)
        .help("It needs ca.crt and token; kol-client certs init makes such folders.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_from_its_file_sent_over_tls_only_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Access::read(folder.path()).unwrap_err().code, "TLS_FILES");
        fs::write(folder.path().join("ca.crt"), "x").unwrap();
        fs::write(folder.path().join("token"), "kol_abc\n").unwrap();
        let access = Access::read(folder.path()).unwrap();
        assert!(!format!("{access:?}").contains("kol_abc"));
        let request = access.token.clone().call(Request::new(())).unwrap();
        assert_eq!(
            request.metadata().get("authorization").unwrap(),
            "Bearer kol_abc"
        );
        let endpoint = |url: &'static str| Endpoint::from_static(url);
        let (plain, tls) = ("http://127.0.0.1:1", "https://127.0.0.1:1");
        let refused = access.secure(endpoint(plain), plain).unwrap_err();
        assert_eq!(refused.code, "MASTER_URL");
        let nobody = Access::default();
        nobody.secure(endpoint(plain), plain).unwrap();
        assert_eq!(
            nobody.secure(endpoint(tls), tls).unwrap_err().code,
            "MASTER_URL"
        );
    }
}
