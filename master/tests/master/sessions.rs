//! Sessions of executors: what ends them besides the network, and what they say of their protection.

use std::time::Duration;

use kol_common::proto::cluster_service_client::ClusterServiceClient;
use kol_common::proto::executor_message::Body;
use kol_common::proto::{
    ExecutorMessage, JobRef, JobStatus, ListExecutorsRequest, MasterMessage, Register,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use super::secure::Secured;
use super::support::{PATIENCE, Rig, people, submit, wait_for};

type Session = (mpsc::Sender<ExecutorMessage>, Streaming<MasterMessage>);

/// The stream of an executor that was welcomed.
async fn session(channel: Channel, register: Register) -> Session {
    let register = ExecutorMessage {
        body: Some(Body::Register(register)),
        ..ExecutorMessage::default()
    };
    let (sender, outgoing) = mpsc::channel(1);
    sender.send(register).await.unwrap();
    let mut client = ClusterServiceClient::new(channel);
    let welcomed = async {
        let stream = client.session(ReceiverStream::new(outgoing)).await.unwrap();
        let mut incoming = stream.into_inner();
        assert!(incoming.message().await.unwrap().is_some(), "a welcome");
        incoming
    };
    let incoming = tokio::time::timeout(PATIENCE, welcomed).await;
    (sender, incoming.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_trusts_its_network_is_shown_where_people_look() {
    let rig = Rig::new("events", 1).await;
    let master = rig.master().await;
    let mut client = people(&master).await;
    submit(&mut client, &rig.spec("a")).await.unwrap();
    let warned = |status: &JobStatus| {
        let mut warnings = status.warnings.iter();
        warnings.any(|w| w.starts_with("INSECURE") && w.contains("(on web-7)"))
    };
    let reference = JobRef { job: "a".into() };
    let before = client.get_job(reference).await.unwrap().into_inner();
    assert!(!warned(&before), "{:?}", before.warnings);
    let url = format!("http://{}", master.grpc);
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let warnings = vec!["INSECURE: whoever answers is believed".to_owned()];
    let register = Register {
        incarnation: "inc_1".into(),
        host: "web-7".into(),
        warnings: warnings.clone(),
        ..Register::default()
    };
    let _open = session(channel, register).await;
    wait_for(&mut client, "a", warned).await;
    let shown = client.list_executors(ListExecutorsRequest {}).await;
    assert_eq!(shown.unwrap().into_inner().executors[0].warnings, warnings);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_session_ends_when_the_certificate_of_its_executor_is_revoked() {
    let secured = Secured::start().await;
    let folder = secured.process("executor");
    let channel = secured.channel(Some(&folder)).await.unwrap();
    let register = Register {
        incarnation: "inc_1".into(),
        ..Register::default()
    };
    let (_sender, mut incoming) = session(channel, register).await;
    let revoked = tokio::time::Instant::now();
    secured.revoke();
    tokio::time::timeout(PATIENCE, async {
        while let Ok(Some(_)) = incoming.message().await {}
    })
    .await
    .unwrap();
    // Silence would end it after five seconds.
    assert!(
        revoked.elapsed() < Duration::from_secs(4),
        "{:?}",
        revoked.elapsed()
    );
}
