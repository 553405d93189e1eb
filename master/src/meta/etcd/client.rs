//! Calls to the members of an etcd cluster: any of them will do, and one that fails is left for the next.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kol_common::KolError;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::wire::kv_client::KvClient;
use super::wire::lease_client::LeaseClient;
use super::wire::{
    CompactionRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, RangeRequest,
    RangeResponse, TxnRequest, TxnResponse,
};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Silence of the network after which a connection counts as broken.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// Largest answer: all that the store has below one prefix.
const MAX_ANSWER: usize = 256 << 20;

/// A call failed. Whether a write happened is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("etcd at {member}: {reason}")]
pub struct EtcdError {
    /// URL of the member that was called.
    pub member: String,
    /// What it, or the network, said.
    pub reason: String,
}

/// The members of a cluster. Calls go to one of them until it fails.
pub struct Etcd {
    members: Vec<(String, Channel)>,
    current: AtomicUsize,
    answer: Duration,
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.members.iter().map(|(url, _)| url);
        f.debug_list().entries(urls).finish()
    }
}

impl Etcd {
    /// Connects to each member when it is called first. `answer` is the longest wait for one. Must be called inside a
    /// runtime.
    ///
    /// # Errors
    /// There is no URL, or one is not like `http://HOST:PORT`.
    pub fn new(urls: &[String], answer: Duration) -> Result<Self, KolError> {
        Self::reached_by(urls, answer, Endpoint::connect_lazy)
    }

    /// As [`Self::new`]; `open` makes the channel to a member, which connects when it is used first.
    ///
    /// # Errors
    /// As there.
    pub fn reached_by(
        urls: &[String],
        answer: Duration,
        open: impl Fn(&Endpoint) -> Channel,
    ) -> Result<Self, KolError> {
        let one = |url: &String| member(url).map(|(url, endpoint)| (url, open(&endpoint)));
        let members: Vec<_> = urls.iter().map(one).collect::<Result<_, _>>()?;
        if members.is_empty() {
            return Err(wrong("no URL of an etcd member is given"));
        }
        Ok(Self {
            members,
            current: AtomicUsize::new(0),
            answer,
        })
    }

    /// Reads keys, with each member in turn until one answers.
    ///
    /// # Errors
    /// No member answers.
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, EtcdError> {
        let mut outcome = self.range_once(request.clone()).await;
        for _ in 1..self.members.len() {
            if outcome.is_ok() {
                break;
            }
            outcome = self.range_once(request.clone()).await;
        }
        outcome
    }

    async fn range_once(&self, request: RangeRequest) -> Result<RangeResponse, EtcdError> {
        let call = async |channel| kv(channel).range(request).await;
        self.call(call).await
    }

    /// Sends a transaction, once.
    ///
    /// # Errors
    /// It was refused, or there is no answer: then it may have happened, or happen yet.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, EtcdError> {
        self.call(async |channel| kv(channel).txn(request).await)
            .await
    }

    /// Lets etcd forget what keys held before a revision.
    ///
    /// # Errors
    /// There is no answer, or it has forgotten that already.
    pub async fn compact(&self, revision: i64) -> Result<(), EtcdError> {
        let request = CompactionRequest { revision };
        let call = async |channel| kv(channel).compact(request).await;
        self.call(call).await.map(drop)
    }

    /// A new lease of this many seconds; answers its id.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn grant(&self, seconds: i64) -> Result<i64, EtcdError> {
        let request = LeaseGrantRequest {
            ttl: seconds,
            id: 0,
        };
        let call = async |channel| LeaseClient::new(channel).lease_grant(request).await;
        self.call(call).await.map(|granted| granted.id)
    }

    /// Lets a lease begin again; answers whether there is such a lease.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn keep_alive(&self, lease: i64) -> Result<bool, EtcdError> {
        let call = async |channel| {
            let request = futures::stream::iter([LeaseKeepAliveRequest { id: lease }]);
            let mut client = LeaseClient::new(channel);
            let mut answers = client.lease_keep_alive(request).await?.into_inner();
            let answer = answers.message().await?;
            let answer = answer.ok_or_else(|| Status::unavailable("the stream ended"))?;
            Ok(Response::new(answer.ttl > 0))
        };
        self.call(call).await
    }

    /// Ends a lease, and with it the keys that it holds.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn revoke(&self, lease: i64) -> Result<(), EtcdError> {
        let request = LeaseRevokeRequest { id: lease };
        let call = async |channel| LeaseClient::new(channel).lease_revoke(request).await;
        self.call(call).await.map(drop)
    }

    /// One call to the member that answered last.
    async fn call<T>(
        &self,
        call: impl AsyncFnOnce(Channel) -> Result<Response<T>, Status>,
    ) -> Result<T, EtcdError> {
        let turn = self.current.load(Ordering::Relaxed);
        let (url, channel) = &self.members[turn % self.members.len()];
        let answer = tokio::time::timeout(self.answer, call(channel.clone())).await;
        let reason = match answer {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(status)) => status.message().to_owned(),
            Err(_) => format!("no answer within {:?}", self.answer),
        };
        // Unless another call has moved on already.
        let _moved_on = self.current.compare_exchange(
            turn,
            turn.wrapping_add(1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        Err(EtcdError {
            member: url.clone(),
            reason,
        })
    }
}

fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel).max_decoding_message_size(MAX_ANSWER)
}

fn member(url: &str) -> Result<(String, Endpoint), KolError> {
    let url = url.trim().trim_end_matches('/');
    if !url.starts_with("http://") {
        return Err(wrong(&format!("`{url}` is not the URL of an etcd member")));
    }
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|e| wrong(&format!("`{url}` is not a URL: {e}")))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE);
    Ok((url.to_owned(), endpoint))
}

fn wrong(what: &str) -> KolError {
    KolError::user("ETCD_URL", what)
        .help("Give --etcd like http://10.0.0.1:2379,http://10.0.0.2:2379.")
}
