//! What a value that cannot be used looks like. Only what was rejected comes here.

use sonic_rs::{JsonValueTrait as _, LazyValue};

use super::Reject;
use super::repair::without_infinities;

/// The reason why bytes are no event, more precisely where they look like something known.
#[cold]
pub(super) fn closer(value: &[u8], reject: Reject) -> Reject {
    let better = match reject {
        Reject::InvalidUtf8 => of_bytes(value),
        Reject::NotJson => of_bytes(value).or_else(|| of_text(value)),
        Reject::NotAnObject => of_readable(value, of_json),
        Reject::NoUsername => of_readable(value, of_object),
        _ => None,
    };
    better.unwrap_or(reject)
}

/// What a look finds in a value, or in what the decoder reads in place of it.
fn of_readable(value: &[u8], look: fn(&[u8]) -> Option<Reject>) -> Option<Reject> {
    look(value).or_else(|| look(without_infinities(str::from_utf8(value).ok()?)?.as_bytes()))
}

fn of_bytes(value: &[u8]) -> Option<Reject> {
    match value {
        [0x1f, 0x8b, ..] => Some(Reject::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Reject::Zstd),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some(Reject::Lz4),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{', 0, ..] | [0, b'{', ..] => Some(Reject::Utf16),
        [b'O', b'b', b'j', 1, ..] => Some(Reject::AvroFile),
        // The wire format of a schema registry: a zero byte, the schema id, the message.
        [0, a, b, c, d, message @ ..] if !message.is_empty() => {
            let id = u32::from_be_bytes([*a, *b, *c, *d]);
            let json = matches!(message.trim_ascii_start().first(), Some(b'{' | b'['));
            Some(if json {
                Reject::RegistryJson(id)
            } else {
                Reject::RegistryBinary(id)
            })
        }
        _ => None,
    }
}

/// Several lines, the first of which is an object of its own.
fn of_text(value: &[u8]) -> Option<Reject> {
    let mut lines = value.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.find(|line| !line.is_empty())?;
    let more = lines.any(|line| !line.is_empty());
    (more && is_object(first)).then_some(Reject::EventsInLines)
}

fn of_json(value: &[u8]) -> Option<Reject> {
    match value.trim_ascii_start().first()? {
        b'[' => {
            let first = sonic_rs::to_array_iter(value).next()?.ok()?;
            first.is_object().then_some(Reject::EventsInArray)
        }
        b'"' => {
            let inner: String = sonic_rs::from_slice(value).ok()?;
            is_object(inner.as_bytes()).then_some(Reject::JsonInString)
        }
        _ => None,
    }
}

fn of_object(value: &[u8]) -> Option<Reject> {
    let get = |path: &[&str]| sonic_rs::get(value, path).ok();
    let object = |path: &[&str]| get(path).is_some_and(|v: LazyValue<'_>| v.is_object());
    if object(&["payload"]) || (object(&["after"]) && get(&["op"]).is_some()) {
        return Some(Reject::Envelope);
    }
    let items = get(&["items"])?;
    let first = sonic_rs::to_array_iter(items.as_raw_str()).next()?.ok()?;
    first.is_object().then_some(Reject::EventsInArray)
}

fn is_object(text: &[u8]) -> bool {
    let object = matches!(text.trim_ascii_start().first(), Some(b'{'));
    object && sonic_rs::from_slice::<serde::de::IgnoredAny>(text).is_ok()
}
