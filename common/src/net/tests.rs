//! Listeners over real sockets of the loopback interface: who gets in, and what those cost who do not.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected as _;

use super::authority::{Authority, write_secret};
use super::*;
use crate::Millis;
use crate::actor::Group;

mod pages;
mod people;
mod sessions;

const DAY: Duration = Duration::from_secs(86_400);
const SOON: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_secs(10);
const LIMITS: Limits = Limits {
    connections: 8,
    hello: SOON,
    http2: true,
};

type Accepted = ReceiverStream<std::io::Result<Connection>>;

fn authority() -> Authority {
    Authority::generate(Millis::now()).unwrap()
}

/// A folder with a certificate for these names.
fn equipped(authority: &Authority, names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    authority
        .equip(folder.path(), names, Millis::now(), DAY)
        .unwrap();
    folder
}

async fn listen(folder: Option<&Path>, limits: Limits) -> (String, Accepted, Group, Protection) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let protection = Protection::new(folder, false).unwrap();
    let tasks = Group::new("test");
    let accepted = accept(listener, &protection, limits, &tasks);
    (address, accepted, tasks, protection)
}

/// Connects with the certificate of a folder, and trusts the authority of another one.
async fn connect(address: &str, trusts: &Path, shows: Option<&Path>) -> std::io::Result<()> {
    let mut stream = open(address, trusts, shows).await?;
    match timeout(SOON, stream.read_u8()).await {
        Ok(read) => read.map(drop),
        Err(_) => Ok(()),
    }
}

/// The same connection, open: its server has been greeted.
async fn open(
    address: &str,
    trusts: &Path,
    shows: Option<&Path>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let file = |folder: &Path, name: &str| std::fs::read(folder.join(name)).unwrap();
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(&file(trusts, "ca.crt")).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some(folder) => {
            let certificate = CertificateDer::from_pem_slice(&file(folder, "tls.crt")).unwrap();
            let key = PrivateKeyDer::from_pem_slice(&file(folder, "tls.key")).unwrap();
            builder
                .with_client_auth_cert(vec![certificate], key)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    // With TLS 1.3 a client learns that its certificate was refused when it reads.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await?;
    Ok(stream)
}

/// Whether the next connection is an executor's; `None` if none is accepted.
async fn next(accepted: &mut Accepted) -> Option<bool> {
    let connection = timeout(SOON, accepted.next()).await.ok()??;
    Some(connection.unwrap().connect_info().is_executor)
}

#[tokio::test]
async fn an_executor_is_who_shows_a_certificate_of_the_authority_made_out_to_one() {
    let authority = authority();
    let server = equipped(&authority, &["localhost"]);
    let executor = equipped(&authority, &[EXECUTOR]);
    let (address, mut accepted, tasks, _) = listen(Some(server.path()), LIMITS).await;
    let here = server.path();
    for (shows, is_executor) in [
        (Some(executor.path()), true),
        (Some(server.path()), false),
        (None, false),
    ] {
        let (connected, known) = tokio::join!(connect(&address, here, shows), next(&mut accepted));
        assert_eq!(known, Some(is_executor), "{connected:?}");
    }
    tasks.drain(LATE).await;
}

#[tokio::test]
async fn an_expired_and_a_foreign_certificate_and_one_not_yet_valid_do_not_get_in() {
    let authority = authority();
    let server = equipped(&authority, &["localhost"]);
    let other = Authority::generate(Millis::now()).unwrap();
    let foreign = equipped(&other, &[EXECUTOR]);
    let expired = tempfile::tempdir().unwrap();
    let past = Millis(Millis::now().0 - 10 * 86_400_000);
    authority
        .equip(expired.path(), &[EXECUTOR], past, DAY)
        .unwrap();
    let early = tempfile::tempdir().unwrap();
    let future = Millis(Millis::now().0 + 10 * 86_400_000);
    authority
        .equip(early.path(), &[EXECUTOR], future, DAY)
        .unwrap();
    let (address, mut accepted, tasks, _) = listen(Some(server.path()), LIMITS).await;
    for shows in [&foreign, &expired, &early] {
        let connecting = connect(&address, server.path(), Some(shows.path()));
        let (connected, known) = tokio::join!(connecting, next(&mut accepted));
        assert!(known.is_none() && connected.is_err(), "{connected:?}");
    }
    // And a client trusts no server of another authority.
    let connecting = connect(&address, foreign.path(), None);
    let (connected, known) = tokio::join!(connecting, next(&mut accepted));
    assert!(known.is_none() && connected.is_err());
    tasks.drain(LATE).await;
}

#[tokio::test]
async fn a_certificate_that_was_revoked_does_not_get_in_and_the_next_one_does() {
    let authority = authority();
    let server = equipped(&authority, &["localhost"]);
    let executor = tempfile::tempdir().unwrap();
    let equip = || {
        let names = [EXECUTOR];
        let serial = authority.equip(executor.path(), &names, Millis::now(), DAY);
        serial.unwrap()
    };
    let stolen = equip();
    let list = authority.revoke(&[&stolen], Millis::now()).unwrap();
    write_secret(&server.path().join("ca.crl"), &list).unwrap();
    let (address, mut accepted, tasks, _) = listen(Some(server.path()), LIMITS).await;
    for known in [None, Some(true)] {
        let connecting = connect(&address, server.path(), Some(executor.path()));
        let (connected, found) = tokio::join!(connecting, next(&mut accepted));
        assert_eq!(found, known, "{connected:?}");
        equip();
    }
    assert!(authority.revoke(&["x"], Millis::now()).is_err());
    tasks.drain(LATE).await;
}

#[tokio::test]
async fn certificates_and_tokens_are_used_as_soon_as_they_are_replaced_and_bad_ones_are_not() {
    let (old, new) = (authority(), authority());
    let server = equipped(&old, &["localhost"]);
    let client = equipped(&new, &[EXECUTOR]);
    let (address, mut accepted, tasks, protection) = listen(Some(server.path()), LIMITS).await;
    protection.keep(Vec::new(), &tasks);
    let (token, line) = new_token("ann", Role::Operator).unwrap();
    let bearer = format!("Bearer {token}");
    let admitted = || protection.admit(Some(&bearer), Role::Viewer).is_ok();
    assert!(!admitted());
    write_secret(&server.path().join("tls.key"), "half a fi").unwrap();
    write_secret(&server.path().join("tokens"), &line).unwrap();
    sleep(Duration::from_millis(1_500)).await;
    assert!(
        !admitted(),
        "nothing is used of a folder that cannot be read"
    );
    let trusting = equipped(&old, &["x"]);
    let connecting = connect(&address, trusting.path(), None);
    let (connected, known) = tokio::join!(connecting, next(&mut accepted));
    assert_eq!(known, Some(false), "{connected:?}");
    new.equip(server.path(), &["localhost"], Millis::now(), DAY)
        .unwrap();
    let replaced = async {
        while !admitted() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LATE, replaced).await.unwrap();
    let connecting = connect(&address, client.path(), Some(client.path()));
    let (connected, known) = tokio::join!(connecting, next(&mut accepted));
    assert_eq!(known, Some(true), "{connected:?}");
    write_secret(&server.path().join("tokens"), "# ann left").unwrap();
    let gone = async {
        while admitted() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LATE, gone).await.unwrap();
    tasks.drain(LATE).await;
}

#[tokio::test]
async fn a_client_that_says_nothing_or_too_little_is_left_after_its_time() {
    for folder in [None, Some(equipped(&authority(), &["localhost"]))] {
        let path = folder.as_ref().map(|f| f.path());
        let (address, mut accepted, tasks, _) = listen(path, LIMITS).await;
        let mut silent = TcpStream::connect(&address).await.unwrap();
        let mut slow = TcpStream::connect(&address).await.unwrap();
        slow.write_all(b"PRI * HT").await.unwrap();
        let server = async {
            while let Some(Ok(mut connection)) = accepted.next().await {
                let mut read = vec![0; 64];
                loop {
                    match connection.read(&mut read).await {
                        Ok(0) | Err(_) => break,
                        Ok(_) => {}
                    }
                }
            }
        };
        let clients = async {
            for client in [&mut silent, &mut slow] {
                let mut rest = Vec::new();
                let ended = timeout(LATE, client.read_to_end(&mut rest)).await;
                assert!(ended.is_ok(), "the server waits for ever");
            }
        };
        tokio::select! {
            biased;
            () = server => panic!("the listener ended"),
            () = clients => {}
        }
        tasks.drain(LATE).await;
    }
}

#[tokio::test]
async fn more_connections_than_allowed_wait_and_none_is_lost() {
    let limits = Limits {
        connections: 2,
        ..LIMITS
    };
    let (address, mut accepted, tasks, _) = listen(None, limits).await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(TcpStream::connect(&address).await.unwrap());
    }
    let first = timeout(LATE, accepted.next()).await.unwrap();
    let second = timeout(LATE, accepted.next()).await.unwrap();
    assert!(timeout(SOON, accepted.next()).await.is_err(), "a third one");
    drop(first);
    assert!(timeout(LATE, accepted.next()).await.unwrap().is_some());
    drop(second);
    tasks.drain(LATE).await;
}

