//! Commands that sources start: operators of Airflow, tasks of Databricks and EMR, subprocesses.

use super::MAX_FACTS;
use crate::convert::eval::{Evaluator, Place, Value, World};
use crate::convert::front::{command_line, shell};
use crate::convert::model::{Command, Facts, Piece, Text};
use crate::convert::syntax::{Argument, Expr, Kind, Program};

/// Arguments of Airflow's operator with a setting of the same meaning.
const SETTINGS: [(&str, &str); 6] = [
    ("name", "spark.app.name"),
    ("num_executors", "spark.executor.instances"),
    ("executor_memory", "spark.executor.memory"),
    ("executor_cores", "spark.executor.cores"),
    ("total_executor_cores", "spark.cores.max"),
    ("driver_memory", "spark.driver.memory"),
];

/// Keys under which tasks keep what they start, and its arguments.
const TASKS: [(&str, &str); 4] = [
    ("python_file", "parameters"),
    ("main_python_file_uri", "args"),
    ("main_class_name", "parameters"),
    ("entryPoint", "entryPointArguments"),
];

/// Functions that start what their first argument says.
const STARTING: [&str; 7] = [
    "os.system",
    "subprocess.run",
    "subprocess.call",
    "subprocess.check_call",
    "subprocess.check_output",
    "subprocess.Popen",
    "os.popen",
];

/// Keeps the commands that sources start.
pub fn commands(programs: &[Program], facts: &mut Facts) {
    let environment = facts.environment.clone();
    let world = World {
        programs,
        environment: &environment,
        arguments: &[],
    };
    let mut finder = Starter {
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
    }
}

struct Starter<'a, 'f> {
    eval: Evaluator<'a>,
    facts: &'f mut Facts,
}

