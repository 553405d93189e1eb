//! Stands for etcd: keys with revisions, transactions, leases that expire. In memory, behind etcd's own API.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kol_master::meta::etcd::wire::compare::TargetUnion;
use kol_master::meta::etcd::wire::kv_server::{Kv, KvServer};
use kol_master::meta::etcd::wire::lease_server::{Lease, LeaseServer};
use kol_master::meta::etcd::wire::request_op::Request as Op;
use kol_master::meta::etcd::wire::response_op::Response as OpResponse;
use kol_master::meta::etcd::wire::{
    CompactionRequest, CompactionResponse, DeleteRangeResponse, KeyValue, LeaseGrantRequest,
    LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse, LeaseRevokeRequest,
    LeaseRevokeResponse, PutResponse, RangeRequest, RangeResponse, RequestOp, ResponseHeader,
    ResponseOp, TxnRequest, TxnResponse,
};
use tokio::time::Instant;
use tonic::transport::server::Router;
use tonic::{Request, Response, Status, Streaming};

/// etcd takes no more operations in one transaction.
const OPERATIONS: usize = 128;

/// A server; clones are the same one.
#[derive(Clone, Default)]
pub struct Etcd(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    revision: i64,
    entries: BTreeMap<Vec<u8>, KeyValue>,
    /// How long each lasts, and until when.
    leases: BTreeMap<i64, (Duration, Instant)>,
    /// The newest lease that was granted: no number is given out twice.
    granted: i64,
    /// The answer of the next transaction is lost, after it has happened.
    deaf: bool,
}

impl Etcd {
    /// The services that a member of etcd serves.
    pub fn router(&self) -> Router {
        tonic::transport::Server::builder()
            .add_service(KvServer::new(self.clone()))
            .add_service(LeaseServer::new(self.clone()))
    }

    /// The next transaction happens, and its answer does not arrive.
    pub fn lose_an_answer(&self) {
        self.raw().deaf = true;
    }

    /// It was started again: all leases begin again, as in etcd when a member begins to lead.
    pub fn restarted(&self) {
        let now = Instant::now();
        for (lasts, until) in self.raw().leases.values_mut() {
            *until = now + *lasts;
        }
    }

    /// The revision of the newest change.
    pub fn revision(&self) -> i64 {
        self.raw().revision
    }

    /// What it holds below a prefix, by the rest of the key, in order.
    pub fn below(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let state = self.raw();
        let from = state.entries.range(prefix.as_bytes().to_vec()..);
        let found = from.map_while(|(key, entry)| {
            let rest = key.strip_prefix(prefix.as_bytes())?;
            Some((
                String::from_utf8_lossy(rest).into_owned(),
                entry.value.clone(),
            ))
        });
        found.collect()
    }

    fn raw(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without the keys of leases that have expired.
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.raw();
        let now = Instant::now();
        let over = |(id, (_, until)): (&i64, &(Duration, Instant))| (*until <= now).then_some(*id);
        let expired: Vec<i64> = state.leases.iter().filter_map(over).collect();
        for lease in expired {
            state.end(lease);
        }
        state
    }
}

impl State {
    fn header(&self) -> Option<ResponseHeader> {
        Some(ResponseHeader {
            revision: self.revision,
            ..ResponseHeader::default()
        })
    }

    fn end(&mut self, lease: i64) {
        self.leases.remove(&lease);
        let before = self.entries.len();
        self.entries.retain(|_, entry| entry.lease != lease);
        self.revision += i64::from(self.entries.len() < before);
    }

    fn range(&self, request: &RangeRequest) -> RangeResponse {
        let matches = |key: &Vec<u8>| {
            *key == request.key || (*key >= request.key && *key < request.range_end)
        };
        let kvs = self.entries.iter().filter(|(key, _)| matches(key));
        RangeResponse {
            header: self.header(),
            kvs: kvs.map(|(_, entry)| entry.clone()).collect(),
        }
    }

    /// All of it or nothing: what etcd refuses is found before anything changes.
    fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, Status> {
        let mut written = Vec::new();
        check(request, OPERATIONS, &mut written)?;
        let revision = self.revision + 1;
        let done = self.run(request, revision);
        let changes = writes(&done.responses);
        if changes {
            self.revision = revision;
        }
        Ok(TxnResponse {
            header: self.header(),
            ..done
        })
    }

    fn run(&mut self, request: &TxnRequest, revision: i64) -> TxnResponse {
        let holds = request.compare.iter().all(|compare| {
            let found = self.entries.get(&compare.key).map_or(0, |e| e.mod_revision);
            compare.target_union == Some(TargetUnion::ModRevision(found))
        });
        let operations = if holds {
            &request.success
        } else {
            &request.failure
        };
        let responses = operations.iter().map(|op| self.operate(op, revision));
        TxnResponse {
            header: None,
            succeeded: holds,
            responses: responses.collect(),
        }
    }

