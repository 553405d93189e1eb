//! Listens to whose messages executors take: none of a term after one of a newer term.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer};

/// Where an executor says what it takes.
const TARGET: &str = "kol_executor::session";

/// See the module; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Obeyed(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// The newest term of each life of an executor.
    newest: BTreeMap<String, u64>,
    problems: Vec<String>,
}

impl Obeyed {
    /// What it is to hear.
    pub fn filter() -> Targets {
        Targets::new().with_target(TARGET, LevelFilter::TRACE)
    }

    /// What was taken and should not have been.
    pub fn problems(&self) -> Vec<String> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.problems.clone()
    }
}

impl<S: Subscriber> Layer<S> for Obeyed {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let (Some(executor), Some(term)) = (said.incarnation, said.term) else {
            return;
        };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = state.newest.entry(executor.clone()).or_default();
        let before = std::mem::replace(newest, term.max(*newest));
        if term < before {
            let problem = format!("executor {executor} obeyed term {term} after term {before}");
            if !state.problems.contains(&problem) {
                state.problems.push(problem);
            }
        }
    }
}

#[derive(Default)]
struct Said {
    incarnation: Option<String>,
    term: Option<u64>,
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "term" {
            self.term = Some(value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "incarnation" {
            self.incarnation = Some(format!("{value:?}"));
        }
    }
}
