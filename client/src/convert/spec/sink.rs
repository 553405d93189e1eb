//! The Redis of the new job: the one that the old job wrote to.

use super::draft::{Draft, Filling};
use super::streams::from_environment;
use crate::convert::model::{Facts, Origin, RedisUse, Setting, Settings, Text};
use crate::convert::secrets::shown;

/// Redis's own defaults.
const HOST: &str = "localhost";
const PORT: &str = "6379";
/// What is said where the host is assumed.
const NO_HOST: &str = "The files given name no Redis: this is one on the same host. Change it if rankings go elsewhere.";

/// A Redis as a spec names it.
struct Target {
    url: Filling,
    has_password: bool,
    origin: Option<Origin>,
    /// Whether the host is this one because the old job names none.
    is_assumed: bool,
    /// Settings that it was made of, for what they assume.
    made_of: Vec<Setting>,
}

/// Writes `sink.url` and the reference to its password.
pub fn write(facts: &Facts, draft: &mut Draft) {
    let target = match uses(facts) {
        uses if uses.is_empty() => from_variables(facts),
        uses => Some(one_of(&uses)),
    };
    let Some(target) = target else {
        draft.say(NO_HOST);
        return draft.text("url", "redis://localhost:6379/0");
    };
    for setting in &target.made_of {
        draft.assumed(setting);
    }
    if target.is_assumed {
        draft.say(NO_HOST);
    }
    draft.fill("url", &target.url, target.origin.as_ref());
    if target.has_password {
        draft.comment(
            "The password is not written here. Before kol-master and each kol-executor start: \
             export KOL_SECRET_REDIS_PASSWORD='…' KOL_SECRET_REDIS_PASSWORD_HOSTS='host of Redis'",
        );
        draft.text("password", "env:KOL_SECRET_REDIS_PASSWORD");
    }
}

/// Connections of sources, and the one of spark-redis.
fn uses(facts: &Facts) -> Vec<RedisUse> {
    let mut uses = facts.redis.clone();
    let mut options = Settings::new();
    for (old, name) in [
        ("spark.redis.host", "host"),
        ("spark.redis.port", "port"),
        ("spark.redis.db", "db"),
        ("spark.redis.user", "username"),
        ("spark.redis.auth", "password"),
        ("spark.redis.ssl", "ssl"),
    ] {
        if let Some(setting) = facts.spark.get(old) {
            options.insert(name.to_owned(), setting.clone());
        }
    }
    if let Some(first) = options.values().next() {
        uses.push(RedisUse {
            origin: first.origin.clone(),
            options,
        });
    }
    uses
}

/// All connections must mean the same server.
fn one_of(uses: &[RedisUse]) -> Target {
    let mut targets: Vec<Target> = Vec::new();
    for target in uses.iter().map(target) {
        let same = |t: &&mut Target| t.url.is_same(&target.url);
        match targets.iter_mut().find(same) {
            Some(known) => known.has_password |= target.has_password,
            None => targets.push(target),
        }
    }
    if targets.len() == 1
        && let Some(only) = targets.pop()
    {
        return only;
    }
    let all: Vec<String> = targets
        .iter()
        .map(|t| {
            let at = t
                .origin
                .as_ref()
                .map_or_else(String::new, |o| format!(" ({o})"));
            format!("{}{at}", t.url.shown())
        })
        .collect();
    Target {
        url: Filling::Missing(format!(
            "the one of these that rankings go to: {}",
            all.join(", ")
        )),
        has_password: targets.iter().any(|t| t.has_password),
        origin: None,
        is_assumed: false,
        made_of: Vec::new(),
    }
}

impl Filling {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Known(a), Self::Known(b)) | (Self::Missing(a), Self::Missing(b)) => a == b,
            _ => false,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Known(text) | Self::Missing(text) => shown(text),
        }
    }
}

fn target(redis: &RedisUse) -> Target {
    let options = &redis.options;
    let given = options
        .get("password")
        .is_some_and(|p| p.value.value().is_none_or(|v| !v.is_empty()));
    let (url, in_url) = match options.get("url") {
        Some(url) => of_url(&url.value, options),
        None => (of_parts(options), false),
    };
    let names_host = |key| options.get(key).is_some_and(|s| !s.value.is_empty());
    let names_no_host = !["url", "host"].into_iter().any(names_host);
    let origin = ["url", "host"]
        .iter()
        .find_map(|key| options.get(*key))
        .map(|s| s.origin.clone());
    Target {
        url,
        has_password: given || in_url,
        is_assumed: names_no_host,
        origin: Some(origin.unwrap_or_else(|| redis.origin.clone())),
        made_of: options
            .values()
            .filter(|s| s.key != "password")
            .cloned()
            .collect(),
    }
}

