//! What is read of Redis: each answer takes one pipeline, or two where the second depends on the first.

mod earlier;

use kol_common::job::{KeyTemplates, Labels};
use kol_common::redis::ranking::{Members, members};
use redis::{Cmd, Pipeline};

use crate::creator::{Creator, Fields, hash};
use crate::link::Link;
use crate::names::Names;
use crate::problem::Problem;
use crate::shown;

/// Creators that a filter looks at for one answer.
pub(crate) const EXAMINED: u64 = 1_000;
/// Creators that a search looks at: the first of a ranking.
pub(crate) const SEARCHED: u64 = 10_000;
/// Largest ranking whose mean score is computed.
const AVERAGED: u64 = 100_000;

/// Reads what a job with these keys writes.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    link: Link,
    keys: KeyTemplates,
    labels: Labels,
}

/// A part of a ranking.
#[derive(Debug)]
pub(crate) struct Part {
    /// In their order.
    pub(crate) creators: Vec<Creator>,
    /// Creators in the ranking, or in the range of it that was read.
    pub(crate) total: u64,
    /// When Redis was last written, ISO 8601.
    pub(crate) updated: Option<String>,
}

/// Which creators a list is of, by score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Range {
    /// At least the bound of `Viral`.
    Viral,
    /// At least the bound of `Hot`.
    Hot,
    /// From the bound of `Warm` to that of `Viral`.
    Rising,
}

/// A platform whose ranking is shown.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    pub(crate) name: String,
    pub(crate) creators: u64,
}

/// The platforms that have a ranking.
#[derive(Debug)]
pub(crate) struct Platforms {
    /// In the order of their names.
    pub(crate) all: Vec<Platform>,
    /// When Redis was last written, ISO 8601.
    pub(crate) updated: Option<String>,
    /// Time of the newest event, ISO 8601.
    pub(crate) newest_event: Option<String>,
}

/// The scores of a ranking.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) total: u64,
    /// Creators by label, from `Viral` to `Cold`.
    pub(crate) labels: [u64; 5],
    pub(crate) greatest: Option<f64>,
    pub(crate) least: Option<f64>,
    /// Of a ranking that is not larger than what is averaged.
    pub(crate) mean: Option<f64>,
    /// When Redis was last written, ISO 8601.
    pub(crate) updated: Option<String>,
}

impl Reader {
    /// From which score on a creator has which label.
    pub(crate) fn labels(&self) -> &Labels {
        &self.labels
    }

    pub(crate) fn new(link: Link, keys: KeyTemplates, labels: Labels) -> Self {
        Self { link, keys, labels }
    }

    /// `count` (at least one) creators of a ranking, from the `first` (0 is the best) on.
    pub(crate) async fn part(
        &self,
        platform: &str,
        first: u64,
        count: u64,
    ) -> Result<Part, Problem> {
        let best = members(&self.keys.ranking_key(platform), first, Some(count));
        let (found, total, updated) = self.of_ranking(platform, best).await?;
        let creators = self.known(platform, found, first + 1..).await?;
        Ok(Part {
            creators,
            total,
            updated,
        })
    }

