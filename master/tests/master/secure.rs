//! A master with TLS and login: who gets in, for every method that the protocol has and every page.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use kol_common::Millis;
use kol_common::actor::Group;
use kol_common::net::authority::{Authority, write_secret};
use kol_common::net::{EXECUTOR, Protection, Role, is_open_to_all, new_token};
use kol_common::proto::DESCRIPTORS;
use kol_common::redis::Network;
use kol_common::secrets::Secrets;
use kol_master::config::{Config, Shared};
use kol_master::http::{self, Pages, Rankings};
use kol_master::meta::etcd::Members;
use kol_master::rpc::{Caller, caller_of};
use kol_master::run::Master;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tower::ServiceExt as _;

use super::support::{PATIENCE, Rig};

const DAY: Duration = Duration::from_secs(86_400);

/// A master, and what its clients have.
pub struct Secured {
    rig: Rig,
    master: Master,
    folder: tempfile::TempDir,
    authority: Authority,
    /// Serial number of the executor's certificate.
    executor: String,
    tokens: Vec<(Role, String)>,
}

impl Secured {
    pub async fn start() -> Self {
        let rig = Rig::new("events", 1).await;
        let folder = tempfile::tempdir().unwrap();
        let now = Millis::now();
        let authority = Authority::generate(now).unwrap();
        let equip = |process: &str, name| {
            let process = folder.path().join(process);
            let signed = authority.equip(&process, &[name, "127.0.0.1"], now, DAY);
            signed.unwrap()
        };
        equip("master", "localhost");
        let executor = equip("executor", EXECUTOR);
        let mut tokens = Vec::new();
        let mut lines = String::new();
        for role in Role::ALL {
            let (token, line) = new_token(role.as_str(), role).unwrap();
            tokens.push((role, token));
            lines = format!("{lines}{line}\n");
        }
        write_secret(&folder.path().join("master/tokens"), &lines).unwrap();
        let config = Config {
            tls: Some(folder.path().join("master")),
            ..rig.config()
        };
        let master = rig.master_with(config).await;
        Self {
            rig,
            master,
            folder,
            authority,
            executor,
            tokens,
        }
    }

    pub fn process(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn token(&self, role: Role) -> Option<&str> {
        let mut tokens = self.tokens.iter();
        tokens.find(|(r, _)| *r == role).map(|(_, token)| &**token)
    }

    /// A connection that trusts the authority; with the certificate of a process, if one is named.
    pub async fn channel(&self, shows: Option<&Path>) -> Result<Channel, tonic::transport::Error> {
        let file = |name: &str| std::fs::read(self.process("master").join(name)).unwrap();
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(file("ca.crt")));
        let tls = match shows {
            Some(folder) => {
                let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
                tls.identity(Identity::from_pem(file("tls.crt"), file("tls.key")))
            }
            None => tls,
        };
        let url = format!("https://{}", self.master.grpc);
        let endpoint = Endpoint::from_shared(url).unwrap().tls_config(tls)?;
        endpoint.connect().await
    }

    /// The certificate of the executor is no longer valid.
    pub fn revoke(&self) {
        let list = self.authority.revoke(&[&self.executor], Millis::now());
        write_secret(&self.process("master").join("ca.crl"), &list.unwrap()).unwrap();
    }
}

/// Paths of all methods.
fn methods() -> Vec<String> {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let files = set.file.iter();
    let services = files.flat_map(|file| file.service.iter().map(move |s| (file.package(), s)));
    let methods = services.flat_map(|(package, service)| {
        let methods = service.method.iter();
        methods.map(move |m| format!("/{package}.{}/{}", service.name(), m.name()))
    });
    methods.collect()
}

/// How a call with an empty message ends.
async fn call(channel: &Channel, path: &str, token: Option<&str>) -> Code {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(());
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let path = path.parse().unwrap();
    let answer = tokio::time::timeout(PATIENCE, client.unary(request, path, codec)).await;
    answer
        .unwrap()
        .map_or_else(|status| status.code(), |_| Code::Ok)
}

