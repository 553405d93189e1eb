//! Readings as the producers' JSON.

use std::fmt::Display;
use std::io::Write as _;

use kol_common::Millis;

use super::Crawl;
use super::chance::Chance;
use super::creator::{Creator, Reading};

/// From this count on only rounded numbers are shown.
const ROUNDED: u64 = 10_000;

/// Writes events. Keeps the text of the last second and the last name: the next event often has the same.
#[derive(Debug, Default)]
pub(super) struct Writer {
    second: (u64, String),
    name: (u64, String),
}

impl Writer {
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        chance: &mut Chance,
        creator: &Creator,
        now: Millis,
        reading: &Reading,
    ) {
        let second = now.0 / 1_000;
        if self.second.0 != second || self.second.1.is_empty() {
            self.second = (second, Millis(second * 1_000).iso());
        }
        if self.name.0 != creator.kol || self.name.1.is_empty() {
            self.name = (creator.kol, Crawl::username(creator.kol));
        }
        let id = (u128::from(chance.next()) << 64) | u128::from(chance.next());
        out.clear();
        put(
            out,
            format_args!(
                "{{\"event_id\":\"{:08x}-{:04x}-5{:03x}-a{:03x}-{:012x}\",\"event_time\":\"{}+00:00\",\
                 \"event_type\":\"video\",\"platform\":\"tiktok\",\"username\":\"{}\",\"video_id\":\"{}\",\
                 \"niche_hint\":\"{}\"",
                id >> 96,
                id >> 80 & 0xffff,
                id >> 64 & 0xfff,
                id >> 48 & 0xfff,
                id & 0xffff_ffff_ffff,
                &self.second.1[..19],
                self.name.1,
                reading.video,
                creator.niche,
            ),
        );
        match reading.views {
            Some(views) => counter(out, "view_count", views),
            None => put(out, ",\"view_count\":null"),
        }
        counter(out, "like_count", reading.likes);
        counter(out, "comment_count", reading.comments);
        match reading.shares {
            0 => put(out, ",\"share_count_raw\":\"Share\""),
            shares => counter(out, "share_count", shares),
        }
        out.push(b'}');
    }
}

/// As a number, or as the text that apps show of a large one.
fn counter(out: &mut Vec<u8>, name: &str, count: u64) {
    if count < ROUNDED {
        return put(out, format_args!(",\"{name}\":{count}"));
    }
    let (unit, suffix) = match count {
        ..1_000_000 => (1_000, 'K'),
        1_000_000..1_000_000_000 => (1_000_000, 'M'),
        _ => (1_000_000_000, 'B'),
    };
    let tenths = count * 10 / unit;
    match tenths % 10 {
        0 => put(
            out,
            format_args!(",\"{name}_raw\":\"{}{suffix}\"", tenths / 10),
        ),
        tenth => put(
            out,
            format_args!(",\"{name}_raw\":\"{}.{tenth}{suffix}\"", tenths / 10),
        ),
    }
}

fn put(out: &mut Vec<u8>, text: impl Display) {
    // Writing to a Vec cannot fail.
    let _infallible = write!(out, "{text}");
}
