//! Numbers as they are shown, and where they begin to be shown so.

use kol_common::scoring::schema::SCORE_DECIMALS;
use serde_json::Number;

/// A score as it is shown; `None` for what is not a number.
pub(crate) fn score(score: f64) -> Option<Number> {
    format!("{score:.SCORE_DECIMALS$}").parse().ok()
}

/// A number in a hash, as it is written there; `None` where it is none.
pub(crate) fn number(text: &str) -> Option<Number> {
    text.parse().ok()
}

/// The least score that is shown as `least`, which has no more decimals than a score has. Labels go by the score as it is
/// shown, and so do ranges of a ranking.
pub(crate) fn from(least: f64) -> f64 {
    let shows = |score: f64| {
        let shown = format!("{score:.SCORE_DECIMALS$}").parse();
        shown.unwrap_or(score) >= least
    };
    let mut score = least - 0.5 * 10_f64.powi(-(SCORE_DECIMALS as i32));
    while shows(score) {
        score = score.next_down();
    }
    while !shows(score) {
        score = score.next_up();
    }
    score
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_begins_at_the_least_score_that_is_shown_as_its_bound() {
        for least in [80.0, 60.0, 40.0, 25.0, 33.33, 0.01] {
            let first = from(least);
            let shown = |score: f64| format!("{score:.2}").parse::<f64>().unwrap();
            assert!(shown(first) >= least, "{first}");
            assert!(shown(first.next_down()) < least, "{first}");
            assert!((first - (least - 0.005)).abs() < 1e-9, "{first}");
        }
    }

    #[test]
    fn numbers_are_shown_as_they_are_written_and_what_is_none_is_absent() {
        let shown = |text| number(text).map(|n| n.to_string());
        assert_eq!(shown("-0.68").as_deref(), Some("-0.68"));
        assert_eq!(shown("34233").as_deref(), Some("34233"));
        for absent in ["", "nan", "inf", "sent", "1 2"] {
            assert_eq!(shown(absent), None, "{absent}");
        }
        assert_eq!(score(84.1276).unwrap().to_string(), "84.13");
        assert_eq!(score(f64::INFINITY), None);
    }
}
