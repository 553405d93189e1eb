//! What servers complain about.

/// WARN and ERROR lines of a log that none of `allowed` (part of a line, reason) explains.
pub fn unexpected(log: &str, allowed: &[(&str, &str)]) -> Vec<String> {
    log.lines()
        .filter(|line| {
            line.contains(" WARN ") || line.contains(" ERROR ") || line.contains("panicked")
        })
        .filter(|line| !allowed.iter().any(|(part, _)| line.contains(part)))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_need_a_reason() {
        let log = "t  INFO all is well\nt  WARN disk slow\nt ERROR disk full\nthread 'x' panicked";
        assert_eq!(unexpected(log, &[("disk slow", "it is")]).len(), 2);
        assert_eq!(unexpected(log, &[]).len(), 3);
    }
}
