//! A reader of the rankings who remembers what was shown, and notes when it goes back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use kol_client::generate::Generator;

use super::feed::KOLS;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Regressions that are told.
const MOST: usize = 10;

/// What is shown of one creator and only grows within a generation: in order of weight.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
struct Shown {
    generation: u64,
    window_end: String,
    events: u64,
    engagement: u64,
}

type Fields = (Option<u64>, Option<String>, Option<u64>, Option<u64>);

/// Reads until it is stopped.
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What a reader saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// How often a creator was looked at.
    pub looks: u64,
    /// What went back, in words.
    pub regressions: Vec<String>,
    known: BTreeMap<u64, Shown>,
}

impl Reader {
    /// Starts to read.
    pub fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, url) = (Arc::clone(&stop), url.to_owned());
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !told.load(Ordering::Relaxed) {
                // While Redis is away there is nothing to see, and what it lost may come back older.
                if seen.read(&url, &told).is_err() {
                    seen.known.clear();
                }
                std::thread::sleep(LOOK_EVERY);
            }
            seen
        });
        Self { stop, thread }
    }

    /// Stops; what was seen.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the reader")
    }
}

impl Seen {
    fn read(&mut self, url: &str, stop: &AtomicBool) -> redis::RedisResult<()> {
        let client = redis::Client::open(url)?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        while !stop.load(Ordering::Relaxed) {
            let mut question = redis::pipe();
            for kol in 0..KOLS {
                let key = format!("trending:tiktok:{}", Generator::username(kol));
                question.cmd("HMGET").arg(key).arg(&[
                    "generation",
                    "window_end",
                    "event_count",
                    "total_engagement",
                ]);
            }
            let answers: Vec<Fields> = question.query(&mut connection)?;
            for (kol, fields) in (0..KOLS).zip(answers) {
                self.see(kol, fields);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn see(&mut self, kol: u64, fields: Fields) {
        let (Some(generation), Some(window_end), Some(events), Some(engagement)) = fields else {
            // Redis was emptied.
            self.known.remove(&kol);
            return;
        };
        self.looks += 1;
        let shown = Shown {
            generation,
            window_end,
            events,
            engagement,
        };
        let before = self.known.insert(kol, shown.clone());
        if let Some(before) = before.filter(|before| shown < *before)
            && self.regressions.len() < MOST
        {
            let name = Generator::username(kol);
            self.regressions
                .push(format!("{name}: {before:?}, then {shown:?}"));
        }
    }
}
