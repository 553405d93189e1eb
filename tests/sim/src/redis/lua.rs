//! The scripts of the product, run as Redis runs them: Lua 5.1 with `redis.call`, `redis.pcall` and
//! the part of the `struct` library that they use.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, Table, Value, Variadic};

use super::db::{Db, Reply};

/// Scripts that were loaded, over a database.
pub struct Scripts {
    lua: Lua,
    db: Rc<RefCell<Db>>,
    loaded: RefCell<BTreeMap<String, Function>>,
}

impl Scripts {
    /// Runs scripts over this database; none is loaded yet.
    pub fn new(db: Rc<RefCell<Db>>) -> mlua::Result<Self> {
        let lua = Lua::new();
        let redis = lua.create_table()?;
        for (name, raises) in [("call", true), ("pcall", false)] {
            let db = Rc::clone(&db);
            let call = move |lua: &Lua, arguments: Variadic<LuaString>| {
                let command: Vec<_> = arguments.iter().map(|a| a.as_bytes().to_vec()).collect();
                match db.borrow_mut().run(&command) {
                    Reply::Error(error) if raises => Err(mlua::Error::runtime(error)),
                    reply => to_lua(lua, reply),
                }
            };
            redis.set(name, lua.create_function(call)?)?;
        }
        lua.globals().set("redis", redis)?;
        let structs = lua.create_table()?;
        structs.set("unpack", lua.create_function(unpack)?)?;
        structs.set("pack", lua.create_function(pack)?)?;
        lua.globals().set("struct", structs)?;
        Ok(Self {
            lua,
            db,
            loaded: RefCell::default(),
        })
    }

    /// What the scripts work on.
    pub fn db(&self) -> &Rc<RefCell<Db>> {
        &self.db
    }

    /// Does a command, a script or another.
    pub fn answer(&self, command: &[Vec<u8>]) -> Reply {
        let name = command.first().map(|n| n.to_ascii_uppercase());
        match name.as_deref() {
            Some(b"EVALSHA") => self.run(&command[1..]),
            Some(b"SCRIPT") => self.load(command.last().map_or(&[][..], |source| source)),
            _ => self.db.borrow_mut().run(command),
        }
    }

    /// `SCRIPT LOAD`: answers its name.
    fn load(&self, source: &[u8]) -> Reply {
        let source = String::from_utf8_lossy(source).into_owned();
        let name = redis::Script::new(&source).get_hash().to_owned();
        match self.lua.load(source).into_function() {
            Ok(function) => {
                self.loaded.borrow_mut().insert(name.clone(), function);
                Reply::Bulk(Some(name.into_bytes()))
            }
            Err(error) => Reply::Error(format!("ERR {error}")),
        }
    }

    /// As after a restart.
    pub fn forget(&self) {
        self.loaded.borrow_mut().clear();
    }

    /// `EVALSHA`: name, number of keys, keys, arguments.
    fn run(&self, arguments: &[Vec<u8>]) -> Reply {
        let [name, count, rest @ ..] = arguments else {
            return Reply::Error("ERR wrong number of arguments for 'EVALSHA'".into());
        };
        let count = std::str::from_utf8(count).ok().and_then(|n| n.parse().ok());
        let Some((keys, arguments)) = count.and_then(|n| rest.split_at_checked(n)) else {
            return Reply::Error("ERR Number of keys can't be greater than number of args".into());
        };
        let name = String::from_utf8_lossy(name).into_owned();
        let function = self.loaded.borrow().get(&name).cloned();
        let Some(function) = function else {
            return Reply::Error("NOSCRIPT No matching script. Please use EVAL.".into());
        };
        // All scripts of the product begin with it.
        let generation = arguments.first().and_then(|g| std::str::from_utf8(g).ok());
        let generation = generation.and_then(|g| g.parse().ok()).unwrap_or_default();
        self.db.borrow_mut().written_by(generation);
        self.call(&function, keys, arguments)
            .unwrap_or_else(|error| Reply::Error(format!("ERR {error}")))
    }

    fn call(
        &self,
        function: &Function,
        keys: &[Vec<u8>],
        arguments: &[Vec<u8>],
    ) -> mlua::Result<Reply> {
        for (name, values) in [("KEYS", keys), ("ARGV", arguments)] {
            let strings = values.iter().map(|value| self.lua.create_string(value));
            let table = self
                .lua
                .create_sequence_from(strings.collect::<mlua::Result<Vec<_>>>()?)?;
            self.lua.globals().set(name, table)?;
        }
        from_lua(function.call(())?)
    }
}

fn to_lua(lua: &Lua, reply: Reply) -> mlua::Result<Value> {
    let said = |field: &str, text: &str| {
        let table = lua.create_table()?;
        table.set(field, text)?;
        Ok(Value::Table(table))
    };
    match reply {
        Reply::Status(text) => said("ok", text),
        Reply::Error(text) => said("err", &text),
        Reply::Bulk(None) => Ok(Value::Boolean(false)),
        Reply::Bulk(Some(bytes)) => Ok(Value::String(lua.create_string(bytes)?)),
        Reply::Number(number) => Ok(Value::Number(number as f64)),
        Reply::Array(all) => {
            let all = all.into_iter().map(|reply| to_lua(lua, reply));
            let table = lua.create_sequence_from(all.collect::<mlua::Result<Vec<_>>>()?)?;
            Ok(Value::Table(table))
        }
    }
}

fn from_lua(value: Value) -> mlua::Result<Reply> {
    Ok(match value {
        Value::String(text) => Reply::Bulk(Some(text.as_bytes().to_vec())),
        Value::Integer(number) => Reply::Number(number),
        // Redis cuts the fraction off.
        Value::Number(number) => Reply::Number(number as i64),
        Value::Boolean(true) => Reply::Number(1),
        Value::Table(table) => table_reply(&table)?,
        _ => Reply::Bulk(None),
    })
}

fn table_reply(table: &Table) -> mlua::Result<Reply> {
    if let Some(error) = table.get::<Option<String>>("err")? {
        return Ok(Reply::Error(error));
    }
    let mut all = Vec::new();
    for value in table.clone().sequence_values::<Value>() {
        all.push(from_lua(value?)?);
    }
    Ok(Reply::Array(all))
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
