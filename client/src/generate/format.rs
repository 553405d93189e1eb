//! Readings as producers' JSON.

use std::io::Write as _;

use kol_common::Millis;

use super::model::VideoReading;
use super::random::Dice;

/// Every fifth creator is on YouTube.
fn on_youtube(kol: u64) -> bool {
    kol % 5 == 4
}

/// Writes events. Keeps the text of the last second: events come in bursts of the same.
#[derive(Debug, Default)]
pub(super) struct Writer {
    second: (u64, String),
}

impl Writer {
    pub(super) fn video(
        &mut self,
        out: &mut Vec<u8>,
        dice: &mut Dice,
        kol: u64,
        time: Millis,
        reading: &VideoReading,
    ) {
        self.head(out, dice, kol, time, "video");
        if on_youtube(kol) {
            out.extend_from_slice(b",\"video_id\":\"");
            out.extend_from_slice(&youtube_id(reading.identity));
            out.extend_from_slice(b"\",\"published_at\":\"");
            put(out, format_args!("{}\"", reading.published.iso()));
        } else {
            // TikTok's ids hold the second of creation in their upper half.
            let id = (reading.published.0 / 1_000) << 32 | (reading.identity >> 32);
            put(out, format_args!(",\"video_id\":\"{id}\""));
        }
        counter(out, dice, "view_count", reading.views);
        counter(out, dice, "like_count", reading.likes);
        counter(out, dice, "comment_count", reading.comments);
        if reading.shares == 0 && dice.below(2) == 0 {
            out.extend_from_slice(b",\"share_count_raw\":\"Share\"");
        } else {
            counter(out, dice, "share_count", reading.shares);
        }
        out.push(b'}');
    }

    pub(super) fn profile(
        &mut self,
        out: &mut Vec<u8>,
        dice: &mut Dice,
        kol: u64,
        time: Millis,
        followers: u64,
    ) {
        self.head(out, dice, kol, time, "profile");
        if dice.below(2) == 0 {
            put(
                out,
                format_args!(",\"followers_raw\":\"{}\"}}", Short(followers)),
            );
        } else {
            put(out, format_args!(",\"followers_count\":{followers}}}"));
        }
    }

    fn head(&mut self, out: &mut Vec<u8>, dice: &mut Dice, kol: u64, time: Millis, kind: &str) {
        let (a, b) = (dice.next(), dice.next());
        let platform = if on_youtube(kol) { "youtube" } else { "tiktok" };
        let cached = &mut self.second;
        if cached.0 != time.0 / 1_000 || cached.1.is_empty() {
            *cached = (time.0 / 1_000, Millis(time.0 / 1_000 * 1_000).iso());
        }
        let second = &cached.1[..19];
        put(
            out,
            format_args!(
                "{{\"event_id\":\"{a:016x}{b:016x}\",\"event_time\":\"{second}.{:03}+00:00\",\
                 \"event_type\":\"{kind}\",\"platform\":\"{platform}\",\
                 \"username\":\"creator_{kol:06}\"",
                time.0 % 1_000
            ),
        );
    }
}

/// As a number, as a rounded string, or missing.
fn counter(out: &mut Vec<u8>, dice: &mut Dice, name: &str, value: u64) {
    match dice.below(100) {
        0..2 => put(out, format_args!(",\"{name}\":null")),
        2..22 if value >= 1_000 => put(out, format_args!(",\"{name}_raw\":\"{}\"", Short(value))),
        _ => put(out, format_args!(",\"{name}\":{value}")),
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _infallible = out.write_fmt(text);
}

/// A number as the apps show it: `7.4K`, cut, so that it never falls while the number grows.
struct Short(u64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (unit, name) = match self.0 {
            0..1_000 => return write!(f, "{}", self.0),
            1_000..1_000_000 => (1_000, 'K'),
            1_000_000..1_000_000_000 => (1_000_000, 'M'),
            _ => (1_000_000_000, 'B'),
        };
        let tenths = self.0 / (unit / 10);
        match tenths % 10 {
            0 => write!(f, "{}{name}", tenths / 10),
            tenth => write!(f, "{}.{tenth}{name}", tenths / 10),
        }
    }
}

/// Eleven characters, six bits each.
fn youtube_id(identity: u64) -> [u8; 11] {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::array::from_fn(|i| LETTERS[(identity >> (6 * i).min(58)) as usize & 63])
}
