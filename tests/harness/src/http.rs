//! Pages of masters and executors, as they are on the wire.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// The whole answer to a request without TLS: status line, headers and body.
pub fn http_get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server");
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a request");
    let mut page = String::new();
    stream.read_to_string(&mut page).expect("an answer");
    page
}
