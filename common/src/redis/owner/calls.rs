//! The scripts that read and write owner records, and what they answer.

use std::sync::LazyLock;

use redis::{RedisResult, Script};

use super::super::RedisConnection;
use super::{LONGEST_SILENCE, Other, Owner};
use crate::job::SinkSpec;
use crate::time::Millis;
use crate::{ClusterId, JobId, StoreId};

static OWN: LazyLock<Script> = LazyLock::new(|| on_records(include_str!("own.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| on_records(include_str!("renew.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("release.lua")));

/// A script behind the functions that read and write records.
fn on_records(script: &str) -> Script {
    Script::new(&[include_str!("records.lua"), script].concat())
}

/// The owner records of all templates that a job writes, then their copies.
fn records(sink: &SinkSpec, job: &str) -> impl Iterator<Item = String> {
    let records = sink.owner_keys(job).into_iter();
    records.chain(sink.holder_keys(job))
}

/// Letters of a field that are read: records are input.
const LONGEST_FIELD: usize = 100;

/// A job that wants to own its keys.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job and its master.
    pub owner: Owner,
    /// Where it writes.
    pub sink: SinkSpec,
    /// Jobs of the same store whose keys these stay.
    pub first: Vec<JobId>,
    /// Owners of other stores from whom the keys are taken although they live.
    pub displaced: Vec<Owner>,
    /// When the ownership was confirmed last, by the clock of Redis; 0 if never.
    pub confirmed: Millis,
}

/// What a claim comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The keys are the job's, or could be.
    Free {
        /// When Redis said so, by its clock; 0 if that confirms nothing: some records are left to the master.
        at: Millis,
        /// Another store's job that had some of them before, and was silent or is displaced.
        former: Option<Other>,
    },
    /// Some are another's.
    Held(Other),
}

impl Claim {
    /// Whether the job could own its keys; changes nothing.
    ///
    /// # Errors
    /// As the client says.
    pub async fn look(&self, open: &mut RedisConnection) -> RedisResult<Verdict> {
        self.send("look", open).await
    }

    /// Takes all keys of the job, or renews its ownership; none of them if one is held.
    ///
    /// # Errors
    /// As the client says.
    pub async fn own(&self, open: &mut RedisConnection) -> RedisResult<Verdict> {
        self.send("own", open).await
    }

    async fn send(&self, mode: &str, open: &mut RedisConnection) -> RedisResult<Verdict> {
        let Owner {
            store,
            cluster,
            host,
            job,
            job_id,
            generation,
        } = &self.owner;
        let mut call = OWN.prepare_invoke();
        for key in records(&self.sink, job) {
            call.key(key);
        }
        call.arg(generation).arg(mode).arg(store.as_str());
        call.arg(cluster.as_str()).arg(host).arg(job);
        call.arg(job_id.as_str()).arg(LONGEST_SILENCE.0);
        call.arg(self.confirmed.0);
        for first in &self.first {
            call.arg(format!("first:{first}"));
        }
        for from in &self.displaced {
            call.arg(format!("from:{}/{}", from.store, from.job_id));
        }
        let reply: Vec<String> = call.invoke_async(open).await?;
        Ok(verdict(&reply, &self.sink.written_templates(job)))
    }
}

/// Renews the last sign of life of a job whose ownership was last `confirmed` then, and writes records again that
/// Redis lost; who has taken its keys, if somebody has.
///
/// # Errors
/// As the client says.
pub async fn renew(
    sink: &SinkSpec,
    owner: &Owner,
    confirmed: Millis,
    open: &mut RedisConnection,
) -> RedisResult<Verdict> {
    let mut call = RENEW.prepare_invoke();
    for key in records(sink, &owner.job) {
        call.key(key);
    }
    call.arg(owner.generation).arg(owner.store.as_str());
    call.arg(owner.cluster.as_str()).arg(&owner.host);
    call.arg(&owner.job).arg(owner.job_id.as_str());
    call.arg(LONGEST_SILENCE.0).arg(confirmed.0);
    let reply: Vec<String> = call.invoke_async(open).await?;
    Ok(verdict(&reply, &sink.written_templates(&owner.job)))
}

/// Removes the records of a job that is over.
///
/// # Errors
/// As the client says.
pub async fn release(
    sink: &SinkSpec,
    job: &str,
    job_id: &JobId,
    open: &mut RedisConnection,
) -> RedisResult<()> {
    let mut call = RELEASE.prepare_invoke();
    for key in records(sink, job) {
        call.key(key);
    }
    call.arg(0).arg(job_id.as_str());
    call.invoke_async::<u64>(open).await.map(drop)
}

fn verdict(reply: &[String], templates: &[String]) -> Verdict {
    let other = other(reply, templates);
    match (reply.first().map(String::as_str), other) {
        (Some("HELD"), Some(other)) => Verdict::Held(other),
        (_, former) => Verdict::Free {
            at: Millis(reply.get(1).map_or(0, |now| number(now))),
            former,
        },
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

fn other(reply: &[String], templates: &[String]) -> Option<Other> {
    let [_, now, at, fields @ ..] = reply else {
        return None;
    };
    let text = |i: usize| shown(fields.get(i).map_or("", String::as_str));
    let at = at.parse::<usize>().ok()?.checked_sub(1)?;
    Some(Other {
        owner: Owner {
            store: StoreId::from_wire(text(0)),
            cluster: ClusterId::from_wire(text(1)),
            host: text(2),
            job: text(3),
            job_id: JobId::from_wire(text(4)),
            generation: number(&text(5)),
        },
        key: templates.get(at).cloned().unwrap_or_default(),
        since: Millis(number(&text(6))),
        silent: Millis(number(now)).since(Millis(number(&text(7)))),
    })
}

fn shown(field: &str) -> String {
    let harmless = field.chars().filter(|c| !c.is_control());
    harmless.take(LONGEST_FIELD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(word: &str, fields: &[&str]) -> Vec<String> {
        let words = [word, "70000", "2"].into_iter();
        let all = words.chain(fields.iter().copied());
        all.map(str::to_owned).collect()
    }

    #[test]
    fn another_owner_is_read_with_the_key_that_its_record_lies_beside() {
        let templates = ["ranking".to_owned(), "hash".to_owned()];
        let fields = [
            "sto_1",
            "clu_1",
            "h:1\u{1b}[2J",
            "kol",
            "job_1",
            "7",
            "500",
            "60000",
        ];
        let Verdict::Held(other) = verdict(&reply("HELD", &fields), &templates) else {
            panic!("held");
        };
        assert_eq!((other.key.as_str(), other.silent), ("hash", Millis(10_000)));
        assert_eq!(other.owner.host, "h:1[2J", "without control characters");
        assert_eq!((other.owner.generation, other.since), (7, Millis(500)));
        let free = verdict(&reply("FREE", &fields), &templates);
        let at = Millis(70_000);
        let former = Some(other);
        assert_eq!(free, Verdict::Free { at, former });
        let alone = ["FREE".to_owned(), "70000".to_owned()];
        let former = None;
        assert_eq!(verdict(&alone, &templates), Verdict::Free { at, former });
    }
}
