//! `generate`.

use std::io::Write as _;
use std::str::FromStr;
use std::time::{Duration, Instant};

use kol_common::{KolError, Millis};

use super::written::written_json;
use crate::Context;
use crate::generate::{Generator, Options};
use crate::input::cluster::ClusterArgs;
use crate::input::topic;
use crate::print;
use crate::producer::{KeyBy, TopicWriter};
use crate::render::grouped;

/// Arguments of `kol-client generate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Events a second once the present is reached, or max.
    #[arg(long, default_value = "1000")]
    rate: Rate,
    /// How many creators there are.
    #[arg(long, default_value_t = 2_000)]
    kols: u64,
    /// Videos of each creator that are being read at any time.
    #[arg(long, default_value_t = 8)]
    videos_per_kol: u64,
    /// The same seed gives the same events.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stop after this number of events.
    #[arg(long)]
    count: Option<u64>,
    /// Stop after this time.
    #[arg(long, value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Start this long ago, and catch up with the present at full speed; every video is read once a day.
    #[arg(long, default_value = "0s", value_parser = humantime::parse_duration)]
    history: Duration,
    /// Event time of the first event, ISO 8601; makes events reproducible to the byte.
    #[arg(long)]
    start: Option<String>,
    /// Number of a video that goes viral now (its creator is the number modulo --kols).
    #[arg(long)]
    viral: Option<u64>,
    /// What the counters mean.
    #[arg(long, value_enum, default_value_t)]
    counters: CounterKind,
    /// Where to write.
    #[arg(long, value_enum, default_value_t)]
    to: Target,
    /// Topic, with --to kafka; kol.videos.raw if it is left out.
    #[arg(long)]
    topic: Option<String>,
    /// Create the topic if it does not exist, as large as the broker makes them.
    #[arg(long)]
    create_topic: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// What the record keys are, with --to kafka.
    #[arg(long, value_enum, default_value_t)]
    key: KeyBy,
}

/// What the counters mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum CounterKind {
    /// Lifetime totals, as public crawls read them.
    #[default]
    Cumulative,
    /// What is new since the event before.
    Delta,
}

/// Where generated events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// The topic of `--topic`, on the brokers of `--bootstrap`.
    Kafka,
    /// Standard output, one event a line.
    #[default]
    Stdout,
}

/// How fast events are written once the present is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As fast as possible.
    Max,
    /// This number of events, above zero.
    PerSecond(u64),
}

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            _ if text == "max" => Ok(Self::Max),
            Ok(rate) if rate > 0 => Ok(Self::PerSecond(rate)),
            _ => Err(format!(
                "`{text}` is not a rate: write max or a number like 5000"
            )),
        }
    }
}

enum Output {
    Kafka(TopicWriter, KeyBy),
    Stdout(std::io::BufWriter<std::io::Stdout>),
}

impl Output {
    fn write(&mut self, kol: u64, value: &[u8]) -> Result<(), KolError> {
        match self {
            Self::Kafka(writer, KeyBy::None) => writer.write(None, value),
            Self::Kafka(writer, _) => {
                writer.write(Some(Generator::username(kol).as_bytes()), value)
            }
            Self::Stdout(out) => out
                .write_all(value)
                .and_then(|()| out.write_all(b"\n"))
                .map_err(|e| unwritten(&e)),
        }
    }
}

/// Code of an output that its reader closed, as `head` does: not a failure.
const CLOSED: &str = "OUTPUT_CLOSED";

fn unwritten(error: &std::io::Error) -> KolError {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => KolError::external(CLOSED, error.to_string()),
        _ => KolError::external("OUTPUT", error.to_string()),
    }
}

/// Writes generated events to a topic or to standard output.
///
/// # Errors
/// Kafka does not take the records; standard output cannot be written.
pub async fn run(args: Args, ctx: &Context) -> anyhow::Result<()> {
    let as_json = ctx.json();
    check(&args)?;
    let to_kafka = args.to == Target::Kafka;
    let made = tokio::task::spawn_blocking(move || generate(&args)).await?;
    if made.as_ref().is_err_and(|error| error.code == CLOSED) {
        return Ok(());
    }
    let (events, took) = made?;
    let rate = (events as f64 / took.as_secs_f64().max(1e-9)) as u64;
    if to_kafka && as_json {
        print::json(&written_json(events, events, took, &[]))?;
    } else if to_kafka {
        print::line(&format!(
            "{} events in {:.1} s ({} a second)",
            grouped(events),
            took.as_secs_f64(),
            grouped(rate)
        ))?;
    }
    Ok(())
}

