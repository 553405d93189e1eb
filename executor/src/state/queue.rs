//! Events that were admitted to the state and wait to be applied ([`batch`](super::batch)).

use super::consumers::KolIndex;
use super::platforms::PlatformIndex;
use super::reading::Entity;

/// Events that were admitted and not applied.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) events: Vec<Admitted>,
    pub(super) text: String,
}

/// An event that counts.
#[derive(Debug)]
pub(super) struct Admitted {
    /// Likes, comments, shares and views; of a profile whose counters are lifetime totals, followers. [`MISSING`] where
    /// there is none.
    pub(super) counters: [u64; 4],
    pub(super) time: u64,
    /// The oldest time that counted when it came, and the end of the window.
    pub(super) oldest: u64,
    pub(super) window_end: u64,
    /// When the video was made; [`MISSING`] where that is not known.
    pub(super) published: u64,
    /// See [`super::kols::Kols::hash`].
    pub(super) hash: u64,
    pub(super) platform: PlatformIndex,
    pub(super) name: Part,
    pub(super) video: Video,
    /// Where its KOL and its reading are, if they are there already.
    pub(super) kol: Option<KolIndex>,
    pub(super) reading: Option<u32>,
    /// See [`super::readings::Readings::hash`]; only while it is looked up.
    pub(super) reading_hash: Option<u64>,
}

/// An [`Entity`] in the queue.
#[derive(Debug)]
pub(super) enum Video {
    None,
    /// The two halves of a key.
    Key([u64; 2]),
    Long(Part),
}

/// A part of the text of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part(u32, u32);

impl Part {
    fn of(self, text: &str) -> &str {
        &text[self.0 as usize..self.1 as usize]
    }
}

impl Admitted {
    /// Name of its KOL.
    pub(super) fn name<'q>(&self, text: &'q str) -> &'q str {
        self.name.of(text)
    }

    /// What it is a reading of.
    pub(super) fn entity<'q>(&self, text: &'q str) -> Entity<'q> {
        match self.video {
            Video::None => Entity::Profile,
            Video::Key([low, high]) => Entity::Key(u128::from(high) << 64 | u128::from(low)),
            Video::Long(id) => Entity::Long(id.of(text)),
        }
    }
}

impl Queue {
    /// Memory held, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.events.capacity() * size_of::<Admitted>() + self.text.capacity()
    }

    /// Keeps a text until the events are applied.
    pub(super) fn keep(&mut self, text: &str) -> Part {
        let from = self.text.len() as u32;
        self.text.push_str(text);
        Part(from, self.text.len() as u32)
    }
}
