//! Strangers at a port: connections that say nothing, too little, too slowly or nonsense, and are opened again when they
//! are closed. A process of its own, so that what it costs is not taken for what the system costs.

use std::cell::Cell;
use std::io::Write as _;
use std::time::Duration;

use futures::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// Longest wait for a connection, and the life of one that nobody closes.
const CONNECT: Duration = Duration::from_secs(10);
const LIFE: Duration = Duration::from_secs(60);
/// Before a connection is opened again.
const AGAIN: Duration = Duration::from_millis(500);
/// Between two bytes of one that is slow.
const SLOW: Duration = Duration::from_secs(1);
/// The start of HTTP/2, with settings that are empty.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[derive(Debug, Default)]
struct Counts {
    opened: Cell<u64>,
    failed: Cell<u64>,
}

/// Keeps so many connections open, or waiting to be, until the process is killed. Prints a line each second: how many
/// were opened, and how many could not be.
pub fn flood(address: &str, connections: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let counts = Counts::default();
    let strangers = (0..connections).map(|number| stranger(address, number, &counts));
    let tell = async {
        loop {
            sleep(Duration::from_secs(1)).await;
            println!("{} {}", counts.opened.get(), counts.failed.get());
            let _nobody_reads = std::io::stdout().flush();
        }
    };
    runtime.block_on(async {
        tokio::join!(join_all(strangers), tell);
    });
}

async fn stranger(address: &str, number: usize, counts: &Counts) {
    loop {
        match timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                counts.opened.set(counts.opened.get() + 1);
                let _closed = timeout(LIFE, talk(stream, number)).await;
            }
            Ok(Err(_)) | Err(_) => counts.failed.set(counts.failed.get() + 1),
        }
        sleep(AGAIN).await;
    }
}

/// Says what this one says, and waits until it is closed.
async fn talk(mut stream: TcpStream, number: usize) -> std::io::Result<()> {
    match number % 7 {
        0 => {}
        1 => stream.write_all(b"PRI * HT").await?,
        2 => {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: ").await?;
            loop {
                sleep(SLOW).await;
                stream.write_all(b"x").await?;
            }
        }
        3 => stream.write_all(&[0xa5; 4_096]).await?,
        4 => stream.write_all(HTTP2).await?,
        5 => stream.write_all(&[0x16, 3, 1, 2, 0, 1]).await?,
        _ => {
            stream.write_all(b"GET / HTTP/1.1\r\n").await?;
            let header = format!("X: {}\r\n", "y".repeat(8_000));
            for _ in 0..128 {
                stream.write_all(header.as_bytes()).await?;
            }
        }
    }
    let mut answer = [0; 1_024];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}
