//! A real etcd with TLS, client certificates and a login: who gets in, and the reason that the others see.

use std::path::{Path, PathBuf};
use std::time::Duration;

use kol_common::Millis;
use kol_common::actor::Group;
use kol_common::job::SecretRef;
use kol_common::net::EXECUTOR;
use kol_common::net::authority::Authority;
use kol_common::secrets::Secrets;
use kol_harness::Etcd as Server;
use kol_master::meta::etcd::wire::{RequestOp, TxnRequest};
use kol_master::meta::etcd::{Access, Etcd, Members};

const ANSWER: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(15);
const DAY: Duration = Duration::from_secs(86_400);
const PASSWORD: &str = "right-and-secret";

/// What a master has to get in: folders with certificates, and one with secrets.
struct Scene {
    folder: tempfile::TempDir,
    authority: Authority,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
            authority: Authority::generate(Millis::now()).unwrap(),
        };
        for (process, name) in [("etcd", "kol-etcd"), ("master", "kol-master")] {
            scene.equip(process, name, Millis::now());
        }
        scene.password("etcd", PASSWORD);
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A certificate in a folder of this name, valid for a day from `from` on.
    fn equip(&self, folder: &str, name: &str, from: Millis) {
        let names = [name, "127.0.0.1"];
        let signed = self.authority.equip(&self.path(folder), &names, from, DAY);
        signed.unwrap();
    }

    fn password(&self, name: &str, password: &str) {
        std::fs::create_dir_all(self.path("secrets")).unwrap();
        std::fs::write(self.path("secrets").join(name), password).unwrap();
    }

    /// How a master with these certificates and this login gets in.
    fn access(&self, server: &Server, certs: &str, login: Option<(&str, &str)>) -> Access {
        let members = Members {
            urls: vec![server.url()],
            tls: Some(self.path(certs)),
            login: login.map(|(user, file)| (user.to_owned(), SecretRef(format!("file:{file}")))),
            insecure: false,
        };
        Access::new(&members, &Secrets::new(Some(self.path("secrets")))).unwrap()
    }
}

async fn put(etcd: &Etcd, key: &str) -> Result<(), kol_common::KolError> {
    let write = TxnRequest {
        success: vec![RequestOp::put(key.to_owned(), b"1".to_vec(), 0)],
        ..TxnRequest::default()
    };
    etcd.txn(write).await.map(drop).map_err(|e| (&e).into())
}

