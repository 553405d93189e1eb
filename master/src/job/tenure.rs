//! Whether a job owns its keys in Redis (rules: see [`kol_common::redis::owner`]), and whether its Redis keeps
//! what was written. [`own`] and [`look`] query Redis; [`Tenure`] decides what the answer means for a job that
//! lives.

use std::time::Duration;

use kol_common::redis::owner::{Claim, Other, Verdict};
use kol_common::redis::{
    KEY_TYPE, RIGHTS_MISSING, RedisConnection, UNREACHABLE_CODE, classify, eviction,
    name_missing_rights, not_a_hash, wrong_type,
};
use kol_common::{KolError, Millis};

use super::discovery::Outside;

/// Longest time for all of it: whoever waits for it has other things to look at.
const LIMIT: Duration = Duration::from_secs(5);
/// Owners that are displaced by one claim, at most: a job writes few key templates.
const MOST_DISPLACED: usize = 10;
/// What an owner record of a wrong type prevents.
const NO_OWNER: &str = "it should name the owner of the job's keys, and the job cannot own them";

/// The keys are the job's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Owned {
    /// For a person: whose they were before.
    pub displaced: Vec<String>,
    /// The newest generation of those owners; 0 without any.
    pub generation: u64,
    /// Why Redis may lose what is written, if it may.
    pub evicts: Option<KolError>,
    /// When Redis said so, by its clock.
    pub confirmed: Millis,
}

/// Takes the keys of a job, or renews its ownership; with `take_over` also from owners that live.
///
/// # Errors
/// Not retryable: others hold some of them. Retryable: Redis cannot be reached or refuses.
pub async fn own(claim: Claim, take_over: bool, outside: &Outside) -> Result<Owned, KolError> {
    within(send(claim, take_over, true, outside)).await
}

/// Whether a job could take its keys; changes nothing.
///
/// # Errors
/// As [`own`].
pub async fn look(claim: Claim, take_over: bool, outside: &Outside) -> Result<Owned, KolError> {
    within(send(claim, take_over, false, outside)).await
}

async fn within<T>(call: impl Future<Output = Result<T, KolError>>) -> Result<T, KolError> {
    let in_time = tokio::time::timeout(LIMIT, call).await;
    let late = || KolError::external(UNREACHABLE_CODE, "Redis does not answer in time");
    in_time.unwrap_or_else(|_| Err(late().help("See whether it hangs or is overloaded.")))
}

async fn send(
    mut claim: Claim,
    take_over: bool,
    takes: bool,
    outside: &Outside,
) -> Result<Owned, KolError> {
    let connected = outside.redis.connect(&claim.sink, &outside.secrets);
    let mut open = connected.await?;
    let mut found = Owned::default();
    loop {
        match verdict(&claim, takes, &mut open).await? {
            Verdict::Free { at, former } => {
                found.confirmed = at;
                if let Some(former) = former
                    && !claim.displaced.contains(&former.owner)
                {
                    found.displaces(&former);
                }
                break;
            }
            Verdict::Held(other) => {
                let is_own = other.owner.store == claim.owner.store;
                if !take_over || is_own || claim.displaced.len() >= MOST_DISPLACED {
                    return Err(refusal(&claim, &other));
                }
                found.displaces(&other);
                claim.displaced.push(other.owner);
            }
        }
    }
    // A server that does not say is taken for right.
    let expires = claim.sink.ttl.is_some();
    found.evicts = eviction(&mut open, expires).await.unwrap_or_default();
    Ok(found)
}

async fn verdict(
    claim: &Claim,
    takes: bool,
    open: &mut RedisConnection,
) -> Result<Verdict, KolError> {
    let verdict = if takes {
        claim.own(open).await
    } else {
        claim.look(open).await
    };
    match verdict.map_err(|e| classify(&e)) {
        Err(error) if error.code == RIGHTS_MISSING => {
            Err(name_missing_rights(error, &claim.sink, open).await)
        }
        Err(error) if error.code == KEY_TYPE => {
            let mut records = claim.sink.owner_keys(&claim.owner.job);
            records.extend(claim.sink.holder_keys(&claim.owner.job));
            let key = not_a_hash(records, open).await;
            Err(key.map_or(error, |key| wrong_type(&key, NO_OWNER)))
        }
        verdict => verdict,
    }
}

impl Owned {
    fn displaces(&mut self, other: &Other) {
        self.displaced.push(other.was_displaced());
        self.generation = self.generation.max(other.owner.generation);
    }
}

/// Why a job does not get its keys, or no longer has them.
fn refusal(claim: &Claim, other: &Other) -> KolError {
    let (job, has_run) = (&claim.owner.job, claim.owner.generation > 0);
    if other.owner.store == claim.owner.store {
        return keys_taken(job, &other.owner.job, &other.key);
    }
    if has_run {
        other.took_over(job)
    } else {
        other.holds(job)
    }
}

/// Another job of this master writes keys that a job would write.
pub fn keys_taken(job: &str, other: &str, key: &str) -> KolError {
    let what = format!("job `{other}` already writes the keys `{key}` in the same Redis");
    KolError::user("SINK_KEYS_TAKEN", what).job(job).help(
        "Stop that job, or give this one its own keys in [sink.keys], for example with {job} in each.",
    )
}

