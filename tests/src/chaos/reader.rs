//! A reader of the rankings who remembers what was shown, and notes when it goes back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use kol_client::generate::Generator;

use crate::feed::KOLS;

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Regressions that are printed.
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
    /// The Redis that it looks at; `None` while it looks at none.
    url: Arc<Mutex<Option<String>>>,
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
    pub fn start(url: String) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let url = Arc::new(Mutex::new(Some(url)));
        let (stopped, place) = (Arc::clone(&stop), Arc::clone(&url));
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !stopped.load(Ordering::Relaxed) {
                let now = place.lock().expect("a place").clone();
                let stays =
                    || *place.lock().expect("a place") == now && !stopped.load(Ordering::Relaxed);
                if let Some(url) = &now {
                    let _is_away = seen.read(url, stays);
                }
                // What Redis lost while it was away may come back older.
                seen.known.clear();
                std::thread::sleep(LOOK_EVERY);
            }
            seen
        });
        Self { stop, url, thread }
    }

    /// Looks away: what it sees next may be older.
    pub fn look_away(&self) {
        *self.url.lock().expect("a place") = None;
    }

    /// Looks at this Redis.
    pub fn look_at(&self, url: String) {
        *self.url.lock().expect("a place") = Some(url);
    }

    /// Stops; what was seen.
    pub fn stop(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the reader")
    }
}

impl Seen {
    fn read(&mut self, url: &str, continues: impl Fn() -> bool) -> redis::RedisResult<()> {
        let client = redis::Client::open(url)?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1))?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        while continues() {
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
