//! Redis keys of a job.

use super::{KeyTemplates, SinkSpec};
use crate::ids::SourcePartition;

impl KeyTemplates {
    /// Fills in the name of the job wherever executors do not: they do in the fence record.
    pub(super) fn name_job(&mut self, job: &str) {
        for template in [
            &mut self.ranking,
            &mut self.hash,
            &mut self.legacy_hash,
            &mut self.last_update,
            &mut self.last_event,
        ] {
            *template = template.replace("{job}", job);
        }
    }

    /// Ranking of a platform.
    pub fn ranking_key(&self, platform: &str) -> String {
        self.ranking.replace("{platform}", platform)
    }

    /// Keys beside the ranking of a platform while generations change: the generation of the ranking,
    /// the ranking that will replace it, and the one before.
    pub fn flip_keys(&self, platform: &str) -> [String; 3] {
        let ranking = self.ranking_key(platform);
        ["generation", "next", "before"].map(|what| format!("streaming:{ranking}:{what}"))
    }

    /// The slots of all KOLs of a platform: a hash beside the ranking, with one field for each KOL.
    pub fn slots_key(&self, platform: &str) -> String {
        format!("streaming:{}:slots", self.ranking_key(platform))
    }

    /// What rules know of the KOLs of a platform: a hash beside the ranking, with a field for each KOL that a rule has been
    /// true of.
    pub fn alerts_key(&self, platform: &str) -> String {
        format!("streaming:{}:alerts", self.ranking_key(platform))
    }

    /// Which snapshots of the ranking of a platform are kept: a sorted set of their names by time.
    pub fn history_key(&self, platform: &str) -> String {
        format!("streaming:{}:history", self.ranking_key(platform))
    }

    /// The snapshots themselves: a hash with one field for each.
    pub fn snapshots_key(&self, platform: &str) -> String {
        format!("streaming:{}:snapshots", self.ranking_key(platform))
    }

    /// All platforms that have a ranking, or one aside: a generation that has no event of one of them must take
    /// its ranking down.
    pub fn platforms_key(&self) -> String {
        format!("streaming:{}:platforms", self.ranking_key("*"))
    }

    /// Hash of a KOL. The name goes in last: whatever it contains stays as it is.
    pub fn hash_key(&self, platform: &str, kol: &str) -> String {
        fill(&self.hash, &[("{platform}", platform), ("{kol}", kol)])
    }

    /// The pattern (`SCAN … MATCH`) of the hashes of all KOLs. Keys that are no such hash may match it, too: whether
    /// one is, what it holds must say.
    pub fn hash_pattern(&self) -> String {
        let mut literal = String::with_capacity(self.hash.len());
        for letter in self.hash.chars() {
            if matches!(letter, '*' | '?' | '[' | '\\') {
                literal.push('\\');
            }
            literal.push(letter);
        }
        fill(&literal, &[("{platform}", "*"), ("{kol}", "*")])
    }

    /// Legacy hash of a KOL of the default platform.
    pub fn legacy_key(&self, kol: &str) -> String {
        fill(&self.legacy_hash, &[("{kol}", kol)])
    }

    /// Fence record of a partition.
    pub fn fence_key(&self, job: &str, partition: &SourcePartition) -> String {
        let number = partition.partition.to_string();
        fill(
            &self.fence,
            &[
                ("{job}", job),
                ("{topic}", &partition.topic),
                ("{partition}", &number),
            ],
        )
    }
}

/// Alerts of a partition that are not delivered yet, beside its fence record: a hash with a field for each.
pub fn pending_key(fence: &str, destination: &str) -> String {
    format!("streaming:{fence}:alerts:{destination}")
}

impl SinkSpec {
    /// The templates of all keys that a job of this name writes, with its name filled in. Two jobs that have one
    /// in common write the same keys.
    pub fn written_templates(&self, job: &str) -> Vec<String> {
        let keys = &self.keys;
        let mut all = vec![&keys.ranking, &keys.hash, &keys.fence];
        all.extend([&keys.last_update, &keys.last_event]);
        if self.legacy_hashes {
            all.push(&keys.legacy_hash);
        }
        let named = |template: &String| template.replace("{job}", job);
        all.into_iter().map(named).collect()
    }

