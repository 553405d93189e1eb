//! Two masters whose etcd has TLS, client certificates and a login: certificates and passwords change while a job runs,
//! and a user that is removed leads no more.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a scenario fails by panicking, also in its helpers"
)]

use std::time::Duration;

use kol_harness::{
    Cluster, Etcd, Kafka, Key, RedisServer, Scene, Topic, client, generated, wait_for,
};

const LIMIT: Duration = Duration::from_secs(60);
const LEADER: Duration = Duration::from_secs(10);
/// How long a leader tries to write before it gives up, and more.
const GIVES_UP: Duration = Duration::from_secs(20);

/// The newest committed epoch of a job, if it is newer than `before`.
fn epoch_after(cluster: &Cluster, job: &str, before: u64) -> u64 {
    wait_for("an epoch", LIMIT, || {
        let status = cluster.try_status(job).map_err(|e| e.to_string())?;
        let epoch = status.checkpoint.map_or(0, |checkpoint| checkpoint.epoch);
        (epoch > before)
            .then_some(epoch)
            .ok_or_else(|| format!("{epoch} after {before}: {:?}", status.problems))
    })
}

#[test]
fn masters_lead_over_tls_and_login_and_keep_doing_so_while_both_change() {
    let folder = tempfile::tempdir().unwrap();
    client(folder.path(), &["certs", "init", "certs"], &[]).done();
    let certs = folder.path().join("certs");
    let Some(mut etcd) = Etcd::start_secured(&certs) else {
        return;
    };
    etcd.want_login("kol", "first-and-secret", "kol/");
    let password = folder.path().join("etcd");
    std::fs::write(&password, "first-and-secret").unwrap();
    let tls = certs.join("master").display().to_string();
    let secrets = folder.path().display().to_string();
    let mut cluster = Cluster::start_elected_with(
        1,
        &etcd,
        &[
            ("KOL_MASTER_ETCD_TLS", &tls),
            ("KOL_MASTER_ETCD_USER", "kol"),
            ("KOL_MASTER_ETCD_PASSWORD", "file:etcd"),
            ("KOL_MASTER_SECRETS_DIR", &secrets),
        ],
    );
    for (code, reason) in [
        ("ETCD_AUTH", "the user is removed"),
        ("STATE_STORE", "the user is removed"),
        ("LEADERSHIP_LOST", "the user is removed"),
        ("SESSION_ENDED", "the leader gives up"),
        ("SESSION_LOST", "the leader gives up"),
    ] {
        cluster.allow(code, reason);
    }
    let term = cluster.wait_leader(0, LEADER);
    let topic = Topic::create(Kafka::shared(), "secured-masters", 2);
    let redis = RedisServer::start();
    let records = generated(Key::Username, 50, 3_000, 15);
    topic.produce(&records[..1_500]);
    let job = cluster.submit(&Scene::job(), &topic, &redis);
    cluster.wait_caught_up(&job, 1_500, LIMIT);
    let mut epoch = epoch_after(&cluster, &job, 0);

    // Another password: etcd ends the tokens of the old one.
    std::fs::write(&password, "second-and-secret").unwrap();
    etcd.set_password("kol", "second-and-secret");
    // Other certificates, for etcd, which is started again, and for masters, which are not.
    let from = cluster.master.log().len();
    client(folder.path(), &["certs", "renew", "certs"], &[]).done();
    cluster.master.wait_code("CERTS_READ", from, LIMIT);
    topic.produce(&records[1_500..2_500]);
    epoch = epoch_after(&cluster, &job, epoch);
    assert_eq!(
        cluster.leadership(cluster.grpc()).unwrap().term,
        term,
        "the same leads"
    );

    // Without the user nothing can be written: the leader says so and gives up, and no other leads.
    let from = cluster.master.log().len();
    etcd.ctl(&["user", "delete", "kol"]);
    topic.produce(&records[2_500..]);
    cluster.master.wait_code("ETCD_AUTH", from, GIVES_UP);
    wait_for("the leader to give up", GIVES_UP, || {
        let reply = cluster
            .leadership(cluster.grpc())
            .map_err(|e| e.to_string())?;
        (!reply.leads)
            .then_some(())
            .ok_or_else(|| "leads".to_owned())
    });
    let refused = cluster.client(&["status", &job]);
    assert!(refused.err.contains("ETCD_AUTH"), "{refused:#?}");
    etcd.add_user("kol", "second-and-secret");
    assert!(cluster.wait_leader(term, LEADER) > term);
    epoch_after(&cluster, &job, epoch);
    cluster.assert_equals_fold(&job, &topic, &redis, LIMIT);
    for log in cluster.logs() {
        assert!(!log.contains("-and-secret"), "{log}");
    }
    cluster.assert_no_complaints();
}
