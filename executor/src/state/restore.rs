//! The state back from its files, read in the order in which they were written.
//!
//! After each file the tables are whole, so all that is left to do at the end is a look at the platform of each KOL: a
//! state may be read ahead, and a last small file applied when it counts.

use std::sync::Arc;

use kol_common::Millis;
use kol_common::checkpoint::frame::{Damage, Decoder};
use kol_common::checkpoint::record::records;
use kol_common::checkpoint::{KolRecord, ReadingRecord, Record, SuspectRecord};
use kol_common::event::MAX_COUNTER;
use kol_common::scoring::Scoring;

use super::State;
use super::gaps::Gaps;
use super::panes::Panes;
use super::rates::{Carried, Rate};

/// Largest time and largest number of a pane: what is computed with them does not overflow.
const LATEST: u64 = 1 << 53;
/// Bytes of the smallest record.
const SMALLEST: usize = 2;

/// A state that is being read. Indexes are dense: each index up to the largest has a record in the files, so no file can
/// make a table longer than by the records that it has room for.
#[derive(Debug)]
pub struct Restorer {
    state: State,
    platforms: Vec<Box<str>>,
    frame: u32,
    /// One past the largest index that the file which is read may name.
    bound: usize,
}

impl Restorer {
    /// Nothing read yet.
    pub fn new(scoring: Arc<Scoring>) -> Self {
        Self {
            state: State::new(scoring),
            platforms: Vec::new(),
            frame: 0,
            bound: 0,
        }
    }

    /// Reads one file.
    ///
    /// # Errors
    /// It is damaged, or does not fit these scoring constants. Nothing of what was read may be used.
    pub fn file(&mut self, file: &[u8]) -> Result<(), Damage> {
        self.frame = 0;
        let chunks = Decoder::new(file)?;
        let known = (self.state.kols.bound()).max(self.state.readings.bound() as usize);
        self.bound = known.saturating_add(chunks.most_raw() / SMALLEST);
        for chunk in chunks {
            for record in records(&chunk?) {
                let record = record.map_err(|_| Damage::Undecodable(self.frame))?;
                self.record(&record)?;
            }
            self.frame += 1;
        }
        self.state.kols.settle();
        self.state.readings.settle();
        Ok(())
    }

    /// Memory that the state takes so far, in bytes, about.
    pub fn bytes(&self) -> usize {
        self.state.size().2
    }

    fn record(&mut self, record: &Record<'_>) -> Result<(), Damage> {
        let fits = record
            .index()
            .is_none_or(|index| (index as usize) < self.bound);
        if !fits || !is_plausible(record) {
            return Err(Damage::Undecodable(self.frame));
        }
        let state = &mut self.state;
        match record {
            Record::Head(head) => {
                state.clock = head.clock.map(Millis);
                state.set_window_end(head.window_end);
                state.gaps = Gaps::restore(&head.gaps);
                self.platforms = head.platforms.iter().map(|p| (&**p).into()).collect();
            }
            Record::Kol(kol) => return self.kol(kol, None),
            Record::CarriedKol(record) => {
                let Some(carried) = Carried::restored(&state.scoring, record) else {
                    return Err(Damage::Undecodable(self.frame));
                };
                return self.kol(&record.kol, Some(Box::new(carried)));
            }
            Record::NoKol(index) => state.kols.restore(*index, None),
            Record::Reading(reading) => {
                let record = (reading, 0, Rate::default());
                state.readings.restore(reading.index, Some(record));
            }
            Record::FallenReading(record) => {
                let (reading, fallen) = (&record.reading, record.fallen);
                let record = (reading, fallen, Rate::default());
                state.readings.restore(reading.index, Some(record));
            }
            Record::CarriedReading(record) => {
                let (reading, fallen) = (&record.reading.reading, record.reading.fallen);
                let rate = Rate::new(record.gain, record.span);
                let record = (reading, fallen, rate);
                state.readings.restore(reading.index, Some(record));
            }
            Record::NoReading(index) => state.readings.restore(*index, None),
        }
        Ok(())
    }

