//! Puts an executor together and runs it until SIGTERM.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use kol_common::actor::{Drained, Group, mailbox};
use kol_common::checkpoint::Stores;
use kol_common::kafka::Ends;
use kol_common::net::{Protection, protect, serve_http};
use kol_common::process::{Process as _, ThisProcess};
use kol_common::secrets::Secrets;
use kol_common::telemetry::announce;
use kol_common::{Incarnation, KolError};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::http;
use crate::memory::Memory;
use crate::session::{self, Identity, Route, SessionEvent, urls_of};
use crate::source::KafkaLogs;
use crate::supervisor::{Options, Supervisor};

/// Messages of the session that may wait for the supervisor.
const INBOX: usize = 256;
/// How long the servers may take to end after the partitions have.
const SHUTDOWN: Duration = Duration::from_secs(1);

/// Runs until SIGTERM or SIGINT, then gives the partitions back. Boxed, so that what it awaits is compiled here and not
/// in each program that calls it.
///
/// # Errors
/// What keeps it from starting: an address in use, a malformed master URL.
pub fn run(config: Config) -> BoxFuture<'static, Result<(), KolError>> {
    Box::pin(until_a_signal(config))
}

async fn until_a_signal(config: Config) -> Result<(), KolError> {
    let protection = Protection::new(config.tls.as_deref(), config.insecure)?;
    let protection = protection.allow_hosts(&config.allow_hosts)?;
    protection.check_address("--http", config.http)?;
    check_masters(&protection, &config.master)?;
    let listener = TcpListener::bind(config.http).await.map_err(|e| {
        KolError::user(
            "HTTP_ADDRESS",
            format!("cannot listen on {}: {e}", config.http),
        )
        .help("Choose another --http address; port 0 takes a free one.")
    })?;
    let http_address = listener
        .local_addr()
        .map_err(|e| KolError::external("HTTP_ADDRESS", e.to_string()))?;
    let leave = leave_on_signals()?;
    let memory = Memory::new(config.memory.as_u64());
    memory.refresh(&ThisProcess);
    let (reports, shown) = watch::channel(Vec::new());
    let (ready, is_ready) = watch::channel(false);
    let servers = Group::new("servers");
    let pages = http::Pages {
        reports: shown,
        memory: memory.clone(),
        process: Arc::new(ThisProcess),
        ready: is_ready,
    };
    let router = protect(http::router(pages), protection.clone());
    serve_http(listener, router, &protection, &servers);
    let warnings = warnings(&protection, http_address, &config.master);
    protection.keep(warnings.clone(), &servers);
    let identity = Identity {
        incarnation: Incarnation::generate(),
        host: config.host.clone(),
        zone: config.zone.clone(),
        http: reachable(&config.host, http_address),
        cores: config.cores(),
        memory_bytes: config.memory.as_u64(),
        warnings,
    };
    let route = Route {
        master: config.master.clone(),
        network: Arc::new(session::Network {
            credentials: protection.credentials().cloned(),
        }),
    };
    let logs = KafkaLogs::new(memory.clone());
    let ends = Ends::default();
    let options = Options {
        secrets: Secrets::new(config.secrets_dir.clone()),
        logs: Arc::new(logs.clone()),
        ends: ends.clone(),
        redis: Arc::new(kol_common::redis::Network),
        stores: Stores::of_this_machine(),
        host: config.host.clone(),
        process: Arc::new(ThisProcess),
        memory,
        drain_timeout: config.drain_timeout,
        leave,
        reports,
    };
    let addresses = [("http", http_address)];
    announce(config.log_format, "kol-executor", &addresses);
    let drained = live(route, identity, options, ready).await?;
    servers.drain(SHUTDOWN).await;
    logs.ended(SHUTDOWN).await;
    let _in_time = ends.wait(SHUTDOWN).await;
    match drained {
        Drained::InTime => tracing::info!(
            code = "EXECUTOR_ENDED",
            "all partitions were given back: bye"
        ),
        Drained::Aborted => tracing::warn!(
            code = "DRAIN_TIMEOUT",
            "ended before all partitions were given back: bye"
        ),
    }
    tracing::debug!(cpu_ms = ThisProcess.cpu_ms(), "processor time used");
    Ok(())
}

