//! Hashes of creators that only an older generation knew and that nothing names, as the sink finds them among all keys
//! of a real Redis.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should say where"
)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kol_common::KolError;
use kol_common::actor::Group;
use kol_common::job::SinkSpec;
use kol_common::redis::{Cursor, Network};
use kol_common::secrets::Secrets;
use kol_executor::sink::{Hashes, HashesRequest, Sink, SinkMessage, Turns, start};
use kol_harness::{RedisCluster, RedisServer};

const LIMIT: Duration = Duration::from_secs(20);

/// A partition of generation 7 that looks for them.
struct Looker {
    sink: Sink,
    spec: SinkSpec,
    _group: Group,
}

impl Looker {
    fn new(spec: SinkSpec) -> Self {
        let group = Group::new("test");
        let network = Arc::new(Network);
        let secrets = Secrets::default();
        Self {
            sink: start(
                &group,
                network,
                spec.clone(),
                secrets,
                None,
                Turns::default(),
            ),
            spec,
            _group: group,
        }
    }

    fn at(url: &str) -> Self {
        Self::new(SinkSpec {
            url: url.to_owned(),
            ..SinkSpec::default()
        })
    }

    async fn piece(&self, from: Cursor) -> Hashes {
        let request = HashesRequest {
            from,
            keys: self.spec.keys.clone(),
            fence: self.spec.keys.fence.clone(),
            generation: 7,
        };
        let request = |reply| SinkMessage::Hashes { request, reply };
        let answer = self.sink.ask(request, LIMIT).await;
        answer.unwrap().unwrap()
    }

    /// The creators of all pieces, and how many pieces there were.
    async fn all(&self) -> (BTreeSet<(String, String)>, usize) {
        let (mut found, mut pieces) = (BTreeSet::new(), 0);
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let piece = self.piece(cursor).await;
            assert_eq!(piece.refused, None);
            found.extend(piece.lone);
            pieces += 1;
            from = piece.next;
        }
        (found, pieces)
    }
}

fn creators(of: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    let owned = of
        .iter()
        .map(|(platform, kol)| ((*platform).to_owned(), (*kol).to_owned()));
    owned.collect()
}

/// Writes a hash that says that it is of this creator and generation.
fn hash(redis: &RedisServer, key: &str, kol: &str, platform: &str, generation: &str) {
    redis.cli(&format!(
        "HSET {key} kol_id {kol} platform {platform} generation {generation} trending_score 50.00"
    ));
}

#[tokio::test]
async fn only_hashes_of_the_job_of_an_older_generation_that_nothing_names_are_found() {
    let redis = RedisServer::start();
    let own = |kol: &str, generation: &str| {
        hash(
            &redis,
            &format!("trending:tiktok:{kol}"),
            kol,
            "tiktok",
            generation,
        );
    };
    own("left", "6");
    own("of:old", "1");
    hash(&redis, "trending:youtube:left", "left", "youtube", "6");
    for (kol, generation) in [("runs", "7"), ("newer", "8"), ("odd", "6x"), ("none", "")] {
        own(kol, generation);
    }
    // Somebody else's, by what they hold, and by their keys.
    hash(&redis, "trending:tiktok:a", "another", "tiktok", "6");
    hash(&redis, "trending:tiktok:b", "b", "youtube", "6");
    hash(&redis, "trending:tiktok:x:ann", "ann", "tiktok", "6");
    hash(&redis, "Trending:tiktok:c", "c", "tiktok", "6");
    redis.cli("HSET trending:tiktok:old trending_score 19.15");
    redis.cli("SET trending:tiktok:text mine");
    // What is named is swept elsewhere.
    for kol in ["slot", "ranked", "next", "before"] {
        own(kol, "6");
    }
    let ranking = "ranking:tiktok:trending";
    redis.cli(&format!("HSET streaming:{ranking}:slots slot x"));
    redis.cli(&format!("ZADD {ranking} 1 ranked"));
    redis.cli(&format!("ZADD streaming:{ranking}:next 1 next"));
    redis.cli(&format!("ZADD streaming:{ranking}:before 1 before"));
    let looker = Looker::at(&redis.url());
    let (found, _) = looker.all().await;
    let all = [
        ("tiktok", "left"),
        ("tiktok", "of:old"),
        ("youtube", "left"),
    ];
    assert_eq!(found, creators(&all));
    // What a key of a wrong type should hold is not known.
    for key in [
        ranking.to_owned(),
        format!("streaming:{ranking}:next"),
        format!("streaming:{ranking}:before"),
        format!("streaming:{ranking}:slots"),
    ] {
        redis.cli(&format!("RENAME {key} kept"));
        redis.cli(&format!("SET {key} mine"));
        let (found, _) = looker.all().await;
        assert_eq!(found, creators(&[("youtube", "left")]), "{key}");
        redis.cli(&format!("RENAME kept {key}"));
    }
}

