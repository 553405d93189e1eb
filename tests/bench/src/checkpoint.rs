//! A checkpoint of a large state of which a twentieth changed: what it costs to copy, pack and make
//! durable, how long reading pauses for it, and how long it takes to read everything back.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kol_common::Millis;
use kol_common::checkpoint::frame::{Encoder, FRAME_RAW};
use kol_common::checkpoint::{Store, Stores};
use kol_common::event::Event;
use kol_common::job::{Counters, Profile, ScoringSpec};
use kol_common::proto::StateFile;
use kol_common::scoring::Scoring;
use kol_executor::state::{Capture, Restorer, State};
use nix::time::{ClockId, clock_gettime};
use tokio::runtime::Runtime;

use super::figures::{Report, Section};
use super::{Plan, percentile};

const VIDEOS: u64 = 20;
const PARTITIONS: u64 = 4;
const ROUNDS: u64 = 20;
/// Threads that pack and write.
const WORKERS: usize = 2;
/// Entries copied at once, as the partition does it.
const STEP: usize = 1_000;
const START: u64 = 1_750_000_000_000;

/// Shows the figures.
pub fn checkpoint(plan: &Plan, report: &mut Report) {
    let spec = ScoringSpec::defaults(Profile::Default, Counters::Cumulative);
    let scoring = Arc::new(Scoring::new(&spec));
    let kols = plan.checkpoint_kols / PARTITIONS;
    let mut states: Vec<State> = (0..PARTITIONS)
        .map(|_| State::new(Arc::clone(&scoring)))
        .collect();
    for state in &mut states {
        read_all(state, 0..kols, VIDEOS, START);
    }
    let mut one_video = vec![State::new(Arc::clone(&scoring))];
    read_all(&mut one_video[0], 0..kols, 1, START);
    let bytes = |states: &[State]| states.iter().map(|s| s.size().2 as u64).sum::<u64>();
    let (in_memory, with_one) = (bytes(&states), bytes(&one_video));
    drop(one_video);
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .unwrap();
    let location = format!("file://{}", folder.path().display());
    let stores = Stores::of_this_machine();
    let store = runtime.block_on(stores.open(&location)).unwrap();

    let base = epoch(&mut states, &runtime, &store, 0);
    let full: u64 = base.files.iter().map(|f| f.bytes).sum();
    let mut times = Vec::new();
    let mut pause = Pause::default();
    let mut written = 0;
    let mut chains: Vec<Vec<StateFile>> = base.files.into_iter().map(|f| vec![f]).collect();
    for round in 1..=ROUNDS {
        let share = kols / 20;
        let from = round % 20 * share;
        for state in &mut states {
            read_all(state, from..from + share, VIDEOS, START + round * 3_600_000);
        }
        let taken = epoch(&mut states, &runtime, &store, round);
        times.push(taken.time);
        pause = pause.worse_of(taken.pause);
        written += taken.files.iter().map(|f| f.bytes).sum::<u64>();
        for (chain, file) in chains.iter_mut().zip(taken.files) {
            chain.push(file);
        }
    }
    times.sort();
    let memory = resident();
    drop(states);
    let begun = Instant::now();
    let restored: u64 = runtime.block_on(async {
        let all = chains.iter().map(|chain| restore(&scoring, &store, chain));
        futures::future::join_all(all).await.into_iter().sum()
    });
    let took = begun.elapsed();
    let creators = kols * PARTITIONS;
    assert_eq!(restored, creators);
    let each = written / ROUNDS;
    let about = format!(
        "{creators} creators with {VIDEOS} videos each in {PARTITIONS} partitions, 5 % changed, {ROUNDS} epochs; \
         the state is read back from a base and {ROUNDS} files for each partition; pauses while {} threads want the cores",
        PARTITIONS as usize + WORKERS
    );
    let mut section = Section::new("checkpoint", about);
    let mib = |bytes: u64| bytes as f64 / 1_048_576.0;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    section.note(
        "an epoch",
        &[
            ("p50 ms", ms(percentile(&times, 0.5))),
            ("p99 ms", ms(percentile(&times, 0.99))),
            ("MiB", mib(each)),
            ("% of the full state", 100.0 * each as f64 / full as f64),
            (
                "bytes a changed video",
                (each / (kols / 20 * PARTITIONS * VIDEOS)) as f64,
            ),
        ],
    );
    section.note(
        "the full state",
        &[
            ("MiB", mib(full)),
            ("written s", base.time.as_secs_f64()),
            ("read back s", took.as_secs_f64()),
        ],
    );
    section.note(
        "longest pause",
        &[
            ("of work ms", ms(pause.work)),
            ("by the clock ms", ms(pause.clock)),
        ],
    );
    section.note(
        "memory",
        &[
            ("MiB", mib(memory)),
            (
                "bytes a creator with 20 videos",
                (in_memory / creators) as f64,
            ),
            ("bytes a creator with 1", (with_one / kols) as f64),
        ],
    );
    report.add(section);
}

