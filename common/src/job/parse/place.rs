//! Whether the Redis of a spec can be found and trusted, and whether a Cluster can hold its keys.

use super::reader::Problems;
use crate::job::{KeyTemplates, RedisTopology, RedisUrl, SecretRef, SinkSpec};

/// Notes problems. `job` is the name of the job.
pub(super) fn check(sink: &SinkSpec, job: &str, problems: &Problems) {
    for (key, SecretRef(text), _) in sink.references() {
        if let Err(why) = check_reference(text) {
            problems.of_key(key, why);
        }
    }
    match sink.url.parse::<RedisUrl>() {
        Ok(url) => check_url(&url, sink, job, problems),
        Err(why) => problems.of_key("sink.url", why),
    }
}

/// Whether a text may refer to a secret or a certificate.
///
/// # Errors
/// What to write. It never shows the text, which may be the secret.
pub(super) fn check_reference(text: &str) -> Result<(), &'static str> {
    if text.starts_with("env:KOL_SECRET_") || text.starts_with("file:") {
        return Ok(());
    }
    Err("must be a reference: env:KOL_SECRET_NAME or file:NAME")
}

fn check_url(url: &RedisUrl, sink: &SinkSpec, job: &str, problems: &Problems) {
    if url.has_password() {
        problems.of_key(
            "sink.url",
            "a password does not belong here: use password = \"env:KOL_SECRET_…\" or \"file:…\"",
        );
    }
    if url.has_odd_login() {
        problems.of_key(
            "sink.url",
            "the user's name has a character that a URL cannot have there",
        );
    }
    let tls = &sink.tls;
    if !url.tls && (tls.ca.is_some() || tls.cert.is_some() || tls.key.is_some()) {
        problems.of_key(
            "sink.tls",
            "needs TLS: write sink.url as rediss://, rediss+sentinel:// or rediss+cluster://",
        );
    }
    if tls.cert.is_some() != tls.key.is_some() {
        problems.of_key(
            "sink.tls",
            "a certificate needs its key: give both cert and key",
        );
    }
    let login = &sink.sentinel;
    let is_watched = matches!(url.topology, RedisTopology::Sentinel { .. });
    if !is_watched && (login.username.is_some() || login.password.is_some()) {
        problems.of_key("sink.sentinel", "needs sink.url = \"redis+sentinel://…\"");
    }
    if url.topology == RedisTopology::Cluster
        && let Err(why) = in_one_hash_slot(sink)
    {
        let example = tagged(job);
        problems.of_key("sink.keys", format!("{why}. For example:\n{example}"));
    }
}

