//! The protocol of Redis, version 2.

use super::db::Reply;

/// Takes the next command from the front of what was read, if it is whole.
///
/// # Errors
/// What stands there is no command.
pub fn take(read: &mut Vec<u8>) -> Result<Option<Vec<Vec<u8>>>, String> {
    let mut rest = &read[..];
    let Some(count) = number(&mut rest, b'*')? else {
        return Ok(None);
    };
    let mut command = Vec::with_capacity(count);
    for _ in 0..count {
        let Some(length) = number(&mut rest, b'$')? else {
            return Ok(None);
        };
        let Some((word, more)) = rest.split_at_checked(length + 2) else {
            return Ok(None);
        };
        command.push(word[..length].to_vec());
        rest = more;
    }
    let used = read.len() - rest.len();
    read.drain(..used);
    Ok(Some(command))
}

/// A line of a mark and a number.
fn number(rest: &mut &[u8], mark: u8) -> Result<Option<usize>, String> {
    let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else {
        return Ok(None);
    };
    let line = &rest[..end];
    let digits = line
        .strip_prefix(&[mark])
        .and_then(|d| std::str::from_utf8(d).ok());
    let parsed = digits.and_then(|d| d.parse().ok());
    let parsed = parsed.ok_or_else(|| format!("not a command: {}", line.escape_ascii()))?;
    *rest = &rest[end + 2..];
    Ok(Some(parsed))
}

/// Writes an answer.
pub fn put(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::Status(text) => out.extend(format!("+{text}\r\n").bytes()),
        Reply::Error(text) => {
            out.extend(format!("-{}\r\n", text.replace(['\r', '\n'], " ")).bytes())
        }
        Reply::Number(number) => out.extend(format!(":{number}\r\n").bytes()),
        Reply::Bulk(None) => out.extend(b"$-1\r\n"),
        Reply::Bulk(Some(bytes)) => {
            out.extend(format!("${}\r\n", bytes.len()).bytes());
            out.extend(bytes);
            out.extend(b"\r\n");
        }
        Reply::Array(all) => {
            out.extend(format!("*{}\r\n", all.len()).bytes());
            for reply in all {
                put(reply, out);
            }
        }
    }
}