    fn operate(&mut self, op: &RequestOp, revision: i64) -> ResponseOp {
        let response = match op.request.as_ref().expect("an operation") {
            Op::RequestRange(range) => OpResponse::ResponseRange(self.range(range)),
            Op::RequestPut(put) => {
                let entry = KeyValue {
                    key: put.key.clone(),
                    value: put.value.clone(),
                    mod_revision: revision,
                    lease: put.lease,
                    ..KeyValue::default()
                };
                self.entries.insert(put.key.clone(), entry);
                OpResponse::ResponsePut(PutResponse::default())
            }
            Op::RequestDeleteRange(delete) => {
                let gone = self.entries.remove(&delete.key);
                OpResponse::ResponseDeleteRange(DeleteRangeResponse {
                    deleted: gone.map_or(0, |_| 1),
                    ..DeleteRangeResponse::default()
                })
            }
            Op::RequestTxn(inner) => OpResponse::ResponseTxn(self.run(inner, revision)),
        };
        ResponseOp {
            response: Some(response),
        }
    }
}

fn writes(responses: &[ResponseOp]) -> bool {
    responses.iter().any(|op| match &op.response {
        Some(OpResponse::ResponsePut(_)) => true,
        Some(OpResponse::ResponseDeleteRange(delete)) => delete.deleted > 0,
        Some(OpResponse::ResponseTxn(inner)) => writes(&inner.responses),
        _ => false,
    })
}

/// What etcd refuses: too many operations, and two writes of one key.
fn check(request: &TxnRequest, most: usize, written: &mut Vec<Vec<u8>>) -> Result<(), Status> {
    let sizes = [&request.success, &request.failure].map(Vec::len);
    let size = request.compare.len().max(sizes[0]).max(sizes[1]);
    if size > most {
        return Err(Status::invalid_argument(
            "etcdserver: too many operations in txn request",
        ));
    }
    for op in &request.success {
        let key = match op.request.as_ref().expect("an operation") {
            Op::RequestPut(put) => &put.key,
            Op::RequestDeleteRange(delete) => &delete.key,
            Op::RequestTxn(inner) => {
                check(inner, most - size, written)?;
                continue;
            }
            Op::RequestRange(_) => continue,
        };
        if written.contains(key) {
            return Err(Status::invalid_argument(
                "etcdserver: duplicate key given in txn request",
            ));
        }
        written.push(key.clone());
    }
    Ok(())
}

#[tonic::async_trait]
impl Kv for Etcd {
    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        Ok(Response::new(self.state().range(request.get_ref())))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let mut state = self.state();
        let done = state.txn(request.get_ref())?;
        if std::mem::take(&mut state.deaf) {
            return Err(Status::unavailable("the answer was lost"));
        }
        Ok(Response::new(done))
    }

    /// It never keeps anything but the present.
    async fn compact(
        &self,
        _request: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        let header = self.state().header();
        Ok(Response::new(CompactionResponse { header }))
    }
}

#[tonic::async_trait]
impl Lease for Etcd {
    async fn lease_grant(
        &self,
        request: Request<LeaseGrantRequest>,
    ) -> Result<Response<LeaseGrantResponse>, Status> {
        let ttl = request.get_ref().ttl;
        let mut state = self.state();
        state.granted += 1;
        let id = state.granted;
        let lasts = Duration::from_secs(ttl.unsigned_abs());
        state.leases.insert(id, (lasts, Instant::now() + lasts));
        Ok(Response::new(LeaseGrantResponse {
            header: state.header(),
            id,
            ttl,
            ..LeaseGrantResponse::default()
        }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let mut state = self.state();
        state.end(request.get_ref().id);
        let header = state.header();
        Ok(Response::new(LeaseRevokeResponse { header }))
    }

    type LeaseKeepAliveStream =
        Pin<Box<dyn Stream<Item = Result<LeaseKeepAliveResponse, Status>> + Send>>;

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let etcd = self.clone();
        let answers = request.into_inner().map(move |request| {
            let id = request?.id;
            let mut state = etcd.state();
            let header = state.header();
            let renewed = state.leases.get_mut(&id).map(|(lasts, until)| {
                *until = Instant::now() + *lasts;
                lasts.as_secs().cast_signed()
            });
            Ok(LeaseKeepAliveResponse {
                header,
                id,
                ttl: renewed.unwrap_or(0),
            })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
