//! What a server says before it hangs up. One in protected mode, or with too many clients, says so as soon
//! as it has accepted a connection and closes it; what a client has sent meanwhile then makes its system
//! throw away those words. So they are read once more without sending anything.

use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisError};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::job::RedisUrl;

/// Longest time for it, and bytes of it, at most.
const LIMIT: Duration = Duration::from_millis(500);
const MOST: usize = 1_024;

/// The words of the first server that hangs up with some, after this error of connecting.
pub(super) async fn of(url: &RedisUrl, error: &RedisError) -> Option<String> {
    let hung_up = error.is_connection_dropped() && !error.is_connection_refusal();
    if !hung_up || url.tls {
        return None;
    }
    for node in url.nodes() {
        let info = node.into_connection_info().ok()?;
        if let ConnectionAddr::Tcp(host, port) = info.addr()
            && let Ok(Some(words)) = tokio::time::timeout(LIMIT, listen(host, *port)).await
        {
            return Some(words);
        }
    }
    None
}

async fn listen(host: &str, port: u16) -> Option<String> {
    let mut server = TcpStream::connect((host, port)).await.ok()?;
    let mut said = Vec::new();
    let mut piece = [0; MOST];
    while said.len() < MOST && !said.contains(&b'\n') {
        match server.read(&mut piece).await {
            Ok(read @ 1..) => said.extend_from_slice(&piece[..read]),
            _ => break,
        }
    }
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().next()?.strip_prefix('-')?.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KolError;
    use crate::job::SinkSpec;
    use crate::redis::connect;
    use crate::secrets::Secrets;

    /// Connects to a server that says this to everybody and hangs up.
    async fn against(words: &'static str) -> KolError {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let mut client = client.unwrap();
                std::io::Write::write_all(&mut client, words.as_bytes()).unwrap();
                // What the client sends is there and not read: closing resets the connection.
                let limit = Some(Duration::from_millis(100));
                client.set_read_timeout(limit).unwrap();
                let _nothing_from_who_listens = client.peek(&mut [0]);
            }
        });
        let spec = SinkSpec {
            url: format!("redis://127.0.0.1:{port}/0"),
            ..SinkSpec::default()
        };
        connect(&spec, &Secrets::default())
            .await
            .expect_err("it hangs up")
    }

    #[tokio::test]
    async fn the_words_of_a_server_that_hangs_up_are_reported() {
        let error = against("-DENIED Redis is running in protected mode because\r\n").await;
        assert_eq!(error.code, "SINK_DENIED", "{error}");
        assert!(
            error.message.contains("running in protected mode"),
            "{error}"
        );
        let error = against("-ERR max number of clients reached\r\n").await;
        assert!(error.message.contains("max number of clients"), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_without_a_word_cannot_be_reached() {
        assert_eq!(against("").await.code, "SINK_UNREACHABLE");
    }
}