/// What an executor does between its start and its end, its admin server aside. `ready` tells whether
/// the master knows it now. Boxed, as [`run`] is.
///
/// # Errors
/// The master's URL is malformed.
pub fn live(
    route: Route,
    identity: Identity,
    options: Options,
    ready: watch::Sender<bool>,
) -> BoxFuture<'static, Result<Drained, KolError>> {
    Box::pin(live_here(route, identity, options, ready))
}

async fn live_here(
    route: Route,
    identity: Identity,
    options: Options,
    ready: watch::Sender<bool>,
) -> Result<Drained, KolError> {
    let (sessions, partitions) = (Group::new("session"), Group::new("partitions"));
    let (address, inbox) = mailbox::<SessionEvent>("supervisor", INBOX);
    let session = session::run(route, identity, address, ready, sessions.stop_token());
    let mut session = sessions.spawn("session", session);
    let supervisor = Supervisor::new(options, partitions.clone());
    let drained = tokio::select! {
        biased;
        drained = supervisor.run(inbox) => drained,
        exit = session.exit() => return match exit {
            kol_common::actor::Exit::Failed(error) => Err(error),
            other => Err(KolError::internal("SESSION", format!("the session task ended: {other:?}"))),
        },
    };
    partitions.drain(SHUTDOWN).await;
    // The session ends by itself once the master has read that everything is given back.
    let _master_is_silent = tokio::time::timeout(SHUTDOWN, session.exit()).await;
    sessions.drain(SHUTDOWN).await;
    Ok(drained)
}

/// Whether each of these masters, of which any may lead, is reached safely.
fn check_masters(protection: &Protection, masters: &str) -> Result<(), KolError> {
    urls_of(masters).try_for_each(|master| protection.check_master(master))
}

/// What people must know of an executor with an admin server at this address and these masters: the first of each.
fn warnings(protection: &Protection, http: SocketAddr, masters: &str) -> Vec<String> {
    let open = protection.warning(&[http]);
    let plain = urls_of(masters).find_map(|master| protection.warning_of_master(master));
    open.into_iter().chain(plain).collect()
}

/// The address of a server as others see it: all interfaces have no address of their own.
fn reachable(host: &str, address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("{host}:{}", address.port())
    } else {
        address.to_string()
    }
}

fn leave_on_signals() -> Result<CancellationToken, KolError> {
    let token = CancellationToken::new();
    let fail = |e: std::io::Error| KolError::internal("SIGNALS", e.to_string());
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let leave = token.clone();
    let _runs_by_itself = Group::new("signals").spawn("signals", async move {
        tokio::select! {
            biased;
            _ = terminate.recv() => tracing::info!(code = "SIGNAL", "SIGTERM"),
            _ = interrupt.recv() => tracing::info!(code = "SIGNAL", "SIGINT"),
        }
        leave.cancel();
        Ok(())
    });
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_interfaces_is_called_by_its_host() {
        let all = "0.0.0.0:4040".parse().unwrap();
        assert_eq!(reachable("kol-7", all), "kol-7:4040");
        let one = "10.1.2.3:4040".parse().unwrap();
        assert_eq!(reachable("kol-7", one), "10.1.2.3:4040");
    }

    #[test]
    fn an_executor_that_is_open_and_believes_any_master_says_both() {
        let open = Protection::new(None, true).unwrap();
        let warnings = |http: &str, masters| warnings(&open, http.parse().unwrap(), masters);
        let both = warnings("0.0.0.0:4040", "http://127.0.0.1:1,http://kol-2:7077");
        assert!(both[0].contains("0.0.0.0:4040") && both[1].contains("kol-2"));
        assert_eq!(both.len(), 2);
        let here = warnings("127.0.0.1:4040", "http://127.0.0.1:1");
        assert_eq!(here, [""; 0]);
    }

    #[test]
    fn one_master_of_a_list_that_is_spoken_to_in_the_clear_is_refused() {
        let closed = Protection::default();
        check_masters(&closed, "http://127.0.0.1:1, http://localhost:2").unwrap();
        let far = check_masters(&closed, "http://127.0.0.1:1, http://kol-2:7077");
        assert_eq!(far.unwrap_err().code, "MASTER_PLAIN");
        let half = check_masters(&closed, "http://127.0.0.1:1,https://kol-2:7077");
        assert_eq!(half.unwrap_err().code, "MASTER_URL");
    }
}
