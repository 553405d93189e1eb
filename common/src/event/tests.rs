use super::*;

fn decode(json: &str) -> Result<Event<'static>, Reject> {
    let decoder: &'static Decoder = Box::leak(Box::new(Decoder::new("tiktok")));
    let text: &'static str = Box::leak(json.to_owned().into_boxed_str());
    decoder.decode(Some(text.as_bytes()))
}

#[test]
fn a_reading_as_producers_send_it_decodes() {
    let e = decode(
        r#"{"event_time":"2025-06-23T09:03:40+00:00","platform":"TikTok","username":" @a_b ",
        "video_id":"7518006634736635143","view_count_raw":"170.4K","like_count":3511,
        "comment_count":"106","share_count_raw":"Share","view_count":null}"#,
    )
    .unwrap();
    assert_eq!((&*e.platform, &*e.kol), ("tiktok", "a_b"));
    assert_eq!(e.views, Some(170_400));
    assert_eq!(
        (e.likes, e.comments, e.shares),
        (Some(3_511), Some(106), Some(0))
    );
    assert_eq!(e.event_time, Some(Millis(1_750_669_420_000)));
    let made = (7_518_006_634_736_635_143_u64 >> 32) * 1_000;
    assert_eq!(e.published, Some(Millis(made)));
}

#[test]
fn counters_are_read_as_people_and_programs_write_them() {
    for (text, value) in [
        ("7.4K", Some(7_400)),
        ("7.4k", Some(7_400)),
        ("1,234", Some(1_234)),
        ("1,234.5K", Some(1_234_500)),
        ("8M", Some(8_000_000)),
        ("1.25B", Some(1_250_000_000)),
        (" 12 ", Some(12)),
        ("7.0", Some(7)),
        ("Share", Some(0)),
        ("Chia sẻ", Some(0)),
        ("K", Some(0)),
        ("null", None),
        ("NaN", None),
        ("", None),
        ("-5", None),
        ("7.45", None),
        ("1.2345K", None),
        ("1,23", None),
        ("1234,567", None),
        ("1000000000000", Some(1_000_000_000_000)),
        ("1000000000001", None),
        ("99999999999999999999999", None),
        ("1e3", None),
        ("12 likes", None),
    ] {
        assert_eq!(read_counter_text(text), value, "{text:?}");
    }
    let e = decode(r#"{"username":"a","like_count":3.0,"comment_count":3.5,"share_count":-1}"#);
    let e = e.unwrap();
    assert_eq!((e.likes, e.comments, e.shares), (Some(3), None, None));
}

#[test]
fn the_plain_name_counts_before_the_raw_one_and_the_last_of_two_equal_keys() {
    let e = decode(
        r#"{"username":"a","like_count_raw":"9K","like_count":null,"video_likes":5,
        "followers":1,"followers":2,"username":"b"}"#,
    )
    .unwrap();
    assert_eq!((e.likes, e.followers, &*e.kol), (Some(5), Some(2), "b"));
}

