//! Changes to an input: bytes, numbers, lengths, parts of it and parts of another one.

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

/// Longest input that is made, bytes.
const LONGEST: usize = 1 << 16;
/// Changes of one input at most.
const CHANGES: u32 = 6;
/// How often a part is repeated at most: what is nested is nested so deep.
const REPEATS: usize = 5_000;
/// Bytes that mean something to many readers, and numbers at the edges of their types.
const WORDS: [&[u8]; 24] = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"[",
    b"{",
    b"\"",
    b"\\",
    b",",
    b":",
    b"\n",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b"18446744073709551615",
    b"18446744073709551616",
    b"0.000",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xef\xbb\xbf",
    b"9999-12-31T23:59:59Z",
];

/// Changes an input a few times; `other` is one to take parts from.
pub fn change(random: &mut StdRng, input: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..random.random_range(1..=CHANGES) {
        change_once(random, input, other);
    }
    input.truncate(LONGEST);
}

fn change_once(random: &mut StdRng, input: &mut Vec<u8>, other: &[u8]) {
    let at = random.random_range(0..=input.len());
    let part = part_of(random, input);
    match random.random_range(0..10) {
        0 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
        1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.random();
            }
        }
        2 => input.truncate(at),
        3 => drop(input.drain(part)),
        4 => {
            let copy = input[part].to_vec();
            insert(input, at, &copy);
        }
        5 => {
            let taken = other[part_of(random, other)].to_vec();
            insert(input, at, &taken);
        }
        6 => {
            input.truncate(at);
            input.extend_from_slice(&other[part_of(random, other)]);
        }
        7 => {
            let word = *WORDS.choose(random).unwrap_or(&WORDS[0]);
            insert(input, at, word);
        }
        8 => {
            let word = *WORDS.choose(random).unwrap_or(&WORDS[0]);
            let end = (at + word.len()).min(input.len());
            input[at..end].copy_from_slice(&word[..end - at]);
        }
        _ => {
            let short = part.start..part.end.min(part.start + 8);
            let times = random.random_range(2..REPEATS);
            let many = input[short].repeat(times);
            insert(input, at, &many);
        }
    }
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let fits = bytes.len().min(LONGEST.saturating_sub(input.len()));
    input.splice(at..at, bytes[..fits].iter().copied());
}

fn part_of(random: &mut StdRng, input: &[u8]) -> std::ops::Range<usize> {
    let ends = [0; 2].map(|_| random.random_range(0..=input.len()));
    ends[0].min(ends[1])..ends[0].max(ends[1])
}
