//! Writes records in postcard's encoding, with which they are read: whole numbers in groups of seven bits, the lowest
//! first; a count before the elements of a list and the bytes of a text; a byte before what may be missing; the number
//! of its kind before each record.
//!
//! By hand, because at each barrier everything that changed is written: room is made once for a record, and its numbers
//! are put into it without another look.

use super::record::{Head, KolRecord, Pane, ReadingRecord, Record, SuspectRecord, VideoId};

/// Most bytes of a whole number of 64 and of 32 bits.
const LONG: usize = 10;
const SHORT: usize = 5;
/// Most bytes of a record beside its texts and lists.
const FIXED: usize = 4 * LONG + 6 * (1 + LONG);

impl Record<'_> {
    /// Appends the record to a chunk.
    pub fn append(&self, chunk: &mut Vec<u8>) {
        let begin = chunk.len();
        chunk.resize(begin + longest(self), 0);
        let mut room = Room {
            bytes: &mut chunk[begin..],
            end: 0,
        };
        room.record(self);
        let end = begin + room.end;
        chunk.truncate(end);
    }
}

/// No record like this takes more bytes.
fn longest(record: &Record<'_>) -> usize {
    let text = |text: &str| LONG + text.len();
    let listed = match record {
        Record::Head(head) => {
            let platforms = head.platforms.iter().map(|name| text(name));
            platforms.sum::<usize>() + head.gaps.len() * (SHORT + LONG)
        }
        Record::Kol(kol) => longest_kol(kol),
        Record::CarriedKol(record) => {
            let rises = record.suspects.iter().map(|s| s.rises.len());
            longest_kol(&record.kol)
                + 3 * LONG
                + record.panes.len() * (SHORT + LONG)
                + record.suspects.len() * 5 * LONG
                + rises.sum::<usize>() * 4 * LONG
        }
        Record::Reading(reading) => longest_video(reading),
        Record::FallenReading(record) => longest_video(&record.reading),
        Record::CarriedReading(record) => longest_video(&record.reading.reading) + 2 * LONG,
        Record::NoKol(_) | Record::NoReading(_) => 0,
    };
    FIXED + listed
}

fn longest_kol(kol: &KolRecord<'_>) -> usize {
    LONG + kol.name.len() + kol.panes.len() * (SHORT + LONG + SHORT)
}

fn longest_video(reading: &ReadingRecord<'_>) -> usize {
    match &reading.video {
        Some(VideoId::Text(id)) => LONG + id.len(),
        Some(VideoId::Number(_)) | None => LONG,
    }
}

/// Room for a record, and how much of it is filled.
struct Room<'c> {
    bytes: &'c mut [u8],
    end: usize,
}

