//! The JSON Schema of a job spec, draft 07: editors that know TOML complete and check specs by it.

use serde_json::{Map, Value, json};

use super::keys::KEYS;
use super::kind::{Key, Kind};
use super::sections::{LISTS, SECTIONS};
use crate::KolError;
use crate::job::parse;

/// A length of time, as humantime reads it.
const DURATION: &str = "^([0-9]+ *[A-Za-z]+ *)+$";
/// A reference to a secret.
const SECRET: &str = "^(env:KOL_SECRET_|file:)";

/// The schema, with the default of each key that has one.
///
/// # Errors
/// The defaults cannot be written as TOML: a bug.
pub fn schema() -> Result<Value, KolError> {
    let defaults = defaults()?;
    let mut schema = table("", &defaults);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "A job of KOL".into();
    schema["required"] = json!(["name"]);
    Ok(schema)
}

/// What a spec that says nothing means.
///
/// # Errors
/// It cannot be written as TOML: a bug.
pub(super) fn defaults() -> Result<Value, KolError> {
    let bug = |why: String| KolError::internal("SPEC_ENCODING", why);
    let spec = parse("name = \"x\"", "")
        .map_err(|e| bug(e.to_string()))?
        .spec;
    let table: toml::Table = spec.to_toml()?.parse().map_err(|e| bug(format!("{e}")))?;
    let mut defaults = serde_json::to_value(table).map_err(|e| bug(e.to_string()))?;
    if let Some(all) = defaults.as_object_mut() {
        all.shift_remove("name");
    }
    Ok(defaults)
}

fn table(section: &str, defaults: &Value) -> Value {
    let mut properties = Map::new();
    let keys = KEYS.iter().filter(|key| key.section == section);
    for key in keys.clone().filter(|key| !key.name.is_empty()) {
        let mut value = of_kind(key.kind);
        value["description"] = key.about.into();
        if let Some(default) = defaults.get(key.name) {
            value["default"] = default.clone();
        }
        properties.insert(key.name.to_owned(), value);
    }
    for (name, about) in SECTIONS
        .iter()
        .filter(|(name, _)| parent(name) == Some(section))
    {
        let last = name.rsplit('.').next().unwrap_or(name);
        let mut inner = table(name, defaults.get(last).unwrap_or(&Value::Null));
        if LISTS.contains(name) {
            inner["required"] = json!(["name"]);
            inner = json!({"type": "array", "items": inner});
        }
        inner["description"] = (*about).into();
        properties.insert(last.to_owned(), inner);
    }
    let others = keys.clone().find(|key| key.kind == Kind::Properties);
    let others = others.map_or(json!(false), |key: &Key| of_kind(key.kind));
    json!({"type": "object", "properties": properties, "additionalProperties": others})
}

/// The table that a table stands in; the spec itself stands in none.
fn parent(section: &str) -> Option<&str> {
    match section {
        "" => None,
        _ => Some(section.rsplit_once('.').map_or("", |(parent, _)| parent)),
    }
}

fn of_kind(kind: Kind) -> Value {
    let text = json!({"type": "string"});
    match kind {
        Kind::Text => text,
        Kind::Texts => json!({"type": "array", "items": text}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Whole => json!({"type": "integer", "minimum": 0}),
        Kind::Number => json!({"type": "number"}),
        Kind::Duration => json!({"type": "string", "pattern": DURATION}),
        Kind::DurationOrOff => json!({"type": "string", "pattern": format!("^off$|{DURATION}")}),
        Kind::Choice(words) => json!({"type": "string", "enum": words}),
        Kind::Path => {
            json!({"anyOf": [text, {"type": "array", "items": text, "minItems": 1, "maxItems": 8}]})
        }
        Kind::Secret => json!({"type": "string", "pattern": SECRET}),
        Kind::Offsets => json!({"anyOf": [
            {"type": "string", "enum": ["earliest", "latest"]},
            {"type": "object", "properties": {"timestamp": text}, "required": ["timestamp"], "additionalProperties": false},
            {
                "type": "object",
                "properties": {"partitions": {
                    "type": "object",
                    "propertyNames": {"pattern": "^[0-9]+$"},
                    "additionalProperties": of_kind(Kind::Whole),
                }},
                "required": ["partitions"],
                "additionalProperties": false,
            },
        ]}),
        Kind::Rekey => json!({"anyOf": [
            of_kind(Kind::Flag),
            {
                "type": "object",
                "properties": {
                    "partitions": {"type": "integer", "minimum": 1, "maximum": 10_000},
                    "topic": text,
                    "retention": of_kind(Kind::Duration),
                },
                "additionalProperties": false,
            },
        ]}),
        Kind::Properties => json!({"type": ["string", "integer", "boolean"]}),
    }
}
