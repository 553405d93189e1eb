//! `replay FILE`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use kol_common::event::{Decoder, Event, Explode};
use kol_common::{KolError, Millis};

use super::written::written_json;
use crate::Context;
use crate::input::bytes::Record;
use crate::input::cluster::{Cluster, ClusterArgs};
use crate::input::file::Records;
use crate::input::survey::{Proposal, Survey, Tally};
use crate::input::topic;
use crate::print;
use crate::producer::{KeyBy, TopicWriter};
use crate::render::grouped;

/// Bytes of unusable records at the beginning of a file after which it is given up.
const GIVE_UP: usize = 64 << 20;
/// The same as a number of records: each takes memory of its own.
const GIVE_UP_RECORDS: usize = 500_000;
/// How often a long pause between two events looks whether those before were written.
const LOOK: Duration = Duration::from_secs(1);

/// Arguments of `kol-client replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// JSON lines, a JSON array, or one document (see --explode); gzip and zstd are unpacked.
    file: PathBuf,
    /// Topic to write to.
    #[arg(long)]
    topic: String,
    /// Create the topic if it does not exist, as large as the broker makes them.
    #[arg(long)]
    create_topic: bool,
    #[command(flatten)]
    cluster: ClusterArgs,
    /// Path of the array in a document whose elements are the records, e.g. items. By default
    /// source.explode of --spec.
    #[arg(long)]
    explode: Option<Explode>,
    /// Send the file also if none of its records can be used.
    #[arg(long)]
    force: bool,
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
    let (sent, took) = tokio::task::spawn_blocking(move || replay(&args)).await??;
    let rate = sent.records as f64 / took.as_secs_f64().max(1e-9);
    if as_json {
        let rejected = sent.tally.rejected().into_iter();
        let rejected = rejected.map(|(reject, count)| (reject.as_str(), count));
        let rejected = rejected.collect::<Vec<_>>();
        print::json(&written_json(sent.records, sent.usable, took, &rejected))?;
    } else {
        print::line(&format!(
            "{} records in {:.1} s ({} a second), {} usable",
            grouped(sent.records),
            took.as_secs_f64(),
            grouped(rate as u64),
            grouped(sent.usable)
        ))?;
        for warning in sent.tally.all_rejected() {
            print::note(&format!("warning  {warning}"));
        }
    }
    Ok(())
}

/// What was written.
#[derive(Debug, Default)]
struct Sent {
    records: u64,
    usable: u64,
    /// The events of these records.
    tally: Tally,
}

fn replay(args: &Args) -> Result<(Sent, Duration), KolError> {
    let mut cluster = args.cluster.open()?;
    if args.explode.is_some() {
        cluster.source.explode.clone_from(&args.explode);
    }
    let decoder = cluster.decoder();
    let mut writer = None;
    let mut sent = Sent::default();
    loop {
        let progress = progress(&args.file);
        let mut records = Records::open(&args.file, explode(&cluster), &progress)?;
        let waiting = if args.force || writer.is_some() {
            Vec::new()
        } else {
            until_usable(&args.file, &cluster, &mut records)?
        };
        // Nothing is sent, and Kafka not reached for, before a record was found that can be used.
        let begun = sent.tally.events;
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(open(args, &cluster)?),
        };
        let mut pace = Pace::new(args.speed);
        for record in waiting.into_iter().map(Ok).chain(records) {
            send(args, &decoder, &record?, writer, &mut pace, &mut sent)?;
        }
        progress.finish_and_clear();
        if !args.repeat || sent.tally.events == begun {
            break;
        }
    }
    let writer = match writer {
        Some(writer) => writer,
        None => open(args, &cluster)?,
    };
    let (records, took) = writer.finish()?;
    sent.records = records;
    Ok((sent, took))
}

fn open(args: &Args, cluster: &Cluster) -> Result<TopicWriter, KolError> {
    topic::find(cluster, &args.topic, args.create_topic)?;
    TopicWriter::to(cluster, &args.topic)
}

/// Documents are taken apart here, unless a path of the job looks at the document as a whole.
fn explode(cluster: &Cluster) -> Option<&Explode> {
    let fields = &cluster.source.fields;
    let of_whole = fields.values().flatten().any(|path| path.is_of_record());
    cluster.source.explode.as_ref().filter(|_| !of_whole)
}

