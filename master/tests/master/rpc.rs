//! The master over real gRPC, with a fake executor, an embedded Kafka and its own store on disk.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::support::{FakeExecutor, Rig, is, people, running, submit, wait_for};
use kol_common::error::info_of;
use kol_common::proto::executor_message::Body as FromExecutor;
use kol_common::proto::master_message::Body as ToExecutor;
use kol_common::proto::{
    BarrierAck, Confirmed, ErrorInfo, ExplainReply, ExplainRequest, JobRef, JobState,
    MarketPartial, PartitionCheckpoint, PartitionReport, PartitionState, Released, Reports,
    RevokeMode, SlotDetail, StopRequest, SubmitOutcome,
};
use kol_common::secrets::ELSEWHERE;
use kol_master::config::Config;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread")]
async fn a_submitted_job_is_assigned_and_the_same_spec_again_is_unchanged() {
    let rig = Rig::new("events", 3).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut executor = FakeExecutor::connect(&master, "inc_1", vec![]).await;
    let reply = submit(&mut client, &rig.spec("a")).await.unwrap();
    assert_eq!(reply.outcome(), SubmitOutcome::Created);
    let assign = executor.assignment().await;
    assert_eq!(assign.partitions.len(), 3);
    assert_eq!(assign.generation, 1);
    assert!(
        assign
            .partitions
            .iter()
            .all(|p| p.assignment_epoch == 1 && p.offset == 0)
    );
    let again = submit(&mut client, &rig.spec("a")).await.unwrap();
    assert_eq!(again.outcome(), SubmitOutcome::Unchanged);
    assert_eq!(again.job_id, reply.job_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_does_not_leave_for_a_redis_that_a_spec_names() {
    let rig = Rig::new("events", 1).await;
    let secrets = tempfile::tempdir().unwrap();
    std::fs::write(secrets.path().join("redis"), "hunter2").unwrap();
    std::fs::write(secrets.path().join("redis.hosts"), "redis.example:6379").unwrap();
    let config = Config {
        secrets_dir: Some(secrets.path().to_owned()),
        ..rig.config()
    };
    let master = rig.master_with(config).await;
    let mut client = people(&master).await;
    let thief = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let spec = rig.spec("a");
    let url = format!(
        "url = \"redis://{}\"\npassword = \"file:redis\"\n",
        thief.local_addr().unwrap()
    );
    let spec: Vec<_> = spec
        .lines()
        .map(|line| {
            if line.starts_with("url = ") {
                url.as_str()
            } else {
                line
            }
        })
        .collect();
    let refused = submit(&mut client, &spec.join("\n")).await.unwrap_err();
    let error = info_of(&refused).unwrap();
    assert_eq!(error.code, ELSEWHERE, "{error:?}");
    assert!(error.message.contains("sink.password"), "{error:?}");
    let accepted = tokio::time::timeout(Duration::from_millis(300), thief.accept());
    assert!(accepted.await.is_err(), "the master connected to it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_submitted_is_refused_with_the_reason() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let refused = |status: tonic::Status| -> ErrorInfo { info_of(&status).unwrap() };

    let other = rig.spec("a").replace("earliest", "latest");
    let error = refused(submit(&mut client, &other).await.unwrap_err());
    assert_eq!(error.code, "JOB_EXISTS");
    assert!(
        error
            .message
            .contains("source.starting_offsets was \"earliest\""),
        "{error:?}"
    );

    let error = refused(submit(&mut client, &rig.spec("b")).await.unwrap_err());
    assert_eq!(error.code, "SINK_KEYS_TAKEN");

    let error = refused(
        submit(&mut client, "name = 3\nnonsense = 1")
            .await
            .unwrap_err(),
    );
    assert_eq!(error.code, "SPEC_INVALID");

    let missing = JobRef { job: "zzz".into() };
    let status = client.get_job(missing).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_not_there_keeps_the_job_starting_until_it_is() {
    let rig = Rig::new("other", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let status = wait_for(&mut client, "a", |s| !s.problems.is_empty()).await;
    assert_eq!(status.state(), JobState::Starting);
    assert_eq!(status.problems[0].code, "TOPIC_NOT_FOUND");
    rig.kafka.create_topic("events", 3, 1).unwrap();
    let status = wait_for(&mut client, "a", |s| s.partition_count == 3).await;
    assert_eq!(status.problems[0].code, "NO_EXECUTOR");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_keeps_the_job_starting_with_the_reason() {
    let rig = Rig::new("events", 1).await;
    let gone = rig
        .spec("a")
        .replace(&rig.kafka.bootstrap_servers(), "127.0.0.1:1");
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &gone).await.unwrap();
    let status = wait_for(&mut client, "a", |s| !s.problems.is_empty()).await;
    assert_eq!(status.state(), JobState::Starting);
    assert_eq!(status.problems[0].code, "SOURCE_UNREACHABLE");
    client.cancel_job(JobRef { job: "a".into() }).await.unwrap();
    wait_for(&mut client, "a", is(JobState::Cancelled)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_down_keeps_the_job_starting_with_the_reason() {
    let rig = Rig::new("events", 1).await;
    let gone = rig.spec("a").replace(&rig.redis.to_string(), "127.0.0.1:1");
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &gone).await.unwrap();
    let status = wait_for(&mut client, "a", |s| !s.problems.is_empty()).await;
    assert_eq!(status.state(), JobState::Starting);
    assert!(status.problems[0].code.starts_with("SINK_"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_started_again_adopts_what_runs_and_revokes_what_it_does_not_know() {
    let rig = Rig::new("events", 2).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut executor = FakeExecutor::connect(&master, "inc_1", vec![]).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let assign = executor.assignment().await;
    executor.kill().await;
    drop(client);
    master.stop(Duration::from_millis(100)).await;
    drop(master);

    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut claims = running(&assign);
    claims.push({
        let mut unknown = claims[0].clone();
        unknown.job_id = "job_unknown".into();
        unknown
    });
    let mut executor = FakeExecutor::connect(&master, "inc_1", claims).await;
    let ToExecutor::Revoke(revoke) = executor.next().await else {
        panic!("the unknown job is revoked first");
    };
    assert_eq!(
        (revoke.job_id.as_str(), revoke.mode()),
        ("job_unknown", RevokeMode::Now)
    );
    let status = wait_for(&mut client, "a", is(JobState::Running)).await;
    assert_eq!(status.executors, 1);
    // Past the grace: nothing was assigned again.
    let quiet = tokio::time::timeout(Duration::from_secs(7), executor.assignment()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_of_a_killed_executor_run_elsewhere_within_ten_seconds() {
    let rig = Rig::new("events", 4).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut first = FakeExecutor::connect(&master, "inc_1", vec![]).await;
    let mut second = FakeExecutor::connect(&master, "inc_2", vec![]).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    assert_eq!(first.assignment().await.partitions.len(), 2);
    assert_eq!(second.assignment().await.partitions.len(), 2);
    let killed = tokio::time::Instant::now();
    first.kill().await;
    let moved = second.assignment().await;
    assert!(
        killed.elapsed() < Duration::from_secs(10),
        "{:?}",
        killed.elapsed()
    );
    assert_eq!(moved.partitions.len(), 2);
    assert!(moved.partitions.iter().all(|p| p.assignment_epoch > 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_make_clock_market_and_caught_up_and_a_stop_drains() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut executor = FakeExecutor::connect(&master, "inc_1", vec![]).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let assign = executor.assignment().await;
    let hour = 3_600_000;
    let report = |version: u64| PartitionReport {
        job_id: assign.job_id.clone(),
        partition: assign.partitions[0].partition.clone(),
        assignment_epoch: 1,
        state: PartitionState::Running as i32,
        position: 5,
        end_offset: Some(5),
        clock_ms: Some(hour / 2),
        window_end_ms: Some(hour),
        market: vec![MarketPartial {
            platform: "tiktok".into(),
            velocity_sum_e4: 30_000,
            slots: 2,
            ..MarketPartial::default()
        }],
        confirmed: Some(Confirmed {
            position: 5,
            window_end_ms: hour,
            market_version: version,
            sequence: 1,
        }),
        ..PartitionReport::default()
    };
    let reports = |version| {
        FromExecutor::Reports(Reports {
            reports: vec![report(version)],
            unchanged: None,
        })
    };
    executor.send(reports(0)).await;
    let with_market = |message| match message {
        ToExecutor::Tick(tick) => Some(tick).filter(|tick| !tick.market.is_empty()),
        _ => None,
    };
    let tick = executor.find("a tick with a market", with_market).await;
    assert_eq!(tick.clock_ms, Some(hour / 2));
    assert_eq!(tick.market[0].mean, 1.5);
    executor.send(reports(tick.market_version)).await;
    let status = wait_for(&mut client, "a", |s| s.caught_up).await;
    assert_eq!(status.window_end_ms, Some(hour));
    assert!(status.ends_probed_ms.is_some());

    let stop = StopRequest {
        job: "a".into(),
        ..StopRequest::default()
    };
    client.stop_job(stop).await.unwrap();
    let the_last = |message| match message {
        ToExecutor::Barrier(barrier) => barrier.last.then_some(barrier.epoch),
        ToExecutor::Revoke(revoke) => panic!("before the last epoch: {revoke:?}"),
        _ => None,
    };
    let last = executor.find("the barrier of the last epoch", the_last);
    let last = last.await;
    let checkpoint = PartitionCheckpoint {
        partition: assign.partitions[0].partition.clone(),
        assignment_epoch: 1,
        offset: 5,
        ..PartitionCheckpoint::default()
    };
    let ack = BarrierAck {
        job_id: assign.job_id.clone(),
        epoch: last,
        checkpoint: Some(checkpoint),
    };
    executor.send(FromExecutor::BarrierAck(Box::new(ack))).await;
    let revocation = |message| match message {
        ToExecutor::Revoke(revoke) => Some(revoke),
        _ => None,
    };
    let revoke = executor.find("a revocation", revocation).await;
    let kept = client.list_checkpoints(JobRef { job: "a".into() }).await;
    assert_eq!(kept.unwrap().into_inner().checkpoints[0].epoch, last);
    assert_eq!(revoke.mode(), RevokeMode::Drain);
    let released = Released {
        job_id: revoke.job_id,
        partition: revoke.partition,
        assignment_epoch: revoke.assignment_epoch,
        position: 5,
        drained: true,
        stopped_ms: None,
    };
    executor.send(FromExecutor::Released(released)).await;
    let status = wait_for(&mut client, "a", is(JobState::Stopped)).await;
    assert_eq!(status.reason, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_queries_the_executors_of_the_job() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    let mut executor = FakeExecutor::connect(&master, "inc_1", vec![]).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    executor.assignment().await;
    let request = ExplainRequest {
        job: String::new(),
        platform: String::new(),
        kol: "alice".into(),
    };
    let answering = async {
        let query = |message| match message {
            ToExecutor::Explain(query) => Some(query),
            _ => None,
        };
        let query = executor.find("a query", query).await;
        let slots = vec![SlotDetail::default(); usize::from(query.kol == "alice")];
        let reply = ExplainReply {
            query_id: query.query_id,
            slots,
        };
        executor.send(FromExecutor::ExplainReply(reply)).await;
    };
    let (explained, ()) = tokio::join!(client.explain(request), answering);
    let explanation = explained.unwrap().into_inner();
    assert_eq!(
        (explanation.platform.as_str(), explanation.slots.len()),
        ("tiktok", 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_is_above_all_that_redis_and_earlier_jobs_of_that_name_had() {
    let rig = Rig::new("events", 1).await;
    rig.known.fences.store(7, Ordering::Relaxed);
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let first = wait_for(&mut client, "a", |s| s.generation > 0).await;
    assert_eq!(first.generation, 8);
    client.cancel_job(JobRef { job: "a".into() }).await.unwrap();
    wait_for(&mut client, "a", is(JobState::Cancelled)).await;
    rig.known.fences.store(0, Ordering::Relaxed);
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let second = wait_for(&mut client, "a", |s| s.generation > 0).await;
    assert_ne!(second.job_id, first.job_id, "a name means the newest job");
    assert_eq!(second.generation, 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_joins_a_waiting_job_is_assigned_each_partition_once() {
    let rig = Rig::new("events", 3).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let waiting = wait_for(&mut client, "a", is(JobState::Degraded)).await;
    assert_eq!(waiting.problems[0].code, "NO_EXECUTOR");
    let mut executor = FakeExecutor::connect(&master, "inc_1", vec![]).await;
    let assign = executor.assignment().await;
    assert!(assign.partitions.iter().all(|p| p.assignment_epoch == 1));
    let quiet = tokio::time::timeout(Duration::from_secs(1), executor.assignment()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}
