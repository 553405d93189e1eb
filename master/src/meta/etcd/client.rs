//! Calls to the members of an etcd cluster: any of them will do, and one that fails is left for the next.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kol_common::KolError;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status};

use super::access::Access;
use super::failure::{EtcdError, Failure, wrong};
use super::login::{Login, Token, is_token_over};
use super::member::Member;
use super::wire::kv_client::KvClient;
use super::wire::lease_client::LeaseClient;
use super::wire::{
    CompactionRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, RangeRequest,
    RangeResponse, TxnRequest, TxnResponse,
};

/// Largest answer: all that the store has below one prefix.
const MAX_ANSWER: usize = 256 << 20;

/// The way to a member, for one call.
type Line = InterceptedService<Channel, Token>;

/// The members of a cluster. Calls go to one of them until it fails.
pub struct Etcd {
    members: Vec<Member>,
    login: Option<Login>,
    current: AtomicUsize,
    answer: Duration,
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let urls = self.members.iter().map(|member| &member.url);
        f.debug_list().entries(urls).finish()
    }
}

impl Etcd {
    /// Connects to each member when it is called first. `answer` is the longest wait for one. Must be called inside a
    /// runtime.
    ///
    /// # Errors
    /// There is no URL, or one is not like `http://HOST:PORT`.
    pub fn new(access: &Access, answer: Duration) -> Result<Self, KolError> {
        Self::reached_by(access, answer, Endpoint::connect_lazy)
    }

    /// As [`Self::new`]; `open` makes the channel to a member that is called without TLS, which connects when it is used
    /// first.
    ///
    /// # Errors
    /// As there.
    pub fn reached_by(
        access: &Access,
        answer: Duration,
        open: impl Fn(&Endpoint) -> Channel,
    ) -> Result<Self, KolError> {
        let urls = access.urls.iter();
        let members: Vec<_> = urls
            .map(|url| Member::new(url, access, &open))
            .collect::<Result<_, _>>()?;
        if members.is_empty() {
            return Err(wrong("no URL of an etcd member is given"));
        }
        Ok(Self {
            members,
            login: access.login.clone(),
            current: AtomicUsize::new(0),
            answer,
        })
    }

    /// Reads keys, with each member in turn until one answers.
    ///
    /// # Errors
    /// No member answers.
    pub async fn range(&self, request: RangeRequest) -> Result<RangeResponse, EtcdError> {
        self.in_turn(|line| {
            let request = request.clone();
            async move { kv(line).range(request).await }
        })
        .await
    }

    /// Sends a transaction, once; again only where etcd has refused its token.
    ///
    /// # Errors
    /// It was refused, or there is no answer: then it may have happened, or happen yet.
    pub async fn txn(&self, request: TxnRequest) -> Result<TxnResponse, EtcdError> {
        self.call(|line| {
            let request = request.clone();
            async move { kv(line).txn(request).await }
        })
        .await
    }

    /// Lets etcd forget what keys held before a revision.
    ///
    /// # Errors
    /// There is no answer, or it has forgotten that already.
    pub async fn compact(&self, revision: i64) -> Result<(), EtcdError> {
        let request = CompactionRequest { revision };
        self.call(|line| async move { kv(line).compact(request).await })
            .await
            .map(drop)
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
        self.call(|line| async move { LeaseClient::new(line).lease_grant(request).await })
            .await
            .map(|granted| granted.id)
    }

    /// Lets a lease begin again; answers whether there is such a lease.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn keep_alive(&self, lease: i64) -> Result<bool, EtcdError> {
        self.call(|line| async move {
            let request = futures::stream::iter([LeaseKeepAliveRequest { id: lease }]);
            let mut client = LeaseClient::new(line);
            let mut answers = client.lease_keep_alive(request).await?.into_inner();
            let answer = answers.message().await?;
            let answer = answer.ok_or_else(|| Status::unavailable("the stream ended"))?;
            Ok(Response::new(answer.ttl > 0))
        })
        .await
    }

    /// Ends a lease, and with it the keys that it holds, with each member in turn until one does.
    ///
    /// # Errors
    /// There is no answer, or no such lease.
    pub async fn revoke(&self, lease: i64) -> Result<(), EtcdError> {
        let request = LeaseRevokeRequest { id: lease };
        self.in_turn(|line| async move { LeaseClient::new(line).lease_revoke(request).await })
            .await
            .map(drop)
    }

    /// A call that may happen twice: to each member in turn until one succeeds.
    async fn in_turn<T, F>(&self, call: impl Fn(Line) -> F) -> Result<T, EtcdError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut outcome = self.call(&call).await;
        for _ in 1..self.members.len() {
            if outcome.is_ok() {
                break;
            }
            outcome = self.call(&call).await;
        }
        outcome
    }

    /// One call to the member that answered last.
    async fn call<T, F>(&self, call: impl Fn(Line) -> F) -> Result<T, EtcdError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let turn = self.current.load(Ordering::Relaxed);
        let member = &self.members[turn % self.members.len()];
        let answer = tokio::time::timeout(self.answer, self.admitted(member, call)).await;
        let failure = match answer {
            Ok(Ok(answer)) => return Ok(answer.into_inner()),
            Ok(Err(failure)) => failure,
            Err(_) => Failure::silence(self.answer),
        };
        // Unless another call has moved on already.
        let _moved_on = self.current.compare_exchange(
            turn,
            turn.wrapping_add(1),
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
        Err(member.failure(failure))
    }

    /// A call with a token, where there is a login; twice, if etcd does not take the first one any more.
    async fn admitted<T, F>(
        &self,
        member: &Member,
        call: impl Fn(Line) -> F,
    ) -> Result<Response<T>, Failure>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let channel = || member.channel.clone();
        let with = |token| call(InterceptedService::new(channel(), token));
        let Some(login) = &self.login else {
            return with(Token::default()).await.map_err(|s| Failure::of(&s));
        };
        let token = login.token(None, &member.url, channel()).await?;
        let answer = match with(token.clone()).await {
            Err(status) if is_token_over(&status) => {
                let token = login.token(Some(&token), &member.url, channel()).await?;
                with(token).await
            }
            other => other,
        };
        answer.map_err(|status| Failure::of(&status))
    }
}

fn kv(line: Line) -> KvClient<Line> {
    KvClient::new(line).max_decoding_message_size(MAX_ANSWER)
}
