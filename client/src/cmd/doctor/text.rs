//! A diagnosis for people and for scripts.

use kol_common::view::problem_json;
use serde_json::{Value, json};

use super::judge::{Diagnosis, Trouble};
use super::rows::row;
use crate::print::visible;

/// For people: what to mend, one paragraph each, and what is well.
pub(super) fn as_text(found: &Diagnosis) -> String {
    let mut lines = vec![match found.troubles.len() {
        0 => "Nothing is wrong.".to_owned(),
        1 => "One thing is wrong.".to_owned(),
        count => format!("{count} things are wrong. Mend them in this order:"),
    }];
    for (number, trouble) in (1..).zip(&found.troubles) {
        let (area, code) = (trouble.area.word(), &trouble.error.code);
        lines.extend([String::new(), format!("{number}. {code}, {area}")]);
        lines.extend(facts(trouble).map(|(name, value)| format!("   {name:<6} {value}")));
    }
    lines.push(String::new());
    for note in &found.notes {
        let (places, error) = (note.places.join("; "), &note.error);
        let what = format!("{}: {}", error.code, error.message);
        lines.push(format!("note   {places}: {what}; only this host says so"));
    }
    for well in &found.well {
        let (area, what, found) = (well.area.word(), &well.what, &well.found);
        lines.push(format!("ok     {area}: {what}: {found}"));
    }
    lines.iter().map(|line| visible(line) + "\n").collect()
}

/// Facts of a trouble that are known.
fn facts(trouble: &Trouble) -> impl Iterator<Item = (&'static str, String)> {
    let row = row(&trouble.error.code);
    let help = Some(trouble.error.help.clone()).filter(|help| !help.is_empty());
    let remedy = row.map(|row| row.remedy.to_owned());
    let table = row.map(|row| format!("docs/errors.md: {} {}", row.means, row.remedy));
    let all = [
        ("where", Some(trouble.places.join("; "))),
        ("what", Some(trouble.error.message.clone())),
        ("do", help.or(remedy)),
        ("see", table),
    ];
    let known = all.into_iter();
    known.filter_map(|(name, value)| Some((name, value?)))
}

/// The same for scripts, as docs/json.md shows it.
pub(crate) fn as_json(found: &Diagnosis) -> Value {
    let troubles = |all: &[Trouble]| all.iter().map(trouble_json).collect::<Vec<_>>();
    let well = found
        .well
        .iter()
        .map(|well| json!({"area": well.area.word(), "what": well.what, "found": well.found}));
    json!({
        "well": found.troubles.is_empty(),
        "troubles": troubles(&found.troubles),
        "notes": troubles(&found.notes),
        "seen": Value::from_iter(well),
    })
}

fn trouble_json(trouble: &Trouble) -> Value {
    let row = row(&trouble.error.code);
    json!({
        "area": trouble.area.word(),
        "problem": problem_json(&trouble.error),
        "where": trouble.places,
        "means": row.map(|row| row.means),
        "remedy": row.map(|row| row.remedy),
    })
}

#[cfg(test)]
mod tests {
    use kol_common::KolError;

    use super::super::area::Area;
    use super::super::judge::Well;
    use super::*;

    fn trouble(help: &str) -> Trouble {
        let error = KolError::external("SINK_UNREACHABLE", "Redis cannot\u{1b}be reached");
        Trouble {
            area: Area::Redis,
            error: error.help(help).to_info(),
            servers: Vec::new(),
            places: vec!["job a".into(), "Redis b, seen from this host".into()],
        }
    }

    #[test]
    fn a_trouble_is_shown_with_where_it_is_what_to_do_and_its_row_of_the_table() {
        let found = Diagnosis {
            troubles: vec![trouble("Start Redis."), trouble("")],
            notes: vec![trouble("")],
            well: vec![Well {
                area: Area::Executors,
                what: "executors".into(),
                found: "2 answer".into(),
            }],
        };
        let text = as_text(&found);
        for line in [
            "2 things are wrong. Mend them in this order:\n",
            "1. SINK_UNREACHABLE, redis\n",
            "   where  job a; Redis b, seen from this host\n",
            "   what   Redis cannot\\u001bbe reached\n",
            "   do     Start Redis.\n",
            "   do     Start Redis, or correct `sink.url`.\n",
            "   see    docs/errors.md: Redis cannot be reached. Start Redis, or correct `sink.url`.\n",
            "ok     executors: executors: 2 answer\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(text.contains("note   job a; Redis b"), "{text}");
        assert_eq!(as_text(&Diagnosis::default()), "Nothing is wrong.\n\n");
    }
}
