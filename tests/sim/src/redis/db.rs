//! What Redis holds, and the commands that this system uses.

use std::collections::{BTreeMap, BTreeSet};

use super::scan;
use crate::world::time;

/// An answer, before it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A word, such as OK.
    Status(&'static str),
    /// A string, or none.
    Bulk(Option<Vec<u8>>),
    /// A whole number, as counts are.
    Number(i64),
    /// Several answers, in their order.
    Array(Vec<Reply>),
    /// A refusal, with its code in front.
    Error(String),
}

impl Reply {
    pub(super) fn text(text: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(Some(text.into()))
    }
}

/// Values by field.
type Hash = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Text(Vec<u8>),
    Hash(Hash),
    Ranking(Ranking),
    Set(BTreeSet<Vec<u8>>),
}

/// Entries by member.
type Ranking = BTreeMap<Vec<u8>, Entry>;

/// Of a member of a ranking.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    score: f64,
    /// Generation of the job that wrote it; Redis would not know.
    by: u64,
}

/// All keys of the server, with their values.
#[derive(Clone, Debug, Default)]
pub struct Db {
    keys: BTreeMap<Vec<u8>, Value>,
    /// Generation of the job whose command is being done.
    writer: u64,
}

/// Why a command is refused: not for this value, or unknown.
type Refused = String;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

impl Db {
    /// What is written from here on is written by this generation of a job.
    pub fn written_by(&mut self, generation: u64) {
        self.writer = generation;
    }

    /// Does a command.
    pub fn run(&mut self, command: &[Vec<u8>]) -> Reply {
        let name = command.first().map(|n| n.to_ascii_uppercase());
        let name = String::from_utf8(name.unwrap_or_default()).unwrap_or_default();
        let arguments = command.get(1..).unwrap_or_default();
        self.command(&name, arguments).unwrap_or_else(Reply::Error)
    }

