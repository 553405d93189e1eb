//! How comments are written: no documentation that says nothing, and no word that CONTRIBUTING.md replaces.

/// Words that CONTRIBUTING.md replaces, as they stand in texts and, with `_`, in names of tests.
const REPLACED: [&str; 22] = [
    "made anew",
    "hit a defect",
    "came to nothing",
    "stands still",
    "standing still",
    "stood still",
    "standstill",
    "order of chance",
    "put in order later",
    "is none any more",
    "nobody's else",
    "lets go of",
    "was told",
    "is told",
    "are told",
    "be told",
    "played again",
    "strays",
    "goes on",
    "go on",
    "went on",
    "asked",
];

/// Documentation of one line with at most two words, none of them code: the number of the line, from 1, and the line.
pub fn empty_docs(text: &str) -> Vec<(usize, &str)> {
    let lines: Vec<&str> = text.lines().map(str::trim_start).collect();
    let mark = |at: usize| lines.get(at).and_then(|line| mark(line));
    let alone =
        |at: usize| at.checked_sub(1).and_then(mark) != mark(at) && mark(at + 1) != mark(at);
    let documented = (0..lines.len()).filter(|at| mark(*at).is_some() && alone(*at));
    let short = documented.filter(|at| {
        let words = lines[*at].split_whitespace().skip(1);
        words.count() <= 2 && !lines[*at].contains('`')
    });
    short.map(|at| (at + 1, lines[at])).collect()
}

/// `///` or `//!`, if this line is documentation.
fn mark(line: &str) -> Option<&str> {
    let mark = line.get(..3)?;
    let is_one = matches!(mark, "///" | "//!") && !line.starts_with("////");
    is_one.then_some(mark)
}

/// What stands in a text although CONTRIBUTING.md replaces it, each with the number of its line, from 1.
pub fn replaced_words(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.to_lowercase().replace('_', " ");
        let here = REPLACED.iter().filter(|words| holds(&line, words));
        found.extend(here.map(|words| (at + 1, *words)));
    }
    found
}

/// Whether words stand in a line as such, and not as a part of others.
fn holds(line: &str, words: &str) -> bool {
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    line.match_indices(words).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + words.len()..]);
        !is_letter(before.chars().next_back()) && !is_letter(after.chars().next())
    })
}

#[test]
fn documentation_that_says_nothing_is_found() {
    let text = "//! Jobs.\n\n/// The partition.\npub key: Key,\n    /// Why.\n    Why,\n\
                /// Bytes of it.\n/// `n`.\n/// Two words\n/// and more.\n//// Not one.\n// Nor this.\n///\n";
    let found = empty_docs(text);
    let lines: Vec<_> = found.iter().map(|(at, _)| *at).collect();
    assert_eq!(lines, [1, 3, 5, 13], "{found:?}");
}

#[test]
fn replaced_words_are_found_in_texts_and_in_names() {
    let text = "It Goes on here.\nfn the_owner_is_told_so() {}\nIt was\ntold.\nmasked, basked\nStrays: two\n";
    assert_eq!(
        replaced_words(text),
        [(1, "goes on"), (2, "is told"), (6, "strays")]
    );
}
