//! Clients of Redis that sources create, and Redis as a target of Spark.

use super::{Finder, MAX_FACTS};
use crate::convert::eval::{Place, Value};
use crate::convert::model::{RedisUse, Setting, Settings, Text};
use crate::convert::syntax::{Argument, Expr, Kind};

/// Constructors that take host, port and database, and the names of their positions.
const CLIENTS: [(&str, &[&str]); 17] = [
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
    ("JedisCluster", &[]),
    ("JedisSentinelPool", &[]),
    ("JedisSentineled", &[]),
    ("HostAndPort", &["host", "port"]),
    ("RedisClient", &["host", "port", "db", "password"]),
    ("RedisClientPool", &["host", "port", "db", "password"]),
    ("RedisConfig", &["host", "port"]),
    ("RedisEndpoint", &["host", "port", "password", "db"]),
];

/// Those that find several servers, which is more than a host and a port.
const MANY: [&str; 5] = [
    "RedisCluster",
    "Sentinel",
    "JedisCluster",
    "JedisSentinelPool",
    "JedisSentineled",
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
        let path = self.eval.full_path(callee, place).unwrap_or_default();
        // `from redis import Redis as R`
        let name = match &callee.kind {
            Kind::Name(_) => path.rsplit('.').next().unwrap_or(name),
            _ => name,
        };
        if matches!(name, "from_url" | "create")
            && let Some(url) = arguments.first()
        {
            let path = path.to_lowercase();
            let of_client = path.contains("redis") || path.contains("connectionpool");
            if of_client || self.is_url(&url.value, place) {
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
        if let Some(url) = arguments.first()
            && self.is_url(&url.value, place)
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
        let is_many = MANY.contains(&name);
        if is_many || (elsewhere.is_some() && !options.contains_key("host")) {
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

    fn is_url(&mut self, expr: &'a Expr, place: Place) -> bool {
        let text = self.eval.eval(expr, place).to_text();
        self.eval.take_notes();
        ["redis://", "rediss://"]
            .iter()
            .any(|scheme| text.head().starts_with(scheme))
    }

    /// `jedis.auth("…")`, `jedis.select(3)`, `r.execute_command("SELECT", 3)`.
    pub(super) fn redis_login(
        &mut self,
        callee: &'a Expr,
        name: &str,
        arguments: &'a [Argument],
        place: Place,
    ) {
        let Kind::Member(client, _) = &callee.kind else {
            return;
        };
        let command = match (name, arguments) {
            ("execute_command" | "sendCommand", [command, ..]) => match &command.value.kind {
                Kind::Literal(command) => command.to_lowercase(),
                _ => return,
            },
            _ => name.to_owned(),
        };
        let is_client = name == "execute_command" || self.is_client(client, place);
        if !is_client || self.facts.logins.len() + self.facts.selected.len() >= MAX_FACTS {
            return;
        }
        let Some(last) = arguments.last() else { return };
        match command.as_str() {
            "auth" | "withPassword" | "setPassword" => {
                if let [user, _] = arguments {
                    let user = self.eval.setting("username", &user.value, place);
                    self.facts.logins.push(user);
                }
                let setting = self.eval.setting("password", &last.value, place);
                self.facts.logins.push(setting);
            }
            "select" => {
                let setting = self.eval.setting("db", &last.value, place);
                self.facts.selected.push(setting);
            }
            _ => {}
        }
    }

    /// Whether a name stands for a client of Redis: by what it is assigned, or by what it is called.
    fn is_client(&self, expr: &Expr, place: Place) -> bool {
        let speaks = |name: &str| {
            let name = name.to_lowercase();
            name.contains("redis") || name.contains("jedis")
        };
        if expr.last_name().is_some_and(speaks) {
            return true;
        }
        let makes = |e: &Expr| match &e.kind {
            Kind::Call(callee, _) => callee.last_name().is_some_and(|name| {
                name == "getResource" || CLIENTS.iter().any(|(client, _)| *client == name)
            }),
            _ => false,
        };
        let Some(path) = expr.path() else {
            return makes(expr);
        };
        let program = self.world.programs.get(place.program);
        program.is_some_and(|p| p.bindings.iter().any(|b| b.name == path && makes(&b.value)))
    }

    /// What clients do after they are made: the database that they select, the password that they give.
    pub(super) fn selected(&mut self) {
        let selected = self.facts.selected.first().cloned().map(|mut first| {
            if self
                .facts
                .selected
                .iter()
                .any(|other| other.value != first.value)
            {
                first.value = Text::unknown("db, of which clients select several");
            }
            first
        });
        for redis in &mut self.facts.redis {
            if let Some(db) = &selected {
                redis.options.insert("selected".into(), db.clone());
            }
            for login in &self.facts.logins {
                let own = redis.options.entry(login.key.clone());
                own.or_insert_with(|| login.clone());
            }
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
        if is_redis && let Some(table) = options.get("table") {
            let what = format!("hashes of the table {}", table.value.question());
            let here = "here they are trending:{platform}:{kol}; sink.keys.hash names another";
            self.keep_habit(what, here.to_owned(), callee, place);
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
