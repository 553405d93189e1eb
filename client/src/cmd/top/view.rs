//! What `top` shows on a terminal: a machine.
//!
//! 1. The ranking that was read last stays while Redis is away, and what was last known of the job while the master is;
//!    the head says so, and since when.
//! 2. Another platform is shown when its ranking was read, never with the rows of the one before.
//! 3. What is shown begins at most at the last row.

use std::collections::VecDeque;

use kol_common::Millis;
use kol_common::error::Shown;
use kol_common::proto::JobStatus;
use kol_common::view::{is_over, job_state};

use super::sources::Ranking;
use crate::complete::platforms_of;
use crate::render::top::{Drawn, Move};
use crate::render::{age, grouped, known};

/// Statuses that the events in a second are computed from.
const STATUSES: usize = 5;

/// See the module.
#[derive(Debug)]
pub(super) struct View {
    platform: String,
    /// All that can be shown, sorted.
    platforms: Vec<String>,
    ranking: Option<Ranking>,
    job: Option<JobStatus>,
    /// The master's wall clock and the events up to then, of the job that is shown.
    counted: VecDeque<(u64, u64)>,
    redis: Option<Away>,
    master: Option<Away>,
    /// Rows above the first one that is shown.
    above: usize,
}

/// Something that does not answer.
#[derive(Debug)]
struct Away {
    since: Millis,
    why: String,
}

impl View {
    pub(super) fn new(platform: String) -> Self {
        Self {
            platforms: vec![platform.clone()],
            platform,
            ranking: None,
            job: None,
            counted: VecDeque::new(),
            redis: None,
            master: None,
            above: 0,
        }
    }

    /// The platform whose ranking is wanted.
    pub(super) fn platform(&self) -> &str {
        &self.platform
    }

    /// What the master says of the job, or why it says nothing.
    pub(super) fn job(&mut self, now: Millis, job: Result<JobStatus, String>) {
        let job = match job {
            Ok(job) => job,
            Err(why) => return note(&mut self.master, now, why),
        };
        self.master = None;
        if self
            .job
            .as_ref()
            .is_some_and(|shown| shown.job_id != job.job_id)
        {
            self.counted.clear();
        }
        let events = job.totals.as_ref().map_or(0, |totals| totals.events);
        self.counted.push_back((job.wall_ms, events));
        if self.counted.len() > STATUSES {
            self.counted.pop_front();
        }
        self.add_platforms(platforms_of(&job));
        self.job = Some(job);
    }

    /// What is in Redis, or why it cannot be read.
    pub(super) fn ranking(&mut self, now: Millis, ranking: Result<Ranking, String>) {
        let ranking = match ranking {
            Ok(ranking) => ranking,
            Err(why) => return note(&mut self.redis, now, why),
        };
        self.redis = None;
        self.add_platforms(ranking.platforms.clone());
        if ranking.platform == self.platform {
            self.above = self.above.min(ranking.rows.len().saturating_sub(1));
            self.ranking = Some(ranking);
        }
    }

    fn add_platforms(&mut self, more: Vec<String>) {
        self.platforms.extend(more);
        self.platforms.sort_unstable();
        self.platforms.dedup();
    }

    /// A key was pressed while so many rows were shown.
    pub(super) fn key(&mut self, key: Move, page: usize) {
        let rows = self
            .ranking
            .as_ref()
            .map_or(0, |ranking| ranking.rows.len());
        let last = rows.saturating_sub(1);
        let above = match key {
            Move::Up => self.above.saturating_sub(1),
            Move::Down => self.above + 1,
            Move::PageUp => self.above.saturating_sub(page),
            Move::PageDown => self.above + page,
            Move::First => 0,
            Move::Last => rows.saturating_sub(page),
            Move::NextPlatform => return self.choose(1),
            Move::PreviousPlatform => return self.choose(self.platforms.len() - 1),
        };
        self.above = above.min(last);
    }

    /// Shows the platform so many places on.
    fn choose(&mut self, by: usize) {
        let at = self.platforms.iter().position(|p| *p == self.platform);
        let next = (at.unwrap_or(0) + by) % self.platforms.len();
        if self.platforms[next] != self.platform {
            self.platform.clone_from(&self.platforms[next]);
            self.ranking = None;
            self.above = 0;
        }
    }

