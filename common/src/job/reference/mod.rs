//! What each key of a job spec is for, in one table ([`KEYS`]): the comments of a spec that is written out, the JSON Schema for editors
//! ([`schema`]) and the reference page ([`page`]) are made of it. The parser has its own list; a test compares all of them.

mod alert_keys;
mod keys;
mod kind;
mod page;
mod schema;
mod sections;
#[cfg(test)]
mod tests;

pub use keys::KEYS;
pub use kind::{Key, Kind};
pub use page::page;
pub use schema::schema;
pub use sections::{LISTS, SECTIONS};

/// What the key of a table is for; nothing of a key that does not exist.
pub fn about(section: &str, name: &str) -> &'static str {
    let found = KEYS
        .iter()
        .find(|key| key.section == section && key.name == name);
    found.map_or("", |key| key.about)
}

/// What a table is for.
pub(crate) fn about_section(section: &str) -> &'static str {
    let found = SECTIONS.iter().find(|(name, _)| *name == section);
    found.map_or("", |(_, about)| about)
}
