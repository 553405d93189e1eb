//! Events for the tests of partitions' parts.

use std::borrow::Cow;

use kol_common::event::Event;

/// The first reading of the only video of a creator.
pub(super) fn event(kol: &str) -> Event<'_> {
    Event {
        platform: Cow::Borrowed("tiktok"),
        kol: Cow::Borrowed(kol),
        video_id: Some(Cow::Borrowed("v")),
        event_time: None,
        time_unreadable: false,
        published: None,
        likes: Some(1),
        comments: None,
        shares: None,
        views: None,
        followers: None,
    }
}