    fn command(&mut self, name: &str, arguments: &[Vec<u8>]) -> Result<Reply, Refused> {
        let wrong_number = || format!("ERR wrong number of arguments for '{name}'");
        let (key, rest) = match (name, arguments) {
            ("PING" | "CLIENT" | "SELECT" | "FLUSHALL", _) => {
                if name == "FLUSHALL" {
                    self.keys.clear();
                }
                return Ok(Reply::Status(if name == "PING" { "PONG" } else { "OK" }));
            }
            ("TIME", []) => {
                let now = time();
                let micros = now.0 % 1_000 * 1_000;
                let parts = [(now.0 / 1_000).to_string(), micros.to_string()];
                return Ok(Reply::Array(parts.map(Reply::text).into()));
            }
            ("INFO", _) => {
                return Ok(Reply::text(
                    "maxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
                ));
            }
            ("SCAN", [cursor, options @ ..]) => {
                let keys = self.keys.iter();
                let hashes = keys.filter(|(_, value)| matches!(value, Value::Hash(_)));
                return scan::scan(hashes.map(|(key, _)| key), cursor, options);
            }
            (_, [key, rest @ ..]) => (key, rest),
            _ => return Err(wrong_number()),
        };
        match (name, rest) {
            ("GET", []) => match self.keys.get(key) {
                None => Ok(Reply::Bulk(None)),
                Some(Value::Text(text)) => Ok(Reply::text(text.clone())),
                Some(_) => Err(WRONG_TYPE.into()),
            },
            ("SET", [text]) => {
                self.keys.insert(key.clone(), Value::Text(text.clone()));
                Ok(Reply::Status("OK"))
            }
            ("DEL" | "UNLINK", more) => {
                let all = std::iter::once(key).chain(more);
                let gone = all.filter(|key| self.keys.remove(*key).is_some()).count();
                Ok(Reply::Number(gone as i64))
            }
            ("EXISTS", []) => Ok(Reply::Number(i64::from(self.keys.contains_key(key)))),
            ("RENAME", [new]) => {
                let value = self.keys.remove(key).ok_or("ERR no such key")?;
                self.keys.insert(new.clone(), value);
                Ok(Reply::Status("OK"))
            }
            ("TYPE", []) => Ok(Reply::Status(match self.keys.get(key) {
                None => "none",
                Some(Value::Text(_)) => "string",
                Some(Value::Hash(_)) => "hash",
                Some(Value::Ranking(_)) => "zset",
                Some(Value::Set(_)) => "set",
            })),
            ("ZUNIONSTORE", [count, sources @ ..]) if **count == *b"2" => self.union(key, sources),
            ("PEXPIRE", [_]) => Ok(Reply::Number(i64::from(self.keys.contains_key(key)))),
            ("HGET", [field]) => Ok(Reply::Bulk(self.field(key, field)?)),
            ("HMGET", fields @ [_, ..]) => {
                let found = fields.iter().map(|f| Ok(Reply::Bulk(self.field(key, f)?)));
                Ok(Reply::Array(found.collect::<Result<_, Refused>>()?))
            }
            ("HDEL", fields @ [_, ..]) => {
                if self.hash(key)?.is_none() {
                    return Ok(Reply::Number(0));
                }
                let Some(Value::Hash(hash)) = self.keys.get_mut(key) else {
                    return Err(WRONG_TYPE.into());
                };
                let gone = fields.iter().filter(|f| hash.remove(*f).is_some());
                let gone = gone.count() as i64;
                if hash.is_empty() {
                    self.keys.remove(key);
                }
                Ok(Reply::Number(gone))
            }
            ("HLEN", []) => Ok(Reply::Number(self.hash(key)?.map_or(0, |h| h.len() as i64))),
            ("SISMEMBER", [member]) => match self.keys.get(key) {
                None => Ok(Reply::Number(0)),
                Some(Value::Set(set)) => Ok(Reply::Number(i64::from(set.contains(member)))),
                Some(_) => Err(WRONG_TYPE.into()),
            },
            ("ZMSCORE", members @ [_, ..]) => {
                let ranking = self.ranking(key)?;
                let score = |m: &Vec<u8>| {
                    let entry = ranking.as_ref()?.get(m)?;
                    Some(entry.score.to_string().into_bytes())
                };
                let scores = members.iter().map(|m| Reply::Bulk(score(m)));
                Ok(Reply::Array(scores.collect()))
            }
            ("HGETALL", []) => {
                let hash = self.hash(key)?.into_iter().flatten();
                let flat = hash.flat_map(|(f, v)| [Reply::text(f.clone()), Reply::text(v.clone())]);
                Ok(Reply::Array(flat.collect()))
            }
            ("HSET", pairs @ [_, _, ..]) if pairs.len() % 2 == 0 => self.hset(key, pairs),
            ("ZADD", pairs @ [_, _, ..]) if pairs.len() % 2 == 0 => self.zadd(key, pairs),
            ("ZREM", members @ [_, ..]) => {
                let Some(ranking) = self.ranking(key)? else {
                    return Ok(Reply::Number(0));
                };
                let gone = members.iter().filter(|m| ranking.remove(*m).is_some());
                let gone = gone.count() as i64;
                if ranking.is_empty() {
                    self.keys.remove(key);
                }
                Ok(Reply::Number(gone))
            }
            ("SADD", [member]) => {
                let empty = || Value::Set(BTreeSet::new());
                let Value::Set(set) = self.keys.entry(key.clone()).or_insert_with(empty) else {
                    return Err(WRONG_TYPE.into());
                };
                Ok(Reply::Number(i64::from(set.insert(member.clone()))))
            }
            ("SREM", [member]) => {
                let Some(value) = self.keys.get_mut(key) else {
                    return Ok(Reply::Number(0));
                };
                let Value::Set(set) = value else {
                    return Err(WRONG_TYPE.into());
                };
                let gone = set.remove(member);
                if set.is_empty() {
                    self.keys.remove(key);
                }
                Ok(Reply::Number(i64::from(gone)))
            }
            ("SMEMBERS", []) => match self.keys.get(key) {
                None => Ok(Reply::Array(Vec::new())),
                Some(Value::Set(set)) => {
                    let members = set.iter().map(|m| Reply::text(m.clone()));
                    Ok(Reply::Array(members.collect()))
                }
                Some(_) => Err(WRONG_TYPE.into()),
            },
            ("ZCARD", []) => Ok(Reply::Number(
                self.ranking(key)?.map_or(0, |r| r.len() as i64),
            )),
            ("ZREVRANGE", [first, last]) => self.highest(key, first, last, false),
            ("ZREVRANGE", [first, last, scores]) if **scores == *b"WITHSCORES" => {
                self.highest(key, first, last, true)
            }
            // All of it in one piece, as Redis does with a small one.
            ("ZSCAN", [_, ..]) => {
                let members = self.ranking(key)?.into_iter().flatten();
                let pairs = members
                    .flat_map(|(m, e)| [Reply::text(m.clone()), Reply::text(e.score.to_string())])
                    .collect();
                Ok(Reply::Array(vec![Reply::text("0"), Reply::Array(pairs)]))
            }
            ("HSCAN", [_, ..]) => {
                let hash = self.hash(key)?.into_iter().flatten();
                let flat = hash.flat_map(|(f, v)| [Reply::text(f.clone()), Reply::text(v.clone())]);
                let flat = Reply::Array(flat.collect());
                Ok(Reply::Array(vec![Reply::text("0"), flat]))
            }
            (
                "GET" | "SET" | "HGET" | "HMGET" | "HSET" | "ZADD" | "ZREM" | "ZSCAN" | "HSCAN",
                _,
            ) => Err(wrong_number()),
            _ => Err(format!("ERR unknown command '{name}'")),
        }
    }

