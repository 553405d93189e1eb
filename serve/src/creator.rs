//! A creator, as its hash and the ranking have it. What they do not have is absent.

use kol_common::redis::ranking::Members;
use kol_common::scoring::schema::{KOL_ID, PLATFORM, UPDATED_AT, all_names};
use redis::Cmd;
use serde::Serialize;
use serde_json::Number;
use utoipa::ToSchema;

use crate::history::Changes;
use crate::shown;

/// Everything that is shown of a creator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub(crate) struct Creator {
    /// Name of the creator, as in the ranking.
    pub(crate) kol_id: String,
    /// Platform of the creator, in lower case.
    pub(crate) platform: String,
    /// Place in the ranking, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rank: Option<u64>,
    #[serde(flatten)]
    pub(crate) changes: Changes,
    /// 0 to 100, two decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) trending_score: Option<Number>,
    /// `Viral`, `Hot`, `Warm`, `Normal` or `Cold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trending_label: Option<String>,
    /// Engagements a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) velocity: Option<Number>,
    /// Relative change of velocity from one window to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) momentum: Option<Number>,
    /// Term of the score: velocity against the creator's own baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) personal_growth: Option<Number>,
    /// Term of the score: velocity against the market.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) market_position: Option<Number>,
    /// The score before its curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) raw_score: Option<Number>,
    /// Own baseline, engagements a minute; 0 while the market stands in for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) baseline: Option<Number>,
    /// Profile `rising`: what the score follows from, growth and a fifth of the size in the market; doublings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) rising: Option<Number>,
    /// Profile `rising`: doublings of velocity over what is usual; 0 of a newcomer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) growth: Option<Number>,
    /// Profile `rising`: usual velocity, engagements a minute; 0 of a newcomer.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) usual: Option<Number>,
    /// Profile `rising`: the part of velocity that newest rates amount to, carried on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) provisional: Option<Number>,
    /// Profile `rising`: 1 while too little is known of the creator to say what is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    pub(crate) newcomer: Option<Number>,
    /// Events in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64)]
    pub(crate) event_count: Option<Number>,
    /// Engagements in the window.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    pub(crate) total_engagement: Option<Number>,
    /// End of the window, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) window_end: Option<String>,
    /// When this was written, ISO 8601.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) updated_at: Option<String>,
}

/// A creator in a list.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Row {
    /// Name of the creator, as in the ranking.
    kol_id: String,
    /// 0 to 100, two decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    score: Option<Number>,
    /// Place in the ranking, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<u64>,
    #[serde(flatten)]
    changes: Changes,
    /// `Viral`, `Hot`, `Warm`, `Normal` or `Cold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Engagements a minute.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    velocity: Option<Number>,
    /// Relative change of velocity from one window to the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = f64)]
    momentum: Option<Number>,
}

impl From<Creator> for Row {
    fn from(creator: Creator) -> Self {
        Self {
            kol_id: creator.kol_id,
            score: creator.trending_score,
            rank: creator.rank,
            changes: creator.changes,
            label: creator.trending_label,
            velocity: creator.velocity,
            momentum: creator.momentum,
        }
    }
}

/// What [`hash`] answers.
pub(crate) type Fields = Vec<Option<String>>;

/// Reads a hash. Answers with [`Fields`].
pub(crate) fn hash(key: String) -> Cmd {
    let mut command = redis::cmd("HMGET");
    command.arg(key);
    for name in names() {
        command.arg(name);
    }
    command
}

fn names() -> impl Iterator<Item = &'static str> {
    [KOL_ID, PLATFORM, UPDATED_AT]
        .into_iter()
        .chain(all_names())
}

