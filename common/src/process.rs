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

#[cfg(test)]
mod tests {
    use super::*;

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
