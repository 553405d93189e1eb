//! What people's commands speak to, and what they do not.

use super::*;

/// Pages of a process that lives and is not ready.
async fn unready(folder: Option<&Path>) -> (std::net::SocketAddr, Group) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = Group::new("test");
    let protection = Protection::new(folder, false).unwrap();
    let unready = || async { (axum::http::StatusCode::SERVICE_UNAVAILABLE, "no master\n") };
    let router = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(unready));
    serve_http(
        listener,
        protect(router, protection.clone()),
        &protection,
        &tasks,
    );
    (address, tasks)
}

#[tokio::test]
async fn health_is_what_the_process_says_over_tls_only_if_it_is_of_the_cluster() {
    let server = equipped(&authority(), &["localhost"]);
    let other = equipped(&authority(), &["localhost"]);
    let (address, tasks) = unready(Some(server.path())).await;
    let url = |page: &str| format!("https://localhost:{}/{page}", address.port());
    let refused = async |page: &str, tls: Option<&Path>| {
        let error = check_health(&url(page), tls).await.unwrap_err();
        format!("{} {}", error.code, error.message)
    };
    check_health(&url("healthz"), Some(server.path()))
        .await
        .unwrap();
    let said = refused("readyz", Some(server.path())).await;
    assert!(
        said.starts_with("HEALTH") && said.ends_with("no master"),
        "{said}"
    );
    for stranger in [Some(other.path()), None] {
        let said = refused("healthz", stranger).await;
        assert!(
            said.starts_with("HEALTH") && said.contains("certificate"),
            "{said}"
        );
    }
    tasks.drain(LATE).await;

    let (address, tasks) = unready(None).await;
    check_health(&format!("http://{address}/healthz"), None)
        .await
        .unwrap();
    tasks.drain(LATE).await;
    let gone = check_health(&format!("http://{address}/healthz"), None).await;
    assert_eq!(gone.unwrap_err().code, "HEALTH");
}

#[tokio::test]
async fn a_health_check_says_which_file_cannot_be_used_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let said = async || {
        let checked = check_health("https://localhost:9/healthz", Some(folder.path())).await;
        let error = checked.unwrap_err();
        assert_eq!(error.code, "TLS_FILES");
        error.message
    };
    let missing = said().await;
    assert!(missing.contains("ca.crt: No such file"), "{missing}");
    // Not even root can read a folder as a file.
    std::fs::create_dir(folder.path().join("ca.crt")).unwrap();
    let unreadable = said().await;
    assert!(
        unreadable.contains("ca.crt: Is a directory"),
        "{unreadable}"
    );
    std::fs::remove_dir(folder.path().join("ca.crt")).unwrap();
    write_secret(&folder.path().join("ca.crt"), "x").unwrap();
    let wrong = said().await;
    assert!(wrong.contains("ca.crt: no certificate in PEM"), "{wrong}");
    authority().write(folder.path()).unwrap();
    for text in ["", "x", "-----BEGIN X509 CRL-----\n!\n"] {
        write_secret(&folder.path().join("ca.crl"), text).unwrap();
        let list = said().await;
        assert!(list.contains("ca.crl: not a list"), "{list}");
    }
}

#[tokio::test]
async fn a_person_does_not_speak_to_a_process_whose_certificate_is_revoked() {
    let authority = authority();
    let server = tempfile::tempdir().unwrap();
    let names = ["localhost"];
    let serial = authority.equip(server.path(), &names, Millis::now(), DAY);
    let person = tempfile::tempdir().unwrap();
    authority.write(person.path()).unwrap();
    let (health, pages) = unready(Some(server.path())).await;
    let health = format!("https://localhost:{}/healthz", health.port());
    let (address, _accepted, tasks, _) = listen(Some(server.path()), LIMITS).await;
    let port = address.rsplit_once(':').unwrap().1;
    let url: axum::http::Uri = format!("http://localhost:{port}").parse().unwrap();
    let dial = || {
        let mut dialer = dialer_of_person(person.path(), "").unwrap();
        let url = url.clone();
        async move { tower::Service::call(&mut dialer, url).await.map(drop) }
    };
    dial().await.unwrap();
    check_health(&health, Some(person.path())).await.unwrap();
    let list = authority.revoke(&[&serial.unwrap()], Millis::now());
    write_secret(&person.path().join("ca.crl"), &list.unwrap()).unwrap();
    let why = tls_failure(&dial().await.unwrap_err()).unwrap();
    assert_eq!(why, "its certificate is revoked");
    let refused = check_health(&health, Some(person.path())).await;
    let said = refused.unwrap_err().message;
    assert!(said.contains("Revoked"), "{said}");
    tasks.drain(LATE).await;
    pages.drain(LATE).await;
}
