//! What all pages have: the reader, and what equal requests share.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, State};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use crate::answer::Answer;
use crate::cache::{Cache, Limits, Shared};
use crate::creator::Creator;
use crate::history::History;
use crate::link::Link;
use crate::names::Names;
use crate::problem::Problem;
use crate::query::OfPlatform;
use crate::reader::Reader;

/// How long an answer is shared.
const FRESH: Duration = Duration::from_millis(250);
/// How long one is that reads whole rankings.
const FRESH_WHOLE: Duration = Duration::from_secs(5);
/// Answers that are held.
const ANSWERS: Limits = Limits {
    entries: 1_024,
    bytes: 32 << 20,
    kept: Duration::from_secs(300),
};
/// Rankings whose names are held. Old ones are not used: the answers that were made of them are.
const NAMES: Limits = Limits {
    entries: 16,
    bytes: 64 << 20,
    kept: Duration::ZERO,
};

/// Platforms of whose rankings the history is held. An old one is better than none.
const HISTORIES: Limits = Limits {
    entries: 64,
    bytes: 128 << 20,
    kept: Duration::from_secs(300),
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) reader: Reader,
    link: Link,
    default_platform: String,
    answers: Cache<Answer>,
    names: Cache<Arc<Names>>,
    histories: Cache<Arc<History>>,
    /// Without a login everybody may know which version this is.
    pub(crate) shows_version: bool,
}

/// As pages get it.
pub(crate) type Served = State<Arc<Serving>>;

/// What equal requests have in common: the page, and its parameters as they were read.
pub(crate) fn key(page: &str, parameters: &impl std::fmt::Debug) -> String {
    format!("{page} {parameters:?}")
}

/// How much an answer costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cost {
    /// A part of a ranking, or some creators.
    Part,
    /// Whole rankings are looked at.
    Whole,
}

impl Serving {
    pub(crate) fn new(
        reader: Reader,
        link: Link,
        default_platform: String,
        shows_version: bool,
    ) -> Self {
        Self {
            reader,
            link,
            default_platform,
            answers: Cache::new(ANSWERS),
            names: Cache::new(NAMES),
            histories: Cache::new(HISTORIES),
            shows_version,
        }
    }

    /// The platform of a request.
    pub(crate) fn platform<'a>(&'a self, named: &'a Option<String>) -> &'a str {
        named.as_deref().unwrap_or(&self.default_platform)
    }

    /// Whether Redis can be read.
    pub(crate) async fn ready(&self) -> Result<(), Problem> {
        self.link.ready().await
    }

    /// What an equal request was given a moment ago, or what `read` reads. `key` is the same for equal requests only.
    ///
    /// # Errors
    /// Why there is nothing.
    pub(crate) async fn read<T: Serialize>(
        &self,
        key: String,
        cost: Cost,
        read: impl Future<Output = Result<T, Problem>>,
    ) -> Result<Shared<Answer>, Problem> {
        let fresh = match cost {
            Cost::Part => FRESH,
            Cost::Whole => FRESH_WHOLE,
        };
        let read = async {
            let answer = Answer::of(&read.await?)?;
            let weight = answer.weight();
            Ok((answer, weight))
        };
        self.answers.get(key, fresh, read).await
    }

    /// The names of a ranking.
    pub(crate) async fn names(&self, platform: &str) -> Result<Arc<Names>, Problem> {
        let read = async {
            let names = Arc::new(self.reader.names(platform).await?);
            let weight = names.weight();
            Ok((names, weight))
        };
        let key = platform.to_owned();
        match self.names.get(key, FRESH_WHOLE, read).await? {
            Shared::Fresh(names) | Shared::Stale(names, _) => Ok(names),
        }
    }

    /// The ranking of a platform as it was: empty where nothing is kept of it. Only snapshots that were not there before
    /// are read.
    pub(crate) async fn history(&self, platform: &str) -> Result<Arc<History>, Problem> {
        let key = platform.to_owned();
        let before = self.histories.last(&key);
        let read = async {
            let history = Arc::new(self.reader.history(platform, before.as_deref()).await?);
            let weight = history.weight();
            Ok((history, weight))
        };
        match self.histories.get(key, FRESH_WHOLE, read).await? {
            Shared::Fresh(history) | Shared::Stale(history, _) => Ok(history),
        }
    }

    /// The same creators with how their places have changed, as far as that is known: what keeps the history from being read
    /// keeps nobody from the ranking.
    pub(crate) async fn with_changes(
        &self,
        platform: &str,
        mut creators: Vec<Creator>,
    ) -> Vec<Creator> {
        if let Ok(history) = self.history(platform).await {
            for creator in &mut creators {
                if let Some(place) = creator.rank {
                    creator.changes = history.changes(&creator.kol_id, place);
                }
            }
        }
        creators
    }
}

/// A request, with what it takes to answer it.
#[derive(Debug)]
pub(crate) struct Call {
    serving: Arc<Serving>,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<Serving>> for Call {
    type Rejection = Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        serving: &Arc<Serving>,
    ) -> Result<Self, Infallible> {
        Ok(Self {
            serving: Arc::clone(serving),
            headers: parts.headers.clone(),
        })
    }
}

impl Call {
    /// What answers are made of.
    pub(crate) fn serving(&self) -> &Serving {
        &self.serving
    }

    /// What reads Redis.
    pub(crate) fn reader(&self) -> &Reader {
        &self.serving.reader
    }

    /// The platform that this request is about.
    pub(crate) fn platform<'a>(&'a self, named: &'a Option<String>) -> &'a str {
        self.serving.platform(named)
    }

    /// Answers with what an equal request to this page was given a moment ago, or what `read` reads.
    pub(crate) async fn answer<T: Serialize>(
        &self,
        page: &str,
        parameters: &impl std::fmt::Debug,
        cost: Cost,
        read: impl Future<Output = Result<T, Problem>>,
    ) -> Response {
        match self.serving.read(key(page, parameters), cost, read).await {
            Ok(Shared::Fresh(answer)) => answer.respond(&self.headers),
            Ok(Shared::Stale(answer, age)) => answer.respond_stale(age),
            Err(problem) => problem.into_response(),
        }
    }

    /// Answers with what a page shows of one creator.
    pub(crate) async fn creator<T: From<Creator> + Serialize>(
        &self,
        page: &str,
        kol: &str,
        wanted: &OfPlatform,
    ) -> Response {
        let platform = self.platform(&wanted.platform);
        let read = async {
            let creator = self.reader().creator(platform, kol).await?;
            let creators = self.serving.with_changes(platform, vec![creator]).await;
            let creator = creators.into_iter().next();
            let creator = creator.ok_or_else(|| Problem::no_creator(platform, kol))?;
            Ok(T::from(creator))
        };
        self.answer(page, &(kol, wanted), Cost::Part, read).await
    }
}
