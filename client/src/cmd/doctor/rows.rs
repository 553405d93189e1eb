//! The table of errors in the documents, which is part of the binary.

const TABLE: &str = include_str!("../../../../docs/errors.md");

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// What the code means.
    pub(super) means: &'static str,
    /// What to do.
    pub(super) remedy: &'static str,
}

/// The row of a code; `None` for one of another version.
pub(super) fn row(code: &str) -> Option<Row> {
    let begin = format!("| `{code}` | ");
    let row = TABLE.lines().find_map(|line| line.strip_prefix(&begin))?;
    let (means, remedy) = row.strip_suffix(" |")?.split_once(" | ")?;
    // Where it appears, in italics, comes before what it means.
    let (_, means) = means
        .strip_prefix('*')
        .and_then(|m| m.split_once("* "))
        .unwrap_or(("", means));
    Some(Row { means, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_with_both_its_columns_and_no_other_one_is() {
        let found = row("SINK_UNREACHABLE").unwrap();
        assert_eq!(found.means, "Redis cannot be reached.");
        assert_eq!(found.remedy, "Start Redis, or correct `sink.url`.");
        let of_a_line = row("EXECUTOR_LOST").unwrap();
        assert!(
            of_a_line.means.starts_with("An executor is gone"),
            "{of_a_line:?}"
        );
        assert_eq!(row("SINK_UNREACHABL"), None);
        assert_eq!(row(""), None);
    }
}
