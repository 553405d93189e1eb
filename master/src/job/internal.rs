//! The internal topic of a job that re-keys its input: whether one that is there may be used, and what is created. Rules:
//!
//! 1. A topic is this job's if its id is the one that is stored with it or with the newest job of its name, or if it is empty
//!    and has as many partitions as wanted. Any other one is somebody else's.
//! 2. The number of its partitions is the one that is stored: creators are spread over that many, and would be in two
//!    partitions if it changed.
//! 3. A job whose state was made of the stored topic gets no other one.

use kol_common::KolError;
use uuid::Uuid;

use super::discovery::{QueryRekeying, Wanted};
use super::record::Internal;

/// A topic of the wanted name, as brokers describe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existing {
    /// `None` where brokers give no ids.
    pub id: Option<Uuid>,
    /// How many it has.
    pub partitions: u32,
    /// No partition has a record.
    pub is_empty: bool,
}

/// What to do about the internal topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is none.
    Create,
    /// This one is the job's.
    Use(Internal),
}

/// Says that by the rules of this module.
///
/// # Errors
/// `REKEY_UNSUPPORTED`, `REKEY_PARTITIONS`, `REKEY_TOPIC_FOREIGN`; `REKEY_TOPIC_GONE` where there is none, and another one will
/// not do.
pub fn judge(query: &QueryRekeying, existing: Option<&Existing>) -> Result<Verdict, KolError> {
    let wanted = &query.wanted;
    let stored = query.stored.as_ref();
    let Some(existing) = existing else {
        return match query.must_be_stored {
            true => Err(gone(wanted)),
            false => Ok(Verdict::Create),
        };
    };
    let Some(id) = existing.id else {
        return Err(without_ids());
    };
    if let Some(stored) = stored.filter(|stored| stored.id == id) {
        same_partitions(stored, wanted.partitions)?;
        return Ok(Verdict::Use(stored.clone()));
    }
    let may_be_taken = existing.is_empty && existing.partitions == wanted.partitions;
    if may_be_taken && !query.must_be_stored {
        return Ok(Verdict::Use(Internal {
            topic: wanted.topic.clone(),
            id,
            partitions: wanted.partitions,
        }));
    }
    Err(foreign(wanted, existing))
}

/// Whether the internal topic of a job can have so many partitions.
///
/// # Errors
/// `REKEY_PARTITIONS`.
pub fn same_partitions(stored: &Internal, wanted: u32) -> Result<(), KolError> {
    if stored.partitions == wanted {
        return Ok(());
    }
    let Internal {
        topic, partitions, ..
    } = stored;
    let what = format!(
        "the internal topic `{topic}` spreads creators over {partitions} partitions, and source.rekey wants {wanted}"
    );
    Err(KolError::user("REKEY_PARTITIONS", what).help(format!(
        "Keep partitions = {partitions}. For another number begin with another internal topic: give source.rekey another topic, \
         and submit with --replace --discard-state; everything is read again from source.starting_offsets."
    )))
}

/// Brokers give no ids to topics.
pub fn without_ids() -> KolError {
    let what = "the brokers give no ids to topics: without them a recreated internal topic would not be noticed";
    KolError::user("REKEY_UNSUPPORTED", what)
        .help("Update the brokers to Kafka 2.8 or later, or leave source.rekey out.")
}

fn gone(wanted: &Wanted) -> KolError {
    let what = format!(
        "the internal topic `{}` no longer exists, and the job's state was made of it",
        wanted.topic
    );
    KolError::user("REKEY_TOPIC_GONE", what).help(
        "Begin without that state: kol-client submit FILE --replace --discard-state; everything is read again from \
         source.starting_offsets.",
    )
}

fn foreign(wanted: &Wanted, existing: &Existing) -> KolError {
    let Wanted {
        topic, partitions, ..
    } = wanted;
    let why = match existing.is_empty {
        true => format!(
            "has {} partitions and not {partitions}",
            existing.partitions
        ),
        false => "has records that this job did not write".to_owned(),
    };
    let what = format!("the topic `{topic}` is not this job's internal topic: it {why}");
    KolError::user("REKEY_TOPIC_FOREIGN", what)
        .help("Give source.rekey another topic, or delete that one if nobody needs it.")
}

