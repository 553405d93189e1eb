//! What reads bytes from outside.

mod files;
mod records;
mod spec;
mod store;
mod wire;

use std::hash::{DefaultHasher, Hash, Hasher as _};

/// Something that reads bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Reads them; the answer is a number for what it showed: inputs that show something new are changed further.
    pub read: fn(&[u8]) -> u64,
    /// Inputs as they should be.
    pub valid: fn() -> Vec<Vec<u8>>,
    /// How much memory it may take: so many bytes, and so many for each byte of its input.
    pub memory: (usize, usize),
}

/// All targets, by name.
pub fn all() -> &'static [Target] {
    &[
        records::RECORD,
        records::PASSES,
        records::TEXT,
        records::SLOTS,
        spec::SPEC,
        files::STATE_FILE,
        files::STATE_RECORDS,
        files::MANIFEST,
        wire::FROM_EXECUTOR,
        wire::FROM_MASTER,
        wire::REPLY,
        store::ETCD,
    ]
}

/// One number for what a target showed.
fn shown(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// The magnitude of a number: how many bits it has.
fn bits(number: usize) -> u32 {
    usize::BITS - number.leading_zeros()
}

/// The text without what varies: numbers and names in quotes.
fn kind_of(message: &str) -> String {
    let mut quoted = false;
    let mut kept = String::new();
    for letter in message.chars() {
        quoted ^= matches!(letter, '`' | '"');
        if !quoted && !letter.is_ascii_digit() {
            kept.push(letter);
        }
    }
    kept
}
