//! Parameters of requests, and what they may be. All are input of strangers: each has a bound, and one that is not known
//! is refused with the names of those that are.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use kol_common::Millis;
use kol_common::event::{MAX_ID, MAX_PLATFORM, parse_time};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::{IntoParams, ToSchema};

use crate::history::Span;
use crate::problem::Problem;
use crate::words::plain;

/// Creators in one answer.
const LIMIT: u64 = 200;
/// Creators in one page of `/api/v1/kols`.
const PAGE: u64 = 100;
/// Creators that are compared.
const COMPARED: usize = 10;
/// Names that a search finds.
const FOUND: u64 = 50;
/// Bytes of a text that is searched for.
const TEXT: usize = 100;
/// The last place and the last page that can be requested.
const LAST: u64 = 1_000_000_000;

/// Parameters that were read and may be used.
#[derive(Debug)]
pub(crate) struct Params<T>(pub(crate) T);

/// The name of a creator in a path.
#[derive(Debug)]
pub(crate) struct KolId(pub(crate) String);

/// Says whether parameters are within their bounds.
pub(crate) trait Bounded {
    /// # Errors
    /// Which is not.
    fn check(&self) -> Result<(), Problem>;
}

impl<S: Send + Sync, T: DeserializeOwned + Bounded> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::from_request_parts(parts, state).await;
        let Query(params): Query<T> = read.map_err(|e| Problem::invalid(plain(&e.body_text())))?;
        params.check()?;
        Ok(Self(params))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KolId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::from_request_parts(parts, state).await;
        let Path(kol): Path<String> = read.map_err(|e| Problem::invalid(e.body_text()))?;
        check_kol(&kol)?;
        Ok(Self(kol))
    }
}

/// `trending`: what rankings there are.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Metric {
    Trending,
}

/// A label, in letters of either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub(crate) enum Label {
    #[serde(alias = "viral")]
    Viral,
    #[serde(alias = "hot")]
    Hot,
    #[serde(alias = "warm")]
    Warm,
    #[serde(alias = "normal")]
    Normal,
    #[serde(alias = "cold")]
    Cold,
}

impl Label {
    /// As it stands in a hash.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Viral => "Viral",
            Self::Hot => "Hot",
            Self::Warm => "Warm",
            Self::Normal => "Normal",
            Self::Cold => "Cold",
        }
    }
}

/// Of lists of a ranking.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Listing {
    /// Platform; that of the job's spec, or `tiktok`, when left out.
    pub(crate) platform: Option<String>,
    /// Which ranking: there is one.
    #[param(default = "trending")]
    pub(crate) metric: Metric,
    /// Creators at most.
    #[param(default = 50, minimum = 1, maximum = 200)]
    pub(crate) limit: u64,
    /// Places of the ranking that are passed over.
    #[param(default = 0, maximum = 1_000_000_000)]
    pub(crate) offset: u64,
    /// Only creators with this label.
    pub(crate) label: Option<Label>,
    /// Only creators with so many events in the window.
    pub(crate) min_events: Option<u64>,
    /// The ranking as it was at this time of events, ISO 8601 or Unix time: as far as it is kept, with ranks, scores and
    /// labels. Not of streams, and not with `min_events`.
    pub(crate) at: Option<String>,
}

impl Listing {
    /// The time of the ranking, if it is not the present one.
    pub(crate) fn time(&self) -> Option<Millis> {
        self.at.as_deref().and_then(parse_time)
    }
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            platform: None,
            metric: Metric::Trending,
            limit: 50,
            offset: 0,
            label: None,
            min_events: None,
            at: None,
        }
    }
}

impl Bounded for Listing {
    fn check(&self) -> Result<(), Problem> {
        check_platform(&self.platform)?;
        check_number("limit", self.limit, 1, LIMIT)?;
        check_number("offset", self.offset, 0, LAST)?;
        check_at(self)
    }
}

/// Of who has gained most places.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Climbing {
    /// Platform; that of the job's spec, or `tiktok`, when left out.
    pub(crate) platform: Option<String>,
    /// Since when: an hour or a day ago.
    #[param(default = "1h")]
    pub(crate) span: Span,
    /// Creators at most.
    #[param(default = 10, minimum = 1, maximum = 200)]
    pub(crate) limit: u64,
}

impl Default for Climbing {
    fn default() -> Self {
        Self {
            platform: None,
            span: Span::Hour,
            limit: 10,
        }
    }
}

impl Bounded for Climbing {
    fn check(&self) -> Result<(), Problem> {
        check_platform(&self.platform)?;
        check_number("limit", self.limit, 1, LIMIT)
    }
}

/// Of lists of a range of scores.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Ranged {
    /// Platform; that of the job's spec, or `tiktok`, when left out.
    pub(crate) platform: Option<String>,
    /// Creators at most.
    #[param(default = 50, minimum = 1, maximum = 200)]
    pub(crate) limit: u64,
    /// Creators of the range that are passed over.
    #[param(default = 0, maximum = 1_000_000_000)]
    pub(crate) offset: u64,
}

impl Default for Ranged {
    fn default() -> Self {
        Self {
            platform: None,
            limit: 50,
            offset: 0,
        }
    }
}

impl Bounded for Ranged {
    fn check(&self) -> Result<(), Problem> {
        check_platform(&self.platform)?;
        check_number("limit", self.limit, 1, LIMIT)?;
        check_number("offset", self.offset, 0, LAST)
    }
}

/// Of what is about a platform as a whole, or about one creator of it.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfPlatform {
    /// Platform; that of the job's spec, or `tiktok`, when left out.
    pub(crate) platform: Option<String>,
}

