//! Names and ids, of whatever kind and length.

use super::super::*;
use super::decode;

#[test]
fn ids_given_as_numbers_are_their_digits() {
    let e = decode(r#"{"username":42,"video_id":7518006634736635143}"#).unwrap();
    assert_eq!(&*e.kol, "42");
    assert_eq!(e.video_id.as_deref(), Some("7518006634736635143"));
    let long = decode(r#"{"username":123456789012345678901,"video_id":98765432109876543210}"#);
    let long = long.unwrap();
    assert_eq!(&*long.kol, "123456789012345678901");
    assert_eq!(long.video_id.as_deref(), Some("98765432109876543210"));
    let both = decode(r#"{"username":"a","video_id":98765432109876543210,"like_count":NaN}"#);
    assert_eq!(
        both.unwrap().video_id.as_deref(),
        Some("98765432109876543210")
    );
    let fraction = decode(r#"{"username":"a","video_id":1.5}"#).unwrap();
    assert_eq!(fraction.video_id, None);
    let negative = decode(r#"{"username":"a","video_id":-9999999999999999999}"#).unwrap();
    assert_eq!(negative.video_id.as_deref(), Some("-9999999999999999999"));
}

#[test]
fn ids_of_more_bytes_than_real_ones_are_rejected_however_they_are_written() {
    let event = |username: &str, video: &str| {
        let text = format!(r#"{{"username":{username},"video_id":{video},"like_count":1}}"#);
        decode(&text).map(|e| (e.kol.len(), e.video_id.map_or(0, |id| id.len())))
    };
    for length in [1, 19, 20, 308, 309, 1_024, 1_025, 5_000, 500_000] {
        let digits = "7".repeat(length);
        let text = format!("\"{digits}\"");
        let fits = length <= MAX_ID;
        let of = |lengths| {
            if fits {
                Ok(lengths)
            } else {
                Err(Reject::IdTooLong)
            }
        };
        for id in [&digits, &text] {
            assert_eq!(event("\"a\"", id), of((1, length)), "{length}");
            assert_eq!(event(id, "\"v\""), of((length, 1)), "{length}");
            // As a counter it is unreadable, and no reason to reject the rest.
            let counter = format!(r#"{{"username":"a","like_count":{id},"x":{id}}}"#);
            let likes = decode(&counter).unwrap().likes;
            assert_eq!(likes, (length == 1).then_some(7), "{length}");
        }
    }
    for nothing in ["true", "false", "null", "[7]", "{}", "1e3"] {
        assert_eq!(event("\"a\"", nothing), Ok((1, 0)), "{nothing}");
        assert_eq!(event(nothing, "1"), Err(Reject::NoUsername), "{nothing}");
    }
}

#[test]
fn a_name_is_looked_at_only_if_it_is_not_too_long_as_it_is_written() {
    let name = |invisible: usize| {
        let text = format!(r#"{{"username":"ann{}"}}"#, "\u{200b}".repeat(invisible));
        decode(&text).map(|e| e.kol.len())
    };
    assert_eq!(name((MAX_WRITTEN - 3) / 3), Ok(3));
    assert_eq!(name(MAX_WRITTEN / 3), Err(Reject::IdTooLong));
}
