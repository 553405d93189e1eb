//! Connections that are open, or are opened, while certificates become invalid.

use super::*;

/// The next connection, after its client's first words.
async fn greeted(accepted: &mut Accepted) -> Connection {
    let connection = timeout(LATE, accepted.next()).await.unwrap().unwrap();
    let mut connection = connection.unwrap();
    let mut words = [0; 24];
    connection.read_exact(&mut words).await.unwrap();
    connection
}

/// Waits until reading fails because the connection was cut.
async fn is_cut(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let read = timeout(LATE, stream.read_u8()).await;
    let error = read.expect("the connection stays open").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
}

#[tokio::test]
async fn an_open_connection_is_cut_when_its_certificate_is_revoked_and_others_stay_open() {
    let authority = authority();
    let server = equipped(&authority, &["localhost"]);
    let (stolen, fine) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let equip = |folder: &tempfile::TempDir| {
        let serial = authority.equip(folder.path(), &[EXECUTOR], Millis::now(), DAY);
        serial.unwrap()
    };
    let (serial, _) = (equip(&stolen), equip(&fine));
    let (address, mut accepted, tasks, protection) = listen(Some(server.path()), LIMITS).await;
    protection.keep(Vec::new(), &tasks);
    let mut clients = Vec::new();
    let mut connections = Vec::new();
    for shows in [Some(stolen.path()), Some(fine.path()), None] {
        let (client, connection) =
            tokio::join!(open(&address, server.path(), shows), greeted(&mut accepted));
        clients.push(client.unwrap());
        connections.push(connection);
    }
    let list = authority.revoke(&[&serial], Millis::now()).unwrap();
    write_secret(&server.path().join("ca.crl"), &list).unwrap();
    is_cut(&mut connections[0]).await;
    assert!(connections[0].write_u8(0).await.is_err());
    for (client, connection) in clients.iter_mut().zip(&mut connections).skip(1) {
        client.write_u8(7).await.unwrap();
        assert_eq!(connection.read_u8().await.unwrap(), 7);
    }
    // Those of an authority that is no longer trusted are cut as well; people, who show none, stay.
    let other = Authority::generate(Millis::now()).unwrap();
    other
        .equip(server.path(), &["localhost"], Millis::now(), DAY)
        .unwrap();
    is_cut(&mut connections[1]).await;
    clients[2].write_u8(8).await.unwrap();
    assert_eq!(connections[2].read_u8().await.unwrap(), 8);
    tasks.drain(LATE).await;
}

#[tokio::test]
async fn a_server_whose_certificate_is_revoked_is_left_and_not_called_again() {
    let authority = authority();
    let server = tempfile::tempdir().unwrap();
    let serial = authority
        .equip(server.path(), &["localhost"], Millis::now(), DAY)
        .unwrap();
    let client = equipped(&authority, &[EXECUTOR]);
    let (address, mut accepted, tasks, _) = listen(Some(server.path()), LIMITS).await;
    let credentials = Credentials::load(client.path()).unwrap();
    let keeping = credentials.clone().keep(tasks.stop_token());
    let _ends_with_the_group = tasks.spawn("keep", keeping);
    let port = address.rsplit_once(':').unwrap().1;
    let url: axum::http::Uri = format!("http://localhost:{port}").parse().unwrap();
    let dial = || tower::Service::call(&mut credentials.dialer(), url.clone());
    let (dialed, _held) = tokio::join!(dial(), accepted.next());
    let mut stream = dialed.unwrap().into_inner();
    let list = authority.revoke(&[&serial], Millis::now()).unwrap();
    write_secret(&client.path().join("ca.crl"), &list).unwrap();
    is_cut(&mut stream).await;
    let again = dial().await.map(drop).unwrap_err();
    let why = tls_failure(&again).unwrap();
    assert!(why.contains("revoked"), "{why}");
    tasks.drain(LATE).await;
}

#[tokio::test]
async fn a_client_says_what_is_wrong_with_a_certificate() {
    let (own, other) = (authority(), authority());
    let client = equipped(&own, &[EXECUTOR]);
    let expired = tempfile::tempdir().unwrap();
    let past = Millis(Millis::now().0 - 10 * 86_400_000);
    own.equip(expired.path(), &["localhost"], past, DAY)
        .unwrap();
    let credentials = Credentials::load(client.path()).unwrap();
    for (server, part) in [
        (
            equipped(&other, &["localhost"]),
            "not signed by the authority",
        ),
        (expired, "has expired"),
        (equipped(&own, &["elsewhere"]), "elsewhere"),
    ] {
        let (address, _accepted, tasks, _) = listen(Some(server.path()), LIMITS).await;
        let port = address.rsplit_once(':').unwrap().1;
        let url = format!("http://localhost:{port}").parse().unwrap();
        let dialed = tower::Service::call(&mut credentials.dialer(), url).await;
        let why = tls_failure(&dialed.map(drop).unwrap_err()).unwrap();
        assert!(why.contains(part), "{why}");
        tasks.drain(LATE).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let plain = async {
        let mut stream = listener.accept().await.unwrap().0;
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        stream
    };
    let url = format!("http://{address}").parse().unwrap();
    let mut dialer = credentials.dialer();
    let (dialed, _held) = tokio::join!(tower::Service::call(&mut dialer, url), plain);
    let why = tls_failure(&dialed.map(drop).unwrap_err()).unwrap();
    assert_eq!(why, "it does not speak TLS");
}
