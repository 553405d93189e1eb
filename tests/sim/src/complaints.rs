//! Listens to what the product logs: an ERROR is a bug, whatever else comes out right; and so is a state
//! file that is not what was written, unless somebody damaged one; and so is an executor that obeys a master whose term
//! is over.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use kol_common::Millis;
use kol_common::checkpoint::DAMAGED;
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::{EnvFilter, Layer};

use super::obeyed::Obeyed;

/// Variable that says what is written to standard error, such as `info`.
const LOG: &str = "KOL_SIM_LOG";
/// Complaints that are kept.
const MOST: usize = 20;

/// What was logged, and should not have been.
#[derive(Clone, Debug, Default)]
pub struct Complaints {
    said: Arc<Mutex<Vec<Said>>>,
    obeyed: Obeyed,
}

/// One of them.
#[derive(Debug)]
struct Said {
    text: String,
    /// It is about a state file.
    damage: bool,
}

impl Complaints {
    /// Listens on this thread until the guard is dropped.
    pub fn listen() -> (Self, DefaultGuard) {
        let complaints = Self::default();
        let listener = complaints.clone().with_filter(LevelFilter::WARN);
        let shown = std::env::var(LOG).ok().map(|filter| {
            tracing_subscriber::fmt::layer()
                .with_timer(VirtualTime)
                .with_writer(std::io::stderr)
                .with_filter(EnvFilter::new(filter))
        });
        let obeyed = complaints.obeyed.clone().with_filter(Obeyed::filter());
        let all = tracing_subscriber::registry()
            .with(listener)
            .with(obeyed)
            .with(shown);
        (complaints, tracing::subscriber::set_default(all))
    }

    /// What was said; but not about damaged state, where that was to be expected.
    pub fn take(&self, damage_expected: bool) -> Vec<String> {
        let mut all = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = std::mem::take(&mut *all).into_iter();
        let said = said.filter(|said| !(said.damage && damage_expected));
        let obeyed = self.obeyed.problems();
        said.map(|said| said.text).chain(obeyed).collect()
    }
}

impl<S: Subscriber> Layer<S> for Complaints {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut text = Text(format!("{} says:", event.metadata().target()));
        event.record(&mut text);
        let damage = text.0.contains(DAMAGED);
        let mut all = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if (damage || *event.metadata().level() == Level::ERROR) && all.len() < MOST {
            all.push(Said {
                text: text.0,
                damage,
            });
        }
    }
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _a_string_takes_all = write!(self.0, " {}={value:?}", field.name());
    }
}

struct VirtualTime;

impl FormatTime for VirtualTime {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        w.write_str(&Millis::now().iso())
    }
}
