//! Clients of Redis that sources create, and Redis as a target of Spark.

use super::{Finder, MAX_FACTS};
use crate::convert::eval::{Place, Value};
use crate::convert::model::{RedisUse, Setting, Settings};
use crate::convert::syntax::{Argument, Expr, Kind};

/// Constructors that take host, port and database, and the names of their positions.
const CLIENTS: [(&str, &[&str]); 14] = [
    ("Redis", &["host", "port", "db", "password"]),
    ("StrictRedis", &["host", "port", "db", "password"]),
    ("ConnectionPool", &[]),
    ("BlockingConnectionPool", &[]),
    ("RedisCluster", &["host", "port"]),
    ("Sentinel", &[]),
    ("Jedis", &["host", "port"]),
    (
        "JedisPool",
        &["config", "host", "port", "timeout", "password", "db"],
    ),
    ("JedisPooled", &["host", "port"]),
    ("HostAndPort", &["host", "port"]),
    ("RedisClient", &["host", "port", "db", "password"]),
    ("RedisClientPool", &["host", "port", "db", "password"]),
    ("RedisConfig", &["host", "port"]),
    ("RedisEndpoint", &["host", "port", "password", "db"]),
];

impl<'a> Finder<'a, '_> {
    pub(super) fn redis_client(
        &mut self,
        expr: &'a Expr,
        callee: &'a Expr,
        name: &str,
        arguments: &'a [Argument],
        place: Place,
    ) {
        if self.facts.redis.len() >= MAX_FACTS {
            return;
        }
        let path = callee.path().unwrap_or_default().to_lowercase();
        if matches!(name, "from_url" | "create")
            && (path.contains("redis") || path.contains("connectionpool"))
        {
            if let Some(url) = arguments.first() {
                self.keep_url(&url.value, arguments, expr, place);
            }
            return;
        }
        if name == "save" {
            return self.redis_target(callee, place);
        }
        let Some((_, positions)) = CLIENTS.iter().find(|(client, _)| *client == name) else {
            return;
        };
        if arguments
            .iter()
            .any(|a| matches!(a.name.as_deref(), Some("connection_pool")))
        {
            return;
        }
        // `JedisPool("host", 6379)` has no configuration in front.
        let positions = match arguments.first().map(|a| &a.value.kind) {
            Some(Kind::Literal(_)) if positions.first() == Some(&"config") => &positions[1..],
            _ => *positions,
        };
        let first = arguments.first().map(|a| self.eval.eval(&a.value, place));
        if let Some(Value::Text(text)) = &first
            && text
                .value()
                .is_some_and(|t| t.starts_with("redis://") || t.starts_with("rediss://"))
            && let Some(url) = arguments.first()
        {
            return self.keep_url(&url.value, arguments, expr, place);
        }
        let mut options = Settings::new();
        // Where it says its server when it names no host.
        let mut elsewhere = None;
        for (i, argument) in arguments.iter().enumerate() {
            if argument.spread {
                let map = self.eval.eval(&argument.value, place);
                if !map.has_all_keys() {
                    elsewhere = Some(&argument.value);
                }
                options.extend(self.entries(&map, &argument.value, place));
                continue;
            }
            if argument.name.as_deref() == Some("unix_socket_path") {
                elsewhere = Some(&argument.value);
            }
            // The flag of Jedis that stands anywhere behind the port.
            if argument.name.is_none()
                && name.starts_with("Jedis")
                && matches!(&argument.value.kind, Kind::Atom(flag) if flag == "true" || flag == "false")
            {
                let setting = self.eval.setting("ssl", &argument.value, place);
                options.insert("ssl".into(), setting);
                continue;
            }
            let name = argument.name.clone();
            let name = name.or_else(|| positions.get(i).map(|p| (*p).to_owned()));
            if let Some(name) = name
                && self.eval.eval(&argument.value, place) != Value::Null
            {
                self.eval.take_notes();
                let setting = self.eval.setting(&name, &argument.value, place);
                options.insert(name, setting);
            }
        }
        // Several servers, or what finds them, are more than host and port.
        let is_many = matches!(name, "RedisCluster" | "Sentinel");
        if (is_many || elsewhere.is_some()) && !options.contains_key("host") {
            let servers = self.eval.unknown(expr, place);
            let setting = self.eval.setting_of("host", &servers, expr, place);
            options.insert("host".into(), setting);
        }
        // A wrapper of the project's own that happens to have such a name says nothing.
        let has_default = matches!(name, "Redis" | "StrictRedis");
        let says_something = options.contains_key("host") || has_default;
        if says_something {
            let origin = self.eval.origin(expr, place);
            self.facts.redis.push(RedisUse { origin, options });
        }
    }

    /// `jedis.select(3)`: the database of connections that name none.
    pub(super) fn selected(&mut self) {
        let Some(db) = self.facts.selected.clone() else {
            return;
        };
        for redis in &mut self.facts.redis {
            redis
                .options
                .entry("db".into())
                .or_insert_with(|| db.clone());
        }
    }

    fn keep_url(&mut self, url: &'a Expr, arguments: &'a [Argument], expr: &'a Expr, place: Place) {
        let mut options = Settings::new();
        options.insert("url".into(), self.eval.setting("url", url, place));
        for argument in arguments {
            if let Some(name) = &argument.name {
                let setting = self.eval.setting(name, &argument.value, place);
                options.insert(name.clone(), setting);
            }
        }
        let origin = self.eval.origin(expr, place);
        self.facts.redis.push(RedisUse { origin, options });
    }

    /// `df.write.format("org.apache.spark.sql.redis").option("host", …).save()`.
    fn redis_target(&mut self, callee: &'a Expr, place: Place) {
        let mut options = Settings::new();
        let mut is_redis = false;
        let mut at = callee;
        while let Kind::Member(base, _) = &at.kind {
            let Kind::Call(inner, arguments) = &base.kind else {
                break;
            };
            match (inner.last_name(), &arguments[..]) {
                (Some("format"), [format]) => {
                    let format = self.eval.eval(&format.value, place).to_text().value();
                    is_redis |= format.is_some_and(|f| f.contains("redis"));
                }
                (Some("option"), [key, value]) => {
                    if let Some(key) = self.eval.eval(&key.value, place).to_text().value() {
                        let setting = self.eval.setting(&key, &value.value, place);
                        options.entry(key).or_insert(setting);
                    }
                }
                _ => {}
            }
            at = inner;
        }
        if is_redis && let Some(host) = options.get("host") {
            let origin = host.origin.clone();
            let renamed = |(key, setting): (String, Setting)| match key.as_str() {
                "auth" => ("password".to_owned(), setting),
                "dbNum" => ("db".to_owned(), setting),
                "user" => ("username".to_owned(), setting),
                _ => (key, setting),
            };
            let options = options.into_iter().map(renamed).collect();
            self.facts.redis.push(RedisUse { origin, options });
        }
    }
}
