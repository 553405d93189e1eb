//! The words of a `spark-submit` command.

use std::collections::BTreeMap;

use crate::convert::model::{Command, Facts, Origin, Text};

/// Options with a setting of the same meaning.
const SETTINGS: [(&str, &str); 9] = [
    ("--num-executors", "spark.executor.instances"),
    ("--executor-memory", "spark.executor.memory"),
    ("--executor-cores", "spark.executor.cores"),
    ("--total-executor-cores", "spark.cores.max"),
    ("--driver-memory", "spark.driver.memory"),
    ("--driver-cores", "spark.driver.cores"),
    ("--name", "spark.app.name"),
    ("--master", "spark.master"),
    ("--queue", "spark.yarn.queue"),
];

/// Options without a value.
const ALONE: [&str; 6] = [
    "--verbose",
    "-v",
    "--supervise",
    "--help",
    "-h",
    "--version",
];

/// Programs that take these options.
const PROGRAMS: [&str; 6] = [
    "spark-submit",
    "spark-submit.sh",
    "spark2-submit",
    "spark3-submit",
    "pyspark",
    "spark-shell",
];

/// Programs that start a source without Spark's own.
const INTERPRETERS: [&str; 3] = ["python", "python3", "python3.11"];

/// Whether a command starts a Spark job somewhere in its words.
pub fn starts_spark(words: &[Text], facts: &Facts) -> bool {
    program(words, facts).is_some()
}

/// Where the program stands that starts the job.
fn program(words: &[Text], facts: &Facts) -> Option<usize> {
    let name = |word: &Text| {
        let word = word.value()?;
        Some(word.rsplit('/').next().unwrap_or_default().to_owned())
    };
    let is = |all: &[&str], word: &Text| name(word).is_some_and(|name| all.contains(&&*name));
    if let Some(at) = words.iter().position(|word| is(&PROGRAMS, word)) {
        return Some(at);
    }
    // `python job.py`, where job.py is one of the files.
    let at = words.iter().position(|word| is(&INTERPRETERS, word))?;
    let mut rest = words[at + 1..]
        .iter()
        .filter(|w| !w.head().starts_with('-'));
    let application = rest.next().and_then(name)?;
    let is_given = |source: &String| {
        *source == application || source.strip_suffix(".py") == application.rsplit('.').next()
    };
    facts.sources.iter().any(is_given).then_some(at)
}

/// Keeps what a command says if it starts a Spark job somewhere in its words. `own` are the variables that are
/// set for it alone.
pub fn read(words: &[Text], own: Vec<(String, Text)>, origin: &Origin, facts: &mut Facts) {
    let Some(program) = program(words, facts) else {
        return;
    };
    let mut command = Command {
        origin: origin.clone(),
        settings: own,
        application: None,
    };
    command.settings.extend(variables(&words[..program]));
    let name = words.get(program).and_then(Text::value).unwrap_or_default();
    match name
        .rsplit('/')
        .next()
        .is_some_and(|n| n.starts_with("python"))
    {
        true => interpreted(&words[program + 1..], &mut command),
        false => options(&words[program + 1..], &mut command, facts),
    }
    facts.commands.push(command);
}

/// `env X=1`, `docker run -e X=1` before the program.
fn variables(words: &[Text]) -> impl Iterator<Item = (String, Text)> {
    let pairs = words.iter().filter_map(|word| word.split('='));
    pairs.map(|(name, value)| {
        let short = name.strip_prefix("-e").filter(|name| !name.is_empty());
        let name = name.strip_prefix("--env=").or(short).unwrap_or(&name);
        (name.to_owned(), value)
    })
}

/// What Python starts, and its arguments.
fn interpreted(words: &[Text], command: &mut Command) {
    let is_option = |word: &Text| word.head().starts_with('-');
    let at = words.iter().position(|word| !is_option(word));
    command.application = at.and_then(|at| {
        let (application, arguments) = words.get(at..)?.split_first()?;
        // `python -m package.job`
        let is_module = words[..at]
            .iter()
            .any(|w| w.value().as_deref() == Some("-m"));
        let name = match (is_module, application.value()) {
            (true, Some(name)) => Text::known(format!(
                "{}.py",
                name.rsplit('.').next().unwrap_or_default()
            )),
            _ => application.clone(),
        };
        Some((name, arguments.to_vec()))
    });
}

