//! How many executors a job wants, in the first seconds of a term.

use std::time::Duration;

use kol_common::actor::Group;
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::{Heartbeat, Register};

use super::actor::start;
use super::handle::{Handle, Outgoing};
use super::testing::{options, record, store_with};
use crate::cluster::{Grace, SessionId};
use crate::election::LeaderStore;
use crate::job::Phase;
use crate::meta::EmbeddedStore;

const BEAT: Duration = Duration::from_millis(500);

async fn register(handle: &Handle, session: u64) -> Outgoing {
    let register = Register {
        incarnation: format!("inc_{session}"),
        ..Register::default()
    };
    let opened = handle.opened(SessionId(session), register).await;
    opened.unwrap()
}

/// Lets time pass, while the executors of these sessions are there.
async fn pass(time: Duration, handle: &Handle, sessions: &[u64]) {
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until {
        for session in sessions {
            let beat = FromExecutor::Heartbeat(Heartbeat::default());
            let received = handle.received(SessionId(*session), beat).await;
            received.unwrap();
        }
        tokio::time::sleep(BEAT).await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_advised_while_executors_may_still_return_to_a_new_leader() {
    let meta = LeaderStore::alone(EmbeddedStore::in_memory().unwrap());
    let tasks = Group::new("test");
    let records = [record("job_1", "a", Phase::Running, false)];
    drop(store_with(&records, meta.clone()).await);
    let (handle, _ends_with_the_test) = start(meta, options(), &tasks).await.unwrap();
    let advice = async || handle.job("a".into()).await.unwrap().scaling;
    let _first = register(&handle, 1).await;
    pass(Duration::from_secs(4), &handle, &[1]).await;
    assert_eq!(advice().await, None, "one of two has returned");
    let _second = register(&handle, 2).await;
    let rest = Grace::LONGEST.duration() - Duration::from_secs(4);
    pass(rest + Duration::from_secs(2), &handle, &[1, 2]).await;
    let advice = advice().await.unwrap();
    assert_eq!((advice.executors, advice.wanted), (2, 2), "{advice:?}");
    tasks.drain(Duration::from_secs(5)).await;
}
