//! What `top` shows: the ranking and the platforms there are, from Redis, and the job, from the master. Both are read
//! again after they could not be.

use std::time::Duration;

use kol_common::KolError;
use kol_common::job::SinkSpec;
use kol_common::proto::JobStatus;
use kol_common::redis::ranking::{self, Members, Ranked};
use kol_common::redis::{RedisConnection, classify, connect};
use kol_common::secrets::Secrets;
use tokio::sync::{mpsc, watch};

use crate::Context;
use crate::cmd::chosen;
use crate::exit;

/// How often the ranking and the job are read.
pub(super) const EVERY: Duration = Duration::from_secs(1);

/// Which ranking is to be read, and where it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) sink: SinkSpec,
    pub(super) platform: String,
}

/// A ranking as it is in Redis.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranking {
    pub(crate) platform: String,
    /// The key that was read.
    pub(crate) key: String,
    /// The best of it.
    pub(crate) rows: Vec<Ranked>,
    /// Platforms that have a ranking.
    pub(crate) platforms: Vec<String>,
}

impl Ranking {
    /// What is said in place of rows: what was looked for, and where there are some.
    pub(super) fn why_empty(&self) -> String {
        let others = match &self.platforms[..] {
            [] => "No platform has a ranking yet.".to_owned(),
            some => format!("Platforms with a ranking: {}.", some.join(", ")),
        };
        format!(
            "The ranking is empty: there are no creators in {}. {others}",
            self.key
        )
    }
}

/// Something that was read, or why it could not be.
#[derive(Debug)]
pub(super) enum News {
    Ranking(Result<Ranking, String>),
    Job(Result<Box<JobStatus>, String>),
}

/// Reads rankings; connects when it has to.
#[derive(Debug)]
pub(super) struct Source {
    secrets: Secrets,
    /// Creators that are read.
    most: u64,
    open: Option<(SinkSpec, RedisConnection)>,
}

impl Source {
    pub(super) fn new(secrets: Secrets, most: u64) -> Self {
        Self {
            secrets,
            most,
            open: None,
        }
    }

    /// The ranking as it is now.
    ///
    /// # Errors
    /// Redis cannot be reached or read: the next call connects again.
    pub(super) async fn read(&mut self, wanted: &Wanted) -> Result<Ranking, KolError> {
        // What fails drops the connection.
        let mut open = match self.open.take() {
            Some((sink, open)) if sink == wanted.sink => open,
            _ => connect(&wanted.sink, &self.secrets).await?,
        };
        let ranking = read(&mut open, wanted, self.most).await?;
        self.open = Some((wanted.sink.clone(), open));
        Ok(ranking)
    }

    /// Reads it every second, and at once when another one is wanted, until nobody listens.
    pub(super) async fn until_closed(
        mut self,
        mut wants: watch::Receiver<Wanted>,
        news: mpsc::Sender<News>,
    ) -> Result<(), KolError> {
        loop {
            let wanted = wants.borrow_and_update().clone();
            let ranking = self.read(&wanted).await.map_err(|e| e.to_string());
            if news.send(News::Ranking(ranking)).await.is_err() {
                return Ok(());
            }
            tokio::select! {
                changed = wants.changed() => if changed.is_err() {
                    return Ok(());
                },
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

async fn read(open: &mut RedisConnection, wanted: &Wanted, most: u64) -> Result<Ranking, KolError> {
    let fail = |e: redis::RedisError| classify(&e);
    let (keys, platform) = (&wanted.sink.keys, &wanted.platform);
    let key = keys.ranking_key(platform);
    let members = ranking::members(&key, 0, Some(most));
    let members: Members = members.query_async(open).await.map_err(fail)?;
    let rows = if members.is_empty() {
        Vec::new()
    } else {
        let hashes = members.iter().map(|(kol, _)| keys.hash_key(platform, kol));
        let fields = ranking::fields(hashes).query_async(open).await;
        ranking::rows(0, members, fields.map_err(fail)?)
    };
    let mut known = redis::cmd("SMEMBERS");
    known.arg(keys.platforms_key());
    // A user that may read rankings may not read these.
    let mut platforms: Vec<String> = known.query_async(open).await.unwrap_or_default();
    platforms.sort_unstable();
    Ok(Ranking {
        platform: platform.clone(),
        key,
        rows,
        platforms,
    })
}

/// A job that is shown; when it is over the one that runs, unless one was named.
#[derive(Debug)]
pub(super) struct Following {
    ctx: Context,
    given: Option<String>,
    shown: String,
}

/// Follows a job from the one with this id on.
pub(super) fn follow(ctx: Context, given: Option<String>, shown: String) -> Following {
    Following { ctx, given, shown }
}

impl Following {
    /// Reads its status every second, until nobody listens.
    pub(super) async fn until_closed(mut self, news: mpsc::Sender<News>) -> Result<(), KolError> {
        loop {
            tokio::time::sleep(EVERY).await;
            let next = chosen::next(&self.ctx, self.given.as_deref(), &self.shown).await;
            if let Ok(job) = &next {
                self.shown.clone_from(&job.job_id);
            }
            let job = next.map(Box::new).map_err(|e| exit::sentence(&e));
            if news.send(News::Job(job)).await.is_err() {
                return Ok(());
            }
        }
    }
}
