//! The numbers of a slot's newest panes, in as few bytes as they fit.
//!
//! A ring is a table of panes by their distance from a first one. It holds the panes from the first that had something
//! to the last that could have by now, and each number has as many bytes as the largest of the ring needs. So a creator
//! that was seen for the first time, or that gains little, takes a fraction of what one takes that gains millions.
//!
//! The engagements come first, then the events: what adds panes up reads consecutive bytes.

use std::ops::Range;

use super::prefetch::prefetch_bytes;

/// Bytes that an engagement may have, and a number of events.
const WIDTHS: [u8; 4] = [0, 4, 5, 8];
const COUNT_WIDTHS: [u8; 2] = [1, 4];
/// Fewest panes that there is room for.
const FEWEST: usize = 4;

/// See the module. Panes are counted from the first one of the ring.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    /// Panes before the first one that there is room for, and how many there is room for. The others are empty.
    skipped: u16,
    room: u16,
    width: u8,
    count_width: u8,
}

/// Sums over a range of panes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RangeSum {
    /// Engagement of these panes, in millionths.
    pub engagement_e6: u64,
    /// Events of these panes.
    pub events: u32,
}

impl RangeSum {
    /// No engagement and no event.
    pub fn is_empty(self) -> bool {
        self.engagement_e6 == 0 && self.events == 0
    }
}

impl Ring {
    /// Adds to each pane of a range; `kept` is how many panes the ring may have.
    #[inline]
    pub(super) fn add(
        &mut self,
        panes: Range<usize>,
        engagement_e6: u64,
        events: u32,
        kept: usize,
    ) {
        if panes.is_empty() || (engagement_e6 == 0 && events == 0) {
            return;
        }
        let skipped = usize::from(self.skipped);
        if panes.start < skipped || panes.end > skipped + usize::from(self.room) {
            self.reach(&panes, kept);
        }
        let skipped = usize::from(self.skipped);
        let places = panes.start - skipped..panes.end - skipped;
        if engagement_e6 > 0 {
            self.add_engagement(places.clone(), engagement_e6);
        }
        if events > 0 {
            for place in places {
                self.add_events(place, events);
            }
        }
    }

    fn add_engagement(&mut self, mut places: Range<usize>, more: u64) {
        loop {
            let done = match self.width {
                4 => add_to_words(&mut self.bytes, places.clone(), more),
                5 => add_to::<5>(&mut self.bytes, places.clone(), more, false),
                8 => add_to::<8>(&mut self.bytes, places.clone(), more, true),
                _ => 0,
            };
            places.start += done;
            if places.is_empty() {
                return;
            }
            self.widen(wider(&WIDTHS, self.width, more), self.count_width);
        }
    }

    fn add_events(&mut self, place: usize, more: u32) {
        let counts = &mut self.bytes[usize::from(self.room) * usize::from(self.width)..];
        if self.count_width == 1 {
            let sum = u32::from(counts[place]).saturating_add(more);
            if let Ok(sum) = u8::try_from(sum) {
                counts[place] = sum;
                return;
            }
            self.widen(self.width, COUNT_WIDTHS[1]);
            return self.add_events(place, more);
        }
        let count = &mut counts.as_chunks_mut::<4>().0[place];
        *count = u32::from_le_bytes(*count)
            .saturating_add(more)
            .to_le_bytes();
    }

    /// Takes from each pane of a range what was added to it.
    pub(super) fn take(&mut self, panes: Range<usize>, engagement_e6: u64) {
        let places = self.places(&panes);
        if places.is_empty() {
            return;
        }
        let width = self.width;
        let (engagements, _) = self.parts_mut();
        match width {
            4 => take_from::<4>(engagements, places, engagement_e6),
            5 => take_from::<5>(engagements, places, engagement_e6),
            8 => take_from::<8>(engagements, places, engagement_e6),
            _ => {}
        }
    }

    /// Sums the panes of a range.
    pub(super) fn sum(&self, panes: Range<usize>) -> RangeSum {
        let places = self.places(&panes);
        if places.is_empty() {
            return RangeSum::default();
        }
        let (engagements, counts) = self.parts();
        let engagement_e6 = match self.width {
            4 => sum_of::<4>(engagements, places.clone()),
            5 => sum_of::<5>(engagements, places.clone()),
            8 => sum_of::<8>(engagements, places.clone()),
            _ => 0,
        };
        let events = match self.count_width {
            1 => sum_of::<1>(counts, places),
            _ => sum_of::<4>(counts, places),
        };
        RangeSum {
            engagement_e6,
            events: u32::try_from(events).unwrap_or(u32::MAX),
        }
    }

