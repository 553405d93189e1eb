//! What servers complain about.

/// What the master logs when a job has a problem: the status of the job has it too, and scenarios ask for that.
const PROBLEM: &str = " WARN kol_master::job_problem: ";

/// WARN and ERROR lines of a log that none of `allowed` (code, reason) explains. A line has the code of
/// its event, and those of the errors in it.
pub fn unexpected(log: &str, allowed: &[(&str, &str)]) -> Vec<String> {
    log.lines()
        .filter(|line| {
            line.contains(" WARN ") || line.contains(" ERROR ") || line.contains("panicked")
        })
        .filter(|line| !line.contains(PROBLEM))
        .filter(|line| !allowed.iter().any(|(code, _)| has_code(line, code)))
        .map(str::to_owned)
        .collect()
}

/// Whether an event, an error that is displayed or one that came over the wire has this code.
pub(crate) fn has_code(line: &str, code: &str) -> bool {
    let event = format!("code=\"{code}\"");
    let error = format!("error={code}: ");
    let from_the_wire = format!("code: \"{code}\"");
    line.contains(&event) || line.contains(&error) || line.contains(&from_the_wire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_needs_a_reason_and_only_its_code_gives_one() {
        let log = "t  INFO all is well\n\
                   t  WARN the disk is slow code=\"DISK_SLOW\"\n\
                   t ERROR it failed error=DISK_FULL: no space code=\"WRITE\"\n\
                   t  WARN it came back error=Some(ErrorInfo { code: \"DISK_GONE\" })\n\
                   t  WARN kol_master::job_problem: a job's status has it, too code=\"LATE\"\n\
                   thread 'x' panicked";
        let left = |code: &str| unexpected(log, &[(code, "it is")]).len();
        for code in ["DISK_SLOW", "DISK_FULL", "WRITE", "DISK_GONE"] {
            assert_eq!(left(code), 3, "{code}");
        }
        for other in ["DISK", "the disk is slow", "no space", "panicked"] {
            assert_eq!(left(other), 4, "{other}");
        }
    }
}
