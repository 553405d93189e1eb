//! Who may call what over gRPC, and who did. It stands before all services.
//!
//! 1. A method that is not in the table needs the highest role: one that is added is protected.
//! 2. Executors show a certificate that is made out to them; a token does not open their stream, and their
//!    certificate opens nothing else.
//! 3. Each call of a method that changes something is one audit line, with who, from where, what, and how it ended.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::http::{Request, Response};
use futures::future::BoxFuture;
use kol_common::net::{NOBODY, Peer, Principal, Protection, Refused, Role};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// Who may call a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Executors, by the name in their certificate.
    Executor,
    /// People with at least this role.
    Person(Role),
}

/// Path of the executors' stream.
const SESSION: &str = "/kol.v1.ClusterService/Session";
/// Where the methods for people are.
const JOBS: &str = "/kol.v1.JobService/";

/// Methods for people, and who may call them.
const METHODS: [(&str, Role); 14] = [
    ("Submit", Role::Operator),
    ("ListJobs", Role::Viewer),
    ("GetJob", Role::Viewer),
    ("StopJob", Role::Operator),
    ("CancelJob", Role::Operator),
    ("ListExecutors", Role::Viewer),
    ("DrainExecutor", Role::Operator),
    ("Explain", Role::Viewer),
    ("ListCheckpoints", Role::Viewer),
    ("TakeSavepoint", Role::Operator),
    ("DeleteSavepoint", Role::Admin),
    ("Rewind", Role::Operator),
    ("Rollback", Role::Operator),
    ("Leadership", Role::Viewer),
];

/// Who may call a method, by its path; `None` for one that nobody named.
pub fn caller_of(path: &str) -> Option<Caller> {
    if path == SESSION {
        return Some(Caller::Executor);
    }
    let method = path.strip_prefix(JOBS)?;
    let found = METHODS.iter().find(|(name, _)| *name == method);
    found.map(|(_, role)| Caller::Person(*role))
}

/// What a call is about, for its audit line. The handler fills it in: only that one reads the message.
#[derive(Clone, Debug, Default)]
pub struct Subject(Arc<OnceLock<String>>);

impl Subject {
    /// That of a request.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        let subject = request.extensions().get::<Self>();
        subject.cloned().unwrap_or_default()
    }

    /// Says what a request is about: a job, or a savepoint.
    pub fn note(&self, what: &str) {
        let shown = what.chars().filter(|c| !c.is_control()).take(MOST_SHOWN);
        let _only_the_first_counts = self.0.set(shown.collect());
    }
}

/// Most characters of a subject in a line.
const MOST_SHOWN: usize = 200;

/// Puts [`Guarded`] around services.
#[derive(Clone, Debug)]
pub struct Guard(pub Protection);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            inner,
            protection: self.0.clone(),
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    protection: Protection,
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let caller = caller_of(request.uri().path()).unwrap_or(Caller::Person(Role::Admin));
        let audit = Audit::of(caller, &request);
        let who = match self.admit(caller, &request) {
            Ok(who) => who,
            Err(refused) => {
                let text = refused.to_string();
                let (who, status) = match refused {
                    Refused::Unknown => (None, Status::unauthenticated(text)),
                    Refused::Forbidden { who, .. } => (Some(who), Status::permission_denied(text)),
                };
                if let Some(audit) = audit {
                    audit.write(who, status.code());
                }
                return Box::pin(async move { Ok(status.into_http()) });
            }
        };
        let Some(audit) = audit else {
            return Box::pin(self.inner.call(request));
        };
        request.extensions_mut().insert(audit.subject.clone());
        let answer = self.inner.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            // One that succeeded has its status behind the message.
            let status = Status::from_header_map(answer.headers());
            audit.write(Some(who), status.map_or(Code::Ok, |status| status.code()));
            Ok(answer)
        })
    }
}

impl<S> Guarded<S> {
    fn admit(&self, caller: Caller, request: &Request<Body>) -> Result<Principal, Refused> {
        let role = match caller {
            Caller::Person(role) => role,
            Caller::Executor if self.protection.credentials().is_none() => Role::Admin,
            Caller::Executor => {
                let peer = request.extensions().get::<Peer>();
                let known = peer.is_some_and(|peer| peer.is_executor);
                let name = "executor".to_owned();
                let role = Role::Viewer;
                return if known {
                    Ok(Principal { name, role })
                } else {
                    Err(Refused::Unknown)
                };
            }
        };
        let shown = request.headers().get("authorization");
        let shown = shown.and_then(|value| value.to_str().ok());
        self.protection.admit(shown, role)
    }
}

/// What is known of a call that changes something before it is answered.
struct Audit {
    method: String,
    peer: Option<SocketAddr>,
    subject: Subject,
}

impl Audit {
    fn of(caller: Caller, request: &Request<Body>) -> Option<Self> {
        let changes = matches!(caller, Caller::Person(role) if role > Role::Viewer);
        changes.then(|| Self {
            method: request.uri().path().chars().take(MOST_SHOWN).collect(),
            peer: request.extensions().get::<Peer>().map(|peer| peer.address),
            subject: Subject::default(),
        })
    }

    fn write(&self, who: Option<Principal>, outcome: Code) {
        let (who, role) = who.map_or((None, None), |w| (Some(w.name), Some(w.role.as_str())));
        let who = who.as_deref().unwrap_or("unknown");
        let role = role.unwrap_or(NOBODY);
        let peer = self.peer.map(|peer| peer.to_string());
        let peer = peer.as_deref().unwrap_or(NOBODY);
        let subject = self.subject.0.get().map_or(NOBODY, String::as_str);
        tracing::info!(
            target: "audit",
            code = "AUDIT",
            who, role, peer, method = self.method, subject, outcome = ?outcome,
            "a request to change something"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kol_common::proto::DESCRIPTORS;
    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    /// Paths of all methods that the protocol has.
    fn methods() -> BTreeSet<String> {
        let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let mut paths = BTreeSet::new();
        for file in &set.file {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    paths.insert(path);
                }
            }
        }
        paths
    }

    #[test]
    fn every_method_of_the_protocol_says_who_may_call_it_and_no_other_does() {
        let people = METHODS.iter().map(|(name, _)| format!("{JOBS}{name}"));
        let named: BTreeSet<String> = people.chain([SESSION.to_owned()]).collect();
        assert_eq!(methods(), named);
    }

    #[test]
    fn a_method_that_reads_is_for_viewers_and_every_other_is_not() {
        for path in methods() {
            let method = path.rsplit('/').next().unwrap();
            let reads = ["List", "Get", "Explain", "Leadership"]
                .iter()
                .any(|m| method.starts_with(m));
            let viewer = caller_of(&path) == Some(Caller::Person(Role::Viewer));
            assert_eq!(reads, viewer, "{path}");
        }
        assert_eq!(caller_of("/kol.v1.JobService/Drop"), None);
    }
}