/// What is known of the ownership of a job that lives.
#[derive(Debug, Default)]
pub(super) struct Tenure {
    /// Lacking rights, an owner record of a wrong type, or an eviction policy: everything else that is wrong with
    /// Redis, executors report.
    problem: Option<KolError>,
    /// When Redis confirmed last that the keys are the job's, by its clock; 0 before.
    confirmed: Millis,
}

/// What a look means for the job.
#[derive(Debug, PartialEq)]
pub(super) enum Standing {
    /// Its keys are its own. Who had them before must be kept for people, if somebody had.
    Kept(Vec<String>),
    /// Others have them: the job must end.
    Lost(KolError),
    /// Redis did not answer: the job continues.
    Unknown,
}

impl Tenure {
    /// What is wrong, if something is.
    pub(super) fn problem(&self) -> Option<&KolError> {
        self.problem.as_ref()
    }

    /// When Redis confirmed last that the keys are the job's, by its clock; 0 if it did not since this master
    /// started.
    pub(super) fn confirmed(&self) -> Millis {
        self.confirmed
    }

    /// A look is over.
    pub(super) fn looked(&mut self, owned: Result<Owned, KolError>) -> Standing {
        match owned {
            Ok(owned) => {
                self.problem = owned.evicts;
                self.confirmed = owned.confirmed;
                Standing::Kept(owned.displaced)
            }
            Err(error) if !error.retryable => Standing::Lost(error),
            Err(error) => {
                if [RIGHTS_MISSING, KEY_TYPE].contains(&error.code) {
                    self.problem = Some(error);
                }
                Standing::Unknown
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kol_common::redis::EVICTS;
    use kol_common::redis::owner::{KEYS_OWNED, Owner, TAKEN_OVER};
    use kol_common::{ClusterId, JobId, StoreId};

    use super::*;
    use crate::testing::spec;

    fn owner(store: &str, generation: u64) -> Owner {
        Owner {
            store: StoreId::from_wire(store),
            cluster: ClusterId::from_wire("clu_1"),
            host: "h:1".into(),
            job: "kol".into(),
            job_id: JobId::from_wire("job_1"),
            generation,
        }
    }

    fn refused(generation: u64, by: &str) -> KolError {
        let claim = Claim {
            owner: owner("sto_a", generation),
            sink: spec("kol").sink,
            first: Vec::new(),
            displaced: Vec::new(),
            confirmed: Millis(0),
        };
        let other = Other {
            owner: owner(by, 1),
            key: "k".into(),
            since: Millis(0),
            silent: Millis(0),
        };
        refusal(&claim, &other)
    }

    #[test]
    fn a_job_that_never_ran_is_refused_and_one_that_ran_was_taken_over() {
        assert_eq!(refused(0, "sto_b").code, KEYS_OWNED);
        assert_eq!(refused(3, "sto_b").code, TAKEN_OVER);
        for generation in [0, 3] {
            assert_eq!(refused(generation, "sto_a").code, "SINK_KEYS_TAKEN");
        }
        assert!(!refused(3, "sto_b").retryable);
    }

    #[test]
    fn only_another_owner_ends_a_job_and_a_redis_that_does_not_answer_does_not() {
        let mut tenure = Tenure::default();
        let away = KolError::external(UNREACHABLE_CODE, "away");
        assert_eq!(tenure.looked(Err(away)), Standing::Unknown);
        assert_eq!(tenure.problem(), None, "executors say so");
        let lost = refused(3, "sto_b");
        let standing = tenure.looked(Err(lost.clone()));
        assert_eq!(standing, Standing::Lost(lost));
    }

    #[test]
    fn what_only_the_master_notices_is_a_problem_until_a_look_succeeds() {
        for code in [RIGHTS_MISSING, KEY_TYPE] {
            let mut tenure = Tenure::default();
            let error = KolError::external(code, "no");
            assert_eq!(tenure.looked(Err(error.clone())), Standing::Unknown);
            assert_eq!(tenure.problem(), Some(&error));
            tenure.looked(Ok(Owned::default()));
            assert_eq!(tenure.problem(), None);
        }
    }

    #[test]
    fn the_last_confirmation_is_kept_while_redis_does_not_answer() {
        let mut tenure = Tenure::default();
        assert_eq!(tenure.confirmed(), Millis(0));
        tenure.looked(Ok(Owned {
            confirmed: Millis(7),
            ..Owned::default()
        }));
        tenure.looked(Err(KolError::external(UNREACHABLE_CODE, "away")));
        assert_eq!(tenure.confirmed(), Millis(7));
    }

    #[test]
    fn an_eviction_policy_is_a_problem_until_a_look_finds_it_right() {
        let mut tenure = Tenure::default();
        let evicts = KolError::external(EVICTS, "evicts");
        let owned = |evicts| Owned {
            evicts,
            ..Owned::default()
        };
        tenure.looked(Ok(owned(Some(evicts.clone()))));
        tenure.looked(Err(KolError::external(UNREACHABLE_CODE, "away")));
        assert_eq!(tenure.problem(), Some(&evicts), "nobody knows better");
        tenure.looked(Ok(owned(None)));
        assert_eq!(tenure.problem(), None);
    }
}