    fn hash(&self, key: &[u8]) -> Result<Option<&Hash>, Refused> {
        match self.keys.get(key) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(WRONG_TYPE.into()),
        }
    }

    fn field(&self, key: &[u8], field: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
        Ok(self.hash(key)?.and_then(|hash| hash.get(field)).cloned())
    }

    fn ranking(&mut self, key: &[u8]) -> Result<Option<&mut Ranking>, Refused> {
        match self.keys.get_mut(key) {
            None => Ok(None),
            Some(Value::Ranking(ranking)) => Ok(Some(ranking)),
            Some(_) => Err(WRONG_TYPE.into()),
        }
    }

    fn hset(&mut self, key: &[u8], pairs: &[Vec<u8>]) -> Result<Reply, Refused> {
        let empty = || Value::Hash(BTreeMap::new());
        let Value::Hash(hash) = self.keys.entry(key.to_vec()).or_insert_with(empty) else {
            return Err(WRONG_TYPE.into());
        };
        let new = pairs.chunks_exact(2).filter(|pair| {
            let before = hash.insert(pair[0].clone(), pair[1].clone());
            before.is_none()
        });
        Ok(Reply::Number(new.count() as i64))
    }

    fn zadd(&mut self, key: &[u8], pairs: &[Vec<u8>]) -> Result<Reply, Refused> {
        let score = |text: &[u8]| {
            let text = std::str::from_utf8(text).ok()?;
            text.parse::<f64>().ok()
        };
        let scores: Option<Vec<f64>> = pairs.chunks_exact(2).map(|p| score(&p[0])).collect();
        let scores = scores.ok_or("ERR value is not a valid float")?;
        let by = self.writer;
        let empty = || Value::Ranking(BTreeMap::new());
        let Value::Ranking(ranking) = self.keys.entry(key.to_vec()).or_insert_with(empty) else {
            return Err(WRONG_TYPE.into());
        };
        let members = pairs.chunks_exact(2).map(|pair| pair[1].clone());
        let new = members
            .zip(scores)
            .map(|(member, score)| (member, Entry { score, by }))
            .filter(|(member, entry)| ranking.insert(member.clone(), *entry).is_none());
        Ok(Reply::Number(new.count() as i64))
    }

    /// Another score of a member of a ranking, if it is one; it counts as written by whom it was before.
    pub fn move_in_ranking(&mut self, key: &str, member: &str, score: f64) {
        if let Some(Value::Ranking(ranking)) = self.keys.get_mut(key.as_bytes())
            && let Some(entry) = ranking.get_mut(member.as_bytes())
        {
            entry.score = score;
        }
    }

    /// The members of a ranking from one place to another, the highest score first.
    fn highest(
        &mut self,
        key: &[u8],
        first: &[u8],
        last: &[u8],
        with_scores: bool,
    ) -> Result<Reply, Refused> {
        let place = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<usize>().ok();
        let places = place(first).zip(place(last));
        let (first, last) = places.ok_or("ERR value is not an integer or out of range")?;
        let mut all: Vec<_> = self.ranking(key)?.into_iter().flatten().collect();
        all.sort_by(|a, b| b.1.score.total_cmp(&a.1.score).then_with(|| b.0.cmp(a.0)));
        let found = all.into_iter().take(last + 1).skip(first);
        let pairs = found.flat_map(|(m, e)| {
            let score = with_scores.then(|| Reply::text(e.score.to_string()));
            std::iter::once(Reply::text(m.clone())).chain(score)
        });
        Ok(Reply::Array(pairs.collect()))
    }

    /// Puts the sums of some rankings into one.
    fn union(&mut self, key: &[u8], sources: &[Vec<u8>]) -> Result<Reply, Refused> {
        let by = self.writer;
        let mut sums = Ranking::new();
        for source in sources {
            for (member, entry) in self.ranking(source)?.into_iter().flatten() {
                let none = Entry { score: 0.0, by };
                sums.entry(member.clone()).or_insert(none).score += entry.score;
            }
        }
        let count = sums.len() as i64;
        self.keys.insert(key.to_vec(), Value::Ranking(sums));
        Ok(Reply::Number(count))
    }

    /// All hashes whose keys begin with this, by key.
    pub fn hashes(&self, prefix: &str) -> BTreeMap<String, BTreeMap<String, String>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found = self.keys.iter().filter_map(|(key, value)| match value {
            Value::Hash(hash) if key.starts_with(prefix.as_bytes()) => {
                let fields = hash.iter().map(|(f, v)| (text(f), text(v)));
                Some((text(key), fields.collect()))
            }
            _ => None,
        });
        found.collect()
    }

    /// All rankings whose keys begin with this, by key.
    pub fn rankings(&self, prefix: &str) -> BTreeMap<String, BTreeMap<String, f64>> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let found = self.keys.iter().filter_map(|(key, value)| match value {
            Value::Ranking(ranking) if key.starts_with(prefix.as_bytes()) => {
                let members = ranking.iter().map(|(m, entry)| (text(m), entry.score));
                Some((text(key), members.collect()))
            }
            _ => None,
        });
        found.collect()
    }

    /// The packed slots of every creator, and the generation that its hash names, by the key of its hash.
    pub fn slots(&self) -> impl Iterator<Item = (Vec<u8>, &[u8], &[u8])> {
        let tables = self.keys.iter().filter_map(|(key, value)| {
            let text = std::str::from_utf8(key).ok()?;
            let platform = text.strip_prefix("streaming:ranking:")?;
            match value {
                Value::Hash(slots) => Some((platform.strip_suffix(":trending:slots")?, slots)),
                _ => None,
            }
        });
        tables.flat_map(move |(platform, slots)| {
            slots.iter().filter_map(move |(kol, packed)| {
                let key = [b"trending:", platform.as_bytes(), b":", kol].concat();
                let generation = self.hash(&key).ok()??.get(&b"generation"[..])?;
                Some((key, packed.as_slice(), generation.as_slice()))
            })
        })
    }

    /// The oldest and the newest generation that wrote a ranking whose key begins with this, by key.
    pub fn writers(&self, prefix: &str) -> impl Iterator<Item = (&[u8], u64, u64)> {
        self.keys
            .iter()
            .filter_map(move |(key, value)| match value {
                Value::Ranking(ranking) if key.starts_with(prefix.as_bytes()) => {
                    let by = || ranking.values().map(|entry| entry.by);
                    Some((key.as_slice(), by().min()?, by().max()?))
                }
                _ => None,
            })
    }
}
