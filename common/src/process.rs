//! What a process knows about itself: memory and processor time, as Linux counts them.

use std::fmt;

/// Facts about the own process, for heartbeats and metrics. A simulation has facts of its own: the
/// machine's would make two runs of one seed differ.
pub trait Process: fmt::Debug + Send + Sync {
    /// Bytes of memory that are resident; `None` if the kernel does not say.
    fn resident_bytes(&self) -> Option<u64>;

    /// Processor time used since the start, milliseconds; 0 if the kernel does not say.
    fn cpu_ms(&self) -> u64;
}

/// This process, from `/proc/self`.
#[derive(Clone, Copy, Debug)]
pub struct ThisProcess;

impl Process for ThisProcess {
    fn resident_bytes(&self) -> Option<u64> {
        let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages = statm.split_ascii_whitespace().nth(1)?.parse::<u64>().ok()?;
        Some(pages * 4096)
    }

    fn cpu_ms(&self) -> u64 {
        // Fields 14 and 15 of proc(5)'s stat, in ticks of 10 ms; the name before them may hold blanks.
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum::<u64>()
            * 10
    }
}

/// What this machine calls itself: `HOSTNAME`, which shells often keep to themselves, or the name that the kernel has.
pub fn this_machine() -> String {
    let exported = std::env::var("HOSTNAME").ok();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    first_name([exported, kernel])
}

/// The first that is a name; `localhost` without one.
fn first_name(names: [Option<String>; 2]) -> String {
    let mut names = names.iter().flatten().map(|name| name.trim());
    names
        .find(|name| !name.is_empty())
        .unwrap_or("localhost")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_called_as_the_environment_says_or_else_as_the_kernel_does() {
        let name = |exported: Option<&str>, kernel: Option<&str>| {
            first_name([exported, kernel].map(|name| name.map(str::to_owned)))
        };
        assert_eq!(name(Some("web-7"), Some("host\n")), "web-7");
        assert_eq!(name(None, Some("host\n")), "host");
        assert_eq!(name(Some(""), Some("host\n")), "host");
        assert_eq!(name(None, Some("\n")), "localhost");
        assert_eq!(name(None, None), "localhost");
    }

    #[test]
    fn a_process_that_computed_for_a_while_knows_its_memory_and_its_time() {
        let mut sum = 0_u64;
        let before = ThisProcess.cpu_ms();
        while ThisProcess.cpu_ms() == before {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(ThisProcess.resident_bytes().is_some_and(|b| b > 1 << 20));
    }
}
