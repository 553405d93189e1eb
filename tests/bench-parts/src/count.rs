//! Instructions of each part, as valgrind's callgrind counts them.

use std::fmt::Display;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;
use std::process::Command;

use crate::parts::{Counters, Done, Load, Part};

/// Instructions of each part.
type Instructions = [u64; Part::ALL.len()];
/// How often each part was done.
type Counts = [u64; Part::ALL.len()];

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Counted {
    /// Instructions of each part, for an event or a creator.
    pub each: [f64; Part::ALL.len()],
    /// Creators in flushes.
    pub merges: u64,
}

impl Counted {
    /// Of a part.
    pub fn of(&self, part: Part) -> f64 {
        self.each[part as usize]
    }

    /// Instructions of applying an event to the state: of taking it, without decoding.
    pub fn apply(&self) -> f64 {
        self.of(Part::Take) - self.of(Part::Decode)
    }
}

/// Why nothing was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no valgrind.
    NoValgrind,
    /// It failed, and why.
    Failed(String),
}

/// Runs this program on the load again, under callgrind, whose output stays in a folder, if one is given.
///
/// # Errors
/// Nothing was counted.
pub fn count(load: &Load, counters: Counters, keep: Option<&Path>) -> Result<Counted, Failure> {
    let temporary = tempfile::tempdir().map_err(|e| failed(&e))?;
    let folder = keep.unwrap_or(temporary.path());
    std::fs::create_dir_all(folder).map_err(|e| failed(&e))?;
    let file = folder.join(format!("callgrind.{counters}"));
    let counts = pass(load, counters, &file)?;
    let opened = std::fs::File::open(file).map_err(|e| failed(&e))?;
    let lines = BufReader::new(opened).lines().map_while(Result::ok);
    let instructions = inclusive(lines);
    let unseen = Part::ALL
        .iter()
        .find(|part| instructions[**part as usize] == 0);
    if let Some(part) = unseen {
        let name = part.function();
        return Err(failed(&format_args!("callgrind saw no calls of {name}")));
    }
    let each = Part::ALL.map(|part| {
        let count = counts[part as usize].max(1);
        instructions[part as usize] as f64 / count as f64
    });
    let merges = counts[Part::Flush as usize];
    Ok(Counted { each, merges })
}

/// Goes through the parts once under callgrind: how often each was done.
fn pass(load: &Load, counters: Counters, file: &Path) -> Result<Counts, Failure> {
    let this = std::env::current_exe().map_err(|e| failed(&e))?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--demangle=no"])
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(this)
        .args(["pass".to_owned(), counters.to_string()])
        .args(load.arguments())
        .output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::NoValgrind,
        _ => failed(&error),
    })?;
    if !output.status.success() {
        return Err(failed(&String::from_utf8_lossy(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    parse_counts(&text).ok_or_else(|| failed(&format_args!("unreadable: {text}")))
}

fn failed(why: &dyn Display) -> Failure {
    Failure::Failed(why.to_string())
}

/// What a run under callgrind prints of itself: how often each part was done.
pub fn print_counts(done: &Done) {
    let counts = Part::ALL.map(|part| done.count(part).to_string());
    println!("{}", counts.join(" "));
}

fn parse_counts(text: &str) -> Option<Counts> {
    let counts: Vec<u64> = text
        .split_whitespace()
        .map_while(|count| count.parse().ok())
        .collect();
    counts.try_into().ok()
}

/// Adds up what the calls of the parts cost, with everything that these call. Of each call callgrind writes a line with
/// the name of the function, one that begins with `calls=`, and one whose second number are the instructions.
fn inclusive(lines: impl Iterator<Item = String>) -> Instructions {
    let mut sums = Instructions::default();
    let (mut called, mut is_cost) = (None, false);
    for line in lines {
        if let Some(name) = line.strip_prefix("cfn=") {
            called = part_of(name);
        } else if line.starts_with("calls=") {
            is_cost = true;
        } else if std::mem::take(&mut is_cost)
            && let Some(part) = called.take()
        {
            let cost = line.split(' ').nth(1);
            sums[part as usize] += cost.and_then(|cost| cost.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sums
}

/// The part whose function a mangled name is of. The name of the function comes last in it, before a hash or the crate
/// that it is compiled for.
fn part_of(name: &str) -> Option<Part> {
    let ends = |part: &Part| {
        let function = part.function();
        name.split_once(function).is_some_and(|(_, rest)| {
            rest.is_empty() || rest.starts_with("17h") || rest.starts_with(".llvm")
        })
    };
    Part::ALL.into_iter().find(|part| ends(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_the_parts_are_added_up_and_others_are_not() {
        let file = "\
events: Ir
fn=_RNvCs1_15kol_bench_parts3run
12 700
cfi=src/parts.rs
cfn=_RNvNtCs1_15kol_bench_parts5parts11part_decode
calls=3 0
150 1000
cfn=memcpy
calls=1 0
151 77
cfn=_RNvNtCs1_15kol_bench_parts5parts11part_decode
calls=1 0
152 500
cfn=_ZN15kol_bench_parts5parts9part_take17h0123456789abcdefE
calls=9 0
170 40
fn=_RNvNtCs1_15kol_bench_parts5parts11part_decode
1 30
cfn=_RNCNvNtCs1_15kol_bench_parts5parts11part_decode0
calls=2 0
2 999
";
        let lines = file.lines().map(str::to_owned);
        assert_eq!(inclusive(lines), [1_500, 40, 0, 0, 0]);
    }
}
