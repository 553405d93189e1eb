//! A look through all keys, in pieces as a large Redis gives them.

use super::db::Reply;

/// The smallest number by which a key is found: before it lies the beginning.
const FIRST: u64 = 1;
/// Redis looks at about as many keys as a caller says; here at this part of it, so that there are several pieces.
const PART: usize = 25;

/// The hashes of the next piece whose keys match the pattern, and where to continue. Keys are looked at in the order of a
/// number that only the key decides, so that those that come or go meanwhile hide no other.
pub fn scan<'k>(
    hashes: impl Iterator<Item = &'k Vec<u8>>,
    cursor: &[u8],
    options: &[Vec<u8>],
) -> Result<Reply, String> {
    let [match_, pattern, count, limit, type_, kind] = options else {
        return Err("ERR syntax error".into());
    };
    let words = [match_, count, type_, kind].map(Vec::as_slice);
    if words != [b"MATCH".as_slice(), b"COUNT", b"TYPE", b"hash"] {
        return Err("ERR syntax error".into());
    }
    let number = |text: &[u8]| std::str::from_utf8(text).ok()?.parse::<u64>().ok();
    let (from, limit) = number(cursor)
        .zip(number(limit))
        .ok_or("ERR invalid cursor")?;
    let mut piece: Vec<_> = hashes.map(|key| (place(key), key)).collect();
    piece.retain(|(place, _)| *place > from);
    piece.sort_unstable();
    let rest = piece.split_off(piece.len().min(1 + limit as usize / PART));
    // Keys of one number come in one piece.
    let last = piece.last().map_or(0, |(place, _)| *place);
    piece.extend(rest.iter().take_while(|(place, _)| *place == last));
    let next = if rest.is_empty() { 0 } else { last };
    let found = piece.into_iter().filter(|(_, key)| matches(pattern, key));
    let found = found.map(|(_, key)| Reply::text(key.clone())).collect();
    Ok(Reply::Array(vec![
        Reply::text(next.to_string()),
        Reply::Array(found),
    ]))
}

/// The number by which a key is found: its FNV-1a hash.
fn place(key: &[u8]) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    key.iter().fold(0xcbf2_9ce4_8422_2325, mix).max(FIRST)
}

/// Whether a text is as a pattern says, in which `*` stands for any text and what follows a backslash for itself.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', rest @ ..] => (0..=text.len()).any(|n| matches(rest, &text[n..])),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            text.first() == Some(literal) && matches(rest, &text[1..])
        }
    }
}