    /// What is to be drawn.
    pub(super) fn shown(&self, now: Millis) -> Drawn<'_> {
        let rows = self.ranking.as_ref().map_or(&[][..], |r| &r.rows);
        let instead = match &self.ranking {
            Some(ranking) if rows.is_empty() => ranking.why_empty(),
            Some(_) => String::new(),
            None => "Reading …".to_owned(),
        };
        Drawn {
            head: self.head(now),
            rows: &rows[self.above.min(rows.len())..],
            instead,
        }
    }

    fn head(&self, now: Millis) -> Vec<String> {
        let others = self.platforms.iter().filter(|p| **p != self.platform);
        let others: Vec<&str> = others.map(String::as_str).collect();
        let others = match &others[..] {
            [] => String::new(),
            others => format!(" (Tab: {})", others.join(", ")),
        };
        let mut head = Vec::new();
        if let Some(job) = &self.job {
            head.push(self.summary(job));
        }
        let time = now.iso();
        head.push(format!(
            "trending on {}{others} at {time}; arrows scroll, q ends",
            self.platform
        ));
        if let Some(away) = &self.master {
            head.push(format!(
                "the master is away, {}; the job is shown as it was",
                away.since(now)
            ));
        }
        if let Some(away) = &self.redis {
            head.push(format!(
                "Redis is away, {}; the ranking is as it was",
                away.since(now)
            ));
        }
        let problems = self.job.iter().flat_map(|job| &job.problems).take(2);
        head.extend(problems.map(|problem| format!("problem  {}", Shown(problem))));
        head
    }

    /// State, events in a second, lag, and how late Redis is.
    fn summary(&self, job: &JobStatus) -> String {
        let name = format!("{}: {}", job.name, job_state(job.state()));
        if is_over(job.state()) {
            return format!("{name}; the ranking is what it left");
        }
        let rate = self.rate().map_or_else(|| "unknown".to_owned(), grouped);
        let redis = match job.staleness_ms {
            0 => "Redis has everything".to_owned(),
            late => format!("Redis is {} behind", age(late)),
        };
        let newest = job.newest_event_ms.map_or_else(String::new, |at| {
            format!(", newest event {} old", age(job.wall_ms.saturating_sub(at)))
        });
        let lag = known(job.lag_records);
        format!("{name}, {rate} events/s, lag {lag}, {redis}{newest}")
    }

    /// Events in a second, once it was counted twice.
    fn rate(&self) -> Option<u64> {
        let (first, last) = (self.counted.front()?, self.counted.back()?);
        let ms = last.0.saturating_sub(first.0);
        (ms > 0).then(|| last.1.saturating_sub(first.1) * 1_000 / ms)
    }
}

fn note(away: &mut Option<Away>, now: Millis, why: String) {
    let since = away.as_ref().map_or(now, |away| away.since);
    *away = Some(Away { since, why });
}

impl Away {
    fn since(&self, now: Millis) -> String {
        format!("for {} ({})", age(now.since(self.since).0), self.why)
    }
}

#[cfg(test)]
mod tests {
    use kol_common::proto::{JobState, PartitionCounters, PlatformMarket};
    use kol_common::redis::ranking::Ranked;

    use super::*;

    fn ranking(platform: &str, names: &[&str]) -> Ranking {
        let row = |(place, name): (u64, &&str)| Ranked {
            place,
            kol: (*name).to_owned(),
            ..Ranked::default()
        };
        Ranking {
            platform: platform.into(),
            key: format!("ranking:{platform}:trending"),
            rows: (1..).zip(names).map(row).collect(),
            platforms: vec!["youtube".into(), "tiktok".into()],
        }
    }

    fn job(id: &str, wall: u64, events: u64) -> JobStatus {
        JobStatus {
            job_id: id.into(),
            name: "kol".into(),
            state: JobState::Running.into(),
            wall_ms: wall,
            lag_records: Some(7),
            staleness_ms: 120,
            totals: Some(PartitionCounters {
                events,
                ..PartitionCounters::default()
            }),
            ..JobStatus::default()
        }
    }

    fn view() -> View {
        let mut view = View::new("tiktok".into());
        view.ranking(Millis(0), Ok(ranking("tiktok", &["a", "b", "c"])));
        view
    }

    fn shown(view: &View) -> Vec<&str> {
        let drawn = view.shown(Millis(0)).rows;
        drawn.iter().map(|row| row.kol.as_str()).collect()
    }