/// The topic of events that name none.
const TOPIC: &str = "kol.videos.raw";

/// What the arguments want must be possible, and a topic that is named is written to.
fn check(args: &Args) -> Result<(), KolError> {
    if args.key == KeyBy::VideoId {
        let problem = "generated events are keyed by username or not at all";
        return Err(KolError::user("KEY", problem));
    }
    if args.to == Target::Stdout && (args.topic.is_some() || args.create_topic) {
        let problem = "--topic and --create-topic are for --to kafka, and these events go to standard output: add it, or leave them out";
        return Err(KolError::user("TOPIC_UNUSED", problem));
    }
    Ok(())
}

fn generate(args: &Args) -> Result<(u64, Duration), KolError> {
    let begun = Instant::now();
    let mut generator = Generator::new(options(args)?);
    let mut output = match args.to {
        Target::Kafka => {
            let cluster = args.cluster.open()?;
            let topic = args.topic.as_deref().unwrap_or(TOPIC);
            topic::find(&cluster, topic, args.create_topic)?;
            Output::Kafka(TopicWriter::to(&cluster, topic)?, args.key)
        }
        Target::Stdout => Output::Stdout(std::io::BufWriter::new(std::io::stdout())),
    };
    let (mut events, mut value) = (0, Vec::with_capacity(1_024));
    let over = |events: u64| {
        args.count.is_some_and(|most| events >= most)
            || args.duration.is_some_and(|most| begun.elapsed() >= most)
    };
    if !args.history.is_zero() {
        while generator.now() < Millis::now() && !over(events) {
            let meta = generator.next_into(&mut value);
            output.write(meta.kol, &value)?;
            events += 1;
        }
    }
    if args.start.is_none() {
        generator.set_pace(Millis::now(), step_us(args.rate));
    }
    let live = Instant::now();
    let before = events;
    while !over(events)
        && (args.count.is_some() || args.duration.is_some() || args.rate != Rate::Max)
    {
        if let Rate::PerSecond(rate) = args.rate {
            let due = live + Duration::from_secs_f64((events - before) as f64 / rate as f64);
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let meta = generator.next_into(&mut value);
        output.write(meta.kol, &value)?;
        events += 1;
    }
    match output {
        Output::Kafka(writer, _) => writer.finish().map(|(n, _)| (n, begun.elapsed())),
        Output::Stdout(mut out) => {
            out.flush().map_err(|e| unwritten(&e))?;
            Ok((events, begun.elapsed()))
        }
    }
}

/// At full speed, event time passes as at 1,000 events a second.
fn step_us(rate: Rate) -> u64 {
    match rate {
        Rate::Max => 1_000,
        Rate::PerSecond(rate) => 1_000_000 / rate,
    }
}

fn options(args: &Args) -> Result<Options, KolError> {
    let now = Millis::now();
    let start = match &args.start {
        Some(text) => kol_common::event::parse_time(text)
            .ok_or_else(|| KolError::user("START", format!("`{text}` is not an ISO 8601 time")))?,
        None => now.since(args.history.into()),
    };
    let videos = (args.kols * args.videos_per_kol).max(1);
    let once_a_day = 86_400_000_000 / videos;
    Ok(Options {
        kols: args.kols,
        videos_per_kol: args.videos_per_kol,
        seed: args.seed,
        start,
        step_us: if args.history.is_zero() {
            step_us(args.rate)
        } else {
            once_a_day
        },
        delta: args.counters == CounterKind::Delta,
        viral: args.viral.map(|video| (video, now)),
    })
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn code(line: &[&str]) -> Option<String> {
        let command = Args::augment_args(clap::Command::new("generate").no_binary_name(true));
        let found = command.try_get_matches_from(line).unwrap();
        let args = Args::from_arg_matches(&found).unwrap();
        check(&args).err().map(|error| error.code.to_string())
    }

    #[test]
    fn a_topic_without_kafka_is_refused_and_not_ignored() {
        for line in [&["--topic", "t"][..], &["--create-topic"]] {
            assert_eq!(code(line).as_deref(), Some("TOPIC_UNUSED"), "{line:?}");
            let with = [line, &["--to", "kafka"]].concat();
            assert_eq!(code(&with), None, "{with:?}");
        }
        assert_eq!(code(&[]), None);
    }
}
