//! The session against a master that only speaks its protocol.

use std::pin::Pin;

use futures::Stream;
use kol_common::actor::{Exit, Group, Mailbox, Task, mailbox};
use kol_common::proto::Welcome;
use kol_common::proto::cluster_service_server::{ClusterService, ClusterServiceServer};
use kol_common::proto::master_message::Body as ToExecutor;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, Streaming};

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

/// How the master ends its side of the stream.
#[derive(Clone, Copy)]
enum End {
    /// At once, and without an error.
    AtOnce,
    /// At once, as one that was killed.
    Broken,
    /// When the executor has ended the other side.
    Last,
}

/// Welcomes whoever registers.
struct Master {
    end: End,
    term: u64,
    /// With the term that the executor knows.
    registrations: mpsc::Sender<(u64, Register)>,
}

#[tonic::async_trait]
impl ClusterService for Master {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<MasterMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<ExecutorMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let first = incoming.message().await?.unwrap_or_default();
        let Some(Body::Register(register)) = first.body else {
            return Err(Status::invalid_argument("no registration"));
        };
        let _test_is_over = self.registrations.send((first.term, register)).await;
        let welcome = MasterMessage {
            body: Some(ToExecutor::Welcome(Welcome::default())),
            term: self.term,
        };
        let welcome = futures::stream::iter([Ok(welcome)]);
        let broken = futures::stream::iter([Err(Status::unavailable("killed"))]);
        let until_the_other_side_ends = incoming.filter_map(|_| async { None });
        Ok(Response::new(match self.end {
            End::AtOnce => Box::pin(welcome),
            End::Broken => Box::pin(welcome.chain(broken)),
            End::Last => Box::pin(welcome.chain(until_the_other_side_ends)),
        }))
    }
}

struct Scene {
    group: Group,
    session: Task,
    supervisor: Mailbox<SessionEvent>,
    registrations: mpsc::Receiver<(u64, Register)>,
}

impl Scene {
    async fn start(end: End) -> Self {
        Self::of(end, &[0]).await
    }

    /// With one master of each of these terms.
    async fn of(end: End, terms: &[u64]) -> Self {
        let (registered, registrations) = mpsc::channel(16);
        let group = Group::new("test");
        let mut masters = Vec::new();
        for term in terms {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            masters.push(format!("http://{}", listener.local_addr().unwrap()));
            let service = ClusterServiceServer::new(Master {
                end,
                term: *term,
                registrations: registered.clone(),
            });
            let _ends_with_the_group = group.spawn("master", async move {
                let incoming = TcpListenerStream::new(listener);
                let served = tonic::transport::Server::builder()
                    .add_service(service)
                    .serve_with_incoming(incoming);
                served
                    .await
                    .map_err(|e| KolError::internal("TEST", e.to_string()))
            });
        }
        let (address, supervisor) = mailbox("supervisor", 16);
        let identity = Identity {
            incarnation: Incarnation::generate(),
            host: "here".into(),
            zone: String::new(),
            http: "127.0.0.1:1".into(),
            cores: 1,
            memory_bytes: 1 << 20,
            warnings: Vec::new(),
        };
        let (ready, _) = watch::channel(false);
        let stop = group.stop_token();
        let route = Route {
            master: masters.join(","),
            network: Arc::new(Network { credentials: None }),
        };
        let session = group.spawn("session", run(route, identity, address, ready, stop));
        Self {
            group,
            session,
            supervisor,
            registrations,
        }
    }

    /// The next registration, and the term of the master that got it.
    async fn registered(&mut self) -> (u64, Register) {
        let registered = tokio::time::timeout(LIMIT, self.registrations.recv()).await;
        registered.unwrap().unwrap()
    }

    /// Acts as the supervisor at the start of a stream.
    async fn come_up(&mut self) -> mpsc::Sender<ExecutorMessage> {
        loop {
            let event = tokio::time::timeout(LIMIT, self.supervisor.recv()).await;
            match event.unwrap().unwrap() {
                SessionEvent::Up(up) => {
                    up.account.send(Account::default()).unwrap();
                    return up.sender;
                }
                SessionEvent::Message(_) | SessionEvent::Down => {}
            }
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_is_opened_again_by_the_same_incarnation() {
    let mut scene = Scene::start(End::AtOnce).await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let _sender = scene.come_up().await;
        seen.push(scene.registered().await.1.incarnation);
    }
    assert_eq!(seen[0], seen[1]);
    scene.group.stop_token().cancel();
    let exit = tokio::time::timeout(LIMIT, scene.session.exit()).await;
    assert_eq!(exit.unwrap(), Exit::Done, "it stops when it is stopped");
}

#[tokio::test]
async fn the_waits_begin_again_after_a_registration_however_its_stream_ended() {
    let mut scene = Scene::start(End::Broken).await;
    let began = tokio::time::Instant::now();
    for _ in 0..14 {
        let _sender = scene.come_up().await;
        scene.registered().await;
    }
    // Waits that grow would be 10 s in all, at least.
    assert!(began.elapsed() < Duration::from_secs(6));
}

#[tokio::test]
async fn a_stream_that_ends_after_the_supervisor_is_not_opened_again() {
    let mut scene = Scene::start(End::Last).await;
    let sender = scene.come_up().await;
    scene.registered().await;
    let Scene {
        mut session,
        supervisor,
        ..
    } = scene;
    drop((sender, supervisor));
    let exit = tokio::time::timeout(LIMIT, session.exit()).await;
    assert_eq!(exit.unwrap(), Exit::Done);
}

#[tokio::test]
async fn nothing_of_a_master_whose_term_is_over_is_taken() {
    let mut scene = Scene::of(End::AtOnce, &[3, 2]).await;
    let mut heard = Vec::new();
    let mut known = Vec::new();
    // Streams end at once, so both masters are called again and again.
    while known.len() < 6 {
        let event = tokio::time::timeout(LIMIT, scene.supervisor.recv()).await;
        match event.unwrap().unwrap() {
            SessionEvent::Up(up) => {
                up.account.send(Account::default()).unwrap();
                known.push(scene.registered().await.0);
            }
            SessionEvent::Message(message) => heard.push(message.term),
            SessionEvent::Down => {}
        }
    }
    assert!(heard.is_sorted() && heard.contains(&3), "{heard:?}");
    let of_the_older = heard.iter().filter(|term| **term == 2).count();
    assert!(of_the_older <= 1, "{heard:?}");
    assert!(known.is_sorted(), "it says which term it knows: {known:?}");
    assert_eq!((known[0], known[5]), (0, 3));
    scene.group.stop_token().cancel();
}
