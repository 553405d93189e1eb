//! The codes of errors and log events: `docs/errors.md` lists every one that the sources use, and no
//! other; and no line of the log at INFO or above is without one of its own.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot continue should say where"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const CRATES: [&str; 5] = ["common", "client", "executor", "master", "serve"];

#[test]
fn every_code_in_the_sources_is_listed_and_every_listed_code_is_used() {
    let list = std::fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let rows: Vec<Vec<&str>> = list
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let names: Vec<&str> = rows.iter().map(|row| row[0].trim_matches('`')).collect();
    assert!(names.is_sorted(), "sorted, so that a code is found");
    for row in &rows {
        let [_, meaning, action] = row.as_slice() else {
            panic!("three columns: {row:?}");
        };
        assert!(meaning.ends_with('.') && action.ends_with('.'), "{row:?}");
    }
    let listed: BTreeSet<_> = names.into_iter().collect();

    let sources = sources();
    let mut used = BTreeMap::new();
    for (path, text) in &sources {
        used.extend(codes(text).into_iter().map(|code| (code, path)));
        // The settings of Spark jobs have names like codes.
        if !path.to_string_lossy().contains("client/src/convert/") {
            used.extend(related(text, &listed).into_iter().map(|code| (code, path)));
        }
    }
    assert!(used.len() > 80, "found only {} codes", used.len());
    let unlisted: Vec<_> = used.iter().filter(|(c, _)| !listed.contains(*c)).collect();
    assert!(unlisted.is_empty(), "not in docs/errors.md: {unlisted:#?}");
    let unused: Vec<_> = listed.iter().filter(|c| !used.contains_key(*c)).collect();
    assert!(unused.is_empty(), "listed, and not used: {unused:?}");
}

#[test]
fn every_line_of_a_log_has_a_code() {
    let (mut found, mut without) = (0, Vec::new());
    for (path, text) in sources() {
        for start in ["tracing::info!(", "tracing::warn!(", "tracing::error!("] {
            for (at, _) in text.match_indices(start) {
                found += 1;
                let event = event(&text[at + start.len()..]);
                if !has_code(event) {
                    without.push(format!("{}: {event}", path.display()));
                }
            }
        }
    }
    assert!(found > 70, "found only {found} events");
    assert!(without.is_empty(), "without `code = \"…\"`: {without:#?}");
}

#[test]
fn a_line_of_an_executor_about_a_partition_or_a_topic_has_the_name_of_its_job() {
    let (mut found, mut without) = (0, Vec::new());
    for (path, text) in sources() {
        if !path.starts_with(root().join("executor")) {
            continue;
        }
        for start in ["tracing::info!(", "tracing::warn!(", "tracing::error!("] {
            for (at, _) in text.match_indices(start) {
                let event = event(&text[at + start.len()..]);
                if ["partition", "topic"]
                    .iter()
                    .any(|name| has_field(event, name))
                {
                    found += 1;
                    if !has_field(event, "job") {
                        without.push(format!("{}: {event}", path.display()));
                    }
                }
            }
        }
    }
    assert!(found > 10, "found only {found} events");
    assert!(without.is_empty(), "without `job`: {without:#?}");
}

#[test]
fn fields_of_an_event_are_found() {
    let event = r#"code = "A", %partition, job = spec.name, topic, "the place, offset = 3""#;
    for name in ["code", "partition", "job", "topic"] {
        assert!(has_field(event, name), "{name}");
    }
    for name in ["name", "part", "place", "offset", "A"] {
        assert!(!has_field(event, name), "{name}");
    }
}

#[test]
fn codes_are_found_in_errors_events_and_constants() {
    let text = r#"
        KolError::user("A_B", "x"); KolError::external(
            "CD", "y"); KolError::internal(EF, "EF");
        tracing::warn!(code = "G", "H");
        pub const I: &str = "J_K";
        ("L_M", "N_O")"#;
    assert_eq!(codes(text), ["A_B", "CD", "G"].into());
    let listed = ["L_X", "N", "J_K"].into();
    assert_eq!(related(text, &listed), ["J_K", "L_M"].into());
}

#[test]
fn an_event_needs_a_code_of_its_own_beside_that_of_its_error() {
    for event in [
        r#"code = "A", %error, "it failed""#,
        r#"code, %error, "it failed""#,
    ] {
        assert!(has_code(event), "{event}");
    }
    for event in [
        r#"%error, "the code, it failed""#,
        r#"encode, "it failed""#,
        r#"error.code, "it failed""#,
    ] {
        assert!(!has_code(event), "{event}");
    }
}

/// Codes at the places that nothing else stands at.
fn codes(text: &str) -> BTreeSet<&str> {
    let places = [
        "KolError::user(",
        "KolError::external(",
        "KolError::internal(",
        "code = ",
    ];
    let mut found = BTreeSet::new();
    for place in places {
        for (at, _) in text.match_indices(place) {
            let literal = text[at + place.len()..].trim_start().strip_prefix('"');
            let code = literal.and_then(|rest| rest.split('"').next());
            found.extend(code.filter(|code| is_code(code)));
        }
    }
    found
}

/// Literals that are listed, or of the family of a listed code (`SINK_…`): constants and tables.
fn related<'t>(text: &'t str, listed: &BTreeSet<&str>) -> BTreeSet<&'t str> {
    let family = |code: &str| code.split_once('_').map(|(first, _)| first.to_owned());
    let families: BTreeSet<_> = listed.iter().filter_map(|code| family(code)).collect();
    let literals = text.split('"').filter(|literal| is_code(literal));
    let of_one = literals.filter(|l| {
        listed.contains(l) && l.contains('_') || family(l).is_some_and(|f| families.contains(&f))
    });
    // Prefixes and environment variables.
    of_one
        .filter(|l| !l.ends_with('_') && !l.starts_with("KOL_") || listed.contains(l))
        .collect()
}

fn is_code(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    !text.is_empty() && text.bytes().all(allowed)
}

/// Whether an event has a code of its own: an error's says why something happened, not what.
fn has_code(event: &str) -> bool {
    event.contains("code = ") || event.split([',', '(']).any(|field| field.trim() == "code")
}

/// Whether an event has a field of this name; its message, the last of what it has, is none.
fn has_field(event: &str, name: &str) -> bool {
    let event = event.split_whitespace().collect::<Vec<_>>().join(" ");
    let fields = event.trim_end_matches(',');
    let fields = fields
        .rsplit_once(", \"")
        .map_or(fields, |(fields, _)| fields);
    fields.split(',').any(|field| {
        let field = field.split('=').next().unwrap_or(field);
        field.trim().trim_start_matches(['%', '?']) == name
    })
}

/// What is inside the parentheses of a macro.
fn event(text: &str) -> &str {
    let mut depth = 1;
    let end = text.find(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth == 0
    });
    &text[..end.unwrap_or(text.len())]
}

/// The sources of the product without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders: Vec<_> = CRATES.map(|name| root().join(name).join("src")).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.push((path, code.to_owned()));
            }
        }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
