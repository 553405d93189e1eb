use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use kol_common::job::{KeyTemplates, SecretRef};
use kol_common::redis::KEY_TYPE;
use kol_common::{ClusterId, JobId, StoreId};

use crate::sink::{Claimed, Fence, Listing, ScanRequest};

const LOOK: Duration = Duration::from_secs(5);
const SERVES: &str = "*3\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n7\r\n";

/// A name behind which each connection finds another server: the first answers everything with the first
/// of these lines, and so on; the last stays. Owner records are as a script of them says, if one is given.
#[derive(Debug)]
struct Name {
    answers: Vec<String>,
    owner: Option<&'static str>,
    opened: AtomicUsize,
    /// The password that each connection was opened with, where the job has one.
    passwords: Mutex<Vec<String>>,
    tasks: Mutex<Vec<Group>>,
}

impl Name {
    fn of(answers: &[&str]) -> Arc<Self> {
        Self::with(answers, None)
    }

    fn with(answers: &[&str], owner: Option<&'static str>) -> Arc<Self> {
        Arc::new(Self {
            answers: answers.iter().map(|a| (*a).to_owned()).collect(),
            owner,
            opened: AtomicUsize::new(0),
            passwords: Mutex::default(),
            tasks: Mutex::default(),
        })
    }

    async fn open(&self) -> Result<RedisConnection, KolError> {
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let answer = self.answers[number.min(self.answers.len() - 1)].clone();
        let owner = self.owner;
        let (ours, mut theirs) = tokio::io::duplex(4_096);
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let opened = MultiplexedConnection::new_with_config(&info, ours, config).await;
        let (connection, driver) = opened.unwrap();
        let group = Group::new("fake");
        let _client = group.spawn("client", async move {
            driver.await;
            Ok(())
        });
        let _server = group.spawn("server", async move {
            let mut request = [0; 4_096];
            // The test sends one request at a time, and each is small; a sign of life may come with it.
            while let Ok(read @ 1..) = theirs.read(&mut request).await {
                let text = String::from_utf8_lossy(&request[..read]);
                let lines: Vec<_> = text.lines().collect();
                for at in (0..lines.len()).filter(|at| is_request(lines[*at])) {
                    let is_script = lines.get(at + 2) == Some(&"EVALSHA");
                    let owner = owner.filter(|_| is_script);
                    let answer = owner.unwrap_or(&answer).as_bytes();
                    theirs.write_all(answer).await.unwrap();
                }
            }
            Ok(())
        });
        self.tasks.lock().unwrap().push(group);
        Ok(connection.into())
    }
}

/// The first line of one: `*` and how many words it has.
fn is_request(line: &str) -> bool {
    let words = line.strip_prefix('*').unwrap_or_default();
    !words.is_empty() && words.bytes().all(|b| b.is_ascii_digit())
}

impl Connect for Name {
    fn connect<'a>(
        &'a self,
        spec: &'a SinkSpec,
        secrets: &'a Secrets,
    ) -> BoxFuture<'a, Result<RedisConnection, KolError>> {
        if let Some(reference) = &spec.password {
            let password = secrets.resolve(reference, &["localhost:6379"]).unwrap();
            self.passwords.lock().unwrap().push(password);
        }
        Box::pin(self.open())
    }
}

fn sink(name: &Arc<Name>) -> Sink {
    let owner = Owner {
        store: StoreId::from_wire("sto_a"),
        cluster: ClusterId::from_wire("clu_a"),
        host: "h:1".into(),
        job: "kol".into(),
        job_id: JobId::from_wire("job_a"),
        generation: 1,
    };
    sink_of(name, Some(owner))
}

fn sink_of(name: &Arc<Name>, owner: Option<Owner>) -> Sink {
    let network = Arc::clone(name) as Arc<dyn Connect>;
    start(
        &Group::new("test"),
        network,
        SinkSpec::default(),
        Secrets::default(),
        owner,
        Turns::default(),
    )
}

fn fence() -> Fence {
    Fence {
        key: "fence".into(),
        generation: 1,
        assignment_epoch: 1,
    }
}

async fn look(sink: &Sink) -> Result<u64, SinkError> {
    look_for(sink, LOOK).await
}

/// The answer to a look, for which it waits so long.
async fn look_for(sink: &Sink, wait: Duration) -> Result<u64, SinkError> {
    let request = |reply| SinkMessage::Look {
        fence: fence(),
        reply,
    };
    sink.ask(request, wait).await.expect("an answer")
}

