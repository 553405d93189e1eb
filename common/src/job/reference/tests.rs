//! The table says what the parser does, and everything that is made of the table says the same.

use std::collections::BTreeSet;

use super::*;
use crate::job::SpecErrors;
use crate::job::parse;

/// Unlike any key, so that the parser lists those it knows.
const UNKNOWN: &str = "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";

/// A spec with this line in a table.
fn spec(section: &str, line: &str) -> String {
    match section {
        "" => format!("{line}\n"),
        section if LISTS.contains(&section) => format!("name = \"a\"\n[[{section}]]\n{line}\n"),
        section => format!("name = \"a\"\n[{section}]\n{line}\n"),
    }
}

/// What the parser has against a key.
fn against(key: &Key, value: &str) -> Vec<String> {
    let line = format!("{} = {value}", key.name);
    let problems = match parse(&spec(key.section, &line), "a.toml") {
        Ok(_) => Vec::new(),
        Err(SpecErrors { problems, .. }) => problems,
    };
    let of_key = problems
        .into_iter()
        .filter(|problem| problem.key == key.dotted());
    of_key.map(|problem| problem.message).collect()
}

fn listed() -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(|key| key.kind != Kind::Properties)
}

#[test]
fn the_table_has_the_keys_that_the_parser_knows_and_no_other() {
    for (section, _) in SECTIONS {
        if KEYS
            .iter()
            .any(|key| key.section == *section && key.kind == Kind::Properties)
        {
            continue;
        }
        let errors = parse(&spec(section, &format!("{UNKNOWN} = 1")), "a").unwrap_err();
        let unknown = errors
            .problems
            .iter()
            .find(|p| p.message.starts_with("unknown key"));
        let known = unknown
            .unwrap()
            .message
            .split("known keys: ")
            .nth(1)
            .unwrap();
        let known: BTreeSet<String> = known.split(", ").map(str::to_owned).collect();
        let tables = SECTIONS.iter().map(|(name, _)| *name);
        let tables = tables.filter_map(|name| {
            let (parent, last) = name.rsplit_once('.').unwrap_or(("", name));
            (parent == *section && !last.is_empty()).then_some(last)
        });
        let keys = KEYS
            .iter()
            .filter(|key| key.section == *section)
            .map(|key| key.name);
        let in_table: BTreeSet<String> = keys.chain(tables).map(str::to_owned).collect();
        assert_eq!(in_table, known, "[{section}]");
    }
}

#[test]
fn the_parser_takes_what_the_table_says_and_nothing_of_another_kind() {
    for key in listed() {
        let (right, wrong) = match key.kind {
            Kind::Text => ("\"a\"", "[1]"),
            Kind::Texts => ("[\"a\"]", "\"a\""),
            Kind::Flag => ("true", "\"true\""),
            Kind::Whole => ("7", "\"7\""),
            Kind::Number => ("0.5", "\"0.5\""),
            Kind::Duration => ("\"3h\"", "\"soon\""),
            Kind::DurationOrOff => ("\"off\"", "\"on\""),
            Kind::Choice(words) => (&*format!("\"{}\"", words[0]).leak(), "\"no such word\""),
            Kind::Path => ("[\"a.b\", \"c\"]", "[1]"),
            Kind::Secret => ("\"env:KOL_SECRET_A\"", "1"),
            Kind::Offsets => ("{ partitions = { \"0\" = 1 } }", "\"newest\""),
            Kind::Rekey => ("{ partitions = 7 }", "\"yes\""),
            Kind::Properties => unreachable!(),
        };
        let expected = |message: &String| {
            ["expected", "not one of", "is not a time", "write "]
                .iter()
                .any(|w| message.contains(w))
        };
        let refused = against(key, right);
        assert!(
            !refused.iter().any(|m| m.contains("expected")),
            "{}: {refused:?}",
            key.dotted()
        );
        assert!(against(key, wrong).iter().any(expected), "{}", key.dotted());
    }
}

