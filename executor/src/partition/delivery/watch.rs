//! The calls that look at the rules of alerts, for the creators of a flush. A job without rules has none.

use std::fmt::Write as _;

use kol_common::Millis;
use kol_common::alerts::Kind;
use kol_common::job::{AlertRule, AlertsSpec, Condition, JobSpec, KeyTemplates, pending_key};
use kol_common::redis::history::{PLACES, slack};
use redis::Cmd;

use crate::sink::calls::{ALERT_FIELDS, AlertArgument, AlertKey};
use crate::sink::{MOST_WAITING, script};

/// How long they wait, ms: nobody wants to know of last week.
const KEEP: u64 = 7 * 86_400_000;
/// How long what rules know of a platform is remembered after it changed last, ms.
const REMEMBER: u64 = 30 * 86_400_000;

/// See the module.
#[derive(Debug)]
pub struct Watch {
    keys: KeyTemplates,
    alerts: AlertsSpec,
    /// Alerts that wait, by their destination.
    pending: [String; 2],
}

/// When rules are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The time now, ISO 8601.
    pub now: &'a str,
    /// Time of the newest event.
    pub clock: Option<Millis>,
    /// Generation of the job: of the ranking of another one nothing is true.
    pub generation: u64,
}

impl Watch {
    /// Of a partition with this fence record; `None` of a job without rules.
    pub fn of(spec: &JobSpec, fence: &str) -> Option<Self> {
        let alerts = &spec.alerts;
        (!alerts.rules.is_empty()).then(|| Self {
            keys: spec.sink.keys.clone(),
            alerts: alerts.clone(),
            pending: [Kind::Topic, Kind::Webhook].map(|kind| pending_key(fence, kind.as_str())),
        })
    }

    /// Looks at the rules about KOLs of a platform; `None` if there are none.
    pub fn call<'k>(
        &self,
        platform: &str,
        moment: Moment<'_>,
        kols: impl ExactSizeIterator<Item = &'k str> + Clone,
    ) -> Option<Cmd> {
        let rules: String = self.alerts.rules_of(platform).map(line).collect();
        if rules.is_empty() || kols.len() == 0 {
            return None;
        }
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(script::ALERTS.get_hash());
        cmd.arg(AlertKey::ALL.len() + kols.len());
        let [record, ..] = self.keys.flip_keys(platform);
        for key in AlertKey::ALL {
            match key {
                AlertKey::Known => cmd.arg(self.keys.alerts_key(platform)),
                AlertKey::Topic => cmd.arg(&self.pending[0]),
                AlertKey::Webhook => cmd.arg(&self.pending[1]),
                AlertKey::Record => cmd.arg(&record),
                AlertKey::Ranking => cmd.arg(self.keys.ranking_key(platform)),
                AlertKey::History => cmd.arg(self.keys.history_key(platform)),
                AlertKey::Snapshots => cmd.arg(self.keys.snapshots_key(platform)),
            };
        }
        for kol in kols.clone() {
            cmd.arg(self.keys.hash_key(platform, kol));
        }
        for argument in AlertArgument::ALL {
            match argument {
                AlertArgument::Rules => cmd.arg(&rules),
                AlertArgument::Platform => cmd.arg(platform),
                AlertArgument::Now => cmd.arg(moment.now),
                AlertArgument::Count => cmd.arg(kols.len()),
                AlertArgument::Topic => cmd.arg(u8::from(self.alerts.topic.is_some())),
                AlertArgument::Webhook => cmd.arg(u8::from(self.alerts.webhook.is_some())),
                AlertArgument::Most => cmd.arg(MOST_WAITING),
                AlertArgument::Keep => cmd.arg(KEEP),
                AlertArgument::Remember => cmd.arg(REMEMBER),
                AlertArgument::Generation => cmd.arg(moment.generation),
                AlertArgument::Clock => {
                    cmd.arg(moment.clock.map_or_else(String::new, |at| at.0.to_string()))
                }
                AlertArgument::Places => cmd.arg(PLACES),
            };
        }
        for kol in kols {
            cmd.arg(kol);
        }
        Some(cmd)
    }
}

/// A rule as the script reads it.
fn line(rule: &AlertRule) -> String {
    let (field, how, what) = match rule.when {
        Condition::Label(label) => {
            let words: Vec<_> = label.and_above().map(|label| label.as_str()).collect();
            ("trending_label", "in", words.join(" "))
        }
        Condition::VelocityAbove(least) => ("velocity", "above", least.to_string()),
        Condition::GrowthAbove(least) => ("personal_growth", "above", least.to_string()),
        Condition::ScoreAbove(least) => ("trending_score", "above", least.to_string()),
        Condition::RankAtMost(most) => ("", "rank", most.to_string()),
        Condition::RankRises { places, within } => {
            let Millis(slack) = slack(within);
            ("", "rises", format!("{places} {} {slack}", within.0))
        }
    };
    let place = ALERT_FIELDS.iter().position(|name| *name == field);
    let place = place.map_or(0, |place| place + 1);
    let mut line = String::new();
    let silence = rule.silence.0;
    // Writing to a String cannot fail.
    let _infallible = writeln!(line, "{}\t{place}\t{how}\t{what}\t{silence}", rule.name);
    line
}
