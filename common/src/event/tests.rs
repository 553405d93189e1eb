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
        ("1234.0", Some(1_234)),
        ("1.2340", None),
        ("1.0000", Some(1)),
        ("12B", Some(12_000_000_000)),
        ("1.234K", Some(1_234)),
        ("10.000K", Some(10_000)),
        // Twelve thousand in Turkish, ten thousand in German.
        ("12 B", None),
        ("12,5 B", None),
        ("12,5B", None),
        ("7.4\u{a0}K", None),
        ("10.000", None),
        ("9.900", None),
        ("1.234.567", None),
        ("1,234.000", None),
        ("Infinity", None),
        ("-Infinity", None),
        ("Share", Some(0)),
        ("Chia sẻ", Some(0)),
        ("K", Some(0)),
        ("null", None),
        ("NaN", None),
        ("NA", None),
        ("nil", None),
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
        (
            r#"{"username":"a","platform":"a:b"}"#,
            Reject::PlatformColon,
        ),
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
        "20250623T090329Z",
        "20250623T090329",
        "20250623 160329+0700",
        "2025-06-23 09:03:29 UTC",
        "2025-06-23 09:03:29 gmt",
        "2025-06-23 09:03:29 +0000",
        "2025-06-23 16:03:29.000123 +07:00",
        "Mon, 23 Jun 2025 09:03:29 +0000",
        "Mon, 23 Jun 2025 05:03:29 EDT",
        "23 Jun 2025 09:03:29 GMT",
        "Mon, 23 Jun 2025 16:03:29 +0700 (ICT)",
        "Mon Jun 23 09:03:29 +0000 2025",
        "Mon Jun 23 09:03:29 2025",
        "Mon Jun 23 09:03:29 UTC 2025",
        "1750669409",
        "1750669409000",
        "1750669409000123",
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
        "2025-06-23T09:03:61Z",
        "1969-12-31T23:59:59Z",
        "2025-06-23T09:03:29+",
        "2025-06-23T09:03:29X",
        "1750669409.5",
        "-1750669409",
        "1e9",
        "202506-23",
        "2025-0623",
        "20250623T0903:29",
        "2025-06-23 09:03:29 CET",
        "Mon, 32 Jun 2025 09:03:29 +0000",
        "Mon Jun 23 09:03:29 +0000 25",
        "Foo Jun 23 09:03:29 +0000 2025",
        "Jun 23 2025",
        "2025-06-23T09:03:29.Z",
        "2025-6-23",
        "2025-06-23T",
        "2025-06-23T09:03:29+07:",
    ] {
        assert_eq!(parse_time(text), None, "{text}");
    }
}

#[test]
fn a_leap_second_is_the_last_second_of_its_minute() {
    let last = Some(Millis(1_483_228_799_000));
    for text in [
        "2016-12-31T23:59:60Z",
        "20161231T235960Z",
        "Sat, 31 Dec 2016 23:59:60 +0000",
    ] {
        assert_eq!(parse_time(text), last, "{text}");
    }
    assert_eq!(parse_time("2016-12-31T23:59:61Z"), None);
}

