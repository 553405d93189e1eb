use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kol_common::actor::{Group, Mailbox, mailbox};

use super::*;
use crate::alerts::Following;

/// Answers the first deliveries with these, then takes everything.
#[derive(Debug, Default)]
struct Hook {
    answers: Mutex<VecDeque<Result<(), Means>>>,
    /// Never takes alerts about these.
    never: Vec<&'static str>,
    /// How long it takes to answer.
    takes: Duration,
    /// Opening fails so often.
    closed: Mutex<usize>,
    opened: Mutex<usize>,
    tried: Mutex<usize>,
    took: Mutex<Vec<String>>,
}

#[derive(Debug)]
struct ToHook(Arc<Hook>);

impl Way for ToHook {
    fn kind(&self) -> Kind {
        Kind::Webhook
    }

    fn name(&self) -> String {
        "way".into()
    }

    fn open(&self) -> Result<Arc<dyn Destination>, KolError> {
        let mut closed = self.0.closed.lock().unwrap();
        if *closed > 0 {
            *closed -= 1;
            return Err(KolError::user("SECRET_MISSING", "no token"));
        }
        *self.0.opened.lock().unwrap() += 1;
        Ok(Arc::clone(&self.0) as _)
    }
}

impl Destination for Hook {
    fn deliver(&self, alert: Alert) -> BoxFuture<'_, Result<(), Failure>> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Ok(()));
        let answer = match self.never.contains(&alert.kol.as_str()) {
            true => Err(Means::NotNow),
            false => answer,
        };
        let answer = answer.map_err(|means| Failure {
            error: KolError::external("ALERT_WEBHOOK", "no"),
            means,
        });
        *self.tried.lock().unwrap() += 1;
        async move {
            tokio::time::sleep(self.takes).await;
            if answer.is_ok() {
                self.took.lock().unwrap().push(alert.kol);
            }
            answer
        }
        .boxed()
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
        rank: None,
        rank_before: None,
    };
    let text = serde_json::to_string(&raised).unwrap();
    (format!("viral:{kol}"), text)
}

/// A Redis with the alerts of some partitions. It reads two at a time. A key that has `wrong` is of a wrong type.
type Pending = Arc<Mutex<BTreeMap<String, BTreeMap<String, String>>>>;

async fn redis(mut inbox: Mailbox<SinkMessage>, pending: Pending) {
    while let Some(message) = inbox.recv().await {
        let SinkMessage::Alerts {
            pending: key,
            settled,
            from,
            reply,
        } = message
        else {
            panic!("{message:?}");
        };
        let mut all = pending.lock().unwrap();
        let of_key = all.entry(key).or_default();
        if of_key.contains_key("wrong") {
            drop(reply.send(Ok(Waiting {
                is_refused: true,
                ..Waiting::default()
            })));
            continue;
        }
        for field in settled {
            of_key.remove(&field);
        }
        // A cursor is a field's number: taking others out moves nothing.
        let mut waiting = Waiting {
            all: of_key.len() as u64,
            ..Waiting::default()
        };
        if let Some(from) = from {
            let rest = of_key.iter().filter(|(field, _)| number(field) >= from);
            let mut rest = rest.map(|(field, text)| (field.clone(), text.clone()));
            waiting.alerts = rest.by_ref().take(2).collect();
            waiting.next = rest.next().map_or(0, |(field, _)| number(&field));
        }
        drop(reply.send(Ok(waiting)));
    }
}

fn number(field: &str) -> u64 {
    field.bytes().last().unwrap_or_default().into()
}

struct Rig {
    alerts: Alerts,
    hook: Arc<Hook>,
    pending: Pending,
    group: Group,
}

impl Rig {
    fn start(answers: &[Result<(), Means>]) -> Self {
        Self::with(Hook {
            answers: Mutex::new(answers.iter().copied().collect()),
            ..Hook::default()
        })
    }

