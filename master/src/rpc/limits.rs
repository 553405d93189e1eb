//! How long the names in requests may be: they come back in errors and stand in lines of the log.

use kol_common::proto::Register;
use tonic::{Code, Status};

/// Longest name of a job or a creator, and longest location, bytes.
const LONGEST: usize = 1_024;
/// Longest word of an executor about itself, bytes.
const WORD: usize = 256;
/// Most warnings of an executor about itself.
const WARNINGS: usize = 4;

/// Whether names of a request are as long as names are.
///
/// # Errors
/// One is not.
pub(super) fn are_short<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<(), Status> {
    let mut names = names.into_iter();
    let is_long = names.any(|name| name.len() > LONGEST);
    let refused = || {
        Status::new(
            Code::InvalidArgument,
            format!("a name of more than {LONGEST} bytes"),
        )
    };
    if is_long { Err(refused()) } else { Ok(()) }
}

/// Whether what an executor says of itself can be shown and kept.
///
/// # Errors
/// It cannot.
pub(super) fn is_presentable(register: &Register) -> Result<(), Status> {
    let words = [
        &register.incarnation,
        &register.host,
        &register.http,
        &register.version,
        &register.zone,
    ];
    let prints = |text: &String| !text.chars().any(char::is_control);
    let is_fine = |word: &&String| word.len() <= WORD && prints(word);
    let can_be_shown = |warning: &String| warning.len() <= LONGEST && prints(warning);
    if register.incarnation.is_empty() {
        return Err(Status::invalid_argument(
            "a session starts with Register, with an incarnation",
        ));
    }
    let warnings = &register.warnings;
    if warnings.len() > WARNINGS || !warnings.iter().all(can_be_shown) {
        return Err(Status::invalid_argument(
            "the warnings of Register are too many, too long, or do not print",
        ));
    }
    if words.iter().all(is_fine) {
        return Ok(());
    }
    Err(Status::invalid_argument(format!(
        "a word of Register has more than {WORD} bytes, or characters that do not print"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_refused_and_not_repeated() {
        are_short(["kol-trending", ""]).unwrap();
        let long = "x".repeat(LONGEST + 1);
        let refused = are_short(["a", &long]).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(!refused.message().contains("xx"));
    }

    #[test]
    fn an_executor_introduces_itself_in_words_that_print() {
        let named = |host: &str| Register {
            incarnation: "inc_1".into(),
            host: host.into(),
            ..Register::default()
        };
        is_presentable(&named("kol-7")).unwrap();
        for host in ["\u{1b}[2J", "a\nb", &"x".repeat(WORD + 1)] {
            assert!(is_presentable(&named(host)).is_err(), "{host}");
            let register = Register {
                zone: host.into(),
                ..named("kol-7")
            };
            assert!(is_presentable(&register).is_err(), "{host}");
        }
        let warns = |warnings: Vec<String>| Register {
            warnings,
            ..named("kol-7")
        };
        is_presentable(&warns(vec!["INSECURE: x".into(); WARNINGS])).unwrap();
        for warnings in [
            vec![String::new(); WARNINGS + 1],
            vec!["\u{1b}[2J".to_owned()],
            vec!["x".repeat(LONGEST + 1)],
        ] {
            assert!(is_presentable(&warns(warnings)).is_err());
        }
        assert!(is_presentable(&Register::default()).is_err());
    }
}