#[cfg(test)]
mod tests {
    use kol_common::Millis;
    use kol_common::job::StartingOffsets;

    use super::*;

    const OWN: Uuid = Uuid::from_u128(7);

    fn query(stored: Option<Uuid>, must_be_stored: bool) -> QueryRekeying {
        QueryRekeying {
            wanted: Wanted {
                topic: "inner".into(),
                partitions: 4,
                retention: Millis(1),
            },
            stored: stored.map(|id| Internal {
                topic: "inner".into(),
                id,
                partitions: 4,
            }),
            known: Vec::new(),
            must_be_stored,
            offsets: StartingOffsets::Latest,
        }
    }

    fn existing(id: u128, partitions: u32, is_empty: bool) -> Existing {
        Existing {
            id: Some(Uuid::from_u128(id)),
            partitions,
            is_empty,
        }
    }

    /// The code of a refusal, or what is done.
    fn verdict(query: &QueryRekeying, existing: Option<Existing>) -> &'static str {
        match judge(query, existing.as_ref()) {
            Ok(Verdict::Create) => "create",
            Ok(Verdict::Use(internal)) => {
                assert_eq!(internal.partitions, 4);
                "use"
            }
            Err(refused) => {
                assert!(!refused.retryable, "{refused}");
                assert!(!refused.help.is_empty());
                refused.code
            }
        }
    }

    #[test]
    fn a_topic_is_this_jobs_by_its_id_or_because_it_is_empty_and_fits() {
        let new = query(None, false);
        assert_eq!(verdict(&new, None), "create");
        assert_eq!(verdict(&new, Some(existing(7, 4, true))), "use");
        assert_eq!(
            verdict(&new, Some(existing(7, 4, false))),
            "REKEY_TOPIC_FOREIGN"
        );
        assert_eq!(
            verdict(&new, Some(existing(7, 5, true))),
            "REKEY_TOPIC_FOREIGN"
        );
        let known = query(Some(OWN), false);
        assert_eq!(verdict(&known, Some(existing(7, 4, false))), "use");
        assert_eq!(
            verdict(&known, Some(existing(8, 4, false))),
            "REKEY_TOPIC_FOREIGN"
        );
    }

    #[test]
    fn a_topic_to_which_a_person_added_partitions_keeps_those_that_creators_are_spread_over() {
        let known = query(Some(OWN), true);
        assert_eq!(verdict(&known, Some(existing(7, 9, false))), "use");
    }

    #[test]
    fn a_job_with_a_state_gets_no_other_topic_than_that_of_its_state() {
        let resumes = query(Some(OWN), true);
        assert_eq!(verdict(&resumes, None), "REKEY_TOPIC_GONE");
        assert_eq!(
            verdict(&resumes, Some(existing(8, 4, true))),
            "REKEY_TOPIC_FOREIGN"
        );
        let begins = query(Some(OWN), false);
        assert_eq!(verdict(&begins, None), "create");
        assert_eq!(verdict(&begins, Some(existing(8, 4, true))), "use");
    }

    #[test]
    fn another_number_of_partitions_is_refused_with_the_command_that_gives_it() {
        let mut known = query(Some(OWN), false);
        known.wanted.partitions = 8;
        let refused = judge(&known, Some(&existing(7, 4, false))).unwrap_err();
        assert_eq!(refused.code, "REKEY_PARTITIONS");
        assert!(refused.help.contains("--replace --discard-state"));
    }

    #[test]
    fn brokers_without_ids_of_topics_are_refused() {
        let existing = Existing {
            id: None,
            ..existing(7, 4, true)
        };
        assert_eq!(
            verdict(&query(None, false), Some(existing)),
            "REKEY_UNSUPPORTED"
        );
    }
}
