//! Which executors trust their network: what people must know is shown where they look, not in the logs alone.

/// Hosts that are named.
const MOST: usize = 5;

/// The warning for a cluster with these executors, each with its host and its own warnings; `None` if all are safe.
pub fn insecure<'a>(executors: impl Iterator<Item = (&'a str, &'a [String])>) -> Option<String> {
    let open = executors.filter(|(_, warnings)| !warnings.is_empty());
    let mut hosts: Vec<&str> = open.map(|(host, _)| host).collect();
    hosts.sort_unstable();
    let count = match hosts.len() {
        0 => return None,
        1 => "an executor trusts its network, without TLS and login".to_owned(),
        several => format!("{several} executors trust their network, without TLS and login"),
    };
    hosts.dedup();
    let more = match hosts.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    hosts.truncate(MOST);
    Some(format!(
        "INSECURE: {count} (on {}{more}); `kol-client executors` says for what",
        hosts.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(executors: &[(&str, usize)]) -> Option<String> {
        let warnings = vec!["INSECURE: x".to_owned(); 2];
        insecure(
            executors
                .iter()
                .map(|(host, count)| (*host, &warnings[..*count])),
        )
    }

    #[test]
    fn executors_without_a_warning_are_not_named() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("a", 0), ("b", 0)]), None);
        let one = of(&[("a", 0), ("b", 2)]).unwrap();
        assert!(
            one.starts_with("INSECURE: an executor ") && one.contains("(on b)"),
            "{one}"
        );
    }

    #[test]
    fn a_host_is_named_once_and_not_all_of_many_are() {
        let two = of(&[("b", 1), ("a", 1), ("b", 1)]).unwrap();
        assert!(
            two.contains("3 executors") && two.contains("(on a, b)"),
            "{two}"
        );
        let hosts = ["a", "b", "c", "d", "e", "f", "g"].map(|host| (host, 1));
        let many = of(&hosts).unwrap();
        assert!(many.contains("(on a, b, c, d, e and 2 more)"), "{many}");
    }
}
