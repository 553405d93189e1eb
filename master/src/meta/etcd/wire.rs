//! etcd's own types, generated from `proto/etcd/rpc.proto`, and short ways to make those that are sent.

#[allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    unreachable_pub,
    reason = "generated code"
)]
mod generated {
    tonic::include_proto!("etcdserverpb");
}

pub use generated::*;

use compare::{CompareResult, CompareTarget, TargetUnion};
use request_op::Request;
use response_op::Response;

impl RequestOp {
    /// Stores a value; with a lease other than 0 the key goes when that does.
    pub fn put(key: String, value: Vec<u8>, lease: i64) -> Self {
        let put = PutRequest {
            key: key.into_bytes(),
            value,
            lease,
        };
        Request::RequestPut(put).into()
    }

    /// Removes a key.
    pub fn delete(key: String) -> Self {
        let delete = DeleteRangeRequest {
            key: key.into_bytes(),
            range_end: Vec::new(),
        };
        Request::RequestDeleteRange(delete).into()
    }

    /// Reads a key.
    pub fn get(key: String) -> Self {
        let range = RangeRequest {
            key: key.into_bytes(),
            ..RangeRequest::default()
        };
        Request::RequestRange(range).into()
    }
}

impl From<Request> for RequestOp {
    fn from(request: Request) -> Self {
        Self {
            request: Some(request),
        }
    }
}

impl Compare {
    /// The key was written last at this revision; 0: it does not exist.
    pub fn written_at(key: String, revision: i64) -> Self {
        Self {
            result: CompareResult::Equal.into(),
            target: CompareTarget::Mod.into(),
            key: key.into_bytes(),
            target_union: Some(TargetUnion::ModRevision(revision)),
        }
    }
}

impl TxnResponse {
    /// The revision of the store after it.
    pub fn revision(&self) -> i64 {
        self.header.as_ref().map_or(0, |header| header.revision)
    }

    /// What the reads among its operations found, in their order: the first entry of each.
    pub fn found(self) -> impl Iterator<Item = Option<KeyValue>> {
        self.responses
            .into_iter()
            .filter_map(|op| match op.response {
                Some(Response::ResponseRange(range)) => Some(range.kvs.into_iter().next()),
                _ => None,
            })
    }
}
