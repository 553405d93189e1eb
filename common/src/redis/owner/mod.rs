//! Whose keys of a Redis are: an owner record beside each key template that a job writes.
//!
//! Which server a URL leads to, and which database of it, only the server knows. So jobs that would write the
//! same keys find each other by records that lie beside those keys, whatever their URLs look like and whichever
//! cluster they are of.
//!
//! 1. A master takes the records of all keys of a job in one script, before the job reads anything. It renews
//!    them while the job lives, and so do the job's executors: a job whose master is away stays the owner. What
//!    Redis loses of them is written again, by executors before they write any ranking again.
//!    Each record has a copy, which counts where the record alone is lost.
//! 2. The record of another master's store is respected while its last sign of life is younger than
//!    [`LONGEST_SILENCE`], by the clock of Redis. Then it can be taken over only by a person who says so.
//! 3. A job whose records another store has taken ends. What it still writes is fenced by generation.
//! 4. The master distinguishes jobs of one store: the older one that lives comes first.
//! 5. A record of another store that is older than the last confirmation of the job's own ownership came with a
//!    dump that Redis was restored from: nobody has taken the keys, and it does not count.
//! 6. A Redis that cannot be reached stops nobody: the records are renewed when it is back.

mod calls;

use crate::time::Millis;
use crate::{ClusterId, JobId, KolError, StoreId};

pub use calls::{Claim, Verdict, release, renew};

/// An owner that gave no sign of life for longer has lost its keys to whoever comes.
pub const LONGEST_SILENCE: Millis = Millis(60_000);
/// How often an owner gives a sign of life.
pub const RENEW_EVERY: Millis = Millis(10_000);
/// Error code: the keys are another cluster's, whose job is alive.
pub const KEYS_OWNED: &str = "SINK_KEYS_OWNED";
/// Error code: another cluster has taken the keys of this job.
pub const TAKEN_OVER: &str = "SINK_TAKEN_OVER";

/// Who owns the keys of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// State store of the master: two masters with one checkpoint root have one cluster id.
    pub store: StoreId,
    /// Cluster of the master.
    pub cluster: ClusterId,
    /// Where people find the master, `host:port`.
    pub host: String,
    /// Name of the job.
    pub job: String,
    /// Id of the job, which its name alone would not tell from an earlier one.
    pub job_id: JobId,
    /// Its generation; 0 before it is known.
    pub generation: u64,
}

/// Another owner of some key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// Who it is.
    pub owner: Owner,
    /// The key template that its record lies beside.
    pub key: String,
    /// When it took the keys, by the clock of Redis.
    pub since: Millis,
    /// For how long it has given no sign of life.
    pub silent: Millis,
}

impl Other {
    /// Why a job must not begin: this owner lives.
    pub fn holds(&self, job: &str) -> KolError {
        let Owner {
            host, job: name, ..
        } = &self.owner;
        let (who, key, silent) = (self.who(), &self.key, self.silence());
        let what = format!(
            "{who} writes the keys `{key}` in this Redis; its last sign of life was {silent} ago"
        );
        KolError::user(KEYS_OWNED, what).job(job).help(format!(
            "Stop it there (kol-client --master http://{host} stop {name}), give this job keys of its own in \
             [sink.keys], for example with {{job}} in each, or take the keys over: kol-client submit FILE \
             --take-over; the job there then fails."
        ))
    }

    /// Why a job that ran must end: this owner has taken its keys.
    pub fn took_over(&self, job: &str) -> KolError {
        let (who, key, since) = (self.who(), &self.key, self.since.iso());
        let what = format!(
            "{who} took over the keys `{key}` in Redis at {since}: this job writes nothing any more"
        );
        KolError::user(TAKEN_OVER, what).job(job).help(
            "Give it keys of its own in [sink.keys] and submit it again, or take the keys back: kol-client submit \
             FILE --take-over; the other job then fails.",
        )
    }

    /// What a person should know who begins a job with keys that were this owner's.
    pub fn was_displaced(&self) -> String {
        let (who, key, silent) = (self.who(), &self.key, self.silence());
        format!(
            "the keys `{key}` are taken over from {who}; its last sign of life was {silent} ago"
        )
    }

    fn who(&self) -> String {
        let Owner {
            cluster, host, job, ..
        } = &self.owner;
        format!("job `{job}` of cluster {cluster} (master on {host})")
    }

    /// In whole seconds.
    fn silence(&self) -> Millis {
        Millis(self.silent.0 / 1_000 * 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_job_cluster_host_and_last_sign_of_life_and_the_ways_out() {
        let other = Other {
            owner: Owner {
                store: StoreId::from_wire("sto_1"),
                cluster: ClusterId::from_wire("clu_1"),
                host: "web-7:7077".into(),
                job: "kol".into(),
                job_id: JobId::from_wire("job_1"),
                generation: 4,
            },
            key: "ranking:{platform}:trending".into(),
            since: Millis(1_751_358_565_000),
            silent: Millis(3_900),
        };
        let held = other.holds("mine").to_string();
        for part in [
            "SINK_KEYS_OWNED",
            "job `kol` of cluster clu_1 (master on web-7:7077)",
            "`ranking:{platform}:trending`",
            "3s ago",
            "kol-client --master http://web-7:7077 stop kol",
            "{job} in each",
            "--take-over",
        ] {
            assert!(held.contains(part), "{part}: {held}");
        }
        let taken = other.took_over("mine").to_string();
        for part in [
            "SINK_TAKEN_OVER",
            "2025-07-01T08:29:25.000Z",
            "clu_1",
            "--take-over",
        ] {
            assert!(taken.contains(part), "{part}: {taken}");
        }
        let warning = other.was_displaced();
        assert!(
            warning.contains("from job `kol` of cluster clu_1"),
            "{warning}"
        );
    }
}