impl<'a> Starter<'a, '_> {
    fn expression(&mut self, expr: &'a Expr, place: Place) {
        if self.facts.commands.len() >= MAX_FACTS {
            return;
        }
        match &expr.kind {
            Kind::Call(callee, arguments) => {
                let name = callee.last_name().unwrap_or_default();
                let path = self.eval.full_path(callee, place).unwrap_or_default();
                let by_name = ["bash_command", "command", "cmd"];
                let script = by_name.iter().find_map(|name| named(arguments, name));
                if name.contains("SparkSubmit") && named(arguments, "application").is_some() {
                    self.operator(expr, arguments, place);
                } else if STARTING.contains(&path.as_str()) {
                    if let Some(first) = arguments.first().filter(|a| a.name.is_none()) {
                        self.script(&first.value, arguments, place);
                    }
                } else if let Some(script) = script {
                    self.script(script, arguments, place);
                }
            }
            Kind::List(items) => {
                let is_submit =
                    |e: &Expr| matches!(&e.kind, Kind::Literal(w) if w.ends_with("spark-submit"));
                if items.iter().any(is_submit) {
                    let words = self.words(Some(expr), place);
                    let origin = self.eval.origin(expr, place);
                    command_line::read(&words, Vec::new(), &origin, self.facts);
                }
            }
            Kind::Map(pairs) => self.task(expr, pairs, place),
            _ => {}
        }
    }

    /// `SparkSubmitOperator(application="job.py", application_args=[…], conf={…}, env_vars={…})`.
    fn operator(&mut self, expr: &'a Expr, arguments: &'a [Argument], place: Place) {
        let origin = self.eval.origin(expr, place);
        let mut command = Command {
            origin: origin.clone(),
            settings: Vec::new(),
            application: None,
        };
        for (name, key) in SETTINGS {
            if let Some(value) = named(arguments, name) {
                let value = self.text(value, place);
                command.settings.push((key.to_owned(), value));
            }
        }
        for name in ["conf", "env_vars"] {
            if let Some(map) = named(arguments, name) {
                let settings = self.entries(map, place);
                command.settings.extend(settings);
            }
        }
        let application = named(arguments, "application").map(|a| self.text(a, place));
        let mut words = self.words(named(arguments, "application_args"), place);
        if arguments.iter().any(|a| a.spread) && words.is_empty() {
            words.push(Text::words(format!("the arguments in {origin}")));
        }
        command.application = application.map(|application| (application, words));
        self.facts.commands.push(command);
    }

    /// `BashOperator(bash_command="spark-submit job.py", env={…})`, `os.system("…")`.
    fn script(&mut self, script: &'a Expr, arguments: &'a [Argument], place: Place) {
        let text = match self.eval.eval(script, place) {
            Value::Text(text) => text,
            // A list of words is a command by itself.
            _ => return,
        };
        let known = text.pieces.iter().any(|piece| {
            matches!(piece, Piece::Known(text) if text.contains("-submit") || text.contains("python"))
        });
        if !known {
            return;
        }
        let origin = self.eval.origin(script, place);
        let before = self.facts.commands.len();
        // What such a script sets is not what the source around it reads.
        let around = self.facts.environment.clone();
        shell::read_parts(&origin.file, &text, origin.line, self.facts);
        self.facts.environment = around;
        let mut own = Vec::new();
        for name in ["env", "environment"] {
            if let Some(map) = named(arguments, name) {
                own.extend(self.entries(map, place));
            }
        }
        for command in self.facts.commands.iter_mut().skip(before) {
            let set = std::mem::take(&mut command.settings);
            command.settings = own.iter().cloned().chain(set).collect();
        }
        self.eval.take_notes();
    }

    /// `{"python_file": "job.py", "parameters": […]}`.
    fn task(&mut self, expr: &'a Expr, pairs: &'a [(Option<Expr>, Expr)], place: Place) {
        let get = |name: &str| {
            let is_it = |key: &Expr| matches!(&key.kind, Kind::Literal(k) if k == name);
            let mut all = pairs.iter();
            all.find(|(key, _)| key.as_ref().is_some_and(is_it))
                .map(|(_, value)| value)
        };
        for (file, arguments) in TASKS {
            let Some(file) = get(file) else { continue };
            let application = self.text(file, place);
            let words = self.words(get(arguments), place);
            let mut settings = Vec::new();
            for name in ["properties", "spark_conf"] {
                if let Some(map) = get(name) {
                    settings.extend(self.entries(map, place));
                }
            }
            self.facts.commands.push(Command {
                origin: self.eval.origin(expr, place),
                settings,
                application: Some((application, words)),
            });
        }
    }

    fn text(&mut self, expr: &'a Expr, place: Place) -> Text {
        let text = self.eval.eval(expr, place).to_text();
        self.eval.take_notes();
        text.filled()
    }

    /// The entries of a map of settings or variables.
    fn entries(&mut self, map: &'a Expr, place: Place) -> Vec<(String, Text)> {
        let value = self.eval.eval(map, place);
        self.eval.take_notes();
        let Value::Map(entries) = value else {
            return Vec::new();
        };
        let known = entries.into_iter().filter_map(|entry| {
            let key = entry.key?;
            Some((key, entry.value.to_text().filled()))
        });
        known.take(MAX_FACTS).collect()
    }

    /// The words of a list; one that is not known may hold any.
    fn words(&mut self, list: Option<&'a Expr>, place: Place) -> Vec<Text> {
        let Some(list) = list else { return Vec::new() };
        let value = self.eval.eval(list, place);
        self.eval.take_notes();
        match value {
            Value::List(items) => items.iter().map(|item| item.to_text().filled()).collect(),
            Value::Null => Vec::new(),
            other => vec![Text::words(other.to_text().source)],
        }
    }
}

fn named<'e>(arguments: &'e [Argument], name: &str) -> Option<&'e Expr> {
    let mut all = arguments.iter();
    all.find(|a| a.name.as_deref() == Some(name))
        .map(|a| &a.value)
}