#[test]
fn a_time_that_is_not_a_number_is_missing_and_not_unreadable() {
    for time in ["NaN", "Infinity", "-Infinity", "null"] {
        let event = decode(&format!(r#"{{"username":"a","event_time":{time}}}"#)).unwrap();
        assert_eq!(
            (event.event_time, event.time_unreadable),
            (None, false),
            "{time}"
        );
    }
}

#[test]
fn numbers_are_unix_time_in_the_unit_that_fits() {
    for (json, ms) in [
        ("1795669200", Some(1_795_669_200_000)),
        ("1795669200000", Some(1_795_669_200_000)),
        ("1795669200000123", Some(1_795_669_200_000)),
        ("1795669200.123", Some(1_795_669_200_123)),
        ("1795669200000.0", Some(1_795_669_200_000)),
        ("99999999999", Some(99_999_999_999_000)),
        ("100000000000", Some(100_000_000_000)),
        ("253402300799999999", Some(253_402_300_799_999)),
        // Nanoseconds: not a time in the year 58,872.
        ("1795669200000000000", None),
        ("1795669200000000000.5", None),
        (r#""1795669200000000000""#, None),
        ("0", Some(0)),
        (r#""0""#, Some(0)),
        (r#"" 17 ""#, Some(17_000)),
        (r#""-1""#, None),
        ("-1", None),
        ("-0.5", None),
        ("1e300", None),
        ("[]", None),
    ] {
        let e = decode(&format!(r#"{{"username":"a","event_time":{json}}}"#)).unwrap();
        assert_eq!(e.event_time, ms.map(Millis), "{json}");
        assert_eq!(e.time_unreadable, ms.is_none(), "{json}");
    }
    for nothing in ["null", "\"\"", "\" \""] {
        let e = decode(&format!(r#"{{"username":"a","event_time":{nothing}}}"#)).unwrap();
        assert_eq!(
            (e.event_time, e.time_unreadable),
            (None, false),
            "{nothing}"
        );
    }
}

#[test]
fn a_number_that_is_none_is_a_missing_counter_and_no_broken_record() {
    for number in ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"] {
        let e = decode(&format!(
            r#"{{"username":"Infinity","like_count":{number},"comment_count":2,"x":[{number}]}}"#
        ));
        let e = e.unwrap_or_else(|reject| panic!("{number}: {reject}"));
        assert_eq!(
            (e.likes, e.comments, &*e.kol),
            (None, Some(2), "Infinity"),
            "{number}"
        );
    }
}

#[test]
fn a_byte_order_mark_is_skipped() {
    assert_eq!(&*decode("\u{feff}{\"username\":\"a\"}").unwrap().kol, "a");
}

#[test]
fn a_reject_says_what_the_bytes_look_like_and_what_to_do() {
    let decoder = Decoder::new("tiktok");
    for (bytes, reason, said) in [
        (&b"\x1f\x8b\x08\0\0"[..], "gzip", "compression.type"),
        (b"\x28\xb5\x2f\xfd\0", "zstd", "compression.type"),
        (b"\0\0\0\0\x07\x06ann\x02", "registry_binary", "schema id 7"),
        (
            b"\0\0\0\x01\0{\"username\":\"a\"}",
            "registry_json",
            "schema id 256",
        ),
        (b"Obj\x01\x04\x14avro.codec", "avro_file", "Avro file"),
        (b"\xff\xfe{\0", "utf16", "UTF-8"),
        (
            br#""{\"username\":\"a\"}""#,
            "json_in_string",
            "serializes twice",
        ),
        (
            br#"{"before":null,"after":{"username":"a"},"op":"c"}"#,
            "envelope",
            "source.fields",
        ),
        (
            br#"{"schema":{},"payload":{"after":{"username":"a"}}}"#,
            "envelope",
            "payload.after.username",
        ),
        (
            b"{\"username\":\"a\"}\n{\"username\":\"b\"}\n",
            "events_in_lines",
            "explode = \"lines\"",
        ),
        (
            br#"[{"username":"a"}]"#,
            "events_in_array",
            "explode = \"items\"",
        ),
        (
            br#"{"items":[{"id":"1"}]}"#,
            "events_in_array",
            "explode = \"items\"",
        ),
        (b"\0", "not_json", "JSON"),
        (b"[1]", "not_an_object", "JSON"),
        (b"\"a\"", "not_an_object", "JSON"),
        (b"{\"a\":1}\nx", "events_in_lines", "explode"),
    ] {
        let reject = decoder.decode(Some(bytes)).unwrap_err();
        let shown = String::from_utf8_lossy(bytes);
        assert_eq!(reject.as_str(), reason, "{shown}");
        assert!(reject.to_string().contains(said), "{shown}: {reject}");
    }
}

mod flat;
mod ids;
mod mapped;
mod records;

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
