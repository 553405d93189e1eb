//! The scripts of the product, run as Redis runs them: Lua 5.1 with `redis.call`, `redis.pcall`, and the libraries
//! `struct` and `cjson`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use mlua::{Function, Lua, LuaString, Table, Value, Variadic};

use super::db::{Db, Reply};
use super::{json, structs};

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
        structs::add(&lua)?;
        json::add(&lua)?;
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