impl Room<'_> {
    fn record(&mut self, record: &Record<'_>) {
        match record {
            Record::Head(head) => {
                self.byte(0);
                self.head(head);
            }
            Record::Kol(kol) => {
                self.byte(1);
                self.kol(kol);
            }
            Record::NoKol(index) => {
                self.byte(2);
                self.number((*index).into());
            }
            Record::Reading(reading) => {
                self.byte(3);
                self.reading(reading);
            }
            Record::NoReading(index) => {
                self.byte(4);
                self.number((*index).into());
            }
            Record::FallenReading(record) => {
                self.byte(5);
                self.reading(&record.reading);
                self.byte(record.fallen);
            }
            Record::CarriedKol(record) => {
                self.byte(6);
                self.kol(&record.kol);
                self.number(record.base);
                self.number(record.panes.len() as u64);
                for pane in record.panes.iter() {
                    self.number(pane.after_base.into());
                    self.number(pane.engagement_e6);
                }
                self.number(record.suspects.len() as u64);
                for suspect in record.suspects.iter() {
                    self.suspect(suspect);
                }
            }
            Record::CarriedReading(record) => {
                self.byte(7);
                self.reading(&record.reading.reading);
                self.byte(record.reading.fallen);
                self.number(record.gain);
                self.number(record.span);
            }
        }
    }

    fn suspect(&mut self, suspect: &SuspectRecord) {
        self.number(suspect.reading.into());
        self.number(suspect.gain);
        self.number(suspect.since);
        self.number(suspect.time);
        self.number(suspect.rises.len() as u64);
        for rise in &suspect.rises {
            self.byte(rise.counter);
            self.number(rise.gain);
            self.number(rise.before);
            self.number(rise.top);
        }
    }

    fn head(&mut self, head: &Head<'_>) {
        self.option(head.clock);
        self.number(head.window_end);
        self.number(head.platforms.len() as u64);
        for name in &head.platforms {
            self.text(name);
        }
        self.number(head.gaps.len() as u64);
        for (bucket, count) in &head.gaps {
            self.number((*bucket).into());
            self.number(*count);
        }
    }

    fn kol(&mut self, kol: &KolRecord<'_>) {
        self.number(kol.index.into());
        self.number(kol.platform.into());
        self.text(&kol.name);
        self.number(kol.first);
        self.number(kol.newest);
        self.number(kol.base);
        self.put(&kol.baseline_e6.to_le_bytes());
        self.put(&kol.baseline_events.to_le_bytes());
        self.number(kol.panes.len() as u64);
        for Pane {
            after_base,
            engagement_e6,
            events,
        } in kol.panes.iter()
        {
            self.number((*after_base).into());
            self.number(*engagement_e6);
            self.number((*events).into());
        }
    }

    fn reading(&mut self, reading: &ReadingRecord<'_>) {
        self.number(reading.index.into());
        self.number(reading.kol.into());
        match &reading.video {
            None => self.byte(0),
            Some(VideoId::Number(id)) => {
                self.put(&[1, 0]);
                self.number(*id);
            }
            Some(VideoId::Text(id)) => {
                self.put(&[1, 1]);
                self.text(id);
            }
        }
        self.number(reading.time);
        for counter in reading.counters {
            self.option(counter);
        }
    }

    fn option(&mut self, number: Option<u64>) {
        match number {
            None => self.byte(0),
            Some(number) => {
                self.byte(1);
                self.number(number);
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.put(text.as_bytes());
    }

    #[inline]
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        self.bytes[self.end] = byte;
        self.end += 1;
    }

    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::record::{
        CarriedKolRecord, CarriedPane, CarriedRecord, FallenRecord, RiseRecord,
    };
    use super::*;

    /// Numbers of all lengths.
    fn number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..64u32).prop_map(|(number, bits)| number >> bits)
    }

    fn small() -> impl Strategy<Value = u32> {
        number().prop_map(|number| number as u32)
    }

    fn head() -> impl Strategy<Value = Record<'static>> {
        let platforms = vec(".{0,12}", 0..4);
        let gaps = vec((any::<u16>(), number()), 0..6);
        (any::<Option<u64>>(), number(), platforms, gaps).prop_map(
            |(clock, window_end, names, gaps)| {
                Record::Head(Head {
                    clock,
                    window_end,
                    platforms: names.into_iter().map(Cow::Owned).collect(),
                    gaps,
                })
            },
        )
    }

    fn kol() -> impl Strategy<Value = KolRecord<'static>> {
        let pane =
            (small(), number(), small()).prop_map(|(after_base, engagement_e6, events)| Pane {
                after_base,
                engagement_e6,
                events,
            });
        let sums = (any::<f64>(), any::<f64>());
        let numbers = (small(), small(), number(), number(), number());
        (numbers, sums, ".{0,300}", vec(pane, 0..60)).prop_map(|(numbers, sums, name, panes)| {
            let (index, platform, first, newest, base) = numbers;
            KolRecord {
                index,
                platform,
                name: name.into(),
                first,
                newest,
                base,
                baseline_e6: sums.0,
                baseline_events: sums.1,
                panes: panes.into(),
            }
        })
    }

    fn reading() -> impl Strategy<Value = ReadingRecord<'static>> {
        let video = prop_oneof![
            Just(None),
            number().prop_map(|id| Some(VideoId::Number(id))),
            ".{0,300}".prop_map(|id| Some(VideoId::Text(id.into()))),
        ];
        let counters = proptest::array::uniform4(proptest::option::of(number()));
        (small(), small(), video, number(), counters).prop_map(
            |(index, kol, video, time, counters)| ReadingRecord {
                index,
                kol,
                video,
                time,
                counters,
            },
        )
    }

    fn carried_kol() -> impl Strategy<Value = Record<'static>> {
        let pane = (small(), number()).prop_map(|(after_base, engagement_e6)| CarriedPane {
            after_base,
            engagement_e6,
        });
        let parts = (kol(), number(), vec(pane, 0..60), vec(suspect(), 0..4));
        parts.prop_map(|(kol, base, panes, suspects)| {
            Record::CarriedKol(CarriedKolRecord {
                kol,
                base,
                panes: panes.into(),
                suspects: suspects.into(),
            })
        })
    }

    fn suspect() -> impl Strategy<Value = SuspectRecord> {
        let rise = (any::<u8>(), number(), number(), number());
        let rise = rise.prop_map(|(counter, gain, before, top)| RiseRecord {
            counter,
            gain,
            before,
            top,
        });
        let parts = (small(), number(), number(), number(), vec(rise, 0..4));
        parts.prop_map(|(reading, gain, since, time, rises)| SuspectRecord {
            reading,
            gain,
            since,
            time,
            rises,
        })
    }

    fn carried_reading() -> impl Strategy<Value = Record<'static>> {
        (reading(), any::<u8>(), number(), number()).prop_map(|(reading, fallen, gain, span)| {
            Record::CarriedReading(CarriedRecord {
                reading: FallenRecord { reading, fallen },
                gain,
                span,
            })
        })
    }

    fn record() -> impl Strategy<Value = Record<'static>> {
        prop_oneof![
            head(),
            kol().prop_map(Record::Kol),
            carried_kol(),
            carried_reading(),
            reading().prop_map(Record::Reading),
            (reading(), any::<u8>()).prop_map(|(reading, fallen)| Record::FallenReading(
                FallenRecord { reading, fallen }
            )),
            small().prop_map(Record::NoKol),
            small().prop_map(Record::NoReading),
        ]
    }

    proptest! {
        #[test]
        fn records_are_written_as_postcard_writes_them(records in vec(record(), 0..5)) {
            let (mut chunk, mut expected) = (Vec::new(), Vec::new());
            for record in &records {
                record.append(&mut chunk);
                expected.extend(postcard::to_stdvec(record).unwrap());
            }
            prop_assert_eq!(chunk, expected);
        }
    }

    #[test]
    fn there_is_room_for_the_longest_numbers() {
        let all = u64::MAX;
        let reading = ReadingRecord {
            index: u32::MAX,
            kol: u32::MAX,
            video: Some(VideoId::Number(all)),
            time: all,
            counters: [Some(all); 4],
        };
        let pane = Pane {
            after_base: u32::MAX,
            engagement_e6: all,
            events: u32::MAX,
        };
        for record in [
            Record::FallenReading(FallenRecord {
                reading,
                fallen: 0xff,
            }),
            Record::Kol(KolRecord {
                index: u32::MAX,
                platform: u32::MAX,
                name: "a".into(),
                first: all,
                newest: all,
                base: all,
                baseline_e6: f64::MAX,
                baseline_events: f64::MAX,
                panes: vec![pane; 48].into(),
            }),
            Record::Head(Head {
                clock: Some(all),
                window_end: all,
                platforms: vec!["".into(); 9],
                gaps: vec![(u16::MAX, all); 9],
            }),
        ] {
            let mut chunk = vec![7];
            record.append(&mut chunk);
            assert_eq!(chunk[1..], postcard::to_stdvec(&record).unwrap());
        }
    }
}
