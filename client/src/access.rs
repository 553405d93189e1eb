//! What a person shows to the master, and which master is trusted: `token`, `ca.crt` and, where it exists, `ca.crl` in the
//! folder of `--tls`.

use std::fs;
use std::path::Path;

use kol_common::KolError;
use kol_common::net::{self, Dialer, dialer_of_person};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Channel, Endpoint, Error};
use tonic::{Request, Status};

/// What the folder needs.
const NEEDS: &str = "It needs ca.crt and token; kol-client certs init makes such folders.";

/// See the module; nothing by default.
#[derive(Debug, Default)]
pub struct Access {
    /// Opens connections over TLS.
    dialer: Option<Dialer>,
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
        let dialer = dialer_of_person(folder, NEEDS)?;
        let file = fs::read_to_string(folder.join("token"));
        let token = file.map_err(|e| wrong(folder, &format!("token: {e}")))?;
        let token: Result<MetadataValue<Ascii>, _> = format!("Bearer {}", token.trim()).parse();
        let mut token = token.map_err(|_| wrong(folder, "token: not a token"))?;
        token.set_sensitive(true);
        Ok(Self {
            dialer: Some(dialer),
            token: Token(Some(token)),
        })
    }

    /// How a master is called. The token is sent over TLS only.
    ///
    /// # Errors
    /// `MASTER_URL`: not a URL; `--tls` without https, or the other way round.
    pub fn endpoint(&self, master: &str) -> Result<Endpoint, KolError> {
        let scheme = master.split_once("://").map(|(scheme, _)| scheme);
        let is_secure = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        match &self.dialer {
            None if is_secure => Err(KolError::user(
                "MASTER_URL",
                format!("`{master}` needs --tls DIR (or KOL_TLS)"),
            )
            .help("The folder has ca.crt and token; kol-client certs init makes them.")),
            Some(_) if !is_secure => Err(KolError::user(
                "MASTER_URL",
                format!("`{master}` is not encrypted, and a token must not be sent to it"),
            )
            .help("Write --master https://HOST:7077, or leave --tls out.")),
            _ => net::endpoint(master).map_err(|e| {
                KolError::user("MASTER_URL", format!("`{master}` is not a URL: {e}"))
                    .help("Give --master like 127.0.0.1:7077, several separated by commas.")
            }),
        }
    }

    /// Opens a connection to what [`Access::endpoint`] made.
    ///
    /// # Errors
    /// The master cannot be reached, or is not one to trust.
    pub async fn connect(&self, endpoint: &Endpoint) -> Result<Channel, Error> {
        match &self.dialer {
            Some(dialer) => dialer.connect(endpoint).await,
            None => endpoint.connect().await,
        }
    }
}

fn wrong(folder: &Path, why: &str) -> KolError {
    let what = format!("the folder {} of --tls: {why}", folder.display());
    KolError::user("TLS_FILES", what).help(NEEDS)
}

#[cfg(test)]
mod tests {
    use kol_common::Millis;
    use kol_common::net::authority::Authority;

    use super::*;

    #[test]
    fn a_token_is_read_from_its_file_sent_over_tls_only_and_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Access::read(folder.path()).unwrap_err().code, "TLS_FILES");
        let authority = Authority::generate(Millis::now()).unwrap();
        authority.write(folder.path()).unwrap();
        fs::write(folder.path().join("token"), "kol_abc\n").unwrap();
        let access = Access::read(folder.path()).unwrap();
        assert!(!format!("{access:?}").contains("kol_abc"));
        let request = access.token.clone().call(Request::new(())).unwrap();
        assert_eq!(
            request.metadata().get("authorization").unwrap(),
            "Bearer kol_abc"
        );
        let nobody = Access::default();
        let refused = |access: &Access, url: &str| access.endpoint(url).unwrap_err().code;
        assert_eq!(refused(&access, "http://127.0.0.1:1"), "MASTER_URL");
        access.endpoint("https://127.0.0.1:1").unwrap();
        nobody.endpoint("http://127.0.0.1:1").unwrap();
        for secured in ["https://127.0.0.1:1", "HTTPS://127.0.0.1:1"] {
            assert_eq!(refused(&nobody, secured), "MASTER_URL");
        }
    }

    #[test]
    fn a_list_of_revoked_certificates_that_cannot_be_used_is_not_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::generate(Millis::now()).unwrap();
        authority.write(folder.path()).unwrap();
        fs::write(folder.path().join("token"), "kol_abc").unwrap();
        let list = folder.path().join("ca.crl");
        fs::write(&list, authority.revoke(&[], Millis::now()).unwrap()).unwrap();
        Access::read(folder.path()).unwrap();
        fs::write(&list, "x").unwrap();
        let error = Access::read(folder.path()).unwrap_err();
        assert_eq!(error.code, "TLS_FILES");
        assert!(error.message.contains("ca.crl"), "{error}");
    }
}