/// What a server of pages answers to these bytes until it closes the connection.
async fn answer(address: &str, sent: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent).await.unwrap();
    let mut answer = Vec::new();
    let read = timeout(LATE, stream.read_to_end(&mut answer)).await;
    let _reset_by_the_server = read.expect("the connection stays open");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn pages_carry_headers_for_browsers_and_slow_large_and_garbled_requests_end() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let tasks = Group::new("test");
    let protection = Protection::default();
    let router = protect(
        Router::new().route("/page", get(|| async { "shown" })),
        protection.clone(),
    );
    serve_http(listener, router, &protection, &tasks);
    let good = answer(
        &address,
        b"GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .await;
    assert!(
        good.starts_with("HTTP/1.1 200") && good.ends_with("shown"),
        "{good}"
    );
    for header in ["nosniff", "DENY", "default-src 'none'", "no-store"] {
        assert!(good.contains(header), "{good}");
    }
    let garbage = answer(&address, &[0, 159, 146, 150, 13, 10, 13, 10]).await;
    assert!(garbage.starts_with("HTTP/1.1 400"), "{garbage}");
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(70_000));
    let large = answer(&address, long.as_bytes()).await;
    assert!(
        large.is_empty() || large.starts_with("HTTP/1.1 4"),
        "{large}"
    );
    let many: String = (0..100).map(|n| format!("x-{n}: 1\r\n")).collect();
    let headers = answer(
        &address,
        format!("GET /page HTTP/1.1\r\n{many}\r\n").as_bytes(),
    )
    .await;
    assert!(headers.starts_with("HTTP/1.1 431"), "{headers}");
    let slow = answer(&address, b"GET /page HTTP/1.1\r\nHost:").await;
    assert!(slow.is_empty() || slow.starts_with("HTTP/1.1 4"), "{slow}");
    tasks.drain(LATE).await;
}