    fn kol(&mut self, kol: &KolRecord<'_>, carried: Option<Box<Carried>>) -> Result<(), Damage> {
        let state = &mut self.state;
        let Some(panes) = Panes::restored(&state.rules, kol) else {
            return Err(Damage::Undecodable(self.frame));
        };
        let name = (kol.platform, &*kol.name);
        state.kols.restore(kol.index, Some(name));
        state.kols.set_panes(kol.index, panes, carried);
        let slot = state.kols.slot_mut(kol.index);
        (slot.first, slot.newest) = (kol.first, kol.newest);
        Ok(())
    }

    /// The state, once every file was read. Nothing waits for a consumer then: each of them starts from
    /// everything that is there.
    ///
    /// # Errors
    /// Files are missing: a record refers to what none of them had.
    pub fn finish(self) -> Result<State, Damage> {
        let Self {
            mut state,
            platforms,
            frame,
            bound: _,
        } = self;
        let clock = state.clock.unwrap_or_default();
        if !state.kols.restored(platforms, clock) {
            return Err(Damage::Undecodable(frame));
        }
        Ok(state)
    }
}

/// Whether the times of a record are ones that a clock can show, and its counters ones that are believed.
fn is_plausible(record: &Record<'_>) -> bool {
    match record {
        Record::Head(head) => head.clock.unwrap_or(0).max(head.window_end) <= LATEST,
        Record::Kol(kol) => is_plausible_kol(kol),
        Record::CarriedKol(record) => {
            record.base <= LATEST
                && is_plausible_kol(&record.kol)
                && record.suspects.iter().all(is_plausible_suspect)
        }
        Record::CarriedReading(record) => {
            record.gain > 0 && record.span > 0 && is_plausible_reading(&record.reading.reading)
        }
        Record::Reading(reading) => is_plausible_reading(reading),
        Record::FallenReading(record) => is_plausible_reading(&record.reading),
        Record::NoKol(_) | Record::NoReading(_) => true,
    }
}

fn is_plausible_kol(kol: &KolRecord<'_>) -> bool {
    kol.newest.max(kol.base) <= LATEST && kol.platform != u32::MAX
}

fn is_plausible_suspect(suspect: &SuspectRecord) -> bool {
    let of_rises = suspect.rises.iter().map(|rise| u128::from(rise.gain));
    let counters = suspect.rises.iter().map(|rise| rise.counter);
    suspect.since < suspect.time
        && suspect.time <= LATEST
        && suspect.gain <= 3 * MAX_COUNTER
        && of_rises.sum::<u128>() <= suspect.gain.into()
        && counters.max().is_some_and(|counter| counter < 3)
}

fn is_plausible_reading(reading: &ReadingRecord<'_>) -> bool {
    let counters = reading.counters.iter().flatten();
    reading.time <= LATEST && counters.max().is_none_or(|c| *c <= MAX_COUNTER)
}