#[test]
fn the_words_of_a_choice_are_those_of_the_parser() {
    for key in listed() {
        let Kind::Choice(words) = key.kind else {
            continue;
        };
        let refused = against(key, "\"no such word\"");
        let known = refused[0].split("is not one of: ").nth(1).unwrap();
        assert_eq!(
            known.split(", ").collect::<Vec<_>>(),
            words,
            "{}",
            key.dotted()
        );
    }
}

/// Where the schema has a key.
fn pointer(key: &Key) -> String {
    let items = if LISTS.contains(&key.section) {
        "/items"
    } else {
        ""
    };
    let tables = key.section.split('.').filter(|part| !part.is_empty());
    let tables: String = tables.map(|part| format!("/properties/{part}")).collect();
    format!("{tables}{items}/properties/{}", key.name)
}

/// Dotted names of the keys of a JSON Schema, without those that only say where to start.
fn keys_of_schema(schema: &serde_json::Value, path: &str, out: &mut BTreeSet<String>) {
    for (name, value) in schema["properties"].as_object().unwrap() {
        let dotted = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        let is_list = LISTS.contains(&dotted.as_str());
        let value = if is_list { &value["items"] } else { value };
        if value["type"] == "object" {
            keys_of_schema(value, &dotted, out);
        } else {
            out.insert(dotted);
        }
    }
}

#[test]
fn the_schema_the_page_and_a_spec_that_is_shown_have_the_same_keys_with_the_same_words() {
    let table: BTreeSet<String> = listed().map(Key::dotted).collect();

    let schema = schema().unwrap();
    let mut in_schema = BTreeSet::new();
    keys_of_schema(&schema, "", &mut in_schema);
    assert_eq!(in_schema, table);

    let page = page().unwrap();
    let shown = parse("name = \"a\"", "a").unwrap().spec.to_toml().unwrap();
    let (mut in_page, mut in_spec, mut section) = (BTreeSet::new(), BTreeSet::new(), "");
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim_matches('`').trim_matches(['[', ']']);
            section = if section == "The job" { "" } else { section };
        } else if let Some(row) = line.strip_prefix("| `") {
            let name = row.split('`').next().unwrap();
            in_page.insert(if section.is_empty() {
                name.to_owned()
            } else {
                format!("{section}.{name}")
            });
        }
    }
    section = "";
    for line in shown.lines().filter(|line| !line.starts_with("# ")) {
        if let Some(table) = line.trim_start_matches('#').strip_prefix('[') {
            section = table.trim_matches(['[', ']']);
        } else if let Some((name, _)) = line.trim_start_matches('#').split_once([' ', ':']) {
            in_spec.insert(if section.is_empty() {
                name.to_owned()
            } else {
                format!("{section}.{name}")
            });
        }
    }
    assert_eq!(in_page, table);
    assert_eq!(in_spec, table);

    for key in listed() {
        let of_schema = &schema.pointer(&pointer(key)).unwrap()["description"];
        assert_eq!(of_schema, key.about);
        assert!(
            page.contains(&key.about.replace('|', "\\|")),
            "{}",
            key.dotted()
        );
        assert!(
            shown.contains(&format!("# {}\n", key.about)),
            "{}",
            key.dotted()
        );
        assert!(key.about.ends_with('.'), "{}", key.dotted());
    }
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_parser() {
    let schema = schema().unwrap();
    for key in listed() {
        let of_key = schema.pointer(&pointer(key)).unwrap();
        let Some(default) = of_key.get("default") else {
            continue;
        };
        let spec = parse(
            &spec(key.section, &format!("{} = {default}", key.name)),
            "a",
        )
        .unwrap();
        assert_eq!(
            spec.spec,
            parse("name = \"a\"", "a").unwrap().spec,
            "{}",
            key.dotted()
        );
    }
}

#[test]
fn the_reference_page_in_the_documents_is_the_one_that_is_printed() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/job-spec.md");
    let page = page().unwrap();
    if std::env::var_os("KOL_UPDATE").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    let written = std::fs::read_to_string(file).unwrap();
    assert!(
        written == page,
        "kol-client schema --markdown > docs/job-spec.md"
    );
}