/// How a write ends for a master that gets in like this.
async fn ends(access: &Access) -> Result<(), kol_common::KolError> {
    let etcd = Etcd::new(access, ANSWER).unwrap();
    put(&etcd, "kol/a").await
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_let_in_reads_why_and_nobody_reads_the_password() {
    let scene = Scene::new();
    let Some(mut server) = Server::start_secured(scene.folder.path()) else {
        return;
    };
    let right = Some(("kol", "etcd"));
    let early = ends(&scene.access(&server, "master", right))
        .await
        .unwrap_err();
    assert_eq!(early.code, "ETCD_AUTH", "{early}");
    assert!(early.message.contains("has no login"), "{early}");
    server.want_login("kol", PASSWORD, "kol/");
    ends(&scene.access(&server, "master", right)).await.unwrap();

    let foreign = Authority::generate(Millis::now()).unwrap();
    let now = Millis::now();
    foreign
        .equip(&scene.path("foreign"), &["kol-master"], now, DAY)
        .unwrap();
    std::fs::create_dir(scene.path("nobody")).unwrap();
    for folder in ["nobody", "stranger"] {
        let to = scene.path(folder);
        std::fs::create_dir_all(&to).unwrap();
        std::fs::copy(scene.path("master/ca.crt"), to.join("ca.crt")).unwrap();
    }
    for file in ["tls.crt", "tls.key"] {
        std::fs::copy(
            scene.path("foreign").join(file),
            scene.path("stranger").join(file),
        )
        .unwrap();
    }
    scene.equip("executor", EXECUTOR, now);
    scene.equip("expired", "kol-master", Millis(now.0 - 10 * 86_400_000));
    scene.password("wrong", "wrong-and-secret");
    for (certs, login, code, part) in [
        (
            "foreign",
            right,
            "ETCD_TLS",
            "not signed by the authority in ca.crt",
        ),
        ("stranger", right, "ETCD_TLS", "accept the certificate"),
        ("expired", right, "ETCD_TLS", "accept the certificate"),
        ("executor", right, "ETCD_TLS", "accept the certificate"),
        ("nobody", right, "ETCD_TLS", "accept the certificate"),
        (
            "master",
            Some(("kol", "wrong")),
            "ETCD_AUTH",
            "the user `kol` with this password",
        ),
        (
            "master",
            Some(("eve", "etcd")),
            "ETCD_AUTH",
            "the user `eve` with this password",
        ),
    ] {
        let access = scene.access(&server, certs, login);
        let error = ends(&access).await.unwrap_err();
        let shown = format!("{error} {access:?}");
        assert_eq!(error.code, code, "{certs} {login:?}: {shown}");
        assert!(shown.contains(part), "{certs} {login:?}: {shown}");
        assert!(!shown.contains("-and-secret"), "{shown}");
        assert!(!error.help.is_empty() && error.retryable, "{shown}");
    }
    let etcd = Etcd::new(&scene.access(&server, "master", right), ANSWER).unwrap();
    let elsewhere = put(&etcd, "other/a").await.unwrap_err();
    assert_eq!(elsewhere.code, "ETCD_AUTH", "{elsewhere}");
    assert!(
        elsewhere.message.contains("may not read and write"),
        "{elsewhere}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_etcd_has_ended_is_replaced_and_a_user_that_was_removed_is_not_let_in() {
    let scene = Scene::new();
    let Some(mut server) = Server::start_secured(scene.folder.path()) else {
        return;
    };
    server.want_login("kol", PASSWORD, "kol/");
    let etcd = Etcd::new(
        &scene.access(&server, "master", Some(("kol", "etcd"))),
        ANSWER,
    )
    .unwrap();
    put(&etcd, "kol/a").await.unwrap();
    server.ctl(&["user", "delete", "kol"]);
    let gone = put(&etcd, "kol/a").await.unwrap_err();
    assert_eq!(gone.code, "ETCD_AUTH", "{gone}");
    server.add_user("kol", "another-and-secret");
    assert_eq!(put(&etcd, "kol/a").await.unwrap_err().code, "ETCD_AUTH");
    scene.password("etcd", "another-and-secret");
    put(&etcd, "kol/a").await.unwrap();
    // A list of hosts that changes counts from the next login on.
    scene.password("etcd.hosts", "elsewhere");
    server.set_password("kol", "another-and-secret");
    let kept = put(&etcd, "kol/a").await.unwrap_err();
    assert!(kept.message.contains("SECRET_HOST"), "{kept}");
    std::fs::remove_file(scene.path("secrets/etcd.hosts")).unwrap();
    put(&etcd, "kol/a").await.unwrap();
    // Tokens end with the process that gave them.
    server.restart();
    let again = async {
        while put(&etcd, "kol/a").await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(LIMIT, again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_name_of_a_certificate_is_a_login_where_etcd_has_a_user_of_that_name() {
    let scene = Scene::new();
    let Some(mut server) = Server::start_secured(scene.folder.path()) else {
        return;
    };
    server.want_login("kol", PASSWORD, "kol/");
    let access = scene.access(&server, "master", None);
    let nameless = ends(&access).await.unwrap_err();
    assert_eq!(nameless.code, "ETCD_AUTH", "{nameless}");
    server.add_user("kol-master", "unused");
    ends(&access).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_are_replaced_are_used_and_a_member_of_another_authority_is_cut() {
    let scene = Scene::new();
    let Some(server) = Server::start_secured(scene.folder.path()) else {
        return;
    };
    let access = scene.access(&server, "master", None);
    let tasks = Group::new("test");
    access.keep(&tasks);
    let etcd = Etcd::new(&access, ANSWER).unwrap();
    put(&etcd, "kol/a").await.unwrap();
    let swap = |from: &Path| {
        for file in ["ca.crt", "tls.crt", "tls.key"] {
            std::fs::copy(from.join(file), scene.path("master").join(file)).unwrap();
        }
    };
    let (before, foreign) = (scene.path("before"), scene.path("foreign"));
    scene.equip("before", "kol-master", Millis::now());
    let other = Authority::generate(Millis::now()).unwrap();
    let now = Millis::now();
    other.equip(&foreign, &["kol-master"], now, DAY).unwrap();
    swap(&foreign);
    let until = async |works: bool| {
        let reached = async {
            while put(&etcd, "kol/a").await.is_ok() != works {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(LIMIT, reached).await.unwrap();
    };
    until(false).await;
    let error = put(&etcd, "kol/a").await.unwrap_err();
    assert_eq!(error.code, "ETCD_TLS", "{error}");
    swap(&before);
    until(true).await;
    tasks.drain(LIMIT).await;
}
