//! The `cjson` library that Redis gives scripts, as far as those use it that the simulation runs: texts as JSON.

use mlua::{Lua, LuaString};

/// Adds it to the globals.
pub fn add(lua: &Lua) -> mlua::Result<()> {
    let json = lua.create_table()?;
    json.set("encode", lua.create_function(encode)?)?;
    lua.globals().set("cjson", json)
}

/// `cjson.encode` of a text. Unlike others, it also escapes slashes and the character 127.
fn encode(_: &Lua, text: LuaString) -> mlua::Result<String> {
    let text = serde_json::to_string(&text.to_string_lossy()).map_err(mlua::Error::external)?;
    Ok(text.replace('/', "\\/").replace('\u{7f}', "\\u007f"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_as_redis_escapes_them() {
        let lua = Lua::new();
        add(&lua).unwrap();
        let encoded = |text: &str| -> String {
            let encode: mlua::Function = lua.load("return cjson.encode").eval().unwrap();
            encode.call(text).unwrap()
        };
        assert_eq!(
            encoded("a/\"b\"\\\n\u{1}é\u{7f}"),
            r#""a\/\"b\"\\\n\u0001é\u007f""#
        );
    }
}
