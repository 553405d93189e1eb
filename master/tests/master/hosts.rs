//! What a page of somebody else, whose name leads to loopback, gets of a master without a login.

use kol_master::config::Config;
use kol_master::http;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::{PATIENCE, Rig};

/// The line with the status of an answer, and what follows if it is all to be read.
async fn ask(address: std::net::SocketAddr, path: &str, host: &str, is_whole: bool) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answered = async {
        let mut stream = BufReader::new(TcpStream::connect(address).await.unwrap());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        if is_whole {
            stream.read_to_string(&mut answer).await.unwrap();
        }
        answer
    };
    let answer = timeout(PATIENCE, answered).await;
    answer.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {path}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_login_no_path_answers_who_names_another_host() {
    let rig = Rig::new("events", 1).await;
    let config = Config {
        allow_hosts: vec!["kol.corp".to_owned()],
        ..rig.config()
    };
    let master = rig.master_with(config).await;
    let files = http::files().map(|(path, ..)| path.to_owned());
    let mut paths: Vec<String> = http::paths().chain(files).collect();
    paths.push("/nowhere".to_owned());
    let port = master.http.port();
    for path in paths {
        for stranger in ["evil.example", &format!("localhost.evil.example:{port}")] {
            let answer = ask(master.http, &path, stranger, true).await;
            assert!(answer.starts_with("HTTP/1.1 421 "), "{path}: {answer}");
            for part in [
                "application/problem+json",
                "\"HOST_UNKNOWN\"",
                "nosniff",
                "no-store",
            ] {
                assert!(answer.contains(part), "{path}: {part} in {answer}");
            }
        }
        for known in [
            "127.0.0.1",
            &format!("localhost:{port}"),
            "[::1]",
            "KOL.corp",
        ] {
            let answer = ask(master.http, &path, known, false).await;
            assert!(!answer.contains(" 421 "), "{path} as {known}: {answer}");
        }
    }
}
