//! `kol-client serve`: how long the first 100 of a ranking take at a steady rate of requests. Requests are sent when they
//! are due, whatever became of those before them, and counted from then.

use std::time::{Duration, Instant};

use kol_harness::{Process, RedisServer, binary};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{cpu, merges, percentile};

const PATH: &str = "/api/v1/trending?limit=100";
/// Requests a second.
const RATES: [u32; 4] = [250, 500, 1_000, 2_000];
const LENGTH: Duration = Duration::from_secs(10);
/// Clients with a connection each, which share the rate.
const CLIENTS: u32 = 32;
const LIMIT: Duration = Duration::from_secs(20);

/// Prints the figures.
pub fn serve() {
    let redis = RedisServer::start();
    let creators = merges::write_ranking(&mut redis.connect());
    let folder = tempfile::tempdir().unwrap();
    let program = binary("kol-client");
    let arguments = ["serve", "--redis", &redis.url(), "--listen", "127.0.0.1:0"];
    let mut server = Process::start("serve", folder.path(), &program, &arguments);
    let line = server.wait_line("kol-client serve ready", 0, LIMIT);
    let (_, address) = line.split_once("http=").unwrap();
    println!("serve: GET {PATH} of {creators} creators, from when a request was due");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    for rate in RATES {
        let (worked, of_redis) = (cpu(server.pid()), cpu(redis.pid()));
        let mut samples = runtime.block_on(load(address, rate));
        let share = |now: Duration, before: Duration| {
            100.0 * (now - before).as_secs_f64() / LENGTH.as_secs_f64()
        };
        let worked = share(cpu(server.pid()), worked);
        let of_redis = share(cpu(redis.pid()), of_redis);
        samples.sort();
        let ms = |part| percentile(&samples, part).as_secs_f64() * 1e3;
        println!(
            "  {rate:>5} a second  median {:>6.2} ms  p99 {:>6.2} ms  worst {:>7.2} ms  serve {worked:>4.1} %  Redis {of_redis:>4.1} % of a core",
            ms(0.5),
            ms(0.99),
            ms(1.0)
        );
    }
}

/// How long each request took.
async fn load(address: &str, rate: u32) -> Vec<Duration> {
    let each = Duration::from_secs(1) * CLIENTS / rate;
    let begin = Instant::now() + Duration::from_millis(100);
    let clients = (0..CLIENTS).map(|client| {
        let first = begin + each * client / CLIENTS;
        requests(address, first, each)
    });
    futures::future::join_all(clients).await.concat()
}

/// One client: a request at each due time, or as soon as the one before was answered.
async fn requests(address: &str, first: Instant, each: Duration) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let request = format!("GET {PATH} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut buffer = Vec::new();
    let mut samples = Vec::new();
    let mut due = first;
    while due < first + LENGTH {
        tokio::time::sleep_until(due.into()).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        answer(&mut stream, &mut buffer).await;
        samples.push(due.elapsed());
        due += each;
    }
    samples
}

/// Reads one answer, which must be a page.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) {
    buffer.clear();
    loop {
        assert_ne!(stream.read_buf(buffer).await.unwrap(), 0, "it hung up");
        let Some(head) = buffer.windows(4).position(|end| end == b"\r\n\r\n") else {
            continue;
        };
        let text = std::str::from_utf8(&buffer[..head]).unwrap();
        assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        if buffer.len() >= head + 4 + length {
            return;
        }
    }
}
