//! Buckets in S3 and compatible services.
//!
//! Where the service is and who we are comes from the variables that every tool for S3 reads
//! (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, …); without keys there, the role of the container or of
//! the instance is used. A job spec only names the bucket.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};

/// Buckets whose clients are kept, with their connections and their short-lived keys.
const KEPT: usize = 8;
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(3);
/// Longest time that one request may take, and that it is tried again for.
const REQUEST: Duration = Duration::from_secs(20);
/// How often one request is tried again.
const RETRIES: usize = 4;
/// More of a server's answer than this is not shown.
const MAX_SHOWN: usize = 300;

type Client = Arc<dyn ObjectStore>;

/// Clients of the buckets that were used last.
#[derive(Debug, Default)]
pub(super) struct Buckets(Mutex<Vec<(String, Client)>>);

impl Buckets {
    /// The client of a bucket, made at its first use; that may take long.
    pub(super) fn open(&self, name: &str) -> Result<Client, String> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(bucket, _)| bucket == name) {
            return Ok(Arc::clone(client));
        }
        let text = |(name, value): (OsString, OsString)| {
            let pair = (name.into_string(), value.into_string());
            pair.0.ok().zip(pair.1.ok())
        };
        let variables = std::env::vars_os().filter_map(text);
        let client: Client = Arc::new(connect(name, variables)?);
        if clients.len() == KEPT {
            clients.remove(0);
        }
        clients.push((name.to_owned(), Arc::clone(&client)));
        Ok(client)
    }
}

/// A client with the settings of these variables. It sends no request yet.
///
/// # Errors
/// What is wrong with the variables.
pub fn connect(
    bucket: &str,
    variables: impl IntoIterator<Item = (String, String)>,
) -> Result<AmazonS3, String> {
    // One provider for the whole process; another part of it may have chosen it already.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let settings = variables.into_iter().filter_map(|(name, value)| {
        let known = name.strip_prefix("AWS_").is_some();
        let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
        Some((key.ok().filter(|_| known)?, value))
    });
    let limits = ClientOptions::new()
        .with_connect_timeout(CONNECT)
        .with_timeout(REQUEST);
    let start = AmazonS3Builder::new()
        .with_client_options(limits)
        .with_retry(RetryConfig {
            max_retries: RETRIES,
            retry_timeout: REQUEST,
            ..RetryConfig::default()
        });
    let builder = settings.fold(start, |builder, (key, value)| {
        builder.with_config(key, value)
    });
    // Last: there are variables that name a bucket, too.
    let builder = builder.with_bucket_name(bucket);
    let set = |key| builder.get_config_value(&key).unwrap_or_default();
    let endpoints = [AmazonS3ConfigKey::Endpoint, AmazonS3ConfigKey::S3Endpoint].map(set);
    let plain = endpoints.iter().find(|e| e.starts_with("http://"));
    let allowed = set(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp)) == "true";
    if let Some(endpoint) = plain.filter(|_| !allowed) {
        return Err(format!(
            "{endpoint} is not encrypted: set AWS_ALLOW_HTTP=true if the network between is trusted"
        ));
    }
    builder.build().map_err(|e| words(&e))
}

/// Whether the bucket itself does not exist. Its files are then not missing but unknown: the request may
/// have gone to the wrong service.
pub(super) fn is_missing_bucket(error: &object_store::Error) -> bool {
    error.to_string().contains("<Code>NoSuchBucket</Code>")
}

/// The message of a server, without its markup and the number of attempts.
pub(super) fn words(error: &object_store::Error) -> String {
    let all = error.to_string();
    let between = |start: &str, end: &str| {
        let (_, rest) = all.split_once(start)?;
        Some(rest.split_once(end)?.0.to_owned())
    };
    let code = between("<Code>", "</Code>");
    let said = match (code, between("<Message>", "</Message>")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        _ => deepest(error),
    };
    let said = said.trim().trim_end_matches('.');
    said.chars().take(MAX_SHOWN).collect()
}

/// The cause that has no other behind it, and the one that it is the cause of.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let last = causes.split_off(causes.len().saturating_sub(2));
    match last.as_slice() {
        [outer, inner] if !outer.contains(inner) => format!("{outer}: {inner}"),
        [outer, _] => outer.clone(),
        [only] => only.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<AmazonS3, String> {
        let owned = variables
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        connect("kol-state", owned.collect::<Vec<_>>())
    }

    #[test]
    fn an_endpoint_that_is_not_encrypted_must_be_allowed() {
        let minio = ("AWS_ENDPOINT_URL", "http://minio:9000");
        let keys = [
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ];
        let refused = with(&[minio, keys[0], keys[1]]).unwrap_err();
        assert!(refused.contains("AWS_ALLOW_HTTP=true"), "{refused}");
        let client = with(&[minio, keys[0], keys[1], ("AWS_ALLOW_HTTP", "true")]).unwrap();
        assert!(!format!("{client:?}").contains("s3cret"), "{client:?}");
        with(&[("AWS_ENDPOINT_URL", "https://minio:9000"), keys[0], keys[1]]).unwrap();
    }

    #[test]
    fn the_bucket_is_the_one_of_the_location_whatever_the_variables_say() {
        let keys = [
            ("AWS_ACCESS_KEY_ID", "a"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_BUCKET", "another"),
        ];
        assert_eq!(with(&keys).unwrap().to_string(), "AmazonS3(kol-state)");
    }

    #[test]
    fn half_of_a_pair_of_keys_is_refused() {
        let refused = with(&[("AWS_ACCESS_KEY_ID", "a")]).unwrap_err();
        assert!(refused.to_lowercase().contains("secret"), "{refused}");
    }

    #[test]
    fn the_message_of_a_server_is_shown_without_its_markup() {
        let answer = "Server returned 403: <?xml version='1.0'?><Error><Code>AccessDenied</Code>\
                      <Message>Access Denied.</Message></Error>";
        let error = object_store::Error::Generic {
            store: "S3",
            source: answer.into(),
        };
        assert_eq!(words(&error), "AccessDenied: Access Denied");
    }

    #[test]
    fn without_an_answer_the_last_causes_are_shown() {
        let error = object_store::Error::Generic {
            store: "S3",
            source: Box::new(std::io::Error::other("connection refused")),
        };
        assert_eq!(words(&error), "Generic S3 error: connection refused");
    }
}
