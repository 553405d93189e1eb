//! The alerts of a job: of what they are raised, and where they go.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SecretRef;
use crate::time::Millis;

/// Rules, and where an alert goes; without rules there are none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertsSpec {
    /// Topic of the job's Kafka cluster.
    pub topic: Option<String>,
    /// URL that alerts are posted to.
    pub webhook: Option<String>,
    /// Reference to what proves to the webhook who posts. Its list of hosts says which URL is allowed, so that none is
    /// posted to without it.
    pub webhook_token: Option<SecretRef>,
    /// Reference to certificates of those who may sign the webhook's; `None` = those that the host trusts.
    pub webhook_ca: Option<SecretRef>,
    /// The rules, each with a name of its own.
    pub rules: Vec<AlertRule>,
}

/// One of the rules of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertRule {
    /// Unique in the job: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What must become true of a creator.
    pub when: Condition,
    /// The only platform that it is about, in lower case; `None` = all.
    pub platform: Option<String>,
    /// Event time in which it raises one alert about a creator.
    pub silence: Millis,
}

/// What is looked for in what a creator's hash shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The label is this one, or a higher one.
    Label(Label),
    /// Engagement a minute is above this.
    VelocityAbove(f64),
    /// Velocity, as a multiple of the creator's own baseline, is above this.
    GrowthAbove(f64),
    /// The score is above this.
    ScoreAbove(f64),
    /// The place in the ranking, from 1, is at most this.
    RankAtMost(u64),
    /// Places were gained in the ranking.
    RankRises {
        /// At least so many.
        places: u64,
        /// Since then, in event time.
        within: Millis,
    },
}

/// A label that a creator can reach; below them all it is `Cold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Label {
    /// From `scoring.labels.normal` on.
    Normal,
    /// From `scoring.labels.warm` on.
    Warm,
    /// From `scoring.labels.hot` on.
    Hot,
    /// From `scoring.labels.viral` on.
    Viral,
}

impl Label {
    /// From the lowest to the highest.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Warm, Self::Hot, Self::Viral];

    /// As hashes have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warm => "Warm",
            Self::Hot => "Hot",
            Self::Viral => "Viral",
        }
    }

    /// This one and those above it.
    pub fn and_above(self) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |label| *label >= self)
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(label) => write!(f, "label {} reached", label.as_str()),
            Self::VelocityAbove(least) => write!(f, "velocity above {least}"),
            Self::GrowthAbove(least) => write!(f, "growth above {least}"),
            Self::ScoreAbove(least) => write!(f, "score above {least}"),
            Self::RankAtMost(most) => write!(f, "rank {most} reached"),
            Self::RankRises { places, within } => {
                write!(f, "{places} places gained within {within}")
            }
        }
    }
}

impl AlertsSpec {
    /// Whether no alert is raised.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules about a platform.
    pub fn rules_of<'a>(&'a self, platform: &'a str) -> impl Iterator<Item = &'a AlertRule> {
        let is_about =
            move |rule: &&AlertRule| rule.platform.as_deref().is_none_or(|p| p == platform);
        self.rules.iter().filter(is_about)
    }
}

/// `host:port` of a URL of a webhook.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn webhook_host(url: &str) -> Result<String, String> {
    const WRITE: &str = "write https://HOST/PATH, or http://localhost:PORT/PATH to try it out";
    let url: reqwest::Url = url.parse().map_err(|e| format!("{e}: {WRITE}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!(
            "has a login in it, which is no secret here; use alerts.webhook_token: {WRITE}"
        ));
    }
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(format!("has no host: {WRITE}"));
    };
    let address: Result<std::net::IpAddr, _> = host.trim_matches(['[', ']']).parse();
    let is_loopback = address.map_or(host == "localhost", |address| address.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        "http" => return Err(format!("is not encrypted: {WRITE}")),
        _ => return Err(format!("is neither https nor http: {WRITE}")),
    }
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_encrypted_unless_it_is_on_this_machine() {
        for (url, host) in [
            ("https://hooks.example/kol?a=b", "hooks.example:443"),
            ("https://hooks.example:8443", "hooks.example:8443"),
            ("http://localhost:9000/x", "localhost:9000"),
            ("http://127.0.0.1:9000", "127.0.0.1:9000"),
            ("http://[::1]:9000/", "[::1]:9000"),
        ] {
            assert_eq!(webhook_host(url).as_deref(), Ok(host), "{url}");
        }
        for url in [
            "http://hooks.example/",
            "http://localhost.evil.example/",
            "http://10.0.0.1/",
            "https://u:p@hooks.example/",
            "https://u@hooks.example/",
            "ftp://hooks.example/",
            "file:///etc/passwd",
            "hooks.example",
            "",
        ] {
            let why = webhook_host(url).unwrap_err();
            assert!(why.contains("write https://"), "{url}: {why}");
        }
    }

    #[test]
    fn a_label_is_reached_by_itself_and_by_those_above() {
        let above: Vec<_> = Label::Hot.and_above().map(Label::as_str).collect();
        assert_eq!(above, ["Hot", "Viral"]);
    }
}
