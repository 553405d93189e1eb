//! Executors that have another folder in the place of a checkpoint root, and do not know: its marker and its stamp are
//! right, because it was copied a moment ago.
//!
//! One that was found out (see `missed`) gets no partitions that need that place for [`DOUBTED`]. By then it has been
//! sent a stamp that the copy has not got, and says by itself what it does not see.

use std::collections::BTreeMap;
use std::time::Duration;

use kol_common::proto::{ErrorInfo, UnseenRoot};
use kol_common::{ExecutorId, Millis};

/// How long an executor that has another folder gets nothing: longer than a stamp takes to be written, to settle and
/// to be sent.
const DOUBTED: Duration = Duration::from_secs(60);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Misled(BTreeMap<(ExecutorId, String), (Millis, ErrorInfo)>);

impl Misled {
    /// An executor sees another folder in a place.
    pub(super) fn note(
        &mut self,
        now: Millis,
        executor: ExecutorId,
        location: String,
        error: ErrorInfo,
    ) {
        self.0.retain(|_, (since, _)| is_doubted(now, *since));
        self.0.insert((executor, location), (now, error));
    }

    /// The places that an executor sees another folder in.
    pub(super) fn of(&self, now: Millis, executor: &ExecutorId) -> Vec<UnseenRoot> {
        let all = self.0.iter();
        let of_it = all.filter(|((of, _), (since, _))| of == executor && is_doubted(now, *since));
        of_it
            .map(|((_, location), (_, error))| UnseenRoot {
                location: location.clone(),
                error: Some(error.clone()),
                folder: String::new(),
            })
            .collect()
    }
}

fn is_doubted(now: Millis, since: Millis) -> bool {
    now.since(since) < Millis::from(DOUBTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_with_another_folder_is_doubted_there_and_not_for_ever() {
        let mut misled = Misled::default();
        let (one, two) = (
            ExecutorId::from_wire("exe_1"),
            ExecutorId::from_wire("exe_2"),
        );
        let root = "file:///a".to_owned();
        misled.note(Millis(5), one.clone(), root.clone(), ErrorInfo::default());
        let until = Millis(5 + Millis::from(DOUBTED).0);
        assert_eq!(misled.of(Millis(until.0 - 1), &one)[0].location, root);
        assert_eq!(misled.of(Millis(5), &two), []);
        assert_eq!(misled.of(until, &one), []);
    }
}
