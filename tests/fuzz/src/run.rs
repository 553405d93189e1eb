//! Gives a target one input after the other.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::change::change;
use super::memory::most_held;
use super::targets::Target;

/// Inputs that are kept at most, besides the valid ones.
const KEPT: usize = 2_000;

/// How long a run is.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// So many inputs.
    Executions(u64),
    /// Until so much time has passed.
    Elapsed(Duration),
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Inputs that were read.
    pub executions: u64,
    /// Inputs that showed something new.
    pub kept: usize,
    /// Most memory that one of them took, bytes, and its length.
    pub memory: (usize, usize),
    /// How long it took.
    pub elapsed: Duration,
}

/// An input that a target did not bear.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The input that failed.
    pub input: Vec<u8>,
    /// What it did.
    pub what: String,
}

/// Gives the valid inputs of a target, and then changed ones. The same seed gives the same inputs.
///
/// # Errors
/// The first input that makes it panic, or take more memory than allowed.
pub fn fuzz(target: &Target, seed: u64, until: Until) -> Result<Report, Failure> {
    silence_panics();
    let mut random = StdRng::seed_from_u64(seed);
    let mut inputs = (target.valid)();
    let valid = inputs.len();
    let mut seen = BTreeSet::new();
    let begun = Instant::now();
    let (mut executions, mut memory) = (0, (0, 0));
    for input in inputs.clone() {
        seen.insert(execute(target, &input)?.0);
    }
    let continues = |executions| match until {
        Until::Executions(most) => executions < most,
        Until::Elapsed(longest) => begun.elapsed() < longest,
    };
    while continues(executions) {
        let pick = |random: &mut StdRng| inputs.choose(random).cloned().unwrap_or_default();
        let (mut input, other) = (pick(&mut random), pick(&mut random));
        change(&mut random, &mut input, &other);
        let (shown, held) = execute(target, &input)?;
        executions += 1;
        memory = memory.max((held, input.len()));
        if inputs.len() < valid + KEPT && seen.insert(shown) {
            inputs.push(input);
        }
    }
    Ok(Report {
        executions,
        kept: inputs.len() - valid,
        memory,
        elapsed: begun.elapsed(),
    })
}

/// What the target makes of an input, and how much memory it took.
fn execute(target: &Target, input: &[u8]) -> Result<(u64, usize), Failure> {
    QUIET.set(true);
    let (read, held) = most_held(|| catch_unwind(AssertUnwindSafe(|| (target.read)(input))));
    QUIET.set(false);
    let failure = |what| Failure {
        input: input.to_vec(),
        what,
    };
    let shown = read.map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        failure(format!("panicked: {}", text.unwrap_or_default()))
    })?;
    let most = target.memory.0 + target.memory.1 * input.len();
    if held > most {
        return Err(failure(format!(
            "took {held} bytes for an input of {}: {most} are allowed",
            input.len()
        )));
    }
    Ok((shown, held))
}

thread_local! {
    /// A panic of this thread is caught and reported later.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

fn silence_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
}