fn send(
    args: &Args,
    decoder: &Decoder,
    record: &Record,
    writer: &mut TopicWriter,
    pace: &mut Pace,
    sent: &mut Sent,
) -> Result<(), KolError> {
    let Record { line, value } = record;
    let mut first = None;
    decoder.decode_each(Some(value), |_, outcome| {
        let place = || format!("{}:{line}", args.file.display());
        sent.tally.add(&outcome, place);
        if let (None, Ok(event)) = (&first, outcome) {
            first = Some(event);
        }
    });
    let time = first.as_ref().and_then(|event| event.event_time);
    while let Some(rest) = pace.rest(time) {
        writer.check()?;
        std::thread::sleep(rest.min(LOOK));
    }
    writer.write(first.as_ref().and_then(|e| key_of(e, args.key)), value)?;
    sent.usable += u64::from(first.is_some());
    Ok(())
}

/// The records up to the first that can be used.
fn until_usable(
    file: &Path,
    cluster: &Cluster,
    records: &mut Records,
) -> Result<Vec<Record>, KolError> {
    let mut survey = Survey::new(cluster);
    let (mut waiting, mut bytes) = (Vec::new(), 0);
    for record in records {
        let record = record?;
        survey.add(
            Some(&record.value),
            &format!("{}:{}", file.display(), record.line),
        );
        bytes += record.value.len();
        waiting.push(record);
        if survey.tally.usable > 0 {
            return Ok(waiting);
        }
        if bytes > GIVE_UP || waiting.len() >= GIVE_UP_RECORDS {
            let first = format!("the first {} records", waiting.len());
            return Err(no_usable_record(file, &first, &survey));
        }
    }
    let all = format!("{} records", waiting.len());
    Err(no_usable_record(file, &all, &survey))
}

fn no_usable_record(file: &Path, records: &str, survey: &Survey) -> KolError {
    let mut what = format!("none of {records} of {} can be used", file.display());
    for (reject, count) in survey.tally.rejected() {
        what.push_str(&format!("\n  {count}: {reject}"));
    }
    let help = match survey.proposal() {
        Some(Proposal {
            lines,
            names_creator: true,
        }) => format!(
            "A job spec with these lines fits them (give it with --spec); --force sends them as \
             they are.\n{lines}"
        ),
        Some(Proposal { lines, .. }) => format!(
            "No name in them is known for the creator's: write its field in place of FILL-IN, and give a job spec \
             with these lines with --spec; --force sends them as they are.\n{lines}"
        ),
        None => "--force sends them all the same.".to_owned(),
    };
    KolError::user("NO_USABLE_RECORD", what).help(help)
}