/// One reading of each of so many videos of these creators.
fn read_all(state: &mut State, kols: std::ops::Range<u64>, videos: u64, time: u64) {
    for kol in kols {
        let name = format!("creator_{kol}");
        for video in 0..videos {
            let id = (7_000_000_000_000_000_000 + kol * VIDEOS + video).to_string();
            let likes = time / 1_000_000 + kol % 1_000 * video;
            let event = Event {
                platform: Cow::Borrowed("tiktok"),
                kol: Cow::Borrowed(&name),
                video_id: Some(Cow::Borrowed(&id)),
                event_time: None,
                time_unreadable: false,
                published: None,
                likes: Some(likes),
                comments: Some(likes / 10),
                shares: Some(likes / 50),
                views: Some(likes * 20),
                followers: None,
            };
            state.apply(&event, Millis(time + video * 1_000));
        }
    }
}

struct Taken {
    files: Vec<StateFile>,
    time: Duration,
    pause: Pause,
}

/// A pause of reading.
#[derive(Clone, Copy, Debug, Default)]
struct Pause {
    /// Time of the processor: what it would be with a core of its own.
    work: Duration,
    /// By the clock, with the time that others had the core.
    clock: Duration,
}

impl Pause {
    /// What a piece of work takes on this thread.
    fn of<T>(work: impl FnOnce() -> T) -> (Self, T) {
        let (work_begun, clock_begun) = (worked(), Instant::now());
        let outcome = work();
        let pause = Self {
            work: worked().saturating_sub(work_begun),
            clock: clock_begun.elapsed(),
        };
        (pause, outcome)
    }

    fn worse_of(self, other: Self) -> Self {
        Self {
            work: self.work.max(other.work),
            clock: self.clock.max(other.clock),
        }
    }
}

/// Processor time of this thread.
fn worked() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)
        .unwrap()
        .into()
}

/// All partitions at once, each as its actor does it.
fn epoch(states: &mut [State], runtime: &Runtime, store: &Store, number: u64) -> Taken {
    let begun = Instant::now();
    let done: Vec<(StateFile, Pause)> = std::thread::scope(|scope| {
        let all = states.iter_mut().enumerate().map(|(ordinal, state)| {
            let path = format!("bench/{ordinal}/{number}.state");
            let capture = capture(state, store.clone(), path, number == 0);
            scope.spawn(|| runtime.block_on(capture))
        });
        let all: Vec<_> = all.collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    Taken {
        time: begun.elapsed(),
        pause: done
            .iter()
            .fold(Pause::default(), |worst, (_, pause)| worst.worse_of(*pause)),
        files: done.into_iter().map(|(file, _)| file).collect(),
    }
}

async fn capture(state: &mut State, store: Store, path: String, whole: bool) -> (StateFile, Pause) {
    let (chunks, mut inbox) = tokio::sync::mpsc::channel::<Vec<u8>>(4);
    let writer = async move {
        let mut upload = store.create(path);
        let mut encoder = Encoder::default();
        let mut packed = Vec::new();
        encoder.header(&mut packed);
        while let Some(records) = inbox.recv().await {
            encoder.frame(&records, &mut packed);
            upload.append(std::mem::take(&mut packed)).await.unwrap();
        }
        encoder.trailer(&mut packed);
        upload.append(packed).await.unwrap();
        upload.finish().await.unwrap()
    };
    let copier = async {
        let wanted = if whole {
            Capture::Base
        } else {
            Capture::Changes
        };
        let (mut pause, ()) = Pause::of(|| state.begin_capture(wanted));
        loop {
            let (step, more) = Pause::of(|| state.capture_some(STEP));
            pause = pause.worse_of(step);
            if !more || state.copied() >= FRAME_RAW {
                chunks.send(state.take_copies()).await.unwrap();
            }
            if !more {
                break;
            }
        }
        drop(chunks);
        pause
    };
    let (pause, file) = tokio::join!(copier, writer);
    state.keep_capture();
    (file, pause)
}

async fn restore(scoring: &Arc<Scoring>, store: &Store, chain: &[StateFile]) -> u64 {
    let mut restorer = Restorer::new(Arc::clone(scoring));
    for file in chain {
        let content = store.read(file).await.unwrap();
        restorer = tokio::task::spawn_blocking(move || {
            restorer.file(&content).unwrap();
            restorer
        })
        .await
        .unwrap();
    }
    restorer.finish().unwrap().size().0 as u64
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split_ascii_whitespace().nth(1);
    pages.and_then(|p| p.parse::<u64>().ok()).unwrap_or(0) * 4_096
}
