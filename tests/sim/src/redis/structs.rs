//! The `struct` library that Redis gives scripts, as far as ours use it: little-endian numbers, texts of a fixed length
//! or of the one that stands before them, and bytes that are left out. Also for the tests of the scripts alone
//! (`executor/tests/lua`), which compile this file: it must use nothing but Lua.

use mlua::{Lua, LuaString, Value, Variadic};

/// Adds it to the globals.
pub fn add(lua: &Lua) -> mlua::Result<()> {
    let structs = lua.create_table()?;
    structs.set("unpack", lua.create_function(unpack)?)?;
    structs.set("pack", lua.create_function(pack)?)?;
    lua.globals().set("struct", structs)
}

/// The items of a little-endian layout: whole numbers with their bytes, doubles, texts, and bytes that are left out.
fn layout(text: &str) -> mlua::Result<Vec<Item>> {
    let unknown = || mlua::Error::runtime(format!("struct: `{text}` is not supported"));
    let mut items = Vec::new();
    let mut rest = text
        .strip_prefix('<')
        .ok_or_else(unknown)?
        .chars()
        .peekable();
    while let Some(kind) = rest.next() {
        let mut number: Option<usize> = None;
        while let Some(digit) = rest.peek().and_then(|d| d.to_digit(10)) {
            number = Some(number.unwrap_or(0) * 10 + digit as usize);
            rest.next();
        }
        items.push(match (kind, number) {
            ('I', Some(bytes)) => Item::Whole(bytes),
            ('H', None) => Item::Whole(2),
            ('d', None) => Item::Double,
            ('c', Some(0)) => Item::Text(None),
            ('c', bytes @ Some(_)) => Item::Text(bytes),
            ('x', None) => Item::Skipped,
            _ => return Err(unknown()),
        });
    }
    Ok(items)
}

#[derive(Clone, Copy)]
enum Item {
    Whole(usize),
    Double,
    /// Of so many bytes, or of as many as the number before it says.
    Text(Option<usize>),
    Skipped,
}

/// `struct.unpack`: the values, and the place after them.
fn unpack(
    lua: &Lua,
    (text, bytes, at): (String, LuaString, Option<usize>),
) -> mlua::Result<Variadic<Value>> {
    let bytes = bytes.as_bytes();
    let mut at = at.unwrap_or(1) - 1;
    let mut values = Variadic::new();
    for item in layout(&text)? {
        let length = match item {
            Item::Whole(length) | Item::Text(Some(length)) => length,
            Item::Double => 8,
            Item::Skipped => 1,
            Item::Text(None) => {
                let length = values.pop().and_then(|v: Value| v.as_number());
                length.ok_or_else(|| mlua::Error::runtime("struct: no length before `c0`"))?
                    as usize
            }
        };
        let too_short = || mlua::Error::runtime("struct: data string too short");
        let part = bytes.get(at..at + length).ok_or_else(too_short)?;
        at += length;
        let mut whole = [0; 8];
        if let Item::Whole(_) | Item::Double = item {
            whole[..part.len()].copy_from_slice(part);
        }
        values.push(match item {
            Item::Whole(_) => Value::Number(u64::from_le_bytes(whole) as f64),
            Item::Double => Value::Number(f64::from_le_bytes(whole)),
            Item::Text(_) => Value::String(lua.create_string(part)?),
            Item::Skipped => continue,
        });
    }
    values.push(Value::Number((at + 1) as f64));
    Ok(values)
}

/// `struct.pack`, of numbers.
fn pack(lua: &Lua, (text, values): (String, Variadic<f64>)) -> mlua::Result<LuaString> {
    let mut bytes = Vec::new();
    for (item, value) in layout(&text)?.into_iter().zip(values) {
        match item {
            Item::Whole(length) => bytes.extend(&(value as u64).to_le_bytes()[..length]),
            Item::Double => bytes.extend(value.to_le_bytes()),
            Item::Text(_) | Item::Skipped => {
                return Err(mlua::Error::runtime("struct: only numbers are packed"));
            }
        }
    }
    lua.create_string(bytes)
}
