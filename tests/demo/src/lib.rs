//! `make demo`: a whole cluster on this machine with an embedded broker, made-up creators or a file,
//! and the ranking as dashboards see it. Everything it starts ends with it.

mod ending;
mod feed;
mod log;
mod losses;
mod outage;
mod patience;
mod progress;
mod ranking;
mod screen;
mod show;
mod stage;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use kol_client::generate::Generator;
use kol_client::render::grouped;
use kol_common::job::parse;
use kol_common::redis::ranking::Ranked;

use kol_harness::{Cluster, Job, Kafka, RedisServer, compare, compare_market};

pub use ending::{Ending, run_to_the_end};
use feed::{Feed, LIVE_RATE, Readings};
use log::{Log, TOPIC};
use show::Show;
use stage::Stage;

/// How long the live part is calm before the planted video takes off.
const CALM: Duration = Duration::from_secs(3);
const SHOWN: u64 = 10;
/// Name of the job.
const NAME: &str = "kol-trending";
/// The error of whatever ends because it was interrupted.
const INTERRUPTED: &str = "interrupted";

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Ends after so long; otherwise it runs until somebody ends it.
    pub length: Option<Duration>,
    /// Plays this file instead of made-up creators.
    pub input: Option<PathBuf>,
}

/// Shows the whole; answers whether Redis was equal to the fold at the end.
///
/// # Errors
/// A part does not start or ends by itself, the file cannot be read, the terminal is gone, `interrupted` is set; a key may
/// set it, too.
pub fn run(options: &Options, interrupted: &AtomicBool) -> anyhow::Result<bool> {
    let readings = options.input.as_deref().map(feed::read_file).transpose()?;
    println!("Starting an embedded Kafka broker, Redis, one kol-master and two kol-executors.");
    let kafka = Kafka::embedded();
    let redis = RedisServer::start();
    let spec = spec(readings.as_ref(), &kafka, &redis);
    let scoring = parse(&spec, "demo")
        .map_err(|e| anyhow::anyhow!("{e}"))?
        .spec
        .scoring;
    let mut stage = Stage {
        cluster: Cluster::start(2),
        interrupted,
    };
    let log = Log::create(&kafka, &scoring)?;
    let (job, feed, followed) = match readings {
        Some(readings) => replay(&mut stage, spec, log, readings)?,
        None => live(&mut stage, spec, log, &redis)?,
    };
    let mut show = Show::new(&mut stage, &redis, &job, followed.clone());
    show.run(&feed, options.length)?;
    drop(show);
    let log = feed.stop()?;
    finish(&mut stage, &redis, &job, &log, followed)
}

/// History first, then live.
fn live(
    stage: &mut Stage<'_>,
    spec: String,
    mut log: Log,
    redis: &RedisServer,
) -> anyhow::Result<(String, Feed, Option<Ranked>)> {
    let generator = feed::history(&mut log, stage.interrupted)?;
    log.assert_whole()?;
    println!(
        "Eight days of history of {} creators are in the topic: {} events. Submitting the job.",
        grouped(feed::KOLS),
        grouped(log.written())
    );
    let begun = Instant::now();
    let job = stage.submit(spec)?;
    let status = stage.caught_up(&job, log.written())?;
    let took = begun.elapsed().as_secs_f64();
    println!(
        "Read, scored and in Redis {took:.1} s later: {} events/s, {} creators.",
        grouped((log.written() as f64 / took) as u64),
        grouped(status.kols)
    );
    let mut connection = redis.connect();
    let underdog = ranking::underdog(&mut connection)?.context("the ranking is empty")?;
    let followed = ranking::row(&mut connection, &underdog)?;
    let video = (0..feed::KOLS).find(|kol| Generator::username(*kol) == underdog);
    println!(
        "Continuing live with {} events/s; in {} s a video of {underdog} goes viral.",
        grouped(LIVE_RATE),
        CALM.as_secs()
    );
    let video = video.context("a creator that was not made up")?;
    Ok((job, Feed::live(log, generator, video, CALM), followed))
}