    #[test]
    fn the_head_says_how_the_job_does() {
        let mut view = view();
        view.job(Millis(0), Ok(job("job_1", 1_000, 100)));
        let head = view.shown(Millis(0)).head;
        assert!(
            head[0].contains("kol: running, unknown events/s, lag 7"),
            "{head:?}"
        );
        view.job(Millis(0), Ok(job("job_1", 3_000, 2_600)));
        let head = view.shown(Millis(0)).head;
        let expected = "kol: running, 1,250 events/s, lag 7, Redis is 120 ms behind";
        assert_eq!(head[0], expected);
        // The events of another job are no gain.
        view.job(Millis(0), Ok(job("job_2", 4_000, 9_000)));
        assert!(view.shown(Millis(0)).head[0].contains("unknown events/s"));
    }

    #[test]
    fn an_outage_of_redis_or_the_master_leaves_what_was_read_last_and_is_named() {
        let mut view = view();
        view.job(Millis(0), Ok(job("job_1", 1_000, 0)));
        for second in [1_000, 2_000] {
            view.ranking(Millis(second), Err("SINK_UNREACHABLE: x".into()));
            view.job(Millis(second), Err("MASTER_UNREACHABLE: y".into()));
        }
        let drawn = view.shown(Millis(5_000));
        assert_eq!(shown(&view), ["a", "b", "c"]);
        let head = drawn.head.join("\n");
        assert!(
            head.contains("Redis is away, for 4.0 s (SINK_UNREACHABLE: x)"),
            "{head}"
        );
        assert!(
            head.contains("the master is away, for 4.0 s (MASTER_UNREACHABLE: y)"),
            "{head}"
        );
        assert!(head.contains("kol: running"), "{head}");
        view.ranking(Millis(6_000), Ok(ranking("tiktok", &["d"])));
        view.job(Millis(6_000), Ok(job("job_1", 2_000, 0)));
        assert!(!view.shown(Millis(6_000)).head.join("\n").contains("away"));
        assert_eq!(shown(&view), ["d"]);
    }

    #[test]
    fn tab_shows_the_other_platforms_and_never_the_rows_of_the_one_before() {
        let mut view = view();
        let market = PlatformMarket {
            platform: "instagram".into(),
            ..PlatformMarket::default()
        };
        let with_market = JobStatus {
            market: vec![market],
            ..job("job_1", 1_000, 0)
        };
        view.job(Millis(0), Ok(with_market));
        view.key(Move::NextPlatform, 10);
        assert_eq!(view.platform(), "youtube");
        assert!(shown(&view).is_empty());
        view.ranking(Millis(0), Ok(ranking("tiktok", &["a"])));
        assert!(shown(&view).is_empty(), "it was on its way");
        view.ranking(Millis(0), Ok(ranking("youtube", &["z"])));
        assert_eq!(shown(&view), ["z"]);
        view.key(Move::NextPlatform, 10);
        assert_eq!(view.platform(), "instagram");
        view.key(Move::PreviousPlatform, 10);
        assert_eq!(view.platform(), "youtube");
    }

    #[test]
    fn it_scrolls_down_to_the_last_row_and_no_further() {
        let mut view = view();
        view.key(Move::Down, 2);
        assert_eq!(shown(&view), ["b", "c"]);
        view.key(Move::PageDown, 2);
        view.key(Move::Down, 2);
        assert_eq!(shown(&view), ["c"]);
        view.key(Move::PageUp, 2);
        assert_eq!(shown(&view), ["a", "b", "c"]);
        view.key(Move::Last, 2);
        assert_eq!(shown(&view), ["b", "c"]);
        // A ranking that has become shorter.
        view.ranking(Millis(0), Ok(ranking("tiktok", &["a"])));
        assert_eq!(shown(&view), ["a"]);
    }

    #[test]
    fn an_empty_ranking_names_its_key_and_the_platforms_that_have_one() {
        let mut view = View::new("tiktok".into());
        assert_eq!(view.shown(Millis(0)).instead, "Reading …");
        view.ranking(Millis(0), Ok(ranking("tiktok", &[])));
        let instead = view.shown(Millis(0)).instead;
        assert!(instead.contains("ranking:tiktok:trending"), "{instead}");
        assert!(instead.contains("youtube, tiktok"), "{instead}");
    }
}
