//! `--set key=value`: changes a spec before it is parsed.

use toml::{Table, Value};

use crate::KolError;

/// Parts of the longest key that may be set: `source.properties.` and the name of a property of librdkafka. Each level of
/// a table costs the length of its whole path when it is written.
const MOST_PARTS: usize = 16;

/// Sets dotted keys of a spec; returns the new text. Values are read as TOML, and as text if they
/// are none: `scoring.window=5m` and `scoring.window="5m"` mean the same.
///
/// # Errors
/// The spec is not TOML, a key leads through something that is no table, or it names a secret.
pub fn with_overrides(text: &str, sets: &[(String, String)]) -> Result<String, KolError> {
    if sets.is_empty() {
        return Ok(text.to_owned());
    }
    let mut table: Table = text
        .parse()
        .map_err(|e| KolError::user("SPEC_INVALID", format!("the job spec is not TOML: {e}")))?;
    for (key, value) in sets {
        if key.to_ascii_lowercase().contains("password") || key.contains("secret") {
            return Err(KolError::user(
                "SET_SECRET",
                format!("`{key}` cannot be set on the command line, where others can read it"),
            )
            .help("Write a reference into the spec: env:KOL_SECRET_NAME or file:NAME."));
        }
        if key.split('.').count() > MOST_PARTS {
            let what = format!("a key of more than {MOST_PARTS} parts is not one of a job spec");
            return Err(KolError::user("SET", what));
        }
        set(&mut table, key, read(value))?;
    }
    toml::to_string(&table).map_err(|e| KolError::internal("SET", e.to_string()))
}

fn read(value: &str) -> Value {
    let parsed = format!("v = {value}").parse::<Table>().ok();
    parsed
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()))
}

fn set(table: &mut Table, key: &str, value: Value) -> Result<(), KolError> {
    let Some((first, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    // Names of librdkafka properties contain dots themselves.
    if first == "properties" {
        return match entry(table, first)? {
            Value::Table(inner) => {
                inner.insert(rest.to_owned(), value);
                Ok(())
            }
            _ => Err(no_table(first)),
        };
    }
    match entry(table, first)? {
        Value::Table(inner) => set(inner, rest, value),
        _ => Err(no_table(first)),
    }
}

fn entry<'t>(table: &'t mut Table, key: &str) -> Result<&'t mut Value, KolError> {
    if !table.contains_key(key) {
        table.insert(key.to_owned(), Value::Table(Table::new()));
    }
    table.get_mut(key).ok_or_else(|| no_table(key))
}

fn no_table(key: &str) -> KolError {
    KolError::user("SET", format!("`{key}` is not a table of the job spec"))
}