    /// The owner record beside each of them, in the same order; in a Cluster, in the hash slot of the job's keys.
    pub fn owner_keys(&self, job: &str) -> Vec<String> {
        self.beside_templates(job, "owner")
    }

    /// The copy of each owner record, in the same order: it counts where only the record is lost.
    pub fn holder_keys(&self, job: &str) -> Vec<String> {
        self.beside_templates(job, "holder")
    }

    fn beside_templates(&self, job: &str, what: &str) -> Vec<String> {
        let any = ["{platform}", "{kol}", "{topic}", "{partition}"].map(|name| (name, "*"));
        let beside = |template: String| format!("streaming:{}:{what}", fill(&template, &any));
        let templates = self.written_templates(job).into_iter();
        templates.map(beside).collect()
    }
}

/// Fills placeholders in one pass, so that a placeholder inside a filled-in value stays text.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        match values.iter().find(|(name, _)| rest.starts_with(name)) {
            Some((name, value)) => {
                out.push_str(value);
                rest = &rest[name.len()..];
            }
            None => {
                out.push('{');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_what_dashboards_read() {
        let keys = KeyTemplates::default();
        assert_eq!(keys.ranking_key("tiktok"), "ranking:tiktok:trending");
        assert_eq!(
            keys.flip_keys("tiktok")[1],
            "streaming:ranking:tiktok:trending:next"
        );
        assert_eq!(
            keys.slots_key("tiktok"),
            "streaming:ranking:tiktok:trending:slots"
        );
        assert_eq!(
            keys.history_key("tiktok"),
            "streaming:ranking:tiktok:trending:history"
        );
        assert_eq!(
            keys.snapshots_key("tiktok"),
            "streaming:ranking:tiktok:trending:snapshots"
        );
        assert_eq!(
            keys.platforms_key(),
            "streaming:ranking:*:trending:platforms"
        );
        assert_eq!(keys.hash_key("tiktok", "a"), "trending:tiktok:a");
        assert_eq!(keys.legacy_key("a"), "streaming_scores:a");
        assert_eq!(
            keys.fence_key("kol", &SourcePartition::new("t", 7)),
            "streaming:fence:kol:t:7"
        );
    }

    #[test]
    fn an_owner_record_lies_beside_each_key_and_keeps_its_hash_tag() {
        let mut sink = SinkSpec::default();
        let beside = sink.owner_keys("kol");
        assert_eq!(beside[0], "streaming:ranking:*:trending:owner");
        assert_eq!(beside[2], "streaming:streaming:fence:kol:*:*:owner");
        assert_eq!(beside.len(), sink.written_templates("kol").len());
        assert_eq!(
            sink.holder_keys("kol")[0],
            "streaming:ranking:*:trending:holder"
        );
        sink.legacy_hashes = true;
        sink.keys.legacy_hash = "{tag}:scores:{kol}".into();
        let beside = sink.owner_keys("kol");
        assert_eq!(beside[5], "streaming:{tag}:scores:*:owner");
    }

    #[test]
    fn the_pattern_of_hashes_takes_what_stands_between_placeholders_literally() {
        for (hash, pattern) in [
            ("trending:{platform}:{kol}", "trending:*:*"),
            ("{kols}:{kol}:of:{platform}", "{kols}:*:of:*"),
            ("{{platform}}{kol}{", "{*}*{"),
            (r"a*b?c[d]e\f:{platform}:{kol}", r"a\*b\?c\[d]e\\f:*:*"),
        ] {
            let keys = KeyTemplates {
                hash: hash.into(),
                ..KeyTemplates::default()
            };
            assert_eq!(keys.hash_pattern(), pattern, "{hash}");
        }
    }

    #[test]
    fn a_name_that_looks_like_a_placeholder_stays_as_it_is() {
        let keys = KeyTemplates::default();
        assert_eq!(
            keys.hash_key("{kol}", "{platform}"),
            "trending:{kol}:{platform}"
        );
    }
}
