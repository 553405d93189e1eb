//! A link between two processes that can be cut, fall silent or lead elsewhere.

use std::net::SocketAddr;

use kol_common::KolError;
use kol_common::actor::Group;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What a link does with what is sent over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It passes everything on.
    Open,
    /// Connections are closed, and new ones at once.
    Cut,
    /// Connections stay, and nothing passes: it is late when the link opens again.
    Silent,
}

/// A proxy in front of a server. Ends with its owner.
pub struct Proxy {
    address: SocketAddr,
    link: watch::Sender<Link>,
    server: watch::Sender<String>,
    /// Its tasks end with it.
    _runtime: Runtime,
}

impl Proxy {
    /// In front of `server`, on a free port.
    pub fn to(server: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let (link, state) = watch::channel(Link::Open);
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"));
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (server, target) = watch::channel(server.to_owned());
        let tasks = Group::new("proxy");
        let connections = tasks.clone();
        let accepting = async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = target.borrow().clone();
                let carrying = carry(client, server, state.clone());
                let _runs_by_itself = connections.spawn("connection", carrying);
            }
            Ok(())
        };
        runtime.block_on(async {
            let _runs_by_itself = tasks.spawn("accept", accepting);
        });
        Self {
            address,
            link,
            server,
            _runtime: runtime,
        }
    }

    /// Where to connect to, `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Changes what the link does.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }

    /// New connections lead to this server, as when a name changes; those that are open stay.
    pub fn lead_to(&self, server: &str) {
        self.server.send_replace(server.to_owned());
    }
}

async fn carry(
    client: TcpStream,
    server: String,
    link: watch::Receiver<Link>,
) -> Result<(), KolError> {
    if *link.borrow() == Link::Cut {
        return Ok(());
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return Ok(());
    };
    let _small_packets_at_once = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = link.clone();
    tokio::select! {
        () = pass(from_client, to_server, link.clone()) => {}
        () = pass(from_server, to_client, link) => {}
        // Both ends find their connection closed.
        _ = cut.wait_for(|link| *link == Link::Cut) => {}
    }
    Ok(())
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: watch::Receiver<Link>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        // What was sent into a silent link arrives when it opens.
        if link.wait_for(|link| *link != Link::Silent).await.is_err() {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
