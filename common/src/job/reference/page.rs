//! The reference page of a job spec, Markdown.

use super::keys::KEYS;
use super::kind::{Key, Kind};
use super::schema::defaults;
use super::sections::{LISTS, SECTIONS};
use crate::KolError;
use crate::event::Field;

const HEAD: &str = "\
# The job spec

A job spec is TOML. `name` is all that it needs; whatever else it leaves out has its default. Every mistake in it is listed at once, with
its line: `kol-client check FILE`. `kol-client check FILE --show` prints it with every default filled in. `kol-client schema`
prints a JSON Schema for editors: with `#:schema kol-job.json` as its first line, a spec is completed and checked while it is written (Even
Better TOML, taplo). Lengths of time are written like `24h`, `5m` or `100ms`.

This page is printed by `kol-client schema --markdown`; a test compares it.
";

/// The page.
///
/// # Errors
/// The defaults cannot be written as TOML: a bug.
pub fn page() -> Result<String, KolError> {
    let defaults = defaults()?;
    let mut page = HEAD.to_owned();
    for (section, about) in SECTIONS {
        let title = match *section {
            "" => "The job".to_owned(),
            section if LISTS.contains(&section) => format!("`[[{section}]]`"),
            section => format!("`[{section}]`"),
        };
        page.push_str(&format!("\n## {title}\n\n{}\n\n", text(about)));
        page.push_str("| key | is | default | for |\n|---|---|---|---|\n");
        let of_table = section.split('.').filter(|part| !part.is_empty());
        let pointer: String = of_table.map(|part| format!("/{part}")).collect();
        let values = defaults.pointer(&pointer);
        for key in KEYS.iter().filter(|key| key.section == *section) {
            let default = values.and_then(|values| values.get(key.name));
            let default = match (key.name, default) {
                ("name", _) => "needed".to_owned(),
                (_, Some(value)) => format!("`{value}`"),
                (_, None) => unset(key),
            };
            let name = if key.name.is_empty() {
                "*any*".to_owned()
            } else {
                format!("`{}`", key.name)
            };
            page.push_str(&format!(
                "| {name} | {} | {default} | {} |\n",
                kind(key.kind),
                text(key.about)
            ));
        }
    }
    Ok(page)
}

/// What holds where a key without a default is left out.
fn unset(key: &Key) -> String {
    let field = Field::ALL
        .into_iter()
        .find(|field| field.as_str() == key.name);
    match (key.kind, field) {
        (Kind::Path, Some(field)) => {
            let names = field.default_paths().iter().map(|name| format!("`{name}`"));
            names.collect::<Vec<_>>().join(", ")
        }
        _ => "none".to_owned(),
    }
}

fn kind(kind: Kind) -> String {
    let word = match kind {
        Kind::Text => "text",
        Kind::Texts => "list of texts",
        Kind::Flag => "`true` or `false`",
        Kind::Whole => "whole number",
        Kind::Number => "number",
        Kind::Duration => "time",
        Kind::DurationOrOff => "time or `off`",
        Kind::Path => "path, or a list of them",
        Kind::Secret => "reference to a secret",
        Kind::Offsets => "text or table",
        Kind::Rekey => "`true`, `false` or a table",
        Kind::Properties => "text, number or flag",
        Kind::Choice(words) => {
            let words = words.iter().map(|word| format!("`{word}`"));
            return words.collect::<Vec<_>>().join(", ");
        }
    };
    word.to_owned()
}

/// A sentence inside a table.
fn text(about: &str) -> String {
    about.replace('|', "\\|")
}
