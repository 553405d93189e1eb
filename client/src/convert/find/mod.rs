//! What sources say about a Spark job: settings, streams, Redis connections, timing.
//!
//! | file | does |
//! |---|---|
//! | `streams` | chains of calls from `readStream` to `load` |
//! | `redis` | clients of Redis |
//! | `habits` | columns and keys |
//! | `commands` | commands that sources start |

pub mod commands;
mod habits;
mod redis;
mod streams;

use super::eval::{Evaluator, Place, World};
use super::model::{Facts, Setting, Text};
use super::names;
use super::syntax::{Argument, Change, Expr, Kind, Program};

/// Most facts of one kind: sources are input.
pub(super) const MAX_FACTS: usize = 1_000;

/// Adds what sources say to what other files said.
pub fn find(programs: &[Program], facts: &mut Facts) {
    let (environment, arguments) = (facts.environment.clone(), facts.arguments.clone());
    let world = World {
        programs,
        environment: &environment,
        arguments: &arguments,
    };
    let mut finder = Finder {
        world,
        eval: Evaluator::new(world),
        facts,
    };
    for (index, program) in programs.iter().enumerate() {
        for (scope, order, expr) in program.expressions() {
            let place = Place {
                program: index,
                scope,
                order,
            };
            expr.walk(&mut |e| finder.expression(e, place));
        }
        finder.submit_arguments(program, index);
    }
    finder.streams();
    finder.selected();
    if finder.eval.is_exhausted() {
        let note = "the sources are too large to follow every name: look for FILL-IN";
        facts.note(note.to_owned());
    }
}

struct Finder<'a, 'f> {
    world: World<'a>,
    eval: Evaluator<'a>,
    facts: &'f mut Facts,
}

