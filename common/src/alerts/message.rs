//! What an alert says.

use std::fmt::Write as _;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize, Serializer};

use crate::Millis;
use crate::job::{AlertRule, Condition, JobSpec};

/// Bytes of a key's hash that are written: enough that no two alerts of a job have one.
const KEY_BYTES: usize = 16;
/// Below it every whole number is exact: 2 to the power of 53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// An alert as it waits in Redis, written by the script that raised it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Raised {
    /// Name of the rule.
    pub rule: String,
    /// Platform of the creator.
    pub platform: String,
    /// Name of the creator.
    pub kol: String,
    /// End of the window in which the rule became true, ISO 8601.
    pub window_end: String,
    /// When it was raised, ISO 8601.
    pub raised_at: String,
    /// What the creator's hash shows then: label, score, velocity, growth, events and engagement of its window.
    pub trending_label: String,
    /// See `trending_label`.
    pub trending_score: String,
    /// See `trending_label`.
    pub velocity: String,
    /// See `trending_label`.
    pub personal_growth: String,
    /// See `trending_label`.
    pub event_count: String,
    /// See `trending_label`.
    pub total_engagement: String,
    /// Of a rule about ranks: the place in the ranking, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u64>,
    /// Of a rule about places gained: the place before, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_before: Option<u64>,
}

/// An alert as its destinations get it, as JSON. `docs/alerts.md` describes its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for each delivery of one alert, and of no other.
    pub key: String,
    /// It was sent to try the way out: nothing happened.
    pub test: bool,
    /// Name of the job.
    pub job: String,
    /// Name of the rule.
    pub rule: String,
    /// Platform of the creator.
    pub platform: String,
    /// Name of the creator.
    pub kol: String,
    /// End of the window in which the rule became true, ISO 8601.
    pub window_end: String,
    /// When it was raised, ISO 8601.
    pub raised_at: String,
    /// What the creator's hash showed then.
    pub trending_label: String,
    /// Between 0 and 100.
    pub trending_score: f64,
    /// Engagement a minute.
    pub velocity: f64,
    /// Velocity, as a multiple of the creator's own baseline.
    pub personal_growth: f64,
    /// Events in the window.
    #[serde(serialize_with = "plain")]
    pub event_count: f64,
    /// Engagement in the window.
    #[serde(serialize_with = "plain")]
    pub total_engagement: f64,
    /// Of a rule about ranks: the place in the ranking, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u64>,
    /// Of a rule about places gained: the place before, unless the creator was not in the ranking that is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank_before: Option<u64>,
}

impl Raised {
    /// As it is sent for a job.
    pub fn of_job(self, job: &str) -> Alert {
        // A number that cannot be read is none: the alert is about its rule.
        let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite());
        let number = |text: &str| number(text).unwrap_or_default();
        Alert {
            key: key([job, &self.rule, &self.platform, &self.kol, &self.window_end]),
            test: false,
            job: job.to_owned(),
            trending_score: number(&self.trending_score),
            velocity: number(&self.velocity),
            personal_growth: number(&self.personal_growth),
            event_count: number(&self.event_count),
            total_engagement: number(&self.total_engagement),
            rank: self.rank,
            rank_before: self.rank_before,
            rule: self.rule,
            platform: self.platform,
            kol: self.kol,
            window_end: self.window_end,
            raised_at: self.raised_at,
            trending_label: self.trending_label,
        }
    }
}

impl Alert {
    /// One that tries the way out for a rule of a job, at this time.
    pub fn test(spec: &JobSpec, rule: &AlertRule, now: Millis) -> Self {
        let platform = rule.platform.as_ref();
        let platform = platform.unwrap_or(&spec.scoring.default_platform);
        let (rank, rank_before) = match rule.when {
            Condition::RankAtMost(most) => (Some(most), None),
            Condition::RankRises { places, .. } => (Some(1), Some(1 + places)),
            _ => (None, None),
        };
        let raised = Raised {
            rule: rule.name.clone(),
            platform: platform.clone(),
            kol: "kol-test".into(),
            window_end: now.iso(),
            raised_at: now.iso(),
            trending_label: "Viral".into(),
            trending_score: "99.99".into(),
            velocity: "123.45".into(),
            personal_growth: "6.7".into(),
            event_count: "8".into(),
            total_engagement: "9000".into(),
            rank,
            rank_before,
        };
        Self {
            test: true,
            ..raised.of_job(&spec.name)
        }
    }