async fn claim(sink: &Sink) -> Result<Claimed, SinkError> {
    let request = |reply| SinkMessage::Claim {
        fence: fence(),
        log: String::new(),
        platforms: "platforms".into(),
        first: vec!["tiktok".into()],
        reply,
    };
    sink.ask(request, LOOK).await.expect("an answer")
}

#[tokio::test]
async fn a_sink_connects_before_anything_is_requested_of_it() {
    let name = Name::of(&[SERVES]);
    let _sink = sink(&name);
    let connected = async {
        while name.opened.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
    };
    let connected = tokio::time::timeout(Duration::from_secs(20), connected).await;
    connected.expect("it connects by itself");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_serve_now_is_left_and_its_name_resolved_again() {
    for refusal in [
        "READONLY You can't write against a read only replica.",
        "LOADING Redis is loading the dataset in memory",
        "MASTERDOWN Link with MASTER is down",
        "CLUSTERDOWN Hash slot not served",
        "MISCONF Redis is configured to save RDB snapshots",
        "NOAUTH Authentication required.",
    ] {
        let name = Name::of(&[&format!("-{refusal}\r\n"), SERVES]);
        let sink = sink(&name);
        assert!(matches!(look(&sink).await, Err(SinkError::Unavailable(_))));
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(look(&sink).await, Ok(7), "{refusal}");
        assert_eq!(name.opened.load(Ordering::Relaxed), 2, "{refusal}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_on_a_connection_that_proved_broken_does_not_wait_for_its_own_deadline() {
    let name = Name::of(&["", SERVES]);
    let sink = sink(&name);
    let later = async {
        tokio::time::sleep(DEADLINE / 2).await;
        let begun = Instant::now();
        let answer = look_for(&sink, 2 * DEADLINE).await;
        (answer, begun.elapsed())
    };
    let (first, (second, took)) = tokio::join!(look_for(&sink, 2 * DEADLINE), later);
    for answer in [first, second] {
        assert!(matches!(answer, Err(SinkError::Unavailable(_))));
    }
    assert!(took <= DEADLINE / 2 + Duration::from_secs(1), "{took:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(look(&sink).await, Ok(7));
    assert_eq!(name.opened.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_password_that_was_rotated_is_read_again_once_the_server_wants_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis");
    std::fs::write(&file, "old").unwrap();
    let name = Name::of(&["-NOAUTH Authentication required.\r\n", SERVES]);
    let spec = SinkSpec {
        password: Some(SecretRef("file:redis".into())),
        ..SinkSpec::default()
    };
    let sink = start(
        &Group::new("test"),
        Arc::clone(&name) as Arc<dyn Connect>,
        spec,
        Secrets::new(Some(folder.path().to_owned())),
        None,
        Turns::default(),
    );
    assert!(matches!(look(&sink).await, Err(SinkError::Unavailable(_))));
    std::fs::write(&file, "new").unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(look(&sink).await, Ok(7));
    assert_eq!(*name.passwords.lock().unwrap(), ["old", "new"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_of_the_server_keeps_the_connection() {
    let name = Name::of(&["-OOM command not allowed\r\n"]);
    let sink = sink(&name);
    for _ in 0..10 {
        look(&sink).await.unwrap_err();
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(name.opened.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_leads_to_a_replica_is_resolved_at_a_bounded_pace() {
    let name = Name::of(&["-READONLY You can't write against a read only replica.\r\n"]);
    let sink = sink(&name);
    for _ in 0..3_000 {
        let error = look(&sink).await.unwrap_err();
        assert!(error.to_string().contains("SINK_READ_ONLY"), "{error}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let opened = name.opened.load(Ordering::Relaxed);
    assert!((15..=45).contains(&opened), "{opened} in half a minute");
}

/// What the script says of records that another store has written.
const HELD: &str = "*11\r\n$4\r\nHELD\r\n$5\r\n70000\r\n$1\r\n1\r\n$5\r\nsto_b\r\n$5\r\nclu_b\r\n$3\r\nh:1\r\n$5\r\nother\r\n\
                    $5\r\njob_b\r\n$1\r\n7\r\n$1\r\n5\r\n$5\r\n69000\r\n";

fn taken_over(answer: &Result<u64, SinkError>) -> bool {
    let Err(SinkError::TakenOver(why)) = answer else {
        return false;
    };
    why.code == "SINK_TAKEN_OVER" && why.message.contains("job `other` of cluster clu_b")
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_fenced_learns_which_cluster_has_taken_the_keys() {
    let newer = "*3\r\n$1\r\n2\r\n$1\r\n1\r\n$1\r\n0\r\n";
    let name = Name::with(&[newer], Some(HELD));
    let answer = look(&sink(&name)).await;
    assert!(taken_over(&answer), "{answer:?}");
    let own = "*2\r\n$4\r\nFREE\r\n$5\r\n70000\r\n";
    let name = Name::with(&[newer], Some(own));
    assert_eq!(look(&sink(&name)).await, Err(SinkError::Fenced));
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_claims_again_writes_nothing_once_another_cluster_has_the_keys() {
    let name = Name::with(&[SERVES], Some(HELD));
    let answer = claim(&sink(&name)).await;
    let Err(SinkError::TakenOver(why)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(why.code, "SINK_TAKEN_OVER");
}

#[tokio::test(start_paused = true)]
async fn all_partitions_end_within_a_renewal_once_another_cluster_has_the_keys() {
    let name = Name::with(&[SERVES], Some(HELD));
    let sink = sink(&name);
    assert_eq!(look(&sink).await, Ok(7), "no fence says so");
    tokio::time::sleep(RENEW_EVERY.duration() + Duration::from_secs(1)).await;
    let answer = look(&sink).await;
    assert!(taken_over(&answer), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_master_without_owner_records_has_no_keys_that_could_be_taken() {
    let name = Name::with(&[SERVES], Some(HELD));
    let sink = sink_of(&name, None);
    for _ in 0..30 {
        assert_eq!(look(&sink).await, Ok(7));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn the_way_to_redis_is_not_redis_time_that_a_comparison_takes() {
    let name =
        Name::of(&["*10\r\n$2\r\nOK\r\n:0\r\n*0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n*0\r\n*0\r\n"]);
    let mut open = name.open().await.unwrap();
    let mut took = async |way| {
        let compared = compare(vec![redis::cmd("COMPARE")], way, &mut open).await;
        compared.unwrap().unwrap().took
    };
    assert!(took(Duration::ZERO).await > Duration::ZERO);
    assert_eq!(took(Duration::from_secs(3_600)).await, Duration::ZERO);
}

const WRONG_TYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";

#[tokio::test(start_paused = true)]
async fn a_fence_record_of_a_wrong_type_is_named() {
    let name = Name::of(&[WRONG_TYPE]);
    let Err(SinkError::Unavailable(error)) = look(&sink(&name)).await else {
        panic!("a fence that cannot be read");
    };
    assert_eq!(error.code, KEY_TYPE);
    assert!(error.message.contains("the Redis key fence has"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_list_of_platforms_of_a_wrong_type_is_empty_and_named_and_the_fence_is_claimed() {
    let claimed = "*5\r\n$7\r\nCLAIMED\r\n$1\r\n4\r\n$1\r\n3\r\n$0\r\n\r\n$0\r\n\r\n";
    let name = Name::with(&[WRONG_TYPE], Some(claimed));
    let sink = sink(&name);
    let claimed = claim(&sink).await.unwrap();
    assert_eq!((claimed.begun, claimed.done), (4, 3));
    assert_eq!(claimed.platforms, Vec::<String>::new());
    assert_eq!(claimed.refused, ["platforms"]);
}

#[tokio::test(start_paused = true)]
async fn a_listing_of_a_wrong_type_ends_and_is_named() {
    let name = Name::of(&[WRONG_TYPE]);
    let sink = sink(&name);
    for (listing, key) in [
        (Listing::Ranking, "ranking:tiktok:trending"),
        (Listing::Slots, "streaming:ranking:tiktok:trending:slots"),
    ] {
        let request = ScanRequest {
            listing,
            platform: "tiktok".into(),
            keys: KeyTemplates::default(),
            cursor: 7,
            ordinal: 0,
            generation: 1,
        };
        let request = |reply| SinkMessage::Scan { request, reply };
        let scanned = sink.ask(request, LOOK).await.expect("an answer").unwrap();
        assert_eq!((scanned.cursor, scanned.refused.as_deref()), (0, Some(key)));
    }
}

#[tokio::test(start_paused = true)]
async fn alerts_behind_a_key_of_a_wrong_type_are_said_to_be_refused_and_are_no_failure_of_redis() {
    let name = Name::of(&[WRONG_TYPE]);
    let sink = sink(&name);
    for (settled, from) in [(vec!["a".to_owned()], None), (Vec::new(), Some(0))] {
        let message = |reply| SinkMessage::Alerts {
            pending: "pending".into(),
            settled,
            from,
            reply,
        };
        let read = sink.ask(message, LOOK).await.expect("an answer").unwrap();
        assert!(read.is_refused && read.alerts.is_empty(), "{read:?}");
        assert_eq!((read.all, read.next), (0, 0));
    }
}
