//! Pages that take long.

use std::net::SocketAddr;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_request_under_way_when_its_connection_has_lasted_long_enough_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tasks, protection) = (Group::new("test"), Protection::default());
    let late = || async {
        sleep(Duration::from_secs(62)).await;
        "late"
    };
    let router = Router::new().route("/", get(late));
    serve_http(listener, router, &protection, &tasks);
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "late", "{head}");
    assert!(head.contains("connection: close"), "{head}");
}

/// The status line of the answer to a request.
async fn status(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_foreign_host_is_refused_however_it_is_named_unless_others_reach_the_address() {
    let foreign = [
        "GET / HTTP/1.1\r\nConnection: close\r\nHost: evil.example\r\n\r\n",
        "GET / HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n",
    ];
    let without = "GET / HTTP/1.0\r\n\r\n";
    let insecure = Protection::new(None, true).unwrap();
    for (listen, protection, refuses) in [
        ("127.0.0.1:0", Protection::default(), true),
        ("127.0.0.1:0", insecure.clone(), true),
        ("0.0.0.0:0", insecure, false),
    ] {
        let listener = TcpListener::bind(listen).await.unwrap();
        let address = ([127, 0, 0, 1], listener.local_addr().unwrap().port()).into();
        let tasks = Group::new("test");
        let router = Router::new().route("/", get(|| async { "shown" }));
        serve_http(listener, router, &protection, &tasks);
        for request in foreign {
            let status = status(address, request).await;
            assert_eq!(
                status.contains(" 421 "),
                refuses,
                "{listen} {request}: {status}"
            );
        }
        let status = status(address, without).await;
        assert!(status.contains(" 200 "), "no browser: {status}");
        tasks.drain(Duration::from_secs(1)).await;
    }
}
