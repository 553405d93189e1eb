//! Keeps secrets out of what is written and said.

use std::collections::BTreeSet;

/// Longest expression or value that is shown.
const LONGEST: usize = 160;

/// Words in names of settings whose values are secrets.
const WORDS: [&str; 14] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "credential",
    "jaas",
    "apikey",
    "api_key",
    "api.key",
    "access.key",
    "access_key",
    "private",
];

/// Whether a name, or a text with names in it, speaks of a secret.
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let whole_words = name
        .split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| matches!(word, "auth" | "pass" | "pw" | "key" | "sas"));
    whole_words || WORDS.iter().any(|word| name.contains(word))
}

/// A text on one line, not too long, without logins of URLs; without literals where it speaks of secrets.
pub fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    let line = without_login(&line);
    let line = if is_secret(&line) {
        without_literals(&line)
    } else {
        line
    };
    if line.chars().count() <= LONGEST {
        return line;
    }
    let mut short: String = line.chars().take(LONGEST).collect();
    short.push('…');
    short
}

/// Shortest text that is taken for a secret: shorter ones stand everywhere.
const SHORTEST: usize = 4;

/// The secrets that stand in a setting: its value, where all of it is known, the passwords of URLs and of logins.
/// In `known` there is a NUL for each part that is not.
pub fn of_setting(key: &str, known: &str) -> Vec<String> {
    let mut found = Vec::new();
    if is_secret(key) && !key.contains("jaas") {
        found.push(known.to_owned());
    }
    let login = known
        .split_once("://")
        .and_then(|(_, rest)| rest.rsplit_once('@'))
        .and_then(|(login, _)| login.split_once(':'));
    found.extend(login.map(|(_, password)| password.to_owned()));
    for (at, word) in known.match_indices("password") {
        let rest = known[at + word.len()..].trim_start();
        let value = rest.strip_prefix('=').map(str::trim_start);
        let quoted = value.and_then(|v| Some((v.chars().next()?, v.get(1..)?)));
        let (quote, inner) = quoted.unwrap_or((' ', ""));
        found.extend(inner.split(quote).next().map(str::to_owned));
    }
    let known = |text: &String| text.len() >= SHORTEST && !text.contains('\0');
    found.retain(known);
    found
}

/// A text without any of these.
pub fn without(text: &str, secrets: &BTreeSet<String>) -> String {
    let mut out = text.to_owned();
    // Longer ones first: one may stand in another.
    let mut secrets: Vec<&String> = secrets.iter().collect();
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    for secret in secrets {
        if out.contains(secret.as_str()) {
            out = out.replace(secret.as_str(), "…");
        }
    }
    out
}

/// Replaces `//login@` of URLs by `//…@`.
fn without_login(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("//") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        let end = after
            .find(|c: char| matches!(c, '/' | '"' | '\'' | ',') || c.is_whitespace())
            .unwrap_or(after.len());
        // A password may itself contain `@`: the last one ends the login.
        rest = match after.rfind('@') {
            Some(login) if login < end || after[..login].contains(':') => {
                out.push('…');
                &after[login..]
            }
            _ => after,
        };
    }
    out.push_str(rest);
    out
}

/// Replaces what stands in quotes, and what follows an equals sign.
fn without_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut after_equals = false;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => {
                quote = None;
                out.push('…');
                out.push(c);
            }
            Some(_) => {}
            None if matches!(c, '"' | '\'') => {
                quote = Some(c);
                after_equals = false;
                out.push(c);
            }
            None if c == '=' => {
                after_equals = true;
                out.push_str("=…");
            }
            None if after_equals && !matches!(c, ' ' | ',' | ')' | ';') => {}
            None => {
                after_equals = false;
                out.push(c);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_texts_hold_no_password() {
        for text in [
            "redis://:hunter2@cache:6379/0",
            "redis://me:hunter2@cache",
            "f\"redis://:hunter2@{host}\"",
            "redis://:hun/hunter2@cache:6379",
            "login(password=\"hunter2\")",
            "login(password=hunter2)",
            "decrypt_secret('hunter2')",
            "-Djavax.net.ssl.trustStorePassword=hunter2",
            "password = 'a\nhunter2'",
        ] {
            assert!(!shown(text).contains("hunter2"), "{}", shown(text));
        }
    }

    #[test]
    fn names_of_secrets_are_noticed_and_others_are_not() {
        for name in [
            "spark.redis.auth",
            "REDIS_PASSWORD",
            "sasl.jaas.config",
            "DB_PASS",
            "API_TOKEN",
            "fs.s3a.access.key",
            "ACCOUNT_KEY",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in [
            "REDIS_HOST",
            "spark.sql.shuffle.partitions",
            "spark.executor.memory",
            "author",
            "keyspace",
            "bypass",
        ] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