/// Options up to the application, and then its arguments.
fn options(words: &[Text], command: &mut Command, facts: &mut Facts) {
    let mut words = words.iter();
    let mut is_open = false;
    while let Some(word) = words.next() {
        let Some(text) = word.value() else {
            match word.split('=') {
                // `--conf=…$X` and `--name=$X` begin with a known text.
                Some((flag, value)) if flag.starts_with('-') => {
                    option(&flag, value, command, facts);
                }
                // Whether it is an option or what is started is not known.
                _ if word.splits => is_open = true,
                _ => {
                    command.application = Some((word.clone(), words.cloned().collect()));
                    break;
                }
            }
            continue;
        };
        if !text.starts_with('-') {
            let is_file = [".py", ".jar", ".zip", ".R", "-shell"]
                .iter()
                .any(|end| text.ends_with(end));
            let arguments = match is_open && !is_file {
                true => vec![Text::words("the words of this command")],
                false => words.cloned().collect(),
            };
            command.application = Some((word.clone(), arguments));
            break;
        }
        if ALONE.contains(&text.as_str()) {
            continue;
        }
        let (flag, own) = match text.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(Text::known(value))),
            None => (text, None),
        };
        let Some(value) = own.or_else(|| words.next().cloned()) else {
            break;
        };
        option(&flag, value, command, facts);
    }
}

fn option(flag: &str, value: Text, command: &mut Command, facts: &mut Facts) {
    if matches!(flag, "--conf" | "-c") {
        command.settings.extend(conf(&value));
    } else if flag == "--properties-file" {
        let (origin, file) = (&command.origin, value.question());
        let note = format!("{origin}: give the file of --properties-file as well: {file}");
        facts.note(note);
    } else if let Some((_, key)) = SETTINGS.iter().find(|(name, _)| *name == flag) {
        command.settings.push(((*key).to_owned(), value));
    }
}

fn conf(pair: &Text) -> Option<(String, Text)> {
    pair.split('=')
        .map(|(key, value)| (key.trim().to_owned(), value))
}

impl Facts {
    /// Keeps what the commands found so far set. Of several, those count that start one of the sources given;
    /// what they say differently is not known.
    pub fn start(&mut self) {
        let all = std::mem::take(&mut self.commands);
        let is_given = |command: &Command| {
            let application = command.application.as_ref();
            let name = application.and_then(|(name, _)| name.value());
            let name = name.as_deref().and_then(|name| name.rsplit('/').next());
            name.is_some_and(|name| self.sources.iter().any(|source| source == name))
        };
        let (given, others): (Vec<_>, Vec<_>) = all.into_iter().partition(is_given);
        let (chosen, left_out) = match given.is_empty() {
            true => (others, Vec::new()),
            false => (given, others),
        };
        for Command { origin, .. } in left_out {
            self.note(format!(
                "{origin}: this command starts none of the files given: it is left out"
            ));
        }
        let differ = |what: &str, at: &Origin, other: &Origin| {
            Text::unknown(format!(
                "{what}, which the commands in {at} and {other} give differently"
            ))
        };
        // Once something is not known it stays so.
        let mut set: BTreeMap<&str, (Text, &Origin)> = BTreeMap::new();
        for Command {
            origin, settings, ..
        } in &chosen
        {
            // The last one of a command counts.
            let own: BTreeMap<&str, &Text> =
                settings.iter().map(|(k, v)| (k.as_str(), v)).collect();
            for (key, value) in own {
                let (known, at) = set.entry(key).or_insert_with(|| (value.clone(), origin));
                if known != value {
                    *known = differ(key, at, origin);
                }
            }
        }
        for (key, (value, origin)) in set {
            let lacks = |command: &&Command| command.settings.iter().all(|(own, _)| own != key);
            let value = match chosen.iter().find(lacks) {
                Some(other) => differ(key, origin, &other.origin),
                None => value,
            };
            self.property(key, value, origin.clone());
        }
        let mut arguments: Option<(Vec<Text>, &Origin)> = None;
        for Command {
            origin,
            application,
            ..
        } in &chosen
        {
            let Some((_, own)) = application else {
                continue;
            };
            let Some((known, at)) = &mut arguments else {
                arguments = Some((own.clone(), origin));
                continue;
            };
            for number in 0..known.len().max(own.len()) {
                let ask = differ(&format!("argument {}", number + 1), at, origin);
                let is_value = |word: &Text| !word.splits && !word.head().starts_with('-');
                match (known.get_mut(number), own.get(number)) {
                    (Some(one), Some(other)) if one == other => {}
                    (Some(one), Some(other)) if is_value(one) && is_value(other) => *one = ask,
                    // From here on which word means what is not known.
                    _ => {
                        known.truncate(number);
                        known.push(Text {
                            splits: true,
                            ..ask
                        });
                        break;
                    }
                }
            }
        }
        if let Some((arguments, _)) = arguments {
            self.arguments = arguments;
        }
    }

    /// Keeps what a file that is no container's has set.
    pub fn set_outside(&mut self, file: &str) {
        let own = self
            .environment
            .iter()
            .filter(|(_, s)| s.origin.file == file);
        let own = own.map(|(name, setting)| (name.clone(), setting.value.clone()));
        self.outside.extend(own);
    }
}