/// A file at a speed that takes about two minutes.
fn replay(
    stage: &mut Stage<'_>,
    spec: String,
    log: Log,
    readings: Readings,
) -> anyhow::Result<(String, Feed, Option<Ranked>)> {
    println!(
        "Playing {} readings; a video is read again after {}, so the window is {}.",
        grouped(readings.events.len() as u64),
        humantime::format_duration(Duration::from_secs(readings.spacing.as_secs())),
        window(&readings).0
    );
    let job = stage.submit(spec)?;
    Ok((job, Feed::replay(log, readings), None))
}

/// Window and slide: gains are differences of two readings, so a window shorter than the time
/// between them would mostly be empty.
fn window(readings: &Readings) -> (&'static str, &'static str) {
    const CHOICES: [(u64, &str, &str); 3] = [
        (300, "5m", "1m"),
        (3_600, "1h", "5m"),
        (86_400, "24h", "1h"),
    ];
    let spacing = readings.spacing.as_secs();
    let fits = CHOICES.iter().find(|(length, ..)| spacing <= *length);
    fits.map_or(("7d", "6h"), |(_, window, slide)| (window, slide))
}

fn spec(readings: Option<&Readings>, kafka: &Kafka, redis: &RedisServer) -> String {
    let scoring = readings.map_or_else(String::new, |readings| {
        let (window, slide) = window(readings);
        format!("window = \"{window}\"\nslide = \"{slide}\"")
    });
    let job = Job {
        name: NAME.into(),
        // The embedded broker lets a fetch that found nothing wait so long although records come
        // meanwhile; Kafka answers at once.
        source: "properties = { \"fetch.wait.max.ms\" = 10 }".into(),
        ..Job::replay(&scoring)
    };
    job.toml(kafka.bootstrap(), &[TOPIC], &redis.url())
}

/// The last ranking, and whether it is what the fold says.
fn finish(
    stage: &mut Stage<'_>,
    redis: &RedisServer,
    job: &str,
    log: &Log,
    followed: Option<Ranked>,
) -> anyhow::Result<bool> {
    let status = stage.caught_up(job, log.written())?;
    let mut connection = redis.connect();
    println!(
        "\n{}",
        screen::ranking(&ranking::top(&mut connection, SHOWN)?)
    );
    let (scores, labels) = ranking::spread(&mut connection)?;
    let labels: Vec<String> = labels
        .iter()
        .map(|(label, n)| format!("{n} {label}"))
        .collect();
    println!(
        "{} distinct scores: {}. The old job: one, {:.2}, for everybody.",
        grouped(scores as u64),
        labels.join(", "),
        screen::OLD_JOB
    );
    if let Some(before) = followed
        && let Some(now) = ranking::row(&mut connection, &before.kol)?
    {
        println!(
            "The viral video took {} from number {} ({:.2} {}) to number {} ({:.2} {}).",
            before.kol,
            grouped(before.place),
            before.score,
            before.label,
            grouped(now.place),
            now.score,
            now.label
        );
    }
    if let Some(totals) = status.totals.as_ref().filter(|totals| totals.lost > 0) {
        println!(
            "Not compared: the embedded broker had dropped {} old records before a moved partition \
             could read them again.",
            grouped(totals.lost)
        );
        return Ok(true);
    }
    let view = log.fold().view().context("no events were written")?;
    let mut differences = compare(&mut connection, &view);
    differences.extend(compare_market(&status, &view));
    let creators = view.kols.len();
    if differences.is_empty() {
        println!("{creators} of {creators} creators equal the fold.");
        return Ok(true);
    }
    for difference in differences.iter().take(20) {
        println!("{difference}");
    }
    println!(
        "{} differences from the fold of {creators} creators.",
        differences.len()
    );
    Ok(false)
}