impl<'a> Finder<'a, '_> {
    /// Keeps what one expression says by itself.
    fn expression(&mut self, expr: &'a Expr, place: Place) {
        let Kind::Call(callee, arguments) = &expr.kind else {
            return;
        };
        let Some(name) = callee.last_name() else {
            return;
        };
        match (name, &arguments[..]) {
            ("appName" | "setAppName", [app, ..]) => {
                let setting = self.eval.setting("spark.app.name", &app.value, place);
                let before = self.facts.app_name.take();
                self.facts.app_name = Some(differing(before, setting));
            }
            ("config" | "set", [key, value, ..]) if key.name.is_none() => {
                self.spark_setting(&key.value, &value.value, place);
            }
            ("setIfMissing", [key, value, ..]) => {
                let key_text = self.eval.eval(&key.value, place).to_text().value();
                let is_set = key_text.is_some_and(|key| self.facts.spark.contains_key(&key));
                if !is_set {
                    self.spark_setting(&key.value, &value.value, place);
                }
            }
            ("config" | "setAll", [all, ..]) => self.spark_settings(&all.value, place),
            ("option", [key, value]) => self.checkpoint(&key.value, &value.value, place),
            ("options", all) => self.checkpoints(all, place),
            ("withWatermark", [_, delay]) => self.timing("watermark", &delay.value, place),
            ("window", [_, window, rest @ ..]) if callee.path().is_some() => {
                self.window(&window.value, rest.first(), place);
            }
            ("trigger", [trigger, ..]) => self.trigger(trigger, place),
            ("createDirectStream" | "createStream", _) => {
                let origin = self.eval.origin(expr, place);
                self.facts.note(format!(
                    "{origin}: {name} makes a DStream: only Structured Streaming is read"
                ));
            }
            _ => {}
        }
        self.start_option(name, arguments, place);
        self.redis_client(expr, callee, name, arguments, place);
        self.redis_login(callee, name, arguments, place);
        self.habit(expr, callee, name, arguments, place);
        self.lookup(expr, place);
    }

    fn spark_setting(&mut self, key: &'a Expr, value: &'a Expr, place: Place) {
        let Some(key) = self.eval.eval(key, place).to_text().value() else {
            return;
        };
        self.eval.take_notes();
        if key.starts_with("spark.") {
            let setting = self.eval.setting(&key, value, place);
            self.keep_spark_setting(key, setting);
        }
    }

    /// What a source sets counts more than a command; of two that differ, it is not known which is executed.
    fn keep_spark_setting(&mut self, key: String, setting: Setting) {
        if self.facts.spark.len() >= MAX_FACTS {
            return;
        }
        let is_of_source = |before: &Setting| {
            let mut programs = self.world.programs.iter();
            programs.any(|p| p.file == before.origin.file)
        };
        let before = self.facts.spark.get(&key).cloned();
        let before = before.filter(is_of_source);
        self.facts.spark.insert(key, differing(before, setting));
    }

    /// `config(map={…})`, `setAll([("a", "b")])`.
    fn spark_settings(&mut self, all: &'a Expr, place: Place) {
        let mut map = super::eval::Value::Map(Vec::new());
        map.merge(self.eval.eval(all, place));
        for (key, setting) in self.entries(&map, all, place) {
            if key.starts_with("spark.") {
                self.keep_spark_setting(key, setting);
            }
        }
    }

    /// The entries of a map as settings.
    fn entries(
        &mut self,
        map: &super::eval::Value,
        at: &'a Expr,
        place: Place,
    ) -> Vec<(String, Setting)> {
        let notes = self.eval.take_notes();
        let super::eval::Value::Map(entries) = map else {
            return Vec::new();
        };
        let settings = entries.iter().filter_map(|entry| {
            let key = entry.key.clone()?;
            let mut origin = self.eval.origin(at, place);
            if entry.line > 0 {
                origin.line = entry.line;
            }
            let value = entry.value.to_text();
            let setting = Setting {
                key: key.clone(),
                value,
                origin,
                notes: Vec::new(),
            };
            Some((key, setting))
        });
        let mut settings: Vec<_> = settings.take(MAX_FACTS).collect();
        // Which entry a default belongs to stands in the note itself.
        if let Some((_, first)) = settings.first_mut() {
            first.notes = notes;
        }
        settings
    }

    fn checkpoint(&mut self, key: &'a Expr, value: &'a Expr, place: Place) {
        let is_it = matches!(&key.kind, Kind::Literal(k) if k.eq_ignore_ascii_case("checkpointLocation"))
            || (matches!(key.kind, Kind::Name(_) | Kind::Member(..))
                && self.eval.eval(key, place).to_text().value().as_deref()
                    == Some("checkpointLocation"));
        if is_it && self.facts.checkpoints.len() < MAX_FACTS {
            let setting = self.eval.setting("checkpointLocation", value, place);
            self.facts.checkpoints.push(setting);
        }
    }

    fn checkpoints(&mut self, arguments: &'a [Argument], place: Place) {
        let map = self.eval.dictionary(arguments, place);
        let Some(first) = arguments.first() else {
            return;
        };
        for (key, setting) in self.entries(&map, &first.value, place) {
            if key.eq_ignore_ascii_case("checkpointLocation")
                && self.facts.checkpoints.len() < MAX_FACTS
            {
                self.facts.checkpoints.push(setting);
            }
        }
    }

    /// `start(checkpointLocation=…)`, `toTable(…, checkpointLocation=…)`.
    fn start_option(&mut self, name: &str, arguments: &'a [Argument], place: Place) {
        let given = arguments
            .iter()
            .find(|a| a.name.as_deref() == Some("checkpointLocation"));
        if let Some(given) = given.filter(|_| name != "options") {
            let setting = self.eval.setting("checkpointLocation", &given.value, place);
            self.facts.checkpoints.push(setting);
        }
    }

    fn timing(&mut self, key: &str, value: &'a Expr, place: Place) {
        if self.facts.timing.len() < MAX_FACTS {
            let setting = self.eval.setting(key, value, place);
            self.facts.timing.push(setting);
        }
    }

    fn window(&mut self, window: &'a Expr, slide: Option<&'a Argument>, place: Place) {
        self.timing("window", window, place);
        if let Some(slide) = slide {
            self.timing("window slide", &slide.value, place);
        }
    }

    /// `trigger(processingTime="10 seconds")`, `trigger(Trigger.ProcessingTime("10 seconds"))`.
    fn trigger(&mut self, trigger: &'a Argument, place: Place) {
        let key = |kind: &str| format!("trigger {kind}");
        match (&trigger.name, &trigger.value.kind) {
            (Some(kind), _) => self.timing(&key(kind), &trigger.value, place),
            (None, Kind::Call(callee, arguments)) => {
                let kind = callee.last_name().unwrap_or("interval").to_owned();
                match arguments.first() {
                    Some(interval) => self.timing(&key(&kind), &interval.value, place),
                    None => self.timing(&key(&kind), &trigger.value, place),
                }
            }
            (None, _) => self.timing("trigger", &trigger.value, place),
        }
    }

    /// Defaults of environment look-ups that say something about the job even if a function that was
    /// not understood uses them.
    fn lookup(&mut self, expr: &'a Expr, place: Place) {
        let Some(name) = self.eval.environment_name(expr, place) else {
            return;
        };
        if names::all().any(|known| known == name) {
            let setting = self.eval.setting(&name, expr, place);
            if setting.value.value().is_some() {
                self.facts.lookups.insert(name, setting);
            }
        }
        self.eval.take_notes();
    }

    /// `os.environ["PYSPARK_SUBMIT_ARGS"] = "--conf a=b pyspark-shell"`.
    fn submit_arguments(&mut self, program: &'a Program, index: usize) {
        for binding in program.bindings.iter().filter(|b| b.name == "os.environ") {
            let Change::Insert(key) = &binding.change else {
                continue;
            };
            if !matches!(&key.kind, Kind::Literal(k) if k == "PYSPARK_SUBMIT_ARGS") {
                continue;
            }
            let place = Place {
                program: index,
                scope: binding.scope,
                order: binding.order,
            };
            if let Some(text) = self.eval.eval(&binding.value, place).to_text().value() {
                let line = format!("pyspark {text}");
                super::front::shell::read(&program.file, &line, binding.value.line, self.facts);
                self.facts.start();
            }
        }
    }
}

/// A setting that there was before with another value: which one counts is not known.
fn differing(before: Option<Setting>, mut setting: Setting) -> Setting {
    if let Some(before) = before.filter(|before| before.value != setting.value) {
        let question = format!(
            "{}, which {} and {} set differently",
            setting.key, before.origin, setting.origin
        );
        setting.value = Text::unknown(question);
    }
    setting
}