    /// The same from the other end of the ranking.
    pub(crate) async fn last(
        &self,
        platform: &str,
        first: u64,
        count: u64,
    ) -> Result<Part, Problem> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.keys.ranking_key(platform)).arg(first);
        command.arg(first + count - 1).arg("WITHSCORES");
        let (found, total, updated) = self.of_ranking(platform, command).await?;
        let places = (1..=total.saturating_sub(first)).rev();
        let creators = self.known(platform, found, places).await?;
        Ok(Part {
            creators,
            total,
            updated,
        })
    }

    /// Members that a command finds, how many there are, and when they were written.
    async fn of_ranking(
        &self,
        platform: &str,
        command: Cmd,
    ) -> Result<(Members, u64, Option<String>), Problem> {
        let mut pipeline = redis::pipe();
        pipeline.add_command(command);
        pipeline.cmd("ZCARD").arg(self.keys.ranking_key(platform));
        pipeline.cmd("GET").arg(&self.keys.last_update);
        let found: (Members, u64, Option<String>) = self.link.query(&pipeline).await?;
        if found.1 == 0 {
            return Err(Problem::no_platform(platform));
        }
        Ok(found)
    }

    /// `count` creators of a range of scores, from the `first` (0 is the best of them) on.
    pub(crate) async fn range(
        &self,
        platform: &str,
        range: Range,
        first: u64,
        count: u64,
    ) -> Result<Part, Problem> {
        let key = self.keys.ranking_key(platform);
        let Labels {
            viral, hot, warm, ..
        } = self.labels;
        let (least, below) = match range {
            Range::Viral => (at_least(viral), None),
            Range::Hot => (at_least(hot), None),
            Range::Rising => (at_least(warm), Some(viral)),
        };
        let most = below.map_or_else(|| "+inf".to_owned(), less_than);
        let above = below.map_or_else(|| "(+inf".to_owned(), at_least);
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZREVRANGEBYSCORE").arg(&key).arg(&most);
        pipeline.arg(&least).arg("WITHSCORES");
        pipeline.arg("LIMIT").arg(first).arg(count);
        pipeline.cmd("ZCOUNT").arg(&key).arg(&least).arg(&most);
        pipeline.cmd("ZCOUNT").arg(&key).arg(&above).arg("+inf");
        pipeline.cmd("ZCARD").arg(&key);
        pipeline.cmd("GET").arg(&self.keys.last_update);
        let answer = self.link.query(&pipeline).await?;
        let (found, total, above, all, updated): (Members, u64, u64, u64, Option<String>) = answer;
        if all == 0 {
            return Err(Problem::no_platform(platform));
        }
        let creators = self.known(platform, found, above + first + 1..).await?;
        Ok(Part {
            creators,
            total,
            updated,
        })
    }

    /// Creators that a ranking has at these places, with what their hashes have.
    async fn known(
        &self,
        platform: &str,
        found: Members,
        places: impl Iterator<Item = u64>,
    ) -> Result<Vec<Creator>, Problem> {
        let hashes = self.hashes(platform, &found).await?;
        Ok(Creator::ranked(platform, found, places, hashes))
    }

    async fn hashes(&self, platform: &str, members: &Members) -> Result<Vec<Fields>, Problem> {
        if members.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = Pipeline::with_capacity(members.len());
        for (kol, _) in members {
            pipeline.add_command(hash(self.keys.hash_key(platform, kol)));
        }
        self.link.query(&pipeline).await
    }

    /// Creators by name, with their places; `None` for those that are not known.
    pub(crate) async fn creators(
        &self,
        platform: &str,
        kols: &[String],
    ) -> Result<Vec<Option<Creator>>, Problem> {
        let ranking = self.keys.ranking_key(platform);
        let mut pipeline = Pipeline::with_capacity(2 * kols.len());
        for kol in kols {
            pipeline.add_command(hash(self.keys.hash_key(platform, kol)));
            pipeline.cmd("ZREVRANK").arg(&ranking).arg(kol);
        }
        let answers: Vec<redis::Value> = self.link.query(&pipeline).await?;
        let pairs = kols.iter().zip(answers.chunks(2));
        let creators = pairs.map(|(kol, answers)| {
            let [fields, rank] = answers else {
                return None;
            };
            let fields = redis::from_redis_value(fields.clone()).ok()?;
            let rank: Option<u64> = redis::from_redis_value(rank.clone()).ok()?;
            let creator = Creator::of(platform, kol, fields)?;
            Some(Creator {
                rank: rank.map(|before| before + 1),
                ..creator
            })
        });
        Ok(creators.collect())
    }

    /// Everything that Redis has of one creator.
    pub(crate) async fn creator(&self, platform: &str, kol: &str) -> Result<Creator, Problem> {
        let found = self.creators(platform, &[kol.to_owned()]).await?;
        let found = found.into_iter().next().flatten();
        found.ok_or_else(|| Problem::no_creator(platform, kol))
    }

    /// The platforms whose rankings are shown.
    pub(crate) async fn platforms(&self) -> Result<Platforms, Problem> {
        let mut pipeline = redis::pipe();
        pipeline.cmd("SMEMBERS").arg(self.keys.platforms_key());
        pipeline.cmd("GET").arg(&self.keys.last_update);
        pipeline.cmd("GET").arg(&self.keys.last_event);
        let answer = self.link.query(&pipeline).await?;
        let (mut names, updated, newest_event): (Vec<String>, Option<String>, Option<String>) =
            answer;
        names.sort_unstable();
        let mut counts = Pipeline::with_capacity(names.len());
        for name in &names {
            counts.cmd("ZCARD").arg(self.keys.ranking_key(name));
        }
        let creators: Vec<u64> = match names.len() {
            0 => Vec::new(),
            _ => self.link.query(&counts).await?,
        };
        let all = names.into_iter().zip(creators);
        let all = all.map(|(name, creators)| Platform { name, creators });
        Ok(Platforms {
            all: all.filter(|platform| platform.creators > 0).collect(),
            updated,
            newest_event,
        })
    }

    /// The scores of a ranking.
    pub(crate) async fn summary(&self, platform: &str) -> Result<Summary, Problem> {
        let key = self.keys.ranking_key(platform);
        let Labels {
            viral,
            hot,
            warm,
            normal,
        } = self.labels;
        let mut pipeline = redis::pipe();
        pipeline.cmd("ZCARD").arg(&key);
        for least in [viral, hot, warm, normal] {
            let least = at_least(least);
            pipeline.cmd("ZCOUNT").arg(&key).arg(least).arg("+inf");
        }
        pipeline.add_command(members(&key, 0, Some(1)));
        pipeline.cmd("ZRANGE").arg(&key).arg(0).arg(0);
        pipeline.arg("WITHSCORES");
        pipeline.cmd("GET").arg(&self.keys.last_update);
        type Found = (u64, u64, u64, u64, u64, Members, Members, Option<String>);
        let answer: Found = self.link.query(&pipeline).await?;
        let (total, viral, hot, warm, normal, first, last, updated) = answer;
        if total == 0 {
            return Err(Problem::no_platform(platform));
        }
        let score = |members: Members| members.first().map(|(_, score)| *score);
        let least = [viral, hot, warm, normal, total];
        let before = [0, viral, hot, warm, normal];
        let labels = std::array::from_fn(|at| least[at].saturating_sub(before[at]));
        Ok(Summary {
            total,
            labels,
            greatest: score(first),
            least: score(last),
            mean: self.mean(&key, total).await?,
            updated,
        })
    }

    async fn mean(&self, key: &str, total: u64) -> Result<Option<f64>, Problem> {
        if total > AVERAGED {
            return Ok(None);
        }
        let mut pipeline = redis::pipe();
        pipeline.add_command(members(key, 0, Some(AVERAGED)));
        let (all,): (Members,) = self.link.query(&pipeline).await?;
        let sum: f64 = all.iter().map(|(_, score)| score).sum();
        Ok((!all.is_empty()).then(|| sum / all.len() as f64))
    }

    /// The names that a search looks at.
    pub(crate) async fn names(&self, platform: &str) -> Result<Names, Problem> {
        let first = members(&self.keys.ranking_key(platform), 0, Some(SEARCHED));
        let (found, _, updated) = self.of_ranking(platform, first).await?;
        Ok(Names::new(found, updated))
    }

    /// Creators of a ranking whose places are known.
    pub(crate) async fn named(
        &self,
        platform: &str,
        found: Vec<(u64, String, f64)>,
    ) -> Result<Vec<Creator>, Problem> {
        let places: Vec<u64> = found.iter().map(|(place, ..)| *place).collect();
        let found: Members = found.into_iter().map(|(_, kol, s)| (kol, s)).collect();
        self.known(platform, found, places.into_iter()).await
    }
}

/// A bound as Redis reads it: scores that are shown as this or more.
fn at_least(shown: f64) -> String {
    format!("{:?}", shown::from(shown))
}

/// A bound as Redis reads it: scores that are shown as less.
fn less_than(shown: f64) -> String {
    format!("({:?}", shown::from(shown))
}
