use super::*;

const T0: u64 = 500_000 * HOUR;

fn moment(minutes: u64, kols: &[&str]) -> Arc<Moment> {
    let name = Name {
        at: Millis(T0 + minutes * MINUTE),
        generation: 1,
    };
    let creators = kols.iter().map(|kol| ((*kol).to_owned(), 1.0));
    let snapshot = Snapshot {
        window_end: String::new(),
        creators: creators.collect(),
        cut: false,
    };
    Arc::new(Moment::new(name, snapshot, None))
}

fn event(minutes: u64) -> Option<Millis> {
    Some(Millis(T0 + minutes * MINUTE))
}

fn since(history: &History, span: Span) -> Option<u64> {
    let since = history.since(span)?;
    Some((since.0 - T0) / MINUTE)
}

fn numbered(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|number| format!("k{number}")).collect()
}

#[test]
fn places_are_compared_with_the_newest_snapshot_that_is_old_enough_and_not_much_older() {
    let moments = || [0, 55, 60, 65].map(|m| moment(m, &["a"])).to_vec();
    let history = |newest| History::new(moments(), newest);
    assert_eq!(since(&history(None), Span::Hour), Some(0));
    assert_eq!(since(&history(event(119)), Span::Hour), Some(55));
    assert_eq!(since(&history(event(120)), Span::Hour), Some(60));
    let unknown = history(event(65 + 60 + 11));
    assert_eq!(since(&unknown, Span::Hour), None, "nobody knows that hour");
    assert_eq!(unknown.changes("a", 1), Changes::default());
    assert_eq!(since(&history(event(24 * 60 + 70)), Span::Day), Some(65));
    assert_eq!(since(&history(event(26 * 60 + 16)), Span::Day), None);
    assert_eq!(since(&history(event(23 * 60)), Span::Day), None);
}

#[test]
fn a_change_is_the_places_gained_or_that_a_creator_is_new() {
    let moments = vec![moment(0, &["a", "b", "c"]), moment(60, &["a"])];
    let history = History::new(moments, None);
    let changes = |kol, place| serde_json::to_value(history.changes(kol, place)).unwrap();
    assert_eq!(changes("c", 1), serde_json::json!({"change_1h": 2}));
    assert_eq!(changes("a", 3), serde_json::json!({"change_1h": -2}));
    assert_eq!(changes("b", 2), serde_json::json!({"change_1h": 0}));
    assert_eq!(changes("d", 4), serde_json::json!({"new_1h": true}));
}

#[test]
fn whether_one_behind_all_that_are_kept_is_new_is_not_known() {
    let names = numbered(0..PLACES);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let history = History::new(vec![moment(0, &names), moment(60, &["a"])], None);
    let change = |place| history.change(Span::Hour, "x", place);
    assert_eq!(change(1_000), Change::New(1));
    assert_eq!(change(1_001), Change::Unknown);
    let known = history.change(Span::Hour, "k999", 1_500);
    assert_eq!(known, Change::Gained(-500));
}

#[test]
fn whether_one_is_new_that_a_snapshot_cut_short_does_not_have_is_not_known() {
    let name = Name {
        at: Millis(T0),
        generation: 1,
    };
    let snapshot = Snapshot {
        window_end: String::new(),
        creators: vec![("a".to_owned(), 1.0), ("b".to_owned(), 1.0)],
        cut: true,
    };
    let cut = Arc::new(Moment::new(name, snapshot, None));
    let history = History::new(vec![cut, moment(60, &["a"])], None);
    for place in [1, 2, 3] {
        let change = history.change(Span::Hour, "x", place);
        assert_eq!(change, Change::Unknown, "{place}");
    }
    assert_eq!(history.change(Span::Hour, "b", 1), Change::Gained(1));
    let climbers = history.climbers(Span::Hour, ["x", "b", "a"].into_iter());
    assert_eq!(climbers, [0_u64; 0]);
}

