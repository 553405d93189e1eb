//! What `sink.url` may name: one Redis, a service that Sentinels watch, or a Cluster.
//!
//! | URL | names |
//! |---|---|
//! | `redis://[USER@]HOST[:PORT][/DB]` | one server |
//! | `redis+sentinel://[USER@]HOST[:PORT],…/SERVICE[/DB]` | the primary that the Sentinels name |
//! | `redis+cluster://[USER@]HOST[:PORT],…` | the nodes of a Cluster; a few of them are enough |
//!
//! The same with `rediss` in place of `redis` is over TLS.

use std::str::FromStr;

/// A parsed `sink.url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    /// How servers are found.
    pub topology: RedisTopology,
    /// Whether connections are over TLS (`rediss`).
    pub tls: bool,
    /// `user`, `user:password` or empty, as it stands in the URL.
    login: String,
    /// `host:port`; at least one.
    hosts: Vec<String>,
    database: u32,
}

/// How the servers of a Redis are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedisTopology {
    /// There is one.
    Single,
    /// Sentinels name the primary of this service.
    Sentinel {
        /// What the Sentinels call it.
        service: String,
    },
    /// Nodes of a Cluster name each other.
    Cluster,
}

/// What a URL looks like.
const FORMS: &str = "write redis://host:port/db, redis+sentinel://host:port,host:port/SERVICE or \
                     redis+cluster://host:port,host:port; rediss in place of redis for TLS";
const SENTINEL_PORT: u16 = 26_379;
const PORT: u16 = 6_379;

impl RedisUrl {
    /// A URL for each host, as the Redis client reads it. Those of Sentinels have neither login nor
    /// database: they are for the servers that Sentinels name.
    pub fn nodes(&self) -> Vec<String> {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let database = self.database;
        let node = |host: &String| match self.topology {
            RedisTopology::Sentinel { .. } => format!("{scheme}://{host}"),
            _ if self.login.is_empty() => format!("{scheme}://{host}/{database}"),
            _ => format!("{scheme}://{}@{host}/{database}", self.login),
        };
        self.hosts.iter().map(node).collect()
    }

    /// The server that Sentinels name: its login and database in the form of a URL, with a host that means
    /// nothing.
    pub fn behind_sentinels(&self) -> String {
        let login = &self.login;
        format!("redis://{login}@primary/{}", self.database)
    }

    /// `host:port` of the servers, Sentinels or nodes that it names.
    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    /// Whether what stands before the hosts would itself be read as a host and more.
    pub fn has_odd_login(&self) -> bool {
        let odd = |c: char| "/?#\\@".contains(c) || c.is_whitespace() || c.is_control();
        self.login.contains(odd)
    }

    /// Whether a password stands in the URL.
    pub fn has_password(&self) -> bool {
        self.login.contains(':')
    }
}

impl FromStr for RedisUrl {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or(FORMS)?;
        let (transport, kind) = scheme.split_once('+').unwrap_or((scheme, ""));
        let tls = match transport {
            "redis" => false,
            "rediss" => true,
            _ => return Err(FORMS.to_owned()),
        };
        // A password on a command line may have a slash or an at sign.
        let (login, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (hosts, path) = place.split_once('/').unwrap_or((place, ""));
        let (topology, database) = match kind {
            "" => (RedisTopology::Single, path),
            "sentinel" => {
                let (service, database) = path.split_once('/').unwrap_or((path, ""));
                let service = service.to_owned();
                (RedisTopology::Sentinel { service }, database)
            }
            "cluster" => (RedisTopology::Cluster, path),
            _ => return Err(FORMS.to_owned()),
        };
        let database = match database {
            "" => 0,
            number => number
                .parse()
                .map_err(|_| "the database is not a number".to_owned())?,
        };
        match &topology {
            RedisTopology::Single if hosts.contains(',') => {
                return Err(
                    "several hosts need redis+sentinel:// or redis+cluster:// (rediss+… for TLS)"
                        .to_owned(),
                );
            }
            RedisTopology::Sentinel { service } if service.is_empty() => {
                return Err("name the service: redis+sentinel://host:port/SERVICE".to_owned());
            }
            RedisTopology::Cluster if database != 0 => {
                return Err("a Cluster has database 0 only".to_owned());
            }
            _ => {}
        }
        let port = match topology {
            RedisTopology::Sentinel { .. } => SENTINEL_PORT,
            RedisTopology::Single | RedisTopology::Cluster => PORT,
        };
        let hosts: Result<_, _> = hosts.split(',').map(|h| host_port(h, port)).collect();
        Ok(Self {
            topology,
            tls,
            login: login.to_owned(),
            hosts: hosts?,
            database,
        })
    }
}

/// `host:port`; an address of IPv6 stands in brackets.
fn host_port(text: &str, default: u16) -> Result<String, String> {
    let text = text.trim();
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = match port {
        None => default,
        Some(number) => match number.parse() {
            Ok(port @ 1..) => port,
            _ => return Err("a port is a number from 1 to 65535".to_owned()),
        },
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty() || (host.contains(':') && !bracketed) {
        return Err(format!("a host is missing or malformed: {FORMS}"));
    }
    Ok(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> RedisUrl {
        url.parse().unwrap()
    }

    #[test]
    fn one_server_is_named_as_ever() {
        for (url, node) in [
            ("redis://localhost", "redis://localhost:6379/0"),
            ("redis://localhost:6380/3", "redis://localhost:6380/3"),
            ("rediss://kol@[::1]:6380/", "rediss://kol@[::1]:6380/0"),
            ("redis://:p@ss/word@h:1", "redis://:p@ss/word@h:1/0"),
        ] {
            assert_eq!(parsed(url).topology, RedisTopology::Single);
            assert_eq!(parsed(url).nodes(), [node]);
        }
    }

    #[test]
    fn sentinels_and_nodes_of_a_cluster_are_listed() {
        let url = parsed("redis+sentinel://kol@s1,s2:26380/mymaster/2");
        let service = "mymaster".to_owned();
        assert_eq!(url.topology, RedisTopology::Sentinel { service });
        assert_eq!(url.nodes(), ["redis://s1:26379", "redis://s2:26380"]);
        assert_eq!(url.behind_sentinels(), "redis://kol@primary/2");
        let url = parsed("rediss+cluster://kol@a:7000,b");
        assert_eq!(url.topology, RedisTopology::Cluster);
        let nodes = ["rediss://kol@a:7000/0", "rediss://kol@b:6379/0"];
        assert_eq!(url.nodes(), nodes);
    }

    #[test]
    fn what_is_wrong_with_a_url_is_said() {
        for (url, why) in [
            ("http://localhost", "write redis://"),
            ("redis+sentinels://h/s", "write redis://"),
            ("redis://a:1,b:2/0", "redis+cluster://"),
            ("redis+sentinel://a:1,b:2", "name the service"),
            ("redis+cluster://a:1/1", "database 0 only"),
            ("redis://h:0", "a port is a number"),
            ("redis://kol:hunter2", "a port is a number"),
            ("redis://h/x", "not a number"),
            ("redis://", "a host is missing"),
            ("redis+cluster://a:1,,b:2", "a host is missing"),
        ] {
            let error = url.parse::<RedisUrl>().unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains(why), "{url}: {error}");
        }
    }
}
