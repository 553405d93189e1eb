//! The new job's name, and where its checkpoints go.

use kol_common::checkpoint::Location;

use super::draft::{Draft, quoted};
use super::streams::from_environment;
use crate::convert::model::{Facts, Setting};
use crate::convert::names;

/// Writes the name: what the source says counts, then the command, then the object of Kubernetes.
pub fn name(facts: &Facts, draft: &mut Draft) {
    let all = [
        facts.app_name.as_ref(),
        facts.spark.get("spark.app.name"),
        facts.object_name.as_ref(),
    ];
    let all: Vec<&Setting> = all.into_iter().flatten().collect();
    let known = all.iter().find_map(|s| Some((*s, s.value.value()?)));
    match (known, all.first()) {
        (Some((setting, name)), _) => {
            draft.assumed(setting);
            let valid = valid(&name);
            if valid != name {
                draft.comment(&format!(
                    "The old job's name, \"{}\", as one that is allowed.",
                    crate::convert::secrets::shown(&name)
                ));
            }
            draft.text("name", &valid);
        }
        (None, Some(unknown)) => {
            draft.missing("name", &unknown.value.question(), Some(&unknown.origin))
        }
        (None, None) => {
            draft.say("The files given name no application: the job's name is the usual one.");
            draft.text("name", "kol-trending");
        }
    }
}

/// Letters, digits, `-`, `_` and `.`, at most a hundred.
fn valid(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = name
        .trim()
        .chars()
        .map(|c| if allowed(c) { c } else { '-' })
        .take(100)
        .collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() {
        "kol-trending".into()
    } else {
        name.into()
    }
}

/// Writes `[checkpoint]`, if the old job had a place.
pub fn checkpoint(facts: &Facts, draft: &mut Draft) {
    let mut all: Vec<&Setting> = facts.checkpoints.iter().collect();
    if all.is_empty() {
        all.extend(facts.spark.get("spark.sql.streaming.checkpointLocation"));
    }
    if all.is_empty() {
        all.extend(from_environment(facts, &names::CHECKPOINTS));
    }
    let Some(first) = all.first().copied() else {
        return;
    };
    draft.line("\n[checkpoint]");
    if all.iter().any(|s| s.value != first.value) {
        draft.say("The old job kept several checkpoints; a job here has one place, kol-master's own if none is named:");
        for setting in all {
            draft.say(&format!(
                "  {} ({})",
                setting.value.question(),
                setting.origin
            ));
        }
        return;
    }
    draft.assumed(first);
    let Some(old) = first.value.value() else {
        return draft.missing("location", &first.value.question(), Some(&first.origin));
    };
    match location(&old) {
        Some(place) => draft.line(&format!("location = {}", quoted(&place))),
        None => {
            draft.say(&format!(
                "{}: {} cannot be used: name a folder that kol-master and all executors share, or a bucket.",
                first.origin,
                first.value.question()
            ));
            draft.line("# location = \"file:///…\" or \"s3://…\"");
        }
    }
}

/// Must lie below `--checkpoint-root` of kol-master, which is also the place when none is named.
fn location(old: &str) -> Option<String> {
    let url = match old.split_once("://") {
        None if old.starts_with('/') => format!("file://{old}"),
        // Java writes it with one slash.
        None => format!("file://{}", old.strip_prefix("file:")?),
        // Names of the Hadoop connectors for the same buckets.
        Some(("s3a" | "s3n", place)) => format!("s3://{place}"),
        Some(_) => old.to_owned(),
    };
    url.parse::<Location>().ok().map(|place| place.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_of_the_old_job_is_the_bucket_of_the_new_one() {
        for (old, new) in [
            ("s3a://old/ckp", Some("s3://old/ckp")),
            ("s3n://old/ckp", Some("s3://old/ckp")),
            ("/opt/ckp", Some("file:///opt/ckp")),
            ("file:/opt/ckp", Some("file:///opt/ckp")),
            ("file:///opt/ckp", Some("file:///opt/ckp")),
            ("hdfs://namenode/ckp", None),
            ("./ckp", None),
            ("dbfs:/ckp", None),
        ] {
            assert_eq!(location(old).as_deref(), new, "{old}");
        }
    }

    #[test]
    fn any_name_becomes_one_that_is_allowed() {
        for (old, new) in [
            ("KOL Trending!", "KOL-Trending"),
            ("a.b_c-1", "a.b_c-1"),
            ("…", "kol-trending"),
        ] {
            assert_eq!(valid(old), new);
        }
    }
}