#[test]
fn ids_given_as_numbers_are_their_digits() {
    let e = decode(r#"{"username":42,"video_id":7518006634736635143}"#).unwrap();
    assert_eq!(&*e.kol, "42");
    assert_eq!(e.video_id.as_deref(), Some("7518006634736635143"));
}

#[test]
fn what_cannot_be_used_is_rejected_with_its_reason() {
    let decoder = Decoder::new("tiktok");
    let of = |bytes: &[u8]| decoder.decode(Some(bytes)).err();
    assert_eq!(decoder.decode(None).err(), Some(Reject::Tombstone));
    for (json, reason) in [
        ("", Reject::NotJson),
        ("nope", Reject::NotJson),
        (r#"{"username":"a""#, Reject::NotJson),
        (r#"{"username":"a"} x"#, Reject::NotJson),
        (r#"{"username":"a",}"#, Reject::NotJson),
        ("[1,2]", Reject::NotAnObject),
        ("\"a\"", Reject::NotAnObject),
        ("12", Reject::NotAnObject),
        ("null", Reject::NotAnObject),
        ("{}", Reject::NoUsername),
        (r#"{"username":null}"#, Reject::NoUsername),
        (r#"{"username":" @ "}"#, Reject::NoUsername),
    ] {
        assert_eq!(of(json.as_bytes()), Some(reason), "{json}");
    }
    assert_eq!(of(b"{\"username\":\"\xff\"}"), Some(Reject::InvalidUtf8));
    let long = format!(r#"{{"username":"{}"}}"#, "a".repeat(200_000));
    assert_eq!(of(long.as_bytes()), Some(Reject::IdTooLong));
    assert_eq!(of(&vec![b' '; 10 << 20]), Some(Reject::TooLarge));
}

#[test]
fn deep_nesting_is_refused_or_skipped_without_a_crash() {
    let decoder = Decoder::new("tiktok");
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(100_000);
        assert_eq!(
            decoder.decode(Some(deep.as_bytes())).err(),
            Some(Reject::NotJson)
        );
        for key in ["x", "like_count"] {
            let inside = format!(r#"{{"username":"a","{key}":{deep}"#);
            assert_eq!(
                decoder.decode(Some(inside.as_bytes())).err(),
                Some(Reject::NotJson)
            );
        }
    }
}

#[test]
fn times_are_read_in_all_their_usual_forms() {
    let base = Some(Millis(1_750_669_409_000));
    for text in [
        "2025-06-23T09:03:29+00:00",
        "2025-06-23T09:03:29Z",
        "2025-06-23 09:03:29",
        "2025-06-23T16:03:29+07:00",
        "2025-06-23T16:03:29+0700",
        "2025-06-23T16:03:29+07",
        "2025-06-23T04:33:29.0009-04:30",
    ] {
        assert_eq!(parse_time(text), base, "{text}");
    }
    assert_eq!(parse_time("1970-01-01"), Some(Millis(0)));
    assert_eq!(
        parse_time("2024-02-29T00:00"),
        Some(Millis(1_709_164_800_000))
    );
    for text in [
        "",
        "today",
        "2025-02-29",
        "2025-13-01",
        "2025-06-23T25:00:00",
        "2025-06-23T09:03:60Z",
        "1969-12-31T23:59:59Z",
        "2025-06-23T09:03:29+",
        "2025-06-23T09:03:29X",
        "1750669409",
        "2025-06-23T09:03:29.Z",
        "2025-6-23",
        "2025-06-23T",
        "2025-06-23T09:03:29+07:",
    ] {
        assert_eq!(parse_time(text), None, "{text}");
    }
}

#[test]
fn an_event_cannot_be_newer_than_its_record() {
    let (a, b) = (Millis(10), Millis(20));
    assert_eq!(effective_time(Some(b), Some(a)), Ok(a));
    assert_eq!(effective_time(Some(a), Some(b)), Ok(a));
    assert_eq!(effective_time(None, Some(b)), Ok(b));
    assert_eq!(effective_time(None, None), Err(Reject::NoTime));
}

mod properties {
    use proptest::prelude::*;

    use super::super::*;

    fn json() -> impl Strategy<Value = String> {
        let keys = prop::sample::select(vec![
            "username",
            "platform",
            "video_id",
            "event_time",
            "like_count",
            "like_count_raw",
            "followers",
            "other",
        ]);
        let values = prop::sample::select(vec![
            "1",
            "-1",
            "1.0",
            "1e2",
            "null",
            "true",
            "\"a\"",
            "\"\\u0041\"",
            "\"7.4K\"",
            "[1,[2]]",
            "{\"username\":\"x\"}",
            "01",
            "\"",
            "1.",
            "\"2025-06-23T09:03:29Z\"",
            "nul",
            "-",
        ]);
        prop::collection::vec((keys, values), 0..6).prop_map(|fields| {
            let fields: Vec<_> = fields.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            format!("{{{}}}", fields.join(","))
        })
    }

    proptest! {
        #[test]
        fn what_another_parser_refuses_is_not_json_here_either(text in json()) {
            let valid = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            let decoder = Decoder::new("tiktok");
            let ours = decoder.decode(Some(text.as_bytes()));
            prop_assert_eq!(ours != Err(Reject::NotJson), valid, "{}", text);
        }

        #[test]
        fn no_bytes_crash_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _any = Decoder::new("tiktok").decode(Some(&bytes));
        }

        #[test]
        fn times_agree_with_a_calendar_library(ms in 0i64..4_102_444_800_000, hours in -12i8..=12) {
            let time = jiff::Timestamp::from_millisecond(ms).unwrap();
            let zone = jiff::tz::Offset::constant(hours).to_time_zone();
            let text = time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
            prop_assert_eq!(parse_time(&text), Some(Millis(ms as u64)), "{}", text);
        }
    }
}