fn is_refusal(code: Code) -> bool {
    matches!(code, Code::Unauthenticated | Code::PermissionDenied)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_every_method_refuses_and_with_one_those_that_its_role_may_not_call() {
    let secured = Secured::start().await;
    let people = secured.channel(None).await.unwrap();
    assert!(methods().len() > 12);
    for path in methods() {
        for wrong in [None, Some("kol_0"), Some("")] {
            let code = call(&people, &path, wrong).await;
            assert_eq!(code, Code::Unauthenticated, "{path} {wrong:?}");
        }
        for role in Role::ALL {
            let code = call(&people, &path, secured.token(role)).await;
            let may = match caller_of(&path) {
                Some(Caller::Person(needed)) => role >= needed,
                _ => false,
            };
            assert_eq!(!is_refusal(code), may, "{path} as {role:?}: {code:?}");
        }
    }
    let unknown = call(
        &people,
        "/kol.v1.JobService/Drop",
        secured.token(Role::Operator),
    )
    .await;
    assert_eq!(unknown, Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_executor_opens_its_stream_and_nothing_else() {
    let secured = Secured::start().await;
    let executor = secured
        .channel(Some(&secured.process("executor")))
        .await
        .unwrap();
    for path in methods() {
        let code = call(&executor, &path, None).await;
        if caller_of(&path) == Some(Caller::Executor) {
            assert_eq!(code, Code::InvalidArgument, "it must register first");
        } else {
            assert_eq!(code, Code::Unauthenticated, "{path}");
        }
    }
    // The certificate of a master is of the same authority, and is not made out to an executor.
    let master = secured
        .channel(Some(&secured.process("master")))
        .await
        .unwrap();
    let session = "/kol.v1.ClusterService/Session";
    assert_eq!(call(&master, session, None).await, Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_expired_and_revoked_certificates_and_plain_text_reach_no_method() {
    let secured = Secured::start().await;
    let now = Millis::now();
    let other = Authority::generate(now).unwrap();
    let (foreign, expired) = (secured.process("foreign"), secured.process("expired"));
    other.equip(&foreign, &[EXECUTOR], now, DAY).unwrap();
    let past = Millis(now.0 - 10 * 86_400_000);
    let signed = secured.authority.equip(&expired, &[EXECUTOR], past, DAY);
    signed.unwrap();
    let revoked = secured.process("executor");
    assert_eq!(opens(&secured, &revoked).await, Code::InvalidArgument);
    secured.revoke();
    tokio::time::timeout(PATIENCE, async {
        while opens(&secured, &revoked).await == Code::InvalidArgument {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    for refused in [&foreign, &expired, &revoked] {
        let code = opens(&secured, refused).await;
        let reached = [Code::InvalidArgument, Code::Ok].contains(&code);
        assert!(!reached, "{refused:?} {code:?}");
    }
    let plain = Endpoint::from_shared(format!("http://{}", secured.master.grpc)).unwrap();
    if let Ok(channel) = plain.connect().await {
        let code = call_or_broken(&channel, "/kol.v1.JobService/ListJobs").await;
        assert_ne!(code, Code::Ok);
    }
    drop(secured.rig);
}

/// How the stream of executors opens for who shows this certificate; they trust the real master in any case.
async fn opens(secured: &Secured, shows: &Path) -> Code {
    match secured.channel(Some(shows)).await {
        Ok(channel) => call_or_broken(&channel, "/kol.v1.ClusterService/Session").await,
        Err(_) => Code::Unavailable,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_away_opens_nothing_on_a_connection_that_is_open() {
    let secured = Secured::start().await;
    let people = secured.channel(None).await.unwrap();
    let path = "/kol.v1.JobService/ListJobs";
    let viewer = secured.token(Role::Viewer);
    assert!(!is_refusal(call(&people, path, viewer).await));
    let tokens = secured.process("master").join("tokens");
    let all = std::fs::read_to_string(&tokens).unwrap();
    let others = all.lines().filter(|line| !line.starts_with("viewer "));
    write_secret(&tokens, &others.collect::<Vec<_>>().join("\n")).unwrap();
    tokio::time::timeout(PATIENCE, async {
        while call(&people, path, viewer).await != Code::Unauthenticated {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await
    .unwrap();
    let admin = secured.token(Role::Admin);
    assert!(!is_refusal(call(&people, path, admin).await));
}

/// As [`call`], where the connection may break before there is an answer.
async fn call_or_broken(channel: &Channel, path: &str) -> Code {
    let mut client = tonic::client::Grpc::new(channel.clone());
    if client.ready().await.is_err() {
        return Code::Unavailable;
    }
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let request = tonic::Request::new(());
    let answer = client.unary(request, path.parse().unwrap(), codec).await;
    answer.map_or_else(|status| status.code(), |_| Code::Ok)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_no_page_but_health_answers() {
    let secured = Secured::start().await;
    let protection = Protection::new(Some(&secured.process("master")), false).unwrap();
    let tasks = Group::new("pages");
    let roles = secured.master.roles().clone();
    let rankings = Rankings::start(Arc::new(Network), Secrets::new(None), &tasks);
    let pages = Pages::new(roles, Vec::new(), rankings, &tasks);
    let router = http::served(pages, protection);
    for path in http::paths() {
        let refused = if is_open_to_all(&path) { 200 } else { 401 };
        assert_eq!(status(&router, &path, None).await, refused, "{path}");
        assert_eq!(
            status(&router, &path, Some("kol_x")).await,
            refused,
            "{path}"
        );
        let viewer = secured.token(Role::Viewer);
        let is_of_job = path.starts_with("/api/v1/jobs/job");
        let known = if is_of_job { 404 } else { 200 };
        assert_eq!(status(&router, &path, viewer).await, known, "{path}");
    }
    assert_eq!(status(&router, "/nowhere", None).await, 401);
    assert_eq!(status(&router, "/page/nowhere", None).await, 401);
    // The files of the page have no data: they are the same for everybody.
    for (path, _, content) in http::files() {
        for token in [None, Some("kol_x"), secured.token(Role::Viewer)] {
            let response = response(&router, path, token).await;
            assert_eq!(response.status(), 200, "{path}");
            let policy = response.headers()["content-security-policy"]
                .to_str()
                .unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'self';"),
                "{policy}"
            );
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(response.headers()["x-content-type-options"], "nosniff");
            let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            assert_eq!(body, content.as_bytes(), "{path}");
        }
    }
    tasks.drain(PATIENCE).await;
    // The real listener speaks TLS and nothing else.
    let stream = TcpStream::connect(secured.master.http).await.unwrap();
    stream.writable().await.unwrap();
    stream
        .try_write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = [0; 64];
    stream.readable().await.unwrap();
    let length = stream.try_read(&mut answer).unwrap_or_default();
    assert!(!answer[..length].starts_with(b"HTTP"), "{answer:?}");
}

async fn status(router: &Router, path: &str, token: Option<&str>) -> u16 {
    response(router, path, token).await.status().as_u16()
}

async fn response(router: &Router, path: &str, token: Option<&str>) -> Response<Body> {
    let request = Request::get(path);
    let request = match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    };
    let request = request.body(Body::empty()).unwrap();
    router.clone().oneshot(request).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn etcd_elsewhere_needs_tls_or_a_person_who_says_that_it_is_insecure() {
    let rig = Rig::new("events", 1).await;
    // No such host answers; whether one may be called is decided before.
    let etcd = |insecure| Config {
        etcd: Some(Shared {
            members: Members {
                urls: vec!["http://192.0.2.1:2379".into()],
                insecure,
                ..Members::default()
            },
            prefix: "kol/".into(),
            advertise: None,
        }),
        insecure: true,
        ..rig.config()
    };
    let refused = Master::start(&etcd(false)).await.unwrap_err();
    assert_eq!(refused.code, "ETCD_PLAIN", "--insecure is about listeners");
    let master = Master::start(&etcd(true)).await.unwrap();
    master.stop(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_needs_tls_or_a_person_who_says_insecure() {
    let rig = Rig::new("events", 1).await;
    let open = |insecure| Config {
        http: "0.0.0.0:0".parse().unwrap(),
        insecure,
        ..rig.config()
    };
    let refused = Master::start(&open(false)).await.unwrap_err();
    assert_eq!(refused.code, "ADDRESS_OPEN");
    let master = Master::start(&open(true)).await.unwrap();
    let mut client = super::support::people(&master).await;
    super::support::submit(&mut client, &rig.spec("a"))
        .await
        .unwrap();
    let insecure = |status: &kol_common::proto::JobStatus| {
        status.warnings.iter().any(|w| w.starts_with("INSECURE"))
    };
    super::support::wait_for(&mut client, "a", insecure).await;
}