#[test]
fn who_gained_most_places_comes_first_and_new_ones_come_from_behind_the_last() {
    let moments = vec![moment(0, &["a", "b", "c", "d"]), moment(60, &["a"])];
    let history = History::new(moments, None);
    let now = ["c", "x", "a", "d", "b", "y"];
    let climbers = |span| history.climbers(span, now.into_iter());
    // x by 3, c by 2; y is where it came from.
    assert_eq!(climbers(Span::Hour), [2, 1]);
    assert_eq!(climbers(Span::Day), [0_u64; 0], "nothing is known");
}

#[test]
fn what_a_history_weighs_has_each_name_once_however_many_snapshots_have_it_and_its_places() {
    let long = |number: usize| format!("{number}{}", "x".repeat(9_999));
    let names: Vec<String> = (0..9).map(long).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let first = moment(0, &names);
    let second = Arc::new(Moment::new(
        Name {
            at: Millis(T0 + MINUTE),
            generation: 1,
        },
        Snapshot {
            window_end: String::new(),
            creators: names.iter().map(|kol| ((*kol).to_owned(), 2.0)).collect(),
            cut: false,
        },
        Some(&first),
    ));
    let weight = |moments: &[&Arc<Moment>]| {
        History::new(moments.iter().map(|m| Arc::clone(m)).collect(), None).weight()
    };
    let (one, both) = (weight(&[&first]), weight(&[&first, &second]));
    assert!((90_000..91_000).contains(&one), "{one}");
    assert!((1..1_000).contains(&(both - one)), "{one} {both}");
    let equal = moment(60, &names);
    let others = weight(&[&equal]);
    let compared = weight(&[&first, &equal]);
    // The places of an hour ago share the names, too.
    let places = (compared - one).checked_sub(others);
    assert!(
        places.is_some_and(|places| (9 * 24..1_000).contains(&places)),
        "{places:?}"
    );
}

#[test]
fn the_ranking_of_a_time_is_the_newest_that_is_not_after_it() {
    let history = History::new(vec![moment(60, &["b"]), moment(0, &["a"])], None);
    let at = |minutes| {
        let moment = history.at(Millis(T0 + minutes * MINUTE))?;
        Some(moment.creators[0].0.to_string())
    };
    assert_eq!(at(0).as_deref(), Some("a"));
    assert_eq!(at(59).as_deref(), Some("a"));
    assert_eq!(at(60).as_deref(), Some("b"));
    assert_eq!(at(9_999).as_deref(), Some("b"));
    assert_eq!(history.at(Millis(T0 - 1)).map(|_| ()), None);
    assert_eq!(history.begin(), Some(Millis(T0)));
    assert_eq!(History::default().begin(), None);
}

#[test]
fn a_creator_has_a_place_only_where_it_was_among_those_that_were_kept() {
    let moments = vec![moment(0, &["a", "b"]), moment(60, &["a"])];
    let history = History::new(moments, None);
    let places: Vec<_> = history
        .of("b")
        .into_iter()
        .map(|(_, place)| place)
        .collect();
    assert_eq!(places, [Some((2, 1.0)), None]);
}

#[test]
fn a_curve_has_the_first_moment_of_each_hour_of_the_last_day_and_the_newest() {
    let minutes = [0, 30, 59, 60, 24 * 60 + 50, 24 * 60 + 55, 25 * 60 - 1];
    let moments = minutes.map(|m| moment(m, &["a"])).to_vec();
    let curves = History::new(moments, None).curves(["a", "x"].into_iter());
    let times: Vec<u64> = curves.times.iter().map(|t| (t.0 - T0) / MINUTE).collect();
    assert_eq!(times, [59, 60, 24 * 60 + 50, 25 * 60 - 1]);
    assert_eq!(curves.scores, [vec![Some(1.0); 4], vec![None; 4]]);
    let one = History::new(vec![moment(7, &["a"])], None);
    assert_eq!(one.curves(["a"].into_iter()).scores, [[Some(1.0)]]);
    let none = History::default().curves(["a"].into_iter());
    assert_eq!((none.times, none.scores), (vec![], vec![vec![]]));
}
