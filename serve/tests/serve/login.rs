//! Who may see what, and what the server may do in Redis.

use std::time::Duration;

use kol_common::Millis;
use kol_common::net::authority::{Authority, write_secret};
use kol_common::net::{Protection, Role, is_open_to_all, new_token};
use kol_serve::{Server, openapi};
use reqwest::Certificate;

use crate::support::{Api, caller, options, written};

const PAGE: &str = include_str!("../../../docs/serving.md");

#[tokio::test]
async fn without_a_token_no_path_but_health_answers() {
    let folder = tempfile::tempdir().unwrap();
    let now = Millis::now();
    let authority = Authority::generate(now).unwrap();
    let day = Duration::from_secs(86_400);
    authority
        .equip(folder.path(), &["localhost"], now, day)
        .unwrap();
    let (token, line) = new_token("dashboard", Role::Viewer).unwrap();
    write_secret(&folder.path().join("tokens"), &line).unwrap();
    let redis = written();
    let mut options = options(redis.url());
    options.protection = Protection::new(Some(folder.path()), false).unwrap();
    let server = Server::start(options).await.unwrap();
    let ca = std::fs::read(folder.path().join("ca.crt")).unwrap();
    let ca = Certificate::from_pem(&ca).unwrap();
    let client = caller().tls_certs_only([ca]).build().unwrap();
    let place = format!("https://localhost:{}", server.address().port());
    let paths = openapi().paths.paths.into_keys();
    for path in paths.chain(["/openapi.json".to_owned(), "/nowhere".to_owned()]) {
        let url = format!("{place}{}", path.replace("{kol_id}", "ann"));
        let status = async |token: Option<&str>| {
            let request = client.get(&url);
            let request = match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            };
            request.send().await.unwrap().status().as_u16()
        };
        let refused = if is_open_to_all(&path) { 200 } else { 401 };
        assert_eq!(status(None).await, refused, "{path}");
        assert_eq!(status(Some("kol_x")).await, refused, "{path}");
        assert_ne!(status(Some(&token)).await, 401, "{path}");
    }
    // The files of the dashboard have no data: they are the same for everybody.
    for (path, _, content) in kol_serve::files() {
        let answer = client.get(format!("{place}{path}")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        let policy = &answer.headers()["content-security-policy"];
        let policy = policy.to_str().unwrap().to_owned();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.text().await.unwrap(), content, "{path}");
    }
    let health = client.get(format!("{place}/healthz")).send().await.unwrap();
    let health = health.text().await.unwrap();
    assert!(!health.contains("version"), "{health}");
}

#[tokio::test]
async fn without_a_login_no_path_answers_who_names_another_host() {
    let redis = written();
    let mut options = options(redis.url());
    let names = ["kol.corp".to_owned()];
    options.protection = Protection::default().allow_hosts(&names).unwrap();
    let api = Api::with(options).await;
    let paths = openapi().paths.paths.into_keys();
    let paths = paths.chain(kol_serve::files().map(|(path, ..)| path.to_owned()));
    for path in paths.chain(["/openapi.json".to_owned(), "/nowhere".to_owned()]) {
        let path = path.replace("{kol_id}", "ann");
        for stranger in ["evil.example", "localhost.evil.example:8000"] {
            let got = api.request("GET", &path, &[("host", stranger)]).await;
            assert_eq!(got.problem(), (421, "HOST_UNKNOWN".into()), "{path}");
            assert!(got.text.contains(stranger), "{}", got.text);
            assert_eq!(got.header("x-content-type-options"), Some("nosniff"));
        }
        // The stream would last.
        if path.ends_with("/stream") {
            continue;
        }
        for known in ["localhost", "127.0.0.1:8000", "[::1]", "KOL.corp:80"] {
            let got = api.request("GET", &path, &[("host", known)]).await;
            assert_ne!(got.status, 421, "{path} as {known}");
        }
    }
}

#[tokio::test]
async fn an_address_that_others_can_reach_needs_tls_or_somebody_who_says_so() {
    let redis = written();
    let mut options = options(redis.url());
    options.listen = "0.0.0.0:0".parse().unwrap();
    let error = Server::start(options.clone()).await.unwrap_err();
    assert_eq!(error.code, "ADDRESS_OPEN");
    options.protection = Protection::new(None, true).unwrap();
    Server::start(options).await.unwrap();
}

#[tokio::test]
async fn the_rights_in_the_documents_suffice() {
    let redis = written();
    let line = PAGE.lines().find(|line| line.starts_with("ACL SETUSER"));
    let line = line.unwrap().replace("PASSWORD", "pw");
    assert_eq!(redis.cli(&line), "OK\n");
    let url = format!("redis://kol-serve:pw@{}/0", redis.address());
    let api = Api::start(url).await;
    for path in openapi().paths.paths.into_keys() {
        let path = path.replace("{kol_id}", "ann");
        if path.ends_with("/stream") {
            api.events(&path).await.next().await;
            continue;
        }
        let path = match path.as_str() {
            "/api/v1/search" => "/api/v1/search?q=a",
            "/api/v1/search/suggest" => "/api/v1/search/suggest?prefix=a",
            "/api/v1/scores/compare" => "/api/v1/scores/compare?kol_ids=ann",
            path => path,
        };
        api.json(path).await;
    }
    api.json("/api/v1/kols?order_dir=asc").await;
}
