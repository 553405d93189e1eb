use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kol_common::actor::{Group, Mailbox, mailbox};

use super::*;
use crate::alerts::Following;

/// Answers the first deliveries with these, then takes everything.
#[derive(Debug, Default)]
struct Way {
    kind: Option<Kind>,
    answers: Mutex<VecDeque<Result<(), bool>>>,
    took: Mutex<Vec<String>>,
}

impl Destination for Way {
    fn kind(&self) -> Kind {
        self.kind.unwrap_or(Kind::Webhook)
    }

    fn name(&self) -> String {
        "way".into()
    }

    fn deliver(&self, alert: Alert) -> BoxFuture<'_, Result<(), Failure>> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        let answer = answer.map_err(|is_final| Failure {
            error: KolError::external("ALERT_WEBHOOK", "no"),
            is_final,
        });
        if answer.is_ok() {
            self.took.lock().unwrap().push(alert.kol);
        }
        async move { answer }.boxed()
    }
}

fn alert(kol: &str) -> (String, String) {
    let raised = Raised {
        rule: "viral".into(),
        platform: "tiktok".into(),
        kol: kol.into(),
        window_end: "2026-11-27T05:00:00.000Z".into(),
        raised_at: kol.into(),
        trending_label: "Viral".into(),
        trending_score: "83.2".into(),
        velocity: "1".into(),
        personal_growth: "1".into(),
        event_count: "1".into(),
        total_engagement: "1".into(),
    };
    let text = serde_json::to_string(&raised).unwrap();
    (format!("viral:{kol}"), text)
}

/// A Redis with the alerts of some partitions.
type Pending = Arc<Mutex<BTreeMap<String, BTreeMap<String, String>>>>;

async fn redis(mut inbox: Mailbox<SinkMessage>, pending: Pending) {
    while let Some(message) = inbox.recv().await {
        let SinkMessage::Alerts {
            pending: key,
            settled,
            reply,
        } = message
        else {
            panic!("{message:?}");
        };
        let mut all = pending.lock().unwrap();
        let of_key = all.entry(key).or_default();
        for field in settled {
            of_key.remove(&field);
        }
        let waiting = Waiting {
            all: of_key.len() as u64,
            alerts: of_key.clone().into_iter().take(2).collect(),
        };
        drop(reply.send(Ok(waiting)));
    }
}

struct Rig {
    alerts: Alerts,
    way: Arc<Way>,
    pending: Pending,
    group: Group,
}

impl Rig {
    fn start(answers: &[Result<(), bool>]) -> Self {
        let (sink, inbox) = mailbox("sink", 4);
        let (group, pending) = (Group::new("test"), Pending::default());
        let served = redis(inbox, Arc::clone(&pending));
        drop(group.spawn("redis", async move {
            served.await;
            Ok(())
        }));
        let way = Arc::new(Way {
            answers: Mutex::new(answers.iter().copied().collect()),
            ..Way::default()
        });
        let ways: Vec<Arc<dyn Destination>> = vec![Arc::clone(&way) as _];
        let alerts = crate::alerts::start(&group, "kol", ways, &sink);
        Self {
            alerts,
            way,
            pending,
            group,
        }
    }

    fn waits(&self, fence: &str, kols: &[&str]) {
        let mut pending = self.pending.lock().unwrap();
        let of_key = pending.entry(pending_key(fence, "webhook")).or_default();
        of_key.extend(kols.iter().map(|kol| alert(kol)));
    }

    fn left(&self) -> usize {
        self.pending
            .lock()
            .unwrap()
            .values()
            .map(BTreeMap::len)
            .sum()
    }

    fn follow(&self, fence: &str) -> Following {
        self.alerts.follow(fence)
    }

    fn took(&self) -> Vec<String> {
        self.way.took.lock().unwrap().clone()
    }
}

const SOON: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_partition_is_delivered_once_from_when_it_is_followed() {
    let rig = Rig::start(&[]);
    rig.waits("f0", &["a", "b", "c"]);
    rig.waits("f1", &["d"]);
    tokio::time::sleep(SOON).await;
    assert_eq!(rig.took(), [""; 0], "nobody owns them here");
    let first = rig.follow("f0");
    tokio::time::sleep(SOON).await;
    assert_eq!(
        (rig.took(), rig.left()),
        (["a", "b", "c"].map(String::from).to_vec(), 1)
    );
    rig.waits("f0", &["e"]);
    tokio::time::sleep(SOON).await;
    assert_eq!(rig.took().len(), 4);
    drop(first);
    tokio::time::sleep(SOON).await;
    rig.waits("f0", &["g"]);
    tokio::time::sleep(SOON).await;
    assert_eq!(rig.took().len(), 4, "the partition is elsewhere");
}

#[tokio::test(start_paused = true)]
async fn what_fails_waits_is_a_problem_and_is_sent_again() {
    let rig = Rig::start(&[Err(false), Err(false)]);
    rig.waits("f", &["a", "b"]);
    let _following = rig.follow("f");
    tokio::time::sleep(Duration::from_millis(10)).await;
    let problem = rig.alerts.problem().unwrap();
    assert_eq!(problem.code, FAILING);
    assert!(
        problem.message.contains("2 alerts wait for way"),
        "{problem}"
    );
    tokio::time::sleep(Duration::from_secs(30)).await;
    let mut took = rig.took();
    took.sort();
    assert_eq!(
        (took, rig.left()),
        (["a", "b"].map(String::from).to_vec(), 0)
    );
    assert_eq!(rig.alerts.problem(), None);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_good_is_dropped_and_holds_up_no_other() {
    let rig = Rig::start(&[Err(true)]);
    rig.waits("f", &["a", "b"]);
    rig.pending
        .lock()
        .unwrap()
        .entry(pending_key("f", "webhook"))
        .or_default()
        .insert("0".into(), "no alert".into());
    let _following = rig.follow("f");
    tokio::time::sleep(SOON).await;
    assert_eq!((rig.took(), rig.left()), (vec!["b".to_owned()], 0));
    assert_eq!(rig.alerts.problem(), None);
}

#[tokio::test(start_paused = true)]
async fn what_the_last_flush_of_a_job_noted_is_delivered_when_the_job_ends() {
    let rig = Rig::start(&[]);
    let following = rig.follow("f");
    tokio::time::sleep(Duration::from_millis(10)).await;
    rig.waits("f", &["a"]);
    drop(following);
    rig.alerts.stop();
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!((rig.took(), rig.left()), (vec!["a".to_owned()], 0));
    drop(rig.alerts);
    rig.group.drain(SOON).await;
}
