//! Jobs that end, and jobs that take the place of others.

use std::time::Duration;

use super::support::{Rig, is, people, submit, wait_for};
use kol_common::checkpoint::{Stores, UNAVAILABLE, snapshot};
use kol_common::error::info_of;
use kol_common::proto::{
    JobState, Manifest, Savepoint, SavepointRequest, Snapshot, StopRequest, SubmitRequest,
};
use kol_common::{JobId, Millis};
use kol_master::controller::JobStore;
use kol_master::election::LeaderStore;
use kol_master::job::{End, JobRecord, Predecessor};
use kol_master::meta::EmbeddedStore;

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_died_after_it_noted_the_next_job_still_ends_the_one_before() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    let before = submit(&mut client, &rig.spec("a")).await.unwrap().job_id;
    wait_for(&mut client, &before, is(JobState::Degraded)).await;
    master.stop(Duration::from_secs(5)).await;
    drop((master, client));
    // What such a master leaves.
    let meta = EmbeddedStore::open(&rig.config().state_dir).unwrap();
    let (mut store, stored) = JobStore::load(LeaderStore::alone(meta)).await.unwrap();
    let spec = stored[0].0.spec.clone();
    let mut next = JobRecord::new(JobId::generate(), spec, vec![], Millis::now());
    next.follows = Some(Predecessor {
        id: JobId::from_wire(before.as_str()),
        end: End::Cancelled,
    });
    store.save(Some(&next), None).await.unwrap();
    drop(store);
    let master = rig.master().await;
    let mut client = people(&master).await;
    let status = wait_for(&mut client, &before, is(JobState::Cancelled)).await;
    assert!(
        status.reason.contains(next.id.as_str()),
        "{}",
        status.reason
    );
    wait_for(&mut client, next.id.as_str(), is(JobState::Degraded)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_whose_savepoint_is_refused_changes_nothing() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    wait_for(&mut client, "a", is(JobState::Degraded)).await;
    let stop = |location: &str| StopRequest {
        job: "a".into(),
        savepoint: true,
        location: location.into(),
    };
    let refused = client.stop_job(stop("/backup")).await.unwrap_err();
    assert_eq!(info_of(&refused).unwrap().code, "CHECKPOINT_LOCATION");
    wait_for(&mut client, "a", is(JobState::Degraded)).await;
    // Without executors this savepoint waits: another one is refused.
    let controller = master.roles().leader().unwrap();
    let waiting = controller.savepoint("a".into(), String::new());
    let refused = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        client.stop_job(stop("")).await.unwrap_err()
    };
    let refused = tokio::select! {
        biased;
        saved = waiting => panic!("{saved:?}"),
        refused = refused => refused,
    };
    assert_eq!(info_of(&refused).unwrap().code, "SAVEPOINT_BUSY");
    wait_for(&mut client, "a", is(JobState::Degraded)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_for_which_there_is_no_place_does_not_stop_the_job() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    wait_for(&mut client, "a", is(JobState::Degraded)).await;
    let nowhere = "file:///proc/nowhere";
    let stop = StopRequest {
        job: "a".into(),
        savepoint: true,
        location: nowhere.into(),
    };
    let refused = client.stop_job(stop).await.unwrap_err();
    assert_eq!(info_of(&refused).unwrap().code, UNAVAILABLE);
    let save = SavepointRequest {
        job: "a".into(),
        location: nowhere.into(),
    };
    let refused = client.take_savepoint(save).await.unwrap_err();
    assert_eq!(info_of(&refused).unwrap().code, UNAVAILABLE);
    tokio::time::sleep(Duration::from_millis(300)).await;
    wait_for(&mut client, "a", is(JobState::Degraded)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_that_does_not_fit_does_not_end_the_job_that_it_would_replace() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let running = wait_for(&mut client, "a", is(JobState::Degraded)).await;
    master.stop(Duration::from_secs(5)).await;
    drop((master, client));
    let location = format!("file://{}/sav_1", rig.folder.path().display());
    let snapshot = Snapshot {
        manifest: Some(Manifest::default()),
        spec_json: running.spec_json,
        version: "1".into(),
    };
    let store = Stores::of_this_machine().open(&location).await.unwrap();
    store
        .put(snapshot::MANIFEST, snapshot::encode(&snapshot))
        .await
        .unwrap();
    let meta = EmbeddedStore::open(&rig.config().state_dir).unwrap();
    let (mut store, _) = JobStore::load(LeaderStore::alone(meta)).await.unwrap();
    let savepoint = Savepoint {
        id: "sav_1".into(),
        location,
        job_name: "a".into(),
        ..Savepoint::default()
    };
    store.keep_savepoint(&savepoint).await.unwrap();
    drop(store);
    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut request = SubmitRequest {
        spec_toml: format!("{}[scoring]\nwindow = \"48h\"\n", rig.spec("a")),
        origin: "test.toml".into(),
        from_savepoint: "sav_1".into(),
        replace: true,
        ..SubmitRequest::default()
    };
    let refused = client.submit(request.clone()).await.unwrap_err();
    assert_eq!(info_of(&refused).unwrap().code, "STATE_DOES_NOT_FIT");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let status = wait_for(&mut client, "a", is(JobState::Degraded)).await;
    assert_eq!(status.job_id, running.job_id);
    request.spec_toml = rig.spec("a");
    let next = client.submit(request).await.unwrap().into_inner();
    assert_ne!(next.job_id, running.job_id);
    assert!(next.origin.contains("sav_1"), "{}", next.origin);
}
