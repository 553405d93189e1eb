//! Listens to the messages that executors take: none of a term after one of a newer term, and no assignment once they
//! know that they drain, until they hear that they no longer do.

use std::collections::{BTreeMap, BTreeSet};
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
    /// The lives of executors that drain.
    drain: BTreeSet<String>,
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
            state.problem(format!(
                "executor {executor} obeyed term {term} after term {before}"
            ));
        }
        match said.drains {
            Some(true) => {
                state.drain.insert(executor);
            }
            Some(false) => {
                state.drain.remove(&executor);
            }
            None if said.assigns && state.drain.contains(&executor) => {
                state.problem(format!(
                    "executor {executor} got partitions while it drained"
                ));
            }
            None => {}
        }
    }
}

impl State {
    fn problem(&mut self, what: String) {
        if !self.problems.contains(&what) {
            self.problems.push(what);
        }
    }
}

#[derive(Default)]
struct Said {
    incarnation: Option<String>,
    term: Option<u64>,
    assigns: bool,
    drains: Option<bool>,
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "term" {
            self.term = Some(value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        match field.name() {
            "assigns" => self.assigns = value,
            "drains" => self.drains = Some(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "incarnation" {
            self.incarnation = Some(format!("{value:?}"));
        }
    }
}
