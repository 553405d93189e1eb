//! Notebooks of Jupyter, and those that Databricks writes as sources.

/// The code of a notebook as one source, and whether it is Scala. `None` if it is no notebook.
pub fn source(text: &str) -> Option<(String, bool)> {
    let notebook: serde_json::Value = serde_json::from_str(text).ok()?;
    let language = [
        "/metadata/kernelspec/language",
        "/metadata/language_info/name",
    ];
    let language = language
        .iter()
        .find_map(|at| notebook.pointer(at)?.as_str());
    let is_scala = language.is_some_and(|l| l.eq_ignore_ascii_case("scala"));
    let mut source = String::new();
    for cell in notebook.get("cells")?.as_array()? {
        if cell.get("cell_type").and_then(serde_json::Value::as_str) != Some("code") {
            continue;
        }
        let own = match cell.get("source")? {
            serde_json::Value::Array(lines) => {
                lines.iter().filter_map(serde_json::Value::as_str).collect()
            }
            other => other.as_str()?.to_owned(),
        };
        source.push_str(&plain(&own));
        source.push('\n');
    }
    Some((source, is_scala))
}

/// A source in which other notebooks that are run are imports, and other commands of a notebook are left out;
/// lines stay where they are.
pub fn plain(source: &str) -> String {
    let mut is_other = false;
    let mut out = String::with_capacity(source.len());
    for (number, line) in source.lines().enumerate() {
        let bare = line.trim_start();
        let bare = bare.strip_prefix("# MAGIC").map_or(bare, str::trim_start);
        let cell = bare.strip_prefix("%%");
        if number == 0 {
            is_other = cell
                .is_some_and(|magic| !magic.starts_with("time") && !magic.starts_with("capture"));
        }
        let is_magic = |mark| {
            let rest = bare.strip_prefix(mark);
            rest.is_some_and(|rest| rest.starts_with(char::is_alphabetic))
        };
        if let Some(other) = bare.strip_prefix("%run ") {
            let name = other.trim().trim_matches(['"', '\'']);
            let name = name.rsplit('/').next().unwrap_or_default();
            let name = name.split(['.', ' ']).next().unwrap_or_default();
            out.push_str(&format!("from {} import *", identifier(name)));
        } else if !(is_other || cell.is_some() || is_magic('%') || is_magic('!')) {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// A name of a module.
fn identifier(name: &str) -> String {
    let allowed = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let name: String = name.chars().map(allowed).collect();
    match name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        true => name,
        false => format!("_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_notebook_is_one_source() {
        let text = r#"{"cells":[{"cell_type":"markdown","source":["x = 1"]},
            {"cell_type":"code","source":["%pip install x\n","a = 1\n"]},
            {"cell_type":"code","source":"%%bash\necho b"},
            {"cell_type":"code","source":["%run ./conf/settings.py"]}]}"#;
        let (source, is_scala) = source(text).unwrap();
        assert_eq!(source, "\na = 1\n\n\n\n\nfrom settings import *\n\n");
        assert!(!is_scala);
        assert!(super::source("[]").is_none());
    }
}