/// What the environment says, if no source does.
fn from_variables(facts: &Facts) -> Option<Target> {
    if let Some(url) = from_environment(facts, &["REDIS_URL", "REDIS_URI"]) {
        let mut options = Settings::new();
        options.insert("url".into(), url.clone());
        return Some(target(&RedisUse {
            origin: url.origin.clone(),
            options,
        }));
    }
    let mut options = Settings::new();
    for (variable, name) in [
        ("REDIS_HOST", "host"),
        ("REDIS_PORT", "port"),
        ("REDIS_DB", "db"),
        ("REDIS_USERNAME", "username"),
        ("REDIS_PASSWORD", "password"),
    ] {
        if let Some(setting) = from_environment(facts, &[variable]) {
            options.insert(name.into(), setting.clone());
        }
    }
    let first = options.get("host").or_else(|| options.values().next())?;
    Some(target(&RedisUse {
        origin: first.origin.clone(),
        options,
    }))
}

fn of_parts(options: &Settings) -> Filling {
    let part = |name: &str, default: &str| {
        let given = options.get(name).map(|s| &s.value);
        given
            .filter(|text| !text.is_empty())
            .cloned()
            .unwrap_or_else(|| Text::known(default))
    };
    let (host, port, db) = (part("host", HOST), part("port", PORT), part("db", "0"));
    let user = options
        .get("username")
        .map(|s| s.value.clone())
        .filter(|user| !user.is_empty());
    let db = match options.get("selected") {
        // What a client selects later counts.
        Some(selected) if !options.contains_key("db") => selected.value.clone(),
        Some(selected) if selected.value != db => Text::unknown("db, which is selected again"),
        _ => db,
    };
    let ssl = options.get("ssl").map(|s| s.value.clone());
    let is_tls = ssl.as_ref().and_then(Text::value);
    let is_tls = is_tls.is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let unknown_tls = ssl.as_ref().filter(|ssl| ssl.value().is_none());
    let known = [
        unknown_tls,
        Some(&host),
        Some(&port),
        Some(&db),
        user.as_ref(),
    ]
    .into_iter()
    .flatten()
    .map(|text| text.value().ok_or_else(|| text.question()))
    .collect::<Result<Vec<_>, _>>();
    match known {
        Err(question) => Filling::Missing(format!("redis://host:port/db of {question}")),
        Ok(parts) => {
            let user = parts.get(3).map_or("", String::as_str);
            match &parts[..] {
                [host, port, db, ..] => assembled(is_tls, user, host, port, db),
                _ => Filling::Missing("redis://host:port/db".into()),
            }
        }
    }
}

fn assembled(is_tls: bool, user: &str, host: &str, port: &str, db: &str) -> Filling {
    let plain = |text: &str, more: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c) || more.contains(c))
    };
    let is_host =
        !host.is_empty() && (plain(host, "") || (host.starts_with('[') && plain(host, "[]:")));
    let usable = is_host
        && plain(user, "")
        && port.parse::<u16>().is_ok_and(|port| port > 0)
        && db.parse::<u16>().is_ok();
    if !usable {
        return Filling::Missing(format!(
            "redis://host:port/db; the old job says host {host}, port {port}, db {db}"
        ));
    }
    let scheme = if is_tls { "rediss" } else { "redis" };
    let login = if user.is_empty() {
        String::new()
    } else {
        format!("{user}@")
    };
    Filling::Known(format!("{scheme}://{login}{host}:{port}/{db}"))
}

/// The URL without its password, and whether it had one.
fn of_url(text: &Text, options: &Settings) -> (Filling, bool) {
    let Some(url) = text.value() else {
        let has_login = text.source.contains('@');
        return (
            Filling::Missing(format!("redis://host:port/db of {}", text.question())),
            has_login,
        );
    };
    let url = url.trim();
    let (is_tls, rest) = match url.split_once("://") {
        Some(("redis", rest)) => (false, rest),
        Some(("rediss", rest)) => (true, rest),
        _ => {
            return (
                Filling::Missing(format!(
                    "redis://host:port/db; the old job says {}",
                    shown(url)
                )),
                url.contains('@'),
            );
        }
    };
    let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (place, query) = place.split_once(['?', '#']).unwrap_or((place, ""));
    let (server, db) = place.split_once('/').unwrap_or((place, ""));
    // What stands in the query counts more than the path, and the path more than an argument.
    let of_query = query.split('&').find_map(|part| part.strip_prefix("db="));
    let of = |key: &str| {
        let given = options.get(key);
        given.map(|s| s.value.value().unwrap_or_else(|| s.value.question()))
    };
    let (given, selected) = (of("db"), of("selected"));
    let db = match (of_query, db) {
        (Some(db), _) => db,
        (None, "") => given.as_deref().unwrap_or(""),
        (None, db) => db,
    };
    // What a client selects later counts; that it selects another one is worth a look.
    let both = format!("{db} and then {}", selected.as_deref().unwrap_or(""));
    let db = match selected.as_deref() {
        Some(selected) if db.is_empty() => selected,
        Some(selected) if selected != db => &both,
        _ => db,
    };
    let (host, port) = match server.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (server, PORT),
    };
    let db = if db.is_empty() { "0" } else { db };
    let host = if host.is_empty() { HOST } else { host };
    (
        assembled(is_tls, user, host, port, db),
        !password.is_empty(),
    )
}
