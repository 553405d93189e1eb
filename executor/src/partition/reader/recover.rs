//! When the log is not what it was: records that are gone, or a topic that was recreated.

use kol_common::KolError;
use kol_common::checkpoint::LOST;
use kol_common::job::OnDataLoss;

use super::range::{Evidence, Resume, resume};
use crate::partition::message::Assignment;

/// Decides where to resume. What is lost by that is logged.
///
/// # Errors
/// `DATA_LOSS`, when the job must not lose any.
pub fn recover(assignment: &Assignment, evidence: &Evidence) -> Result<Resume, KolError> {
    let decision = resume(evidence);
    // What is lost begins at `first`.
    let (code, what, first, next) = match decision {
        Resume::Here | Resume::Later => return Ok(decision),
        Resume::BehindGap { lost, at } => (
            "DATA_LOSS",
            format!(
                "{lost} records, {} to {}, were deleted before they were read",
                evidence.position,
                at.saturating_sub(1)
            ),
            evidence.position,
            format!("reading resumes at the oldest record, {at}"),
        ),
        Resume::BeforeTail(tail) => (
            "DATA_LOSS",
            tail.to_string(),
            tail.from,
            "the partition goes back to a checkpoint from before them, if one is kept".to_owned(),
        ),
        Resume::NewLog { at } => (
            "LOG_RECREATED",
            new_log(evidence),
            evidence.position,
            format!("reading resumes at the oldest record, {at}"),
        ),
    };
    let placed = |error: KolError| {
        error
            .job(&assignment.spec.name)
            .partition(&assignment.partition)
            .offset(first)
    };
    let begins = assignment.whole_log && evidence.position == assignment.offset;
    // What its end lost is in no state: the beginning is there.
    if begins && !matches!(decision, Resume::BeforeTail(_)) {
        return Err(placed(not_whole(&assignment.spec.name, &what)));
    }
    let error = placed(KolError::user("DATA_LOSS", what));
    if assignment.spec.source.on_data_loss() == OnDataLoss::Fail {
        return Err(error.help(help(decision)));
    }
    let (job, partition) = (assignment.spec.name.as_str(), &assignment.partition);
    tracing::warn!(code, job, %partition, %error, next, "the log is not what it was");
    Ok(decision)
}

fn help(decision: Resume) -> &'static str {
    match decision {
        Resume::BeforeTail(_) => {
            "Find out why Kafka lost acknowledged records (unclean.leader.election.enable, acks, \
             min.insync.replicas, a broker that lost power). Submit again with \
             source.on_data_loss = \"continue\" to go back before them."
        }
        Resume::Here | Resume::Later | Resume::BehindGap { .. } | Resume::NewLog { .. } => {
            "Set source.on_data_loss = \"continue\" to resume behind the gap, and raise the retention of \
             the topic."
        }
    }
}

/// The state is lost, and the log alone does not give it back: `lost` says what it lacks.
fn not_whole(name: &str, lost: &str) -> KolError {
    let what = format!(
        "none of the kept checkpoints can be used, and the log no longer has everything since the job \
         began: {lost}"
    );
    KolError::user(LOST, what).help(format!(
        "Bring the state files back and submit the job again. To continue with what the log still has: \
         kol-client rewind {name} --to-earliest, or kol-client submit FILE --discard-state; or start from \
         a savepoint with --from-savepoint."
    ))
}

/// Why this is another log.
fn new_log(evidence: &Evidence) -> String {
    let sign = match (evidence.doubt.other, evidence.known) {
        (Some(other), Some(known)) => format!("its id is {other} instead of {known}"),
        _ => {
            let end = evidence.found.end;
            match evidence.doubt.differs.or(evidence.found.differs) {
                Some(at) => format!("its record {at} is another one than was read"),
                None => format!("the log ends at offset {end}, before the position"),
            }
        }
    };
    format!("the topic was recreated, and the state of the old one is dropped: {sign}")
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;
    use crate::partition::reader::phase::{Doubt, Found};

    fn evidence(position: u64, oldest: u64) -> Evidence {
        Evidence {
            position,
            found: Found {
                oldest,
                end: 50,
                differs: None,
                cut: None,
                compared: false,
            },
            known: None,
            confirmed: false,
            doubt: Doubt::new(Instant::now()),
        }
    }

    #[test]
    fn a_partition_that_lost_its_state_does_not_start_behind_a_gap() {
        let mut assignment = Assignment::with_source("");
        assignment.offset = 5;
        let gap = Resume::BehindGap { at: 9, lost: 4 };
        assert_eq!(recover(&assignment, &evidence(5, 9)).unwrap(), gap);
        assignment.whole_log = true;
        let whole = recover(&assignment, &evidence(5, 5)).unwrap();
        assert_eq!(whole, Resume::Here);
        let error = recover(&assignment, &evidence(5, 9)).unwrap_err();
        assert_eq!(error.code, "STATE_LOST");
        assert!(!error.retryable);
        assert!(error.message.contains("4 records, 5 to 8,"), "{error}");
        assert_eq!(error.place.offset, Some(5));
        for command in ["rewind x --to-earliest", "--discard-state"] {
            assert!(error.help.contains(command), "{error}");
        }
        // Later gaps are what source.on_data_loss is for.
        assert!(recover(&assignment, &evidence(6, 9)).is_ok());
    }

    #[test]
    fn a_partition_that_lost_its_state_begins_again_before_a_tail_that_its_log_lost_too() {
        let mut assignment = Assignment::with_source("");
        (assignment.whole_log, assignment.offset) = (true, 5);
        let mut tail = Evidence {
            known: Some(Uuid::from_u128(1)),
            confirmed: true,
            ..evidence(5, 0)
        };
        tail.doubt.shown = Some(60);
        let goes_back = |found| matches!(found, Ok(Resume::BeforeTail(tail)) if tail.from == 50);
        assert!(goes_back(recover(&assignment, &tail)));
    }

    #[test]
    fn what_is_lost_is_named_by_its_range_at_whichever_end_of_the_log_it_is() {
        let mut tail = Evidence {
            known: Some(Uuid::from_u128(1)),
            confirmed: true,
            ..evidence(5, 0)
        };
        tail.doubt.shown = Some(60);
        let mut assignment = Assignment::with_source("on_data_loss = \"fail\"");
        for (whole_log, code) in [(false, "DATA_LOSS"), (true, LOST)] {
            (assignment.whole_log, assignment.offset) = (whole_log, 5);
            let error = recover(&assignment, &tail).unwrap_err();
            assert_eq!(error.code, "DATA_LOSS");
            assert!(error.message.contains("records 50 to 59"), "{error}");
            let place = &error.place;
            assert_eq!((&place.job, place.offset), (&Some("x".into()), Some(50)));
            assert_eq!(place.partition.as_ref(), Some(&assignment.partition));
            let gap = recover(&assignment, &evidence(5, 9)).unwrap_err();
            assert_eq!((gap.code, gap.place.offset), (code, Some(5)));
            assert!(gap.message.contains("5 to 8"), "{gap}");
        }
    }
}