    fn with(hook: Hook) -> Self {
        let (sink, inbox) = mailbox("sink", 4);
        let (group, pending) = (Group::new("test"), Pending::default());
        let served = redis(inbox, Arc::clone(&pending));
        drop(group.spawn("redis", async move {
            served.await;
            Ok(())
        }));
        let hook = Arc::new(hook);
        let ways: Vec<Arc<dyn Way>> = vec![Arc::new(ToHook(Arc::clone(&hook)))];
        let alerts = crate::alerts::start(&group, "kol", ways, &sink);
        Self {
            alerts,
            hook,
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
        self.hook.took.lock().unwrap().clone()
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
    let rig = Rig::start(&[Err(Means::Down), Err(Means::Down)]);
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
    let rig = Rig::start(&[Err(Means::Never)]);
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
    assert_eq!(rig.alerts.problem().unwrap().code, "ALERTS_REFUSED");
    tokio::time::sleep(Duration::from_secs(300)).await;
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

#[tokio::test(start_paused = true)]
async fn an_alert_that_is_never_taken_holds_up_no_other_of_its_partition_or_of_another() {
    let rig = Rig::with(Hook {
        never: vec!["a"],
        ..Hook::default()
    });
    rig.waits("f0", &["a", "b", "c", "d"]);
    rig.waits("f1", &["e"]);
    let _following = (rig.follow("f0"), rig.follow("f1"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut took = rig.took();
    took.sort();
    assert_eq!((took.join(""), rig.left()), ("bcde".to_owned(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_cannot_be_opened_is_a_problem_and_is_opened_later() {
    let rig = Rig::with(Hook {
        closed: Mutex::new(3),
        ..Hook::default()
    });
    rig.waits("f", &["a"]);
    let _following = rig.follow("f");
    tokio::time::sleep(Duration::from_millis(10)).await;
    let problem = rig.alerts.problem().unwrap();
    assert_eq!(problem.code, FAILING);
    assert!(problem.message.contains("no token"), "{problem}");
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!((rig.took(), rig.left()), (vec!["a".to_owned()], 0));
    assert_eq!(rig.alerts.problem(), None);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_refused_opens_the_destination_again_and_drops_nothing() {
    let rig = Rig::start(&[Err(Means::Login)]);
    rig.waits("f", &["a"]);
    let _following = rig.follow("f");
    tokio::time::sleep(SOON).await;
    assert_eq!((rig.took(), rig.left()), (vec!["a".to_owned()], 0));
    assert_eq!(*rig.hook.opened.lock().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_has_few_attempts_however_much_waits() {
    for means in [Means::Down, Means::NotNow] {
        let rig = Rig::start(&[Err(means); 1_000]);
        for fence in 0..20 {
            rig.waits(&format!("f{fence}"), &["a", "b", "c", "d"]);
        }
        let _following: Vec<_> = (0..20)
            .map(|fence| rig.follow(&format!("f{fence}")))
            .collect();
        tokio::time::sleep(Duration::from_secs(300)).await;
        let tried = *rig.hook.tried.lock().unwrap();
        assert!((10..=250).contains(&tried), "{means:?} {tried}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_another_fails_is_waited_for_and_sent_once() {
    let rig = Rig::with(Hook {
        answers: Mutex::new([Err(Means::Down)].into()),
        takes: Duration::from_millis(100),
        ..Hook::default()
    });
    rig.waits("f", &["a", "b"]);
    let _following = rig.follow("f");
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!((rig.took(), rig.left()), (vec!["b".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_on_its_way_when_the_job_ends_is_waited_for_and_sent_once() {
    let rig = Rig::with(Hook {
        takes: Duration::from_secs(1),
        ..Hook::default()
    });
    rig.waits("f", &["a"]);
    let following = rig.follow("f");
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(following);
    rig.alerts.stop();
    tokio::time::sleep(2 * SOON).await;
    assert_eq!((rig.took(), rig.left()), (vec!["a".to_owned()], 0));
    assert_eq!(*rig.hook.tried.lock().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_a_wrong_type_is_named_and_holds_up_no_other_partition() {
    let rig = Rig::start(&[]);
    rig.waits("f0", &["a"]);
    let key = pending_key("f0", "webhook");
    let wrong = |rig: &Rig, is: bool| {
        let mut pending = rig.pending.lock().unwrap();
        let of_key = pending.entry(key.clone()).or_default();
        match is {
            true => of_key.insert("wrong".into(), String::new()),
            false => of_key.remove("wrong"),
        };
    };
    wrong(&rig, true);
    rig.waits("f1", &["b"]);
    let _following = (rig.follow("f0"), rig.follow("f1"));
    tokio::time::sleep(SOON).await;
    assert_eq!(rig.took(), ["b"]);
    let problem = rig.alerts.problem().unwrap();
    assert_eq!(problem.code, "SINK_KEY_TYPE");
    assert!(problem.message.contains(&key), "{problem}");
    wrong(&rig, false);
    tokio::time::sleep(SOON).await;
    assert_eq!((rig.took().len(), rig.left()), (2, 0));
    assert_eq!(rig.alerts.problem(), None);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_moves_away_in_the_middle_of_a_round_is_not_delivered_here() {
    let rig = Rig::with(Hook {
        takes: Duration::from_secs(1),
        ..Hook::default()
    });
    rig.waits("f0", &["a"]);
    rig.waits("f1", &["b"]);
    let _stays = rig.follow("f0");
    let moves = rig.follow("f1");
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(moves);
    tokio::time::sleep(SOON).await;
    assert_eq!((rig.took(), rig.left()), (vec!["a".to_owned()], 1));
}