    /// Looks at the panes of a range that are not empty: number, engagement and events, the oldest one first.
    pub(super) fn each(&self, panes: Range<usize>, look: impl FnMut(usize, u64, u32)) {
        let places = self.places(&panes);
        if places.is_empty() {
            return;
        }
        match (self.width, self.count_width) {
            (0, 1) => self.each_count::<1>(places, look),
            (0, _) => self.each_count::<4>(places, look),
            (4, 1) => self.each_of::<4, 1>(places, look),
            (4, _) => self.each_of::<4, 4>(places, look),
            (5, 1) => self.each_of::<5, 1>(places, look),
            (5, _) => self.each_of::<5, 4>(places, look),
            (_, 1) => self.each_of::<8, 1>(places, look),
            (_, _) => self.each_of::<8, 4>(places, look),
        }
    }

    #[inline]
    fn each_of<const WIDTH: usize, const COUNT_WIDTH: usize>(
        &self,
        places: Range<usize>,
        mut look: impl FnMut(usize, u64, u32),
    ) {
        let (engagements, counts) = self.parts();
        let engagements = &engagements.as_chunks::<WIDTH>().0[places.clone()];
        let counts = &counts.as_chunks::<COUNT_WIDTH>().0[places.clone()];
        let first = usize::from(self.skipped) + places.start;
        for (pane, (engagement, count)) in (first..).zip(engagements.iter().zip(counts)) {
            let (engagement_e6, events) = (read(engagement), read(count));
            if engagement_e6 | events != 0 {
                look(pane, engagement_e6, events as u32);
            }
        }
    }

    #[inline]
    fn each_count<const COUNT_WIDTH: usize>(
        &self,
        places: Range<usize>,
        mut look: impl FnMut(usize, u64, u32),
    ) {
        let counts = &self.bytes.as_chunks::<COUNT_WIDTH>().0[places.clone()];
        let first = usize::from(self.skipped) + places.start;
        for (pane, count) in (first..).zip(counts) {
            let events = read(count);
            if events != 0 {
                look(pane, 0, events as u32);
            }
        }
    }

    /// Drops panes at the beginning: the next one is the first one then.
    pub(super) fn drop_first(&mut self, panes: u64) {
        let skipped = u64::from(self.skipped);
        if panes <= skipped {
            self.skipped -= panes as u16;
            return;
        }
        self.skipped = 0;
        let room = usize::from(self.room);
        let dropped = usize::try_from(panes - skipped).map_or(room, |dropped| dropped.min(room));
        self.shift(dropped..room, 0);
    }

    /// Bytes of the heap that it takes, about: the allocator has a word of its own, and rounds up to two.
    pub(super) fn heap(&self) -> usize {
        match self.bytes.len() {
            0 => 0,
            bytes => (bytes + 8).next_multiple_of(16),
        }
    }

    /// Has its numbers brought into the cache.
    #[inline]
    pub(super) fn prefetch(&self) {
        prefetch_bytes(&self.bytes);
    }

    /// Where the panes of a range are, as far as there is room for them.
    fn places(&self, panes: &Range<usize>) -> Range<usize> {
        let (skipped, room) = (usize::from(self.skipped), usize::from(self.room));
        let place = |pane: usize| pane.saturating_sub(skipped).min(room);
        place(panes.start)..place(panes.end)
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        let engagements = usize::from(self.room) * usize::from(self.width);
        self.bytes.split_at(engagements)
    }

    fn parts_mut(&mut self) -> (&mut [u8], &mut [u8]) {
        let engagements = usize::from(self.room) * usize::from(self.width);
        self.bytes.split_at_mut(engagements)
    }

    /// Makes room for a range of panes beside those that are not empty.
    #[cold]
    fn reach(&mut self, panes: &Range<usize>, kept: usize) {
        debug_assert!(panes.end <= kept && kept <= usize::from(u16::MAX));
        let (skipped, room) = (usize::from(self.skipped), usize::from(self.room));
        let mut used: Option<Range<usize>> = None;
        self.each(0..usize::MAX, |pane, _, _| {
            used = Some(used.as_ref().map_or(pane, |used| used.start)..pane + 1);
        });
        let from = used
            .as_ref()
            .map_or(panes.start, |used| used.start.min(panes.start));
        let to = used
            .as_ref()
            .map_or(panes.end, |used| used.end.max(panes.end));
        if to - from <= room {
            if let Some(used) = used {
                self.shift(used.start - skipped..used.end - skipped, used.start - from);
            }
            self.skipped = from as u16;
            return;
        }
        // What lies behind the last pane is for those to come.
        let wanted = (to - from).max(2 * room).next_multiple_of(FEWEST);
        let mut new = self.empty(
            wanted.min(kept.max(to - from)),
            self.width,
            self.count_width,
        );
        new.skipped = from as u16;
        if let Some(used) = used {
            let (width, count_width) = (usize::from(self.width), usize::from(self.count_width));
            let places = used.start - skipped..used.end - skipped;
            let ((engagements, counts), (to, to_counts)) = (self.parts(), new.parts_mut());
            copy(engagements, places.clone(), to, used.start - from, width);
            copy(counts, places, to_counts, used.start - from, count_width);
        }
        *self = new;
    }