fn key_of<'e>(event: &'e Event<'_>, by: KeyBy) -> Option<&'e [u8]> {
    let kol = event.kol.as_bytes();
    match by {
        KeyBy::Username => Some(kol),
        KeyBy::VideoId => Some(event.video_id.as_ref().map_or(kol, |id| id.as_bytes())),
        KeyBy::None => None,
    }
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

    /// How long until an event of this time is due; `None` when it is.
    fn rest(&mut self, event_time: Option<Millis>) -> Option<Duration> {
        let (Speed::Factor(factor), Some(time)) = (self.speed, event_time) else {
            return None;
        };
        let (begun, first) = *self.begun.get_or_insert_with(|| (Instant::now(), time));
        let due = time.since(first).duration().as_secs_f64() / factor;
        let due = Duration::try_from_secs_f64(due).unwrap_or(Duration::MAX);
        due.checked_sub(begun.elapsed())
            .filter(|rest| !rest.is_zero())
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

    fn opened(content: &str) -> Result<Vec<Record>, KolError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.json");
        std::fs::write(&path, content).unwrap();
        let mut records = Records::open(&path, None, &ProgressBar::hidden()).unwrap();
        until_usable(&path, &Cluster::default(), &mut records)
    }

    #[test]
    fn a_file_without_a_usable_record_is_refused_with_the_table_that_fits() {
        let apify = r#"[{"ownerUsername":"mia","likesCount":5},{"ownerUsername":"bo"}]"#;
        let error = opened(apify).unwrap_err();
        assert_eq!(error.code, "NO_USABLE_RECORD");
        assert!(error.message.contains("none of 2 records"), "{error}");
        assert!(error.message.contains("2: no_username"), "{error}");
        assert!(
            error.help.contains("username = [\"ownerUsername\"]"),
            "{error}"
        );
        assert!(error.help.contains("--force"), "{error}");
    }

    #[test]
    fn lines_that_lack_the_creator_are_not_said_to_fit() {
        let error = opened(r#"{"handle_of_her":"mia","diggCount":5}"#).unwrap_err();
        assert!(error.help.contains("username = [\"FILL-IN\"]"), "{error}");
        assert!(error.help.contains("diggCount"), "{error}");
        assert!(!error.help.contains("fits them"), "{error}");
    }

    #[test]
    fn what_came_before_the_first_usable_record_is_sent_too() {
        let waiting = opened("no json\n{\"username\":\"a\"}\n{\"username\":\"b\"}\n").unwrap();
        let waiting: Vec<_> = waiting.iter().map(|r| (r.line, &r.value[..])).collect();
        assert_eq!(waiting, [(1, &b"no json"[..]), (2, br#"{"username":"a"}"#)]);
    }

    /// What is sent of a file of `tests/data/shapes` for a job with these lines: platform, creator, video, likes,
    /// comments, shares and views of each event.
    fn sent_of(file: &str, source: &str) -> Vec<String> {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/shapes");
        let file = Path::new(folder).join(file);
        let cluster = Cluster::of_source(source);
        let decoder = cluster.decoder();
        let progress = ProgressBar::hidden();
        let mut records = Records::open(&file, explode(&cluster), &progress).unwrap();
        let waiting = until_usable(&file, &cluster, &mut records).unwrap();
        let mut sent = Vec::new();
        for record in waiting.into_iter().map(Ok).chain(records) {
            let value = record.unwrap().value;
            decoder.decode_each(Some(&value), |_, outcome| {
                let e = outcome.unwrap_or_else(|reject| panic!("{}: {reject}", file.display()));
                assert!(e.published.is_some(), "{e:?}");
                let counters = [e.likes, e.comments, e.shares, e.views];
                let counters = counters.map(|c| c.map_or("-".to_owned(), |c| c.to_string()));
                let video = e.video_id.as_deref().unwrap_or("-");
                sent.push(format!(
                    "{} {} {video} {}",
                    e.platform,
                    e.kol,
                    counters.join(" ")
                ));
            });
        }
        sent
    }

    #[test]
    fn made_up_files_of_each_ready_shape_are_read_as_people_have_them() {
        let (mia, bo) = ("7518376794681117970", "7518376794681117971");
        let tiktok = [
            format!("tiktok mia {mia} 10 2 3 400"),
            format!("tiktok bo {bo} 1200 4 0 5000"),
        ];
        let tiktok = tiktok.each_ref().map(|line| &**line);
        let youtube = ["youtube Mia dQ 10 2 - 400", "youtube Bo dR 1200 4 - 5000"];
        let instagram = ["instagram mia 31 10 2 - 400", "instagram bo Cy 1200 4 - -"];
        let own = [tiktok[0], "youtube bo dQ 1200 4 - 5000"];
        let yt_dlp = ["youtube UC1 dQ 10 2 - 400"];
        for (file, source, expected) in [
            ("own.jsonl", "", &own[..]),
            ("tiktok-api.jsonl", "shape = \"tiktok-api\"", &tiktok),
            ("tiktok-apify.json", "shape = \"tiktok-apify\"", &tiktok),
            (
                "instagram-apify.json",
                "shape = \"instagram-apify\"",
                &instagram,
            ),
            (
                "youtube-api.json",
                "shape = \"youtube-api\"\nexplode = \"items\"",
                &youtube,
            ),
            ("yt-dlp.info.json", "shape = \"yt-dlp\"", &yt_dlp),
            (
                "youtube-trending.json",
                "shape = \"youtube-trending\"",
                &youtube,
            ),
        ] {
            assert_eq!(sent_of(file, source), expected, "{file}");
        }
        // A path that looks at the document as a whole: it is sent whole, and is taken apart by the job.
        let of_whole =
            "shape = \"youtube-api\"\nexplode = \"items\"\n[source.fields]\nevent_time = \"$.at\"";
        assert_eq!(sent_of("youtube-api.json", of_whole), youtube);
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
