//! Where the demo's events come from: made up, or from a file.

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kol_client::generate::{Generator, Options};
use kol_common::Millis;
use kol_common::event::Decoder;

use super::INTERRUPTED;
use super::log::{AT_ONCE, LARGE_BATCHES, Log};

/// Creators of the made-up world, and videos of each that are being read.
pub(super) const KOLS: u64 = 2_000;
const VIDEOS: u64 = 4;
const HISTORY: Duration = Duration::from_secs(8 * 86_400);
/// Readings of each video a day in the history.
const READINGS_A_DAY: u64 = 6;
/// Events a second of the live part.
pub(super) const LIVE_RATE: u64 = 1_500;
/// How often the planted video is read.
const VIRAL_EVERY: Duration = Duration::from_millis(250);
/// How long a file is played.
const FILE_LENGTH: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(10);

/// Eight days up to now, at full speed.
pub(super) fn history(log: &mut Log, interrupted: &AtomicBool) -> anyhow::Result<Generator> {
    let events = KOLS * VIDEOS * READINGS_A_DAY * HISTORY.as_secs() / 86_400;
    let start = Millis(Millis::now().0.saturating_sub(HISTORY.as_millis() as u64));
    let mut generator = Generator::new(Options {
        kols: KOLS,
        videos_per_kol: VIDEOS,
        seed: 1,
        start,
        step_us: HISTORY.as_micros() as u64 / events,
        delta: false,
        viral: None,
    });
    let mut value = Vec::new();
    log.set_linger(&LARGE_BATCHES)?;
    for _ in 0..events {
        anyhow::ensure!(!interrupted.load(Ordering::Relaxed), INTERRUPTED);
        let now = generator.now();
        let meta = generator.next_into(&mut value);
        log.write(&Generator::username(meta.kol), &value, now)?;
    }
    log.flush()?;
    log.set_linger(&AT_ONCE)?;
    Ok(generator)
}

/// Readings of a file, sorted by their time.
pub(super) struct Readings {
    /// Time, creator, line.
    pub(super) events: Vec<(Millis, String, Vec<u8>)>,
    /// The usual time between two readings of one video.
    pub(super) spacing: Duration,
}

/// Reads a file of JSON lines, packed or not. Lines without a time or a creator are left out.
pub(super) fn read_file(path: &Path) -> anyhow::Result<Readings> {
    let file =
        std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let packed = path.extension().is_some_and(|e| e == "gz");
    let reader: Box<dyn Read> = if packed {
        Box::new(flate2::read::MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let decoder = Decoder::new("tiktok");
    let mut events = Vec::new();
    let mut times = std::collections::HashMap::<String, Vec<Millis>>::new();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line.with_context(|| format!("cannot read {}", path.display()))?;
        let Ok(event) = decoder.decode(Some(&line)) else {
            continue;
        };
        let Some(time) = event.event_time else {
            continue;
        };
        if let Some(video) = &event.video_id {
            times.entry(video.to_string()).or_default().push(time);
        }
        let kol = event.kol.to_string();
        events.push((time, kol, line));
    }
    anyhow::ensure!(!events.is_empty(), "{} holds no events", path.display());
    events.sort_by_key(|(time, ..)| *time);
    Ok(Readings {
        spacing: spacing(times.into_values()),
        events,
    })
}

/// The median time between two readings of one video.
fn spacing(videos: impl Iterator<Item = Vec<Millis>>) -> Duration {
    let mut gaps = Vec::new();
    for mut times in videos {
        times.sort();
        gaps.extend(times.windows(2).map(|pair| pair[1].since(pair[0]).0));
    }
    gaps.retain(|gap| *gap > 0);
    gaps.sort_unstable();
    Duration::from_millis(gaps.get(gaps.len() / 2).copied().unwrap_or(0))
}

/// Writes in the background until it is stopped or its input ends.
pub(super) struct Feed {
    writer: JoinHandle<anyhow::Result<Log>>,
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
}

impl Feed {
    /// Continues live; `viral` is a video that takes off after `calm`.
    pub(super) fn live(mut log: Log, mut generator: Generator, viral: u64, calm: Duration) -> Self {
        Self::start(log.written(), move |stop, written| {
            let step_us = 1_000_000 / LIVE_RATE;
            generator.set_pace(Millis::now(), step_us);
            let begun = Instant::now();
            let (mut sent, mut reread) = (0, 0);
            let mut value = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                let run = begun.elapsed();
                while sent < run.as_micros() as u64 / step_us {
                    let now = generator.now();
                    let meta = generator.next_into(&mut value);
                    log.write(&Generator::username(meta.kol), &value, now)?;
                    sent += 1;
                }
                if run >= calm && u128::from(reread) < run.as_millis() / VIRAL_EVERY.as_millis() {
                    if reread == 0 {
                        generator.go_viral(viral, generator.now());
                    }
                    reread = (run.as_millis() / VIRAL_EVERY.as_millis()) as u64;
                    let now = generator.now();
                    let meta = generator.reread_into(viral, &mut value);
                    log.write(&Generator::username(meta.kol), &value, now)?;
                }
                written.store(log.written(), Ordering::Relaxed);
            }
            log.flush()?;
            Ok(log)
        })
    }

    /// Plays readings at a speed that takes about two minutes.
    pub(super) fn replay(mut log: Log, readings: Readings) -> Self {
        Self::start(log.written(), move |stop, written| {
            let first = readings.events.first().map_or(Millis(0), |e| e.0);
            let last = readings.events.last().map_or(first, |e| e.0);
            let speed = last.since(first).0.max(1) as f64 / FILE_LENGTH.as_millis() as f64;
            let begun = Instant::now();
            for (time, kol, line) in &readings.events {
                let due = Duration::from_secs_f64(time.since(first).0 as f64 / speed / 1_000.0);
                while begun.elapsed() < due && !stop.load(Ordering::Relaxed) {
                    std::thread::sleep(TICK.min(due.saturating_sub(begun.elapsed())));
                }
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                log.write(kol, line, *time)?;
                written.store(log.written(), Ordering::Relaxed);
            }
            log.flush()?;
            Ok(log)
        })
    }

    fn start(
        already: u64,
        write: impl FnOnce(&AtomicBool, &AtomicU64) -> anyhow::Result<Log> + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(already));
        let (stop_seen, written_told) = (Arc::clone(&stop), Arc::clone(&written));
        Self {
            writer: std::thread::spawn(move || write(&stop_seen, &written_told)),
            stop,
            written,
        }
    }

    /// Records written so far, history included.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Its input has ended, or it failed.
    pub(super) fn ended(&self) -> bool {
        self.writer.is_finished()
    }

    /// Stops the feed, and gives back the log that it wrote.
    pub(super) fn stop(self) -> anyhow::Result<Log> {
        self.stop.store(true, Ordering::Relaxed);
        self.writer
            .join()
            .map_err(|_| anyhow::anyhow!("the feed panicked"))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_time_between_readings_is_the_median_over_all_videos() {
        let hours = |list: &[u64]| {
            list.iter()
                .map(|h| Millis(h * 3_600_000))
                .collect::<Vec<_>>()
        };
        let videos = [hours(&[0, 24, 48]), hours(&[5, 2]), hours(&[9, 9])];
        assert_eq!(spacing(videos.into_iter()), Duration::from_secs(24 * 3_600));
    }
}