impl State {
    /// The partition had read up to here, also where no record changed anything.
    pub fn restore_clock(&mut self, clock: Millis) {
        self.clock = self.clock.max(Some(clock));
        self.raise_clock(clock);
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use kol_common::checkpoint::Head;
    use kol_common::checkpoint::frame::Encoder;
    use kol_common::event::Event;
    use kol_common::job::{Counters, Profile, ScoringSpec};
    use kol_common::proto::SlotDetail;
    use proptest::prelude::*;

    use super::*;
    use crate::state::Capture;

    const HOUR: u64 = 3_600_000;
    const T0: u64 = 485_000 * HOUR;

    fn scoring() -> Arc<Scoring> {
        scoring_of(Profile::Default)
    }

    fn scoring_of(profile: Profile) -> Arc<Scoring> {
        let mut spec = ScoringSpec::defaults(profile, Counters::Cumulative);
        // Short enough for entries to be forgotten, and their places used again.
        spec.entity_ttl = Millis(24 * HOUR);
        spec.lateness = Millis(48 * HOUR);
        Arc::new(Scoring::new(&spec))
    }

    fn event(kol: u64, video: u64, likes: u64) -> (String, Option<String>, u64) {
        let id = match video % 4 {
            0 => None,
            1 => Some(video.to_string()),
            2 => Some(format!("short_{video}")),
            _ => Some(format!("an id that is longer than the others {video}")),
        };
        (format!("kol_{kol}"), id, likes)
    }

    fn apply(state: &mut State, seed: u64, time: u64) {
        let (kol, video, likes) = event(seed % 13, seed / 13 % 29, seed % 1_000);
        let platform = if seed.is_multiple_of(5) {
            "youtube"
        } else {
            "tiktok"
        };
        let event = Event {
            platform: Cow::Borrowed(platform),
            kol: Cow::Borrowed(&kol),
            video_id: video.as_deref().map(Cow::Borrowed),
            event_time: None,
            time_unreadable: false,
            published: None,
            likes: Some(likes),
            comments: seed.is_multiple_of(3).then_some(likes / 2),
            shares: None,
            views: None,
            followers: Some(likes * 10),
        };
        state.apply(&event, Millis(time));
    }

    /// The file of a capture that nothing is left of.
    fn file(state: &mut State) -> Vec<u8> {
        let mut encoder = Encoder::default();
        let mut file = Vec::new();
        encoder.header(&mut file);
        encoder.frame(&state.take_copies(), &mut file);
        while state.capture_some(3) {
            encoder.frame(&state.take_copies(), &mut file);
        }
        encoder.frame(&state.take_copies(), &mut file);
        encoder.trailer(&mut file);
        file
    }

    fn detail(state: &State, platform: &str, kol: &str) -> Option<SlotDetail> {
        let kol = state.find(platform, kol)?;
        let readings = state.readings_of(kol, 0..state.readings_bound());
        Some(SlotDetail {
            readings: readings.collect(),
            ..state.detail(kol)?
        })
    }

    /// Everything of a state that decides about its future.
    fn essence(state: &State) -> Vec<String> {
        let mut all = vec![format!(
            "{:?} {} {:?} {:?} {} {}",
            state.clock,
            state.window_end,
            state.gaps.counts(),
            state.kols.platforms(),
            state.kols.len(),
            state.readings.len()
        )];
        for platform in ["tiktok", "youtube"] {
            for kol in 0..13 {
                let name = format!("kol_{kol}");
                let mut detail = detail(state, platform, &name);
                if let Some(detail) = &mut detail {
                    detail.readings.sort_by(|a, b| a.video_id.cmp(&b.video_id));
                }
                all.push(format!("{platform} {name} {detail:?}"));
            }
        }
        all
    }

    proptest! {
        #[test]
        fn a_restored_state_is_what_it_was_at_the_barrier_and_takes_further_events_alike(
            events in prop::collection::vec((any::<u64>(), 0..90 * 60_000u64), 20..160),
            barriers in prop::collection::vec((5..40usize, any::<bool>(), any::<bool>()), 1..6),
            is_rising in any::<bool>(),
        ) {
            let profile = if is_rising { Profile::Rising } else { Profile::Default };
            let scoring = scoring_of(profile);
            let mut state = State::new(Arc::clone(&scoring));
            let (mut files, mut time) = (Vec::new(), T0);
            let mut left = events.into_iter();
            let mut next = |state: &mut State, count: usize| {
                for (seed, step) in left.by_ref().take(count) {
                    time += step;
                    // Some readings come late.
                    apply(state, seed, time - seed % 7 * 60_000);
                    state.sweep(5, |_| true);
                }
                time
            };
            for (count, whole, aborted) in barriers {
                next(&mut state, count);
                let whole = whole || files.is_empty() || state.owes_everything();
                state.begin_capture(if whole { Capture::Base } else { Capture::Changes });
                let at_barrier = essence(&state);
                // Events between the barrier and the end of the copying.
                state.capture_some(2);
                next(&mut state, count / 3);
                let captured = file(&mut state);
                if aborted {
                    state.put_capture_back();
                    continue;
                }
                state.keep_capture();
                if whole {
                    files.clear();
                }
                files.push(captured);
                let mut restorer = Restorer::new(Arc::clone(&scoring));
                for file in &files {
                    restorer.file(file).unwrap();
                }
                let restored = restorer.finish().unwrap();
                prop_assert_eq!(essence(&restored), at_barrier);
            }
            // Two lives of one state from here on.
            state.begin_capture(Capture::Base);
            let whole = file(&mut state);
            state.keep_capture();
            let mut restorer = Restorer::new(scoring);
            restorer.file(&whole).unwrap();
            let mut restored = restorer.finish().unwrap();
            for seed in 0..40 {
                apply(&mut state, seed * 7_919, T0 + 200 * HOUR + seed * HOUR);
                apply(&mut restored, seed * 7_919, T0 + 200 * HOUR + seed * HOUR);
            }
            prop_assert_eq!(essence(&restored), essence(&state));
        }
    }

    #[test]
    fn a_counter_that_was_not_believed_once_is_believed_the_second_time_also_after_a_restore() {
        let read = |state: &mut State, likes, hour| {
            let event = Event {
                platform: Cow::Borrowed("tiktok"),
                kol: Cow::Borrowed("a"),
                video_id: Some(Cow::Borrowed("7")),
                event_time: None,
                time_unreadable: false,
                published: None,
                likes: Some(likes),
                comments: None,
                shares: None,
                views: None,
                followers: None,
            };
            state.apply(&event, Millis(T0 + hour * HOUR));
        };
        let mut state = State::new(scoring());
        read(&mut state, 50_000, 0);
        read(&mut state, 1_000, 1);
        state.begin_capture(Capture::Base);
        let mut restorer = Restorer::new(scoring());
        restorer.file(&file(&mut state)).unwrap();
        let mut restored = restorer.finish().unwrap();
        read(&mut restored, 1_010, 2);
        let detail = detail(&restored, "tiktok", "a").unwrap();
        assert_eq!(detail.readings[0].likes, Some(1_010));
    }

    #[test]
    fn a_record_whose_index_no_file_of_its_length_can_have_or_whose_time_no_clock_shows_is_refused()
    {
        let of = |record: &Record<'_>| {
            let mut chunk = Vec::new();
            record.append(&mut chunk);
            let (mut encoder, mut file) = (Encoder::default(), Vec::new());
            encoder.header(&mut file);
            encoder.frame(&chunk, &mut file);
            encoder.trailer(&mut file);
            Restorer::new(scoring()).file(&file)
        };
        assert_eq!(of(&Record::NoKol(0)), Ok(()));
        let late = Record::Head(Head {
            clock: Some(u64::MAX),
            ..Head::default()
        });
        let reading = |counter| {
            Record::Reading(ReadingRecord {
                index: 0,
                kol: 0,
                video: None,
                time: T0,
                counters: [None, Some(counter), None, None],
            })
        };
        assert_eq!(of(&reading(MAX_COUNTER)), Ok(()));
        for record in [
            Record::NoKol(4_000_000_000),
            Record::NoReading(900_000),
            late,
            reading(MAX_COUNTER + 1),
        ] {
            assert_eq!(of(&record), Err(Damage::Undecodable(0)), "{record:?}");
        }
    }

    #[test]
    fn files_that_lack_one_or_have_other_constants_are_refused() {
        let mut state = State::new(scoring());
        for seed in 0..50 {
            apply(&mut state, seed, T0 + seed * HOUR);
        }
        state.begin_capture(Capture::Base);
        let file = file(&mut state);
        let mut spec = scoring().spec.clone();
        spec.window = Millis(2 * HOUR);
        let mut restorer = Restorer::new(Arc::new(Scoring::new(&spec)));
        assert!(matches!(restorer.file(&file), Err(Damage::Undecodable(_))));
        let mut restorer = Restorer::new(scoring());
        assert!(restorer.file(&file[..file.len() - 1]).is_err());
    }
}
