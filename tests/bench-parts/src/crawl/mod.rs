//! Readings as crawlers of public pages send them: same fields, same spellings, same order as in crawls of 2025, for any
//! number of creators. The same options give the same events.
//!
//! **What was taken over.** 389 creators were crawled for eight days, each 4.3 times, one or two at a time; a visit reads
//! the newest 26 videos, newest first, about ten seconds apart. So readings of one creator are near each other, those of
//! other creators lie between them, and the next reading of a video comes a day later. An event has 305 bytes, 318 with
//! its key. Counters of 10,000 and more are rounded (`"170.4K"`), no shares are the label of the button, one view count
//! in 42 is missing, one reading in 100 is of another video by mistake.
//!
//! **What is scaled.** With more creators as many more are visited at a time. Eight days stay eight days: when there are
//! fewer events than such crawls would give, each visit reads fewer videos, and when there are more, creators are visited
//! more often.

mod chance;
mod creator;
mod text;

use kol_common::Millis;

use chance::Chance;
use creator::Creator;
use text::Writer;

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Creators; at least one.
    pub kols: u64,
    /// Events; only how dense they are depends on it.
    pub events: u64,
    /// Event time of the last of these.
    pub end: Millis,
    /// Event time from the first of these to the last: [`SPAN`], unless they are to come as they happen.
    pub span: Millis,
    /// Chooses everything that is random.
    pub seed: u64,
}

/// How long crawlers crawl.
pub const SPAN: Millis = Millis(8 * 86_400_000);
/// Visits of a creator in that time, and videos of a visit.
const VISITS: f64 = 4.3;
const VIDEOS: f64 = 26.0;
/// Creators that one crawler visits in turn.
const CREATORS_A_CRAWLER: u64 = 300;

/// Makes events, one after the other, without end.
#[derive(Debug)]
pub struct Crawl {
    options: Options,
    /// Videos of a visit.
    depth: f64,
    crawlers: Vec<Crawler>,
    next: u64,
    writer: Writer,
}

/// Reads one creator after the other.
#[derive(Debug)]
struct Crawler {
    /// Visits of creators begun so far.
    visits: u64,
    creator: Creator,
    /// Number of the video that is read next, and how many are read in this visit.
    video: u64,
    left: u64,
}

impl Crawl {
    /// Begins with the first of them.
    pub fn new(options: Options) -> Self {
        let kols = options.kols.max(1);
        let options = Options { kols, ..options };
        let each = options.events as f64 / kols as f64;
        let depth = (each / VISITS).clamp(1.0, VIDEOS);
        let crawlers = kols.div_ceil(CREATORS_A_CRAWLER);
        let start = options.end.since(options.span);
        let crawlers = (0..crawlers).map(|number| {
            let mut chance = Chance::of(options.seed, number);
            let visits = chance.below(CREATORS_A_CRAWLER);
            let mut crawler = Crawler {
                visits,
                creator: Creator::of(options.seed, number, depth),
                video: 0,
                left: 0,
            };
            crawler.visit(&options, depth, number, start);
            // In the midst of it: not all begin at once.
            crawler.left = 1 + chance.below(crawler.left);
            crawler
        });
        Self {
            crawlers: crawlers.collect(),
            depth,
            next: 0,
            writer: Writer::default(),
            options,
        }
    }

    /// A creator's name.
    pub fn username(kol: u64) -> String {
        let name = creator::name(kol);
        format!("ti_{name:010x}")
    }

    /// Event time of the next event.
    pub fn now(&self) -> Millis {
        let since = u128::from(self.next) * u128::from(self.options.span.0)
            / u128::from(self.options.events.max(1));
        Millis(self.options.end.since(self.options.span).0 + since as u64)
    }

    /// Writes the next event's JSON over what `out` holds: its creator.
    pub fn next_into(&mut self, out: &mut Vec<u8>) -> u64 {
        let now = self.now();
        let number = self.next % self.crawlers.len() as u64;
        let crawler = &mut self.crawlers[number as usize];
        if crawler.left == 0 {
            crawler.visit(&self.options, self.depth, number, now);
        }
        let mut chance = Chance::of(self.options.seed ^ 0xE7E2_7000, self.next);
        let reading = crawler.creator.read(crawler.video, now, &mut chance);
        self.writer
            .write(out, &mut chance, &crawler.creator, now, &reading);
        crawler.video = crawler.video.saturating_sub(1);
        crawler.left -= 1;
        self.next += 1;
        crawler.creator.kol
    }
}

impl Crawler {
    /// Begins to read the next creator.
    fn visit(&mut self, options: &Options, depth: f64, number: u64, now: Millis) {
        let crawlers = options.kols.div_ceil(CREATORS_A_CRAWLER);
        let creators = (options.kols - number).div_ceil(crawlers);
        let kol = number + crawlers * (self.visits % creators);
        let mut chance = Chance::of(options.seed ^ 0x0715_1700, kol ^ (self.visits << 32));
        self.visits += 1;
        self.creator = Creator::of(options.seed, kol, depth);
        self.video = self.creator.newest(now);
        // From 20 to 35 of 26.
        let videos = depth * (0.77 + 0.46 * chance.unit());
        self.left = (videos.round() as u64).max(1);
    }
}

#[cfg(test)]
mod tests;