    #[cold]
    fn widen(&mut self, width: u8, count_width: u8) {
        let mut new = self.empty(self.room.into(), width, count_width);
        new.skipped = self.skipped;
        let skipped = usize::from(self.skipped);
        self.each(0..usize::MAX, |pane, engagement_e6, events| {
            let place = pane - skipped;
            if engagement_e6 > 0 {
                new.add_engagement(place..place + 1, engagement_e6);
            }
            if events > 0 {
                new.add_events(place, events);
            }
        });
        *self = new;
    }

    /// One with room for so many panes.
    fn empty(&self, room: usize, width: u8, count_width: u8) -> Self {
        let count_width = count_width.max(COUNT_WIDTHS[0]);
        let bytes = room * (usize::from(width) + usize::from(count_width));
        Self {
            bytes: vec![0; bytes].into(),
            skipped: 0,
            room: room as u16,
            width,
            count_width,
        }
    }

    /// Moves a range of places so that it begins at `to`; all other places become empty.
    fn shift(&mut self, places: Range<usize>, to: usize) {
        let (width, count_width) = (usize::from(self.width), usize::from(self.count_width));
        let (engagements, counts) = self.parts_mut();
        for (numbers, width) in [(engagements, width), (counts, count_width)] {
            let end = (to + places.len()) * width;
            numbers.copy_within(places.start * width..places.end * width, to * width);
            numbers[..to * width].fill(0);
            numbers[end..].fill(0);
        }
    }
}

fn copy(from: &[u8], places: Range<usize>, to: &mut [u8], place: usize, width: usize) {
    let bytes = &from[places.start * width..places.end * width];
    to[place * width..][..bytes.len()].copy_from_slice(bytes);
}

/// The next wider one of these widths in which a number fits.
fn wider(widths: &[u8], width: u8, number: u64) -> u8 {
    let fits = |w: u8| number.checked_shr(8 * u32::from(w)).unwrap_or(0) == 0;
    let mut wider = widths.iter().copied().filter(|w| *w > width);
    wider.find(|w| fits(*w)).unwrap_or(width)
}

/// Adds to each number of a range up to the first that gets too large for its bytes; answers how many those are.
/// Numbers of the widest kind stay at their largest.
#[inline]
fn add_to<const WIDTH: usize>(
    bytes: &mut [u8],
    places: Range<usize>,
    more: u64,
    is_widest: bool,
) -> usize {
    let largest = u64::MAX >> (64 - 8 * WIDTH);
    let numbers = &mut bytes.as_chunks_mut::<WIDTH>().0[places];
    for (place, number) in numbers.iter_mut().enumerate() {
        let mut sum = read(number).saturating_add(more);
        if sum > largest {
            if !is_widest {
                return place;
            }
            sum = largest;
        }
        number.copy_from_slice(&sum.to_le_bytes()[..WIDTH]);
    }
    numbers.len()
}

/// The same for the usual width. Where no number has its upper bit none overflows, so all are added to at once; what was
/// added is taken back where that does not hold.
fn add_to_words(bytes: &mut [u8], places: Range<usize>, more: u64) -> usize {
    let Ok(word) = u32::try_from(more) else {
        return 0;
    };
    let numbers = &mut bytes.as_chunks_mut::<4>().0[places.clone()];
    if let [number] = numbers {
        let sum = u32::from_le_bytes(*number).checked_add(word);
        *number = sum.map_or(*number, u32::to_le_bytes);
        return usize::from(sum.is_some());
    }
    let mut bits = word;
    for number in numbers.iter_mut() {
        let before = u32::from_le_bytes(*number);
        bits |= before;
        *number = before.wrapping_add(word).to_le_bytes();
    }
    if bits >> 31 == 0 {
        return numbers.len();
    }
    for number in numbers {
        *number = u32::from_le_bytes(*number).wrapping_sub(word).to_le_bytes();
    }
    add_to::<4>(bytes, places, more, false)
}

fn take_from<const WIDTH: usize>(bytes: &mut [u8], places: Range<usize>, less: u64) {
    for number in &mut bytes.as_chunks_mut::<WIDTH>().0[places] {
        let left = read(number).saturating_sub(less);
        number.copy_from_slice(&left.to_le_bytes()[..WIDTH]);
    }
}

#[inline]
fn sum_of<const WIDTH: usize>(bytes: &[u8], places: Range<usize>) -> u64 {
    let numbers = &bytes.as_chunks::<WIDTH>().0[places];
    if WIDTH == 8 {
        return numbers.iter().fold(0, |sum, n| sum.saturating_add(read(n)));
    }
    if WIDTH == 1 {
        let numbers = numbers.as_flattened().iter();
        return numbers.map(|number| u32::from(*number)).sum::<u32>().into();
    }
    // 65,536 numbers of 5 bytes are less than 64 bits can hold.
    numbers.iter().map(read).sum()
}

#[inline]
fn read<const WIDTH: usize>(number: &[u8; WIDTH]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..WIDTH].copy_from_slice(number);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
