//! Pages that take long.

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
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "late", "{head}");
    assert!(head.contains("connection: close"), "{head}");
}
