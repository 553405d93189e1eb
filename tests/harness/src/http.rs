//! Pages that processes serve in plain HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// Longest wait for any part of a page: one that serves none must not hold up a test for ever.
const LIMIT: Duration = Duration::from_secs(20);

/// What a server at `host:port` answers to `GET path`: head and body.
pub fn page(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server");
    for limits in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        limits(&stream, Some(LIMIT)).expect("a deadline");
    }
    // Of this version an answer ends with its connection, and has no chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut page = String::new();
    let read = stream.read_to_string(&mut page);
    read.unwrap_or_else(|e| panic!("{address}{path} was not served in {LIMIT:?}: {e}"));
    page
}

/// The body of such an answer, which must be JSON.
pub fn json(address: &str, path: &str) -> serde_json::Value {
    let page = page(address, path);
    let body = page.split_once("\r\n\r\n").map(|(_, body)| body);
    serde_json::from_str(body.unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {page}"))
}
