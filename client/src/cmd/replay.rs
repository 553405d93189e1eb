//! `replay FILE`.

use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use flate2::read::MultiGzDecoder;
use indicatif::{ProgressBar, ProgressStyle};
use kol_common::event::{Decoder, Event};
use kol_common::{KolError, Millis};
use serde_json::json;

use crate::Context;
use crate::producer::{KeyBy, TopicWriter};
use crate::render::grouped;

/// Flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One JSON event a line; .gz is unpacked.
    file: PathBuf,
    /// Topic to write to.
    #[arg(long)]
    topic: String,
    /// Kafka brokers.
    #[arg(long, env = "KOL_BOOTSTRAP", default_value = "localhost:9092")]
    bootstrap: String,
    /// What the record keys are.
    #[arg(long, value_enum, default_value_t)]
    key: KeyBy,
    /// How fast event time passes: a factor, or max.
    #[arg(long, default_value = "max")]
    speed: Speed,
    /// Start again at the end, until stopped.
    #[arg(long = "loop")]
    repeat: bool,
}

/// How fast event time passes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// As fast as the broker takes it.
    Max,
    /// So many times faster than it happened.
    Factor(f64),
}

impl FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse() {
            Ok(factor) if factor > 0.0 && f64::is_finite(factor) => Ok(Self::Factor(factor)),
            _ => Err(format!(
                "`{text}` is not a speed: write max or a number like 100"
            )),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// The file cannot be read, Kafka does not take the records.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let as_json = ctx.json();
    let (records, took) = tokio::task::spawn_blocking(move || replay(&args)).await??;
    let rate = records as f64 / took.as_secs_f64().max(1e-9);
    if as_json {
        println!(
            "{}",
            json!({"records": records, "seconds": took.as_secs_f64(), "records_per_second": rate})
        );
    } else {
        println!(
            "{} records in {:.1} s ({} a second)",
            grouped(records),
            took.as_secs_f64(),
            grouped(rate as u64)
        );
    }
    Ok(())
}

fn replay(args: &Args) -> Result<(u64, Duration), KolError> {
    let decoder = Decoder::new("tiktok");
    let mut writer = TopicWriter::new(&args.bootstrap, &args.topic)?;
    let mut pace = Pace::new(args.speed);
    loop {
        let progress = progress(&args.file);
        let mut lines = open(&args.file, &progress)?;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = lines.read_until(b'\n', &mut line);
            if read.map_err(|e| unreadable(&args.file, &e))? == 0 {
                break;
            }
            let value = line.trim_ascii();
            if value.is_empty() {
                continue;
            }
            let event = decoder.decode(Some(value)).ok();
            pace.wait(event.as_ref().and_then(|e| e.event_time));
            writer.write(event.as_ref().and_then(|e| key_of(e, args.key)), value)?;
        }
        progress.finish_and_clear();
        if !args.repeat {
            return writer.finish();
        }
        pace = Pace::new(args.speed);
    }
}

fn key_of<'e>(event: &'e Event<'_>, by: KeyBy) -> Option<&'e [u8]> {
    let kol = event.kol.as_bytes();
    match by {
        KeyBy::Username => Some(kol),
        KeyBy::VideoId => Some(event.video_id.as_ref().map_or(kol, |id| id.as_bytes())),
        KeyBy::None => None,
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> KolError {
    KolError::user(
        "INPUT_FILE",
        format!("cannot read {}: {error}", file.display()),
    )
}

fn open(file: &Path, progress: &ProgressBar) -> Result<Box<dyn BufRead>, KolError> {
    let opened = File::open(file).map_err(|e| unreadable(file, &e))?;
    let counted: Box<dyn Read> = Box::new(progress.wrap_read(opened));
    Ok(if file.extension().is_some_and(|e| e == "gz") {
        Box::new(BufReader::new(MultiGzDecoder::new(BufReader::new(counted))))
    } else {
        Box::new(BufReader::new(counted))
    })
}

/// Follows the bytes of the file; hidden where nobody looks. It shows itself only after a while, so
/// small files do not flicker.
fn progress(file: &Path) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let size = file.metadata().map_or(0, |m| m.len());
    let style = ProgressStyle::with_template("{bar:40} {percent}% {bytes_per_sec} {eta}");
    let bar = ProgressBar::new(size);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Lets event time pass at a speed.
struct Pace {
    speed: Speed,
    begun: Option<(Instant, Millis)>,
}

impl Pace {
    fn new(speed: Speed) -> Self {
        Self { speed, begun: None }
    }

    fn wait(&mut self, event_time: Option<Millis>) {
        let (Speed::Factor(factor), Some(time)) = (self.speed, event_time) else {
            return;
        };
        let (begun, first) = *self.begun.get_or_insert_with(|| (Instant::now(), time));
        let due = begun + time.since(first).duration().div_f64(factor);
        let now = Instant::now();
        if due > now {
            std::thread::sleep(due - now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_max_or_a_factor() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("100".parse(), Ok(Speed::Factor(100.0)));
        assert!("0".parse::<Speed>().is_err());
        assert!("fast".parse::<Speed>().is_err());
    }

    #[test]
    fn a_profile_is_keyed_by_its_creator_also_when_videos_are_keyed_by_id() {
        let decoder = Decoder::new("tiktok");
        let profile = decoder.decode(Some(br#"{"username":"@a"}"#)).unwrap();
        let video = decoder
            .decode(Some(br#"{"username":"a","video_id":"7"}"#))
            .unwrap();
        assert_eq!(key_of(&profile, KeyBy::VideoId), Some(&b"a"[..]));
        assert_eq!(key_of(&video, KeyBy::VideoId), Some(&b"7"[..]));
        assert_eq!(key_of(&video, KeyBy::Username), Some(&b"a"[..]));
        assert_eq!(key_of(&video, KeyBy::None), None);
    }
}