#[tokio::test]
async fn templates_of_any_order_and_with_letters_of_patterns_are_taken_literally() {
    let redis = RedisServer::start();
    let mut spec = SinkSpec {
        url: redis.url(),
        ..SinkSpec::default()
    };
    spec.keys.hash = "h*[x]?:{kol}:of:{platform}".into();
    hash(&redis, "h*[x]?:left:of:tiktok", "left", "tiktok", "1");
    hash(&redis, "hax?:left:of:tiktok", "left", "tiktok", "1");
    hash(&redis, "h*[x]?:tiktok:of:left", "left", "tiktok", "1");
    let (found, _) = Looker::new(spec).all().await;
    assert_eq!(found, creators(&[("tiktok", "left")]));
}

/// Many keys of others, which match the pattern of the job's hashes or do not.
fn crowd(redis: &RedisServer) {
    let mut pipe = redis::pipe();
    for n in 0..4_000 {
        pipe.hset(format!("trending:other:{n}"), "f", n).ignore();
        pipe.set(format!("session:{n}"), n).ignore();
    }
    pipe.exec(&mut redis.connect()).unwrap();
}

/// So many hashes of generation 1 that nothing names.
fn leave(redis: &RedisServer, creators: usize) {
    let mut pipe = redis::pipe();
    for n in 0..creators {
        let kol = format!("left_{n}");
        let fields = [
            ("kol_id", &*kol),
            ("platform", "tiktok"),
            ("generation", "1"),
        ];
        let key = format!("trending:tiktok:{kol}");
        pipe.hset_multiple(key, &fields).ignore();
    }
    pipe.exec(&mut redis.connect()).unwrap();
}

#[tokio::test]
async fn a_crowd_of_foreign_keys_is_looked_through_in_pieces() {
    let redis = RedisServer::start();
    crowd(&redis);
    leave(&redis, 700);
    let (found, pieces) = Looker::at(&redis.url()).all().await;
    assert_eq!(found.len(), 700);
    assert!((10..60).contains(&pieces), "{pieces} pieces");
}

#[tokio::test]
async fn a_place_in_the_keys_of_one_server_means_nothing_on_another() {
    let (first, second) = (RedisServer::start(), RedisServer::start());
    crowd(&first);
    leave(&second, 40);
    let (elsewhere, looker) = (Looker::at(&first.url()), Looker::at(&second.url()));
    let mut from = Some(Cursor::default());
    for _ in 0..8 {
        from = elsewhere.piece(from.unwrap()).await.next;
    }
    let mut found = BTreeSet::new();
    while let Some(cursor) = from {
        let piece = looker.piece(cursor).await;
        found.extend(piece.lone);
        from = piece.next;
    }
    assert_eq!(found.len(), 40, "from the beginning");
}

/// A Redis with one hash that is found, and somebody who looks for it as a user with these rights.
fn with_rights(rights: &str) -> (RedisServer, Looker) {
    let redis = RedisServer::start();
    hash(&redis, "trending:tiktok:left", "left", "tiktok", "1");
    hash(&redis, "trending:secret:x", "x", "secret", "1");
    let said = redis.cli(&format!("ACL SETUSER kol on >pw ~streaming:* {rights}"));
    assert_eq!(said.trim(), "OK", "{rights}");
    let url = format!("redis://kol:pw@127.0.0.1:{}/0", redis.port());
    (redis, Looker::at(&url))
}

#[tokio::test]
async fn keys_that_the_user_may_not_read_are_left_alone() {
    let (_redis, looker) = with_rights("~trending:tiktok:* ~ranking:* +@all");
    assert_eq!(looker.all().await.0, creators(&[("tiktok", "left")]));
}

#[tokio::test]
async fn a_user_who_may_not_run_info_may_look() {
    let (_redis, looker) = with_rights("~* +@all -info");
    let both = [("secret", "x"), ("tiktok", "left")];
    assert_eq!(looker.all().await.0, creators(&both));
}

#[tokio::test]
async fn a_user_who_may_not_run_scan_keeps_the_connection_and_learns_why() {
    let (redis, looker) = with_rights("~* +@all -scan");
    // A new connection would be waited for.
    for _ in 0..2 {
        let refused = looker.piece(Cursor::default()).await.refused;
        let KolError { code, message, .. } = *refused.unwrap();
        assert_eq!(code, "SINK_SCAN_REFUSED");
        assert!(message.contains("'scan'"), "{message}");
    }
    redis.cli("ACL SETUSER kol +scan");
    assert_eq!(looker.all().await.0.len(), 2);
}

#[tokio::test]
async fn in_a_cluster_the_node_that_has_the_keys_of_the_job_is_looked_through() {
    let cluster = RedisCluster::start(0);
    for tag in ["a", "b", "c", "d", "e", "f"] {
        let mut spec = SinkSpec {
            url: cluster.url(),
            ..SinkSpec::default()
        };
        let keys = &mut spec.keys;
        for template in [&mut keys.ranking, &mut keys.hash, &mut keys.fence] {
            template.insert_str(0, &format!("{{{tag}}}:"));
        }
        let key = format!("{{{tag}}}:trending:tiktok:left");
        for node in &cluster.nodes {
            // The others answer that it is not theirs.
            hash(node, &key, "left", "tiktok", "1");
        }
        let (found, _) = Looker::new(spec).all().await;
        assert_eq!(found, creators(&[("tiktok", "left")]), "{tag}");
    }
}