impl Bounded for OfPlatform {
    fn check(&self) -> Result<(), Problem> {
        check_platform(&self.platform)
    }
}

/// Of what takes none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

impl Bounded for Nothing {
    fn check(&self) -> Result<(), Problem> {
        Ok(())
    }
}

/// Which creators are compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Compared {
    /// Names of at most ten creators, separated by commas.
    pub(crate) kol_ids: String,
    /// Platform; that of the job's spec, or `tiktok`, when left out.
    pub(crate) platform: Option<String>,
}

impl Compared {
    /// Each once, in their order.
    pub(crate) fn kols(&self) -> Vec<String> {
        let mut kols: Vec<String> = Vec::new();
        for kol in self.kol_ids.split(',').map(str::trim) {
            if !kols.iter().any(|known| known == kol) {
                kols.push(kol.to_owned());
            }
        }
        kols
    }
}

impl Bounded for Compared {
    fn check(&self) -> Result<(), Problem> {
        check_platform(&self.platform)?;
        let count = self.kol_ids.split(',').count();
        if count > COMPARED {
            let what = format!("kol_ids names {count} creators: at most {COMPARED} are compared");
            return Err(Problem::invalid(what));
        }
        self.kols().iter().try_for_each(|kol| check_kol(kol))
    }
}

/// The order of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Direction {
    Asc,
    Desc,
}

/// What pages are ordered by.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OrderBy {
    TrendingScore,
}

/// A page of creators.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paged {
    /// Platform; that of the job's spec, or `tiktok`, when left out.
    pub(crate) platform: Option<String>,
    /// Number of the page, from 1.
    #[param(default = 1, minimum = 1, maximum = 1_000_000)]
    pub(crate) page: u64,
    /// Creators of a page.
    #[param(default = 20, minimum = 1, maximum = 100)]
    pub(crate) page_size: u64,
    /// What they are ordered by: the ranking.
    #[param(default = "trending_score")]
    pub(crate) order_by: OrderBy,
    /// Highest or lowest first.
    #[param(default = "desc")]
    pub(crate) order_dir: Direction,
}

impl Default for Paged {
    fn default() -> Self {
        Self {
            platform: None,
            page: 1,
            page_size: 20,
            order_by: OrderBy::TrendingScore,
            order_dir: Direction::Desc,
        }
    }
}

impl Paged {
    /// Creators on the pages before.
    pub(crate) fn first(&self) -> u64 {
        (self.page - 1) * self.page_size
    }
}

impl Bounded for Paged {
    fn check(&self) -> Result<(), Problem> {
        check_platform(&self.platform)?;
        check_number("page", self.page, 1, 1_000_000)?;
        check_number("page_size", self.page_size, 1, PAGE)
    }
}

/// What is looked for, and how many at most.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// A part of the name, letters of either case; at most 100 bytes.
    pub(crate) q: String,
    /// Platform; that of the job's spec, or `tiktok`, when left out.
    pub(crate) platform: Option<String>,
    /// Creators at most.
    #[serde(default = "ten")]
    #[param(default = 10, minimum = 1, maximum = 50)]
    pub(crate) limit: u64,
}

impl Bounded for Search {
    fn check(&self) -> Result<(), Problem> {
        check_platform(&self.platform)?;
        check_text("q", &self.q)?;
        check_number("limit", self.limit, 1, FOUND)
    }
}

/// The beginning of a name.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Suggest {
    /// How the name begins, letters of either case; at most 100 bytes.
    pub(crate) prefix: String,
    /// Platform; that of the job's spec, or `tiktok`, when left out.
    pub(crate) platform: Option<String>,
    /// Names at most.
    #[serde(default = "ten")]
    #[param(default = 10, minimum = 1, maximum = 50)]
    pub(crate) limit: u64,
}

impl Bounded for Suggest {
    fn check(&self) -> Result<(), Problem> {
        check_platform(&self.platform)?;
        check_text("prefix", &self.prefix)?;
        check_number("limit", self.limit, 1, FOUND)
    }
}

fn ten() -> u64 {
    10
}

fn check_number(name: &str, number: u64, least: u64, most: u64) -> Result<(), Problem> {
    if (least..=most).contains(&number) {
        return Ok(());
    }
    let what = format!("{name} is from {least} to {most}, not {number}");
    Err(Problem::invalid(what))
}

fn check_at(wanted: &Listing) -> Result<(), Problem> {
    if wanted.at.is_some() && wanted.time().is_none() {
        return Err(Problem::invalid(
            "at is a time, such as 2025-07-01T09:00:00Z",
        ));
    }
    if wanted.at.is_some() && wanted.min_events.is_some() {
        return Err(Problem::invalid(
            "min_events does not go with at: earlier rankings have no events",
        ));
    }
    Ok(())
}

fn check_text(name: &str, text: &str) -> Result<(), Problem> {
    if text.is_empty() || text.len() > TEXT {
        return Err(Problem::invalid(format!("{name} has 1 to {TEXT} bytes")));
    }
    Ok(())
}

/// A platform that a job can have: in keys a colon separates it from creators.
fn check_platform(platform: &Option<String>) -> Result<(), Problem> {
    let Some(platform) = platform else {
        return Ok(());
    };
    if platform.is_empty() || platform.len() > MAX_PLATFORM || platform.contains(':') {
        let what = format!("a platform has 1 to {MAX_PLATFORM} bytes, and no colon");
        return Err(Problem::invalid(what));
    }
    Ok(())
}

fn check_kol(kol: &str) -> Result<(), Problem> {
    if kol.is_empty() || kol.len() > MAX_ID {
        let what = format!("the name of a creator has 1 to {MAX_ID} bytes");
        return Err(Problem::invalid(what));
    }
    Ok(())
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
