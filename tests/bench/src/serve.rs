//! `kol-client serve` on one core: how long the first 100 of a ranking take at a steady rate of requests. Requests are sent
//! when they are due, whatever became of those before them. Two times are noted of each: from when it was sent, which is
//! the server's, and from when it was due, which has what it waited for the one before on its connection, too.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kol_harness::{Process, RedisServer, binary};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::figures::Section;
use super::{Plan, Report, cpu, merges, percentile};

const PATH: &str = "/api/v1/trending?limit=100";
/// Requests a second: equal ones, as of dashboards, which share answers, and such that each needs Redis.
const EQUAL: [u32; 4] = [250, 500, 1_000, 2_000];
const DIFFERENT: [u32; 2] = [50, 200];
/// Clients with a connection each, which share the rate.
const CLIENTS: u32 = 32;
const LIMIT: Duration = Duration::from_secs(20);
/// What is promised of equal requests at the highest rate: 99 of 100 in less, milliseconds.
const PROMISED: f64 = 5.0;

/// What clients request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    Equal,
    Different,
}

/// How long a request took, from when it was sent and from when it was due.
type Sample = (Duration, Duration);

/// Measures it, and says whether the promise is kept.
pub fn serve(plan: &Plan, report: &mut Report) {
    let redis = RedisServer::start();
    let creators = merges::write_ranking(&mut redis.connect());
    let folder = tempfile::tempdir().unwrap();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let own = (cores - 1).to_string();
    let program = binary("kol-client");
    let program = program.to_str().unwrap();
    let url = redis.url();
    let serve = ["serve", "--redis", &url, "--listen", "127.0.0.1:0"];
    let mut command = vec!["-c", &own, program];
    command.extend(serve);
    let mut server = Process::start("serve", folder.path(), Path::new("taskset"), &command);
    let line = server.wait_line("kol-client serve ready", 0, LIMIT);
    let (_, address) = line.split_once("http=").unwrap();
    if cores > 1 {
        leave_core(&[redis.pid(), std::process::id()], cores - 2);
    }
    let about = format!(
        "GET {PATH} of {creators} creators, server on one core; {CLIENTS} connections, {:?} each",
        plan.serving
    );
    let mut section = Section::new("serve", about);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().unwrap();
    let loads = EQUAL.map(|rate| (Load::Equal, rate)).into_iter();
    let loads: Vec<_> = loads
        .chain(DIFFERENT.map(|rate| (Load::Different, rate)))
        .collect();
    for _ in 0..plan.rounds {
        for (load, rate) in &loads {
            let (worked, of_redis) = (cpu(server.pid()), cpu(redis.pid()));
            let samples = runtime.block_on(requests(address, *load, *rate, plan.serving));
            let share = |pid: u32, before: Duration| {
                100.0 * (cpu(pid) - before).as_secs_f64() / plan.serving.as_secs_f64()
            };
            let used = [share(server.pid(), worked), share(redis.pid(), of_redis)];
            section.note(&row(*load, *rate), &figures(&samples, used));
        }
    }
    let highest = row(Load::Equal, EQUAL[EQUAL.len() - 1]);
    let p99 = section.of(&highest, "p99 ms").unwrap().median();
    report.add(section);
    let is_kept = if p99 < PROMISED { "kept" } else { "BROKEN" };
    println!(
        "  promise {is_kept}: p99 of {highest} is {p99:.2} ms, below {PROMISED} ms is promised"
    );
}

fn row(load: Load, rate: u32) -> String {
    let load = match load {
        Load::Equal => "equal",
        Load::Different => "different",
    };
    format!("{load}, {rate}/s")
}

fn figures(samples: &[Sample], [of_serve, of_redis]: [f64; 2]) -> [(&'static str, f64); 7] {
    let sorted = |of: fn(&Sample) -> Duration| {
        let mut all: Vec<Duration> = samples.iter().map(of).collect();
        all.sort_unstable();
        all
    };
    let (sent, due) = (sorted(|s| s.0), sorted(|s| s.1));
    let ms = |all: &[Duration], share| percentile(all, share).as_secs_f64() * 1e3;
    [
        ("requests", samples.len() as f64),
        ("median ms", ms(&sent, 0.5)),
        ("p99 ms", ms(&sent, 0.99)),
        ("worst ms", ms(&sent, 1.0)),
        ("p99 from due ms", ms(&due, 0.99)),
        ("serve % of its core", of_serve),
        ("Redis % of a core", of_redis),
    ]
}

/// Keeps processes on the cores up to this one, so that the last is the server's.
fn leave_core(pids: &[u32], last: usize) {
    for pid in pids {
        let mut taskset = Command::new("taskset");
        let taskset = taskset.args(["-a", "-c", "-p", &format!("0-{last}"), &pid.to_string()]);
        let done = taskset.stdout(Stdio::null()).status();
        assert!(
            done.is_ok_and(|status| status.success()),
            "taskset of {pid}"
        );
    }
}

/// What each request took.
async fn requests(address: &str, load: Load, rate: u32, length: Duration) -> Vec<Sample> {
    let each = Duration::from_secs(1) * CLIENTS / rate;
    let begin = Instant::now() + Duration::from_millis(100);
    let clients = (0..CLIENTS).map(|client| {
        let first = begin + each * client / CLIENTS;
        one_client(address, load, client, first..first + length, each)
    });
    futures::future::join_all(clients).await.concat()
}

/// A request at each due time, or as soon as the one before was answered.
async fn one_client(
    address: &str,
    load: Load,
    client: u32,
    within: std::ops::Range<Instant>,
    each: Duration,
) -> Vec<Sample> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut buffer = Vec::new();
    let mut samples = Vec::new();
    let mut due = within.start;
    while due < within.end {
        let part = match load {
            Load::Equal => String::new(),
            // Of those that are held none is requested again in time.
            Load::Different => format!("&offset={}", samples.len() as u32 * CLIENTS + client),
        };
        let request = format!("GET {PATH}{part} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        tokio::time::sleep_until(due.into()).await;
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).await.unwrap();
        answer(&mut stream, &mut buffer).await;
        samples.push((sent.elapsed(), due.elapsed()));
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