impl Creator {
    /// From the hash of this creator; `None` where there is none, or where the hash is somebody else's: keys are made of
    /// names, and two pairs of names may make one key.
    pub(crate) fn of(platform: &str, kol: &str, fields: Fields) -> Option<Self> {
        let values = names().zip(fields);
        let texts = values.filter_map(|(name, value)| Some((name, value?)));
        let texts: Vec<(&str, String)> = texts.collect();
        let text = |name: &str| {
            let found = texts.iter().find(|(is, _)| *is == name);
            found.map(|(_, text)| text.clone())
        };
        let number = |name| shown::number(&text(name)?);
        if text(KOL_ID)? != kol || text(PLATFORM)? != platform {
            return None;
        }
        Some(Self {
            kol_id: kol.to_owned(),
            platform: platform.to_owned(),
            rank: None,
            changes: Changes::default(),
            trending_score: number("trending_score"),
            trending_label: text("trending_label"),
            velocity: number("velocity"),
            momentum: number("momentum"),
            personal_growth: number("personal_growth"),
            market_position: number("market_position"),
            raw_score: number("raw_score"),
            baseline: number("baseline"),
            rising: number("rising"),
            growth: number("growth"),
            usual: number("usual"),
            provisional: number("provisional"),
            newcomer: number("newcomer"),
            event_count: number("event_count"),
            total_engagement: number("total_engagement"),
            window_end: text("window_end"),
            updated_at: text(UPDATED_AT),
        })
    }

    /// The creators of a part of a ranking, with the places that they have there. A score that the ranking has and the
    /// hash does not is shown all the same.
    pub(crate) fn ranked(
        platform: &str,
        members: Members,
        places: impl Iterator<Item = u64>,
        hashes: Vec<Fields>,
    ) -> Vec<Self> {
        let rows = members.into_iter().zip(places).zip(hashes);
        let rows = rows.map(|(((kol, score), place), fields)| {
            let known = Self::of(platform, &kol, fields).unwrap_or_else(|| Self {
                kol_id: kol,
                platform: platform.to_owned(),
                ..Self::default()
            });
            Self {
                rank: Some(place),
                trending_score: shown::score(score),
                ..known
            }
        });
        rows.collect()
    }

    /// A creator as a snapshot of the ranking has it.
    pub(crate) fn earlier(
        platform: &str,
        kol: &str,
        place: u64,
        score: f64,
        label: &'static str,
    ) -> Self {
        Self {
            kol_id: kol.to_owned(),
            platform: platform.to_owned(),
            rank: Some(place),
            trending_score: shown::score(score),
            trending_label: Some(label.to_owned()),
            ..Self::default()
        }
    }

    /// Events in its window; 0 where that is not known.
    pub(crate) fn events(&self) -> u64 {
        let events = self.event_count.as_ref().and_then(Number::as_u64);
        events.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(known: &[(&str, &str)]) -> Fields {
        let value = |name| {
            let found = known.iter().find(|(is, _)| *is == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        names().map(value).collect()
    }

    #[test]
    fn every_field_of_the_score_is_shown_under_its_name() {
        let mut known: Vec<(&str, String)> = all_names().map(|name| (name, "1".into())).collect();
        known.push((UPDATED_AT, "1".into()));
        known.push((KOL_ID, "a".into()));
        known.push((PLATFORM, "tiktok".into()));
        let known: Vec<_> = known.iter().map(|(n, t)| (*n, t.as_str())).collect();
        let creator = Creator::of("tiktok", "a", fields(&known)).unwrap();
        let shown = serde_json::to_value(creator).unwrap();
        for (name, _) in known {
            assert!(!shown[name].is_null(), "{name}");
        }
    }

    #[test]
    fn a_hash_of_another_creator_is_not_shown_as_this_one() {
        let theirs = [(KOL_ID, "b:a"), (PLATFORM, "tiktok"), ("velocity", "1")];
        assert_eq!(Creator::of("tiktok:b", "a", fields(&theirs)), None);
        assert!(Creator::of("tiktok", "b:a", fields(&theirs)).is_some());
        assert_eq!(Creator::of("tiktok", "a", fields(&[])), None);
    }

    #[test]
    fn what_is_not_known_is_absent() {
        let members = vec![("a".to_owned(), 61.004)];
        let rows = Creator::ranked("tiktok", members, 3.., vec![fields(&[])]);
        let rows: Vec<Row> = rows.into_iter().map(Row::from).collect();
        let shown = serde_json::to_value(rows).unwrap();
        let expected = serde_json::json!([{"kol_id": "a", "score": 61.0, "rank": 3}]);
        assert_eq!(shown, expected);
    }
}
