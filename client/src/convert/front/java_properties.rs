//! Properties files: `spark-defaults.conf` and what `--properties-file` names.

use crate::convert::model::{Facts, Origin, Setting, Text};

/// Most lines that one setting may continue over.
const MAX_LINES: usize = 1_000;

/// Keeps the settings of Spark in a properties file.
pub fn read(file: &str, source: &str, facts: &mut Facts) {
    let mut lines = source.lines().enumerate();
    while let Some((number, first)) = lines.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = first.to_owned();
        for _ in 0..MAX_LINES {
            let slashes = whole.bytes().rev().take_while(|b| *b == b'\\').count();
            if slashes % 2 == 0 {
                break;
            }
            whole.pop();
            match lines.next() {
                Some((_, next)) => whole.push_str(next.trim_start()),
                None => break,
            }
        }
        let (key, value) = pair(&whole);
        let origin = Origin {
            file: file.to_owned(),
            line: number + 1,
        };
        // `${env:X}` is filled in by Spark.
        let value = match value.contains("${") {
            true => Text::unknown(value.trim_end()),
            false => Text::known(value.trim_end()),
        };
        facts.property(&key, value, origin);
    }
}

/// Key and value: separated by `=`, `:` or blanks, which a backslash escapes.
fn pair(line: &str) -> (String, String) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let ends = !escaped && (matches!(c, '=' | ':') || c.is_whitespace());
        escaped = c == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start();
    (
        super::strings::unescaped(key),
        super::strings::unescaped(rest),
    )
}

impl Facts {
    /// Keeps a property or an environment variable; others say nothing about the job.
    pub fn property(&mut self, key: &str, value: Text, origin: Origin) {
        let setting = Setting {
            key: key.to_owned(),
            value,
            origin,
            notes: Vec::new(),
        };
        let is_variable = |key: &str| {
            key.starts_with(|c: char| c.is_ascii_uppercase())
                && key
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        };
        let driver = [
            "spark.kubernetes.driverEnv.",
            "spark.yarn.appMasterEnv.",
            "spark.executorEnv.",
        ]
        .iter()
        .find_map(|prefix| key.strip_prefix(prefix));
        if let Some(name) = driver {
            self.variable(name, setting.value, setting.origin);
        } else if key.starts_with("spark.") {
            self.spark.insert(key.to_owned(), setting);
        } else if is_variable(key) {
            self.environment.insert(key.to_owned(), setting);
        }
    }

    /// Keeps an environment variable, in whatever case it is written.
    pub fn variable(&mut self, name: &str, value: Text, origin: Origin) {
        let setting = Setting {
            key: name.to_owned(),
            value,
            origin,
            notes: Vec::new(),
        };
        let own = self.environment.get(name);
        let own =
            own.filter(|own| self.containers.contains_key(name) && own.value != setting.value);
        if let Some(own) = own {
            let (at, origin) = (&own.origin, &setting.origin);
            let note = format!(
                "{origin}: {name} is what its container sets in {at}, not what stands here"
            );
            return self.note(note);
        }
        self.environment.insert(name.to_owned(), setting);
    }
}
