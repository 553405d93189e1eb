//! The `struct` library that Redis gives scripts, as far as ours use it: little-endian numbers, texts of a fixed length
//! or of the one that stands before them, and bytes that are left out.

use mlua::{Lua, LuaString, Value, Variadic};

/// What a layout says, in its order.
#[derive(Clone, Copy)]
enum Item {
    Whole(usize),
    Double,
    /// `None`: as long as the number before says, which is no value of its own.
    Text(Option<usize>),
    Skipped,
}

/// Adds it to the globals.
pub fn add(lua: &Lua) {
    let structs = lua.create_table().unwrap();
    let unpack = lua.create_function(unpack).unwrap();
    structs.set("unpack", unpack).unwrap();
    structs
        .set("pack", lua.create_function(pack).unwrap())
        .unwrap();
    lua.globals().set("struct", structs).unwrap();
}

fn items(layout: &str) -> Vec<Item> {
    let mut rest = layout.strip_prefix('<').unwrap();
    let mut found = Vec::new();
    while let Some(kind) = rest.chars().next() {
        let digits = rest[1..].chars().take_while(char::is_ascii_digit).count();
        let number = rest[1..1 + digits].parse::<usize>().ok();
        found.push(match (kind, number) {
            ('I', Some(bytes)) => Item::Whole(bytes),
            ('H', None) => Item::Whole(2),
            ('d', None) => Item::Double,
            ('c', Some(0)) => Item::Text(None),
            ('c', Some(bytes)) => Item::Text(Some(bytes)),
            ('x', None) => Item::Skipped,
            _ => unreachable!("{layout}"),
        });
        rest = &rest[1 + digits..];
    }
    found
}

/// `struct.unpack`: the values, and the place after them.
fn unpack(
    lua: &Lua,
    (layout, bytes, at): (String, LuaString, Option<usize>),
) -> mlua::Result<Variadic<Value>> {
    let bytes = bytes.as_bytes();
    let mut at = at.unwrap_or(1) - 1;
    let mut values = Variadic::new();
    let mut take = |length: usize| {
        at += length;
        bytes[at - length..at].to_vec()
    };
    for item in items(&layout) {
        let value = match item {
            Item::Whole(length) => {
                let mut whole = take(length);
                whole.resize(8, 0);
                Value::Number(u64::from_le_bytes(whole.try_into().unwrap()) as f64)
            }
            Item::Double => Value::Number(f64::from_le_bytes(take(8).try_into().unwrap())),
            Item::Text(length) => {
                let length = length.unwrap_or_else(|| {
                    let before: Value = values.pop().unwrap();
                    before.as_number().unwrap() as usize
                });
                Value::String(lua.create_string(take(length))?)
            }
            Item::Skipped => {
                take(1);
                continue;
            }
        };
        values.push(value);
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(values)
}

/// `struct.pack`, of numbers.
fn pack(lua: &Lua, (layout, values): (String, Variadic<f64>)) -> mlua::Result<LuaString> {
    let mut bytes = Vec::new();
    for (item, value) in items(&layout).into_iter().zip(values) {
        match item {
            Item::Whole(length) => bytes.extend_from_slice(&(value as u64).to_le_bytes()[..length]),
            Item::Double => bytes.extend_from_slice(&value.to_le_bytes()),
            Item::Text(_) | Item::Skipped => unreachable!("{layout}"),
        }
    }
    lua.create_string(bytes)
}