/// A flush is guarded by the fence record of its partition, and a partition has creators of all platforms;
/// scripts reach keys of one hash slot only. So all keys of a job lie in one.
fn in_one_hash_slot(sink: &SinkSpec) -> Result<(), String> {
    let mut first: Option<(&str, &str)> = None;
    let written = |name: &str| name != "legacy_hash" || sink.legacy_hashes;
    let templates = templates(&sink.keys).into_iter();
    for (name, template, placeholders) in templates.filter(|(name, ..)| written(name)) {
        let tag = hash_tag(template, placeholders).ok_or_else(|| {
            format!(
                "sink.url is a Redis Cluster, where all keys of a job must lie in one hash slot: \
                 `{name} = \"{template}\"` has no hash tag ({{…}}) before its first placeholder"
            )
        })?;
        if placeholders.iter().any(|p| tag.contains(p)) {
            return Err(format!(
                "sink.url is a Redis Cluster, where all keys of a job must lie in one hash slot: the hash tag of \
                 `{name} = \"{template}\"` has a placeholder and so lies in many"
            ));
        }
        match first {
            None => first = Some((name, tag)),
            Some((other, of_other)) if of_other != tag => {
                return Err(format!(
                    "sink.url is a Redis Cluster, where all keys of a job must lie in one hash slot: `{other}` has \
                     the hash tag `{of_other}`, and `{name}` has `{tag}`"
                ));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// All templates with their names and the placeholders that are filled in.
pub(super) fn templates(k: &KeyTemplates) -> [(&'static str, &str, &'static [&'static str]); 6] {
    [
        ("ranking", &k.ranking, &["{platform}"]),
        ("hash", &k.hash, &["{platform}", "{kol}"]),
        ("legacy_hash", &k.legacy_hash, &["{kol}"]),
        ("fence", &k.fence, &["{job}", "{topic}", "{partition}"]),
        ("last_update", &k.last_update, &[]),
        ("last_event", &k.last_event, &[]),
    ]
}

/// What stands between the first brace and the next closing one, if no placeholder comes before: what is
/// filled in there could have braces itself.
fn hash_tag<'t>(template: &'t str, placeholders: &[&str]) -> Option<&'t str> {
    let (_, rest) = template.split_once('{')?;
    let at = template.len() - rest.len() - 1;
    if placeholders.iter().any(|p| template[at..].starts_with(p)) {
        return None;
    }
    let mut end = 0;
    while let Some(placeholder) = placeholders.iter().find(|p| rest[end..].starts_with(**p)) {
        end += placeholder.len();
    }
    end += rest[end..].find('}')?;
    (end > 0).then(|| &rest[..end])
}

/// The default templates under a tag of the job's own (no placeholder is called like it), ready to paste.
fn tagged(job: &str) -> String {
    let keys = KeyTemplates::default();
    let lines = templates(&keys)
        .map(|(name, template, _)| format!("{name} = \"{{{job}-keys}}:{template}\""));
    format!("[sink.keys]\n{}", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::parse::tests::problems_of_sink as problems;

    #[test]
    fn a_hash_tag_is_what_redis_takes_it_for() {
        for (template, tag) in [
            ("{kols}:ranking:{platform}", Some("kols")),
            ("ranking:{{platform}}:trending", Some("{platform}")),
            ("x:{a{platform}b}:c", Some("a{platform")),
            ("ranking:{platform}:{kols}", None),
            ("{}:ranking:{platform}", None),
            ("ranking", None),
        ] {
            assert_eq!(hash_tag(template, &["{platform}"]), tag, "{template}");
        }
    }

    #[test]
    fn keys_of_a_cluster_need_one_hash_tag_and_a_table_that_has_it_is_shown() {
        const CLUSTER: &str = "url = \"redis+cluster://a:1,b:2\"";
        let said = problems(CLUSTER);
        assert!(said.contains("must lie in one hash slot"), "{said}");
        let (_, table) = said.split_once("For example:\n").unwrap();
        assert_eq!(problems(&format!("{CLUSTER}\n{table}")), "");
        let other = table.replacen("{kol-keys}:", "{other}:", 1);
        let said = problems(&format!("{CLUSTER}\n{other}"));
        assert!(
            said.contains("`ranking` has the hash tag `other`, and `hash` has `kol-keys`"),
            "{said}"
        );
        let by_platform =
            table.replacen("{kol-keys}:ranking:{platform}", "ranking:{{platform}}", 1);
        let said = problems(&format!("{CLUSTER}\n{by_platform}"));
        assert!(said.contains("has a placeholder"), "{said}");
        assert_eq!(
            problems("url = \"redis://a:1\""),
            "",
            "one server needs none"
        );
    }

    #[test]
    fn certificates_and_logins_are_references_for_what_uses_them() {
        for (sink, why) in [
            ("url = \"redis://a\"\ntls.ca = \"file:ca\"", "needs TLS"),
            (
                "url = \"rediss://a\"\ntls.ca = \"/etc/ca.pem\"",
                "must be a reference",
            ),
            (
                "url = \"rediss://a\"\ntls.cert = \"file:c\"",
                "needs its key",
            ),
            (
                "url = \"redis://a\"\nsentinel.username = \"s\"",
                "redis+sentinel://",
            ),
            ("url = \"redis+sentinel://:pw@a/s\"", "does not belong here"),
            ("url = \"redis://evil/@localhost\"", "cannot have there"),
            (
                "url = \"redis+sentinel://a/s\"\nsentinel.password = \"pw\"",
                "must be a reference",
            ),
        ] {
            let said = problems(sink);
            assert!(said.contains(why), "{sink}: {said}");
        }
        let well = "url = \"rediss+sentinel://kol@a,b/s\"\ntls.ca = \"file:ca\"\n\
                    tls.cert = \"file:c\"\ntls.key = \"env:KOL_SECRET_KEY\"\nsentinel.password = \"file:s\"";
        assert_eq!(problems(well), "");
    }
}
