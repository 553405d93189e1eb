//! The ranking, live.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};

use super::trending::ranking;
use crate::answer::Answer;
use crate::cache::Shared;
use crate::creator::Row;
use crate::problem::{Problem, ProblemJson};
use crate::query::{Listing, Params};
use crate::serving::{Cost, Served, Serving, key};

/// How often the ranking is looked at.
const EACH: Duration = Duration::from_secs(1);
/// How long a stream lasts, which is less than a connection does; browsers open the next one by themselves.
const LAST: Duration = Duration::from_secs(50);
/// How long they wait before that.
const RETRY: Duration = Duration::from_secs(1);

/// What was read, and what names it: the next one is sent where the name is another.
type Seen = Result<Shared<Answer>, Problem>;

/// The ranking of a platform, and again whenever it has changed, at most once a second: server-sent events. The data of each is
/// what /api/v1/trending answers. Events without a name are rankings; `stale` is an old one while Redis cannot be read, and
/// `problem` says why there is none.
#[utoipa::path(get, path = "/api/v1/trending/stream", params(Listing), responses(
    (status = OK, description = "Events, for 50 seconds.", body = String, content_type = "text/event-stream"),
    (status = BAD_REQUEST, body = ProblemJson, content_type = "application/problem+json"),
    (status = NOT_FOUND, body = ProblemJson, content_type = "application/problem+json"),
    (status = SERVICE_UNAVAILABLE, body = ProblemJson, content_type = "application/problem+json"),
))]
pub(super) async fn stream(
    State(serving): Served,
    Params(wanted): Params<Listing>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    if wanted.at.is_some() {
        return Err(Problem::invalid("a stream shows what is now: leave at out"));
    }
    let first = look(&serving, &wanted).await?;
    let watch = Watch {
        serving,
        wanted,
        first: Some(Ok(first)),
        sent: String::new(),
    };
    let events = stream::unfold(watch, |mut watch| async {
        let event = watch.next().await;
        Some((Ok(event), watch))
    });
    let events = events.take_until(tokio::time::sleep(LAST));
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

async fn look(serving: &Serving, wanted: &Listing) -> Seen {
    let read = ranking::<Row>(serving, wanted);
    let key = key("trending", wanted);
    serving.read(key, Cost::Part, read).await
}

struct Watch {
    serving: Arc<Serving>,
    wanted: Listing,
    first: Option<Seen>,
    /// What names the last event.
    sent: String,
}

impl Watch {
    /// The next event that differs from the one before.
    async fn next(&mut self) -> Event {
        loop {
            let seen = match self.first.take() {
                Some(first) => first,
                None => {
                    tokio::time::sleep(EACH).await;
                    look(&self.serving, &self.wanted).await
                }
            };
            let (kind, tag, body) = match seen {
                Ok(Shared::Fresh(answer)) => (None, answer.tag().to_owned(), answer.body()),
                Ok(Shared::Stale(answer, _)) => {
                    let tag = format!("stale {}", answer.tag());
                    (Some("stale"), tag, answer.stale_body())
                }
                Err(problem) => {
                    let body = Bytes::from(problem.body());
                    (Some("problem"), format!("problem {body:?}"), body)
                }
            };
            if tag == self.sent {
                continue;
            }
            self.sent = tag;
            let event = Event::default().retry(RETRY);
            // A body is JSON on one line.
            let event = event.data(String::from_utf8_lossy(&body));
            return match kind {
                Some(kind) => event.event(kind),
                None => event,
            };
        }
    }
}