    /// As destinations get it.
    pub fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// A count: a whole number has no decimal places.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
fn plain<S: Serializer>(number: &f64, out: S) -> Result<S::Ok, S::Error> {
    if number.fract() == 0.0 && number.abs() < EXACT {
        return out.serialize_i64(*number as i64);
    }
    out.serialize_f64(*number)
}

/// The idempotency key of an alert: a hash, since a name may be long, or not be one that a header can have.
fn key(parts: [&str; 5]) -> String {
    let hash = digest(&SHA256, parts.join("\0").as_bytes());
    let mut key = String::with_capacity(2 * KEY_BYTES);
    for byte in &hash.as_ref()[..KEY_BYTES] {
        // Writing to a String cannot fail.
        let _infallible = write!(key, "{byte:02x}");
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raised() -> Raised {
        Raised {
            rule: "viral".into(),
            platform: "tiktok".into(),
            kol: "Nguyễn".into(),
            window_end: "2026-11-27T05:00:00.000Z".into(),
            raised_at: "2026-11-27T04:10:00.000Z".into(),
            trending_label: "Viral".into(),
            trending_score: "83.20".into(),
            velocity: "12.5000".into(),
            personal_growth: "3.1000".into(),
            event_count: "7".into(),
            total_engagement: "1000.5".into(),
            rank: None,
            rank_before: None,
        }
    }

    #[test]
    fn an_alert_has_one_key_however_often_it_is_sent_and_no_other_alert_has_it() {
        let one = raised().of_job("kol");
        let again = Raised {
            raised_at: "2026-11-27T04:11:00.000Z".into(),
            trending_score: "84.00".into(),
            ..raised()
        };
        assert_eq!(again.of_job("kol").key, one.key);
        assert_eq!(one.key.len(), 32);
        for other in [
            raised().of_job("kol2").key,
            Raised {
                rule: "fast".into(),
                ..raised()
            }
            .of_job("kol")
            .key,
            Raised {
                platform: "youtube".into(),
                ..raised()
            }
            .of_job("kol")
            .key,
            Raised {
                kol: "Nguyen".into(),
                ..raised()
            }
            .of_job("kol")
            .key,
            Raised {
                window_end: "2026-11-27T06:00:00.000Z".into(),
                ..raised()
            }
            .of_job("kol")
            .key,
        ] {
            assert_ne!(other, one.key);
        }
    }

    #[test]
    fn an_alert_is_json_with_numbers_as_numbers() {
        let json: serde_json::Value =
            serde_json::from_slice(&raised().of_job("kol").json()).unwrap();
        assert_eq!(json["trending_score"], 83.2);
        let text = String::from_utf8(raised().of_job("kol").json()).unwrap();
        assert!(text.contains("\"event_count\":7,"), "{text}");
        assert!(text.contains("\"total_engagement\":1000.5}"), "{text}");
        assert_eq!(json["kol"], "Nguyễn");
        assert_eq!(json["test"], false);
        assert_eq!(json.get("rank"), None);
    }

    #[test]
    fn a_test_of_a_rule_about_ranks_has_a_rank_as_the_rule_wants_it() {
        let spec = "name = \"j\"\n[alerts]\ntopic = \"t\"\n\
            [[alerts.rules]]\nname = \"top\"\nrank_at_most = 10\n\
            [[alerts.rules]]\nname = \"up\"\nrank_rises = 50\n";
        let spec = crate::job::parse(spec, "j").unwrap().spec;
        let tests = spec.alerts.rules.iter();
        let tests = tests.map(|rule| Alert::test(&spec, rule, Millis(0)));
        let ranks: Vec<_> = tests.map(|alert| (alert.rank, alert.rank_before)).collect();
        assert_eq!(ranks, [(Some(10), None), (Some(1), Some(51))]);
    }
}
