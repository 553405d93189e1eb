//! The one way out: all that commands print passes here. Names of creators, keys and values of records, and what
//! servers answer are input; a terminal obeys what stands in them unless it is made visible.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;

use serde_json::Value;

/// A text on one line: characters that control a terminal, turn the direction of writing or cannot be seen
/// stand there as their escapes.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_invisible)
}

/// Whether a character controls a terminal, turns the direction of writing or cannot be seen. Joiners can
/// stay: scripts and pictures need them.
pub fn is_invisible(c: char) -> bool {
    let marks = matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}'..='\u{200f}'
    );
    let lines_and_embeddings = matches!(c, '\u{2028}'..='\u{202e}');
    let isolates = matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}');
    c.is_control() || marks || lines_and_embeddings || isolates
}

/// One text a line.
pub fn lines(texts: &[String]) -> String {
    texts.iter().map(|text| visible(text) + "\n").collect()
}

/// Prints a text of one or several lines.
///
/// # Errors
/// Standard output is closed or full.
pub fn text(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(without_commands(text).as_bytes())?;
    out.flush()
}

/// Prints a line.
///
/// # Errors
/// Standard output is closed or full.
pub fn line(line: &str) -> std::io::Result<()> {
    text(&format!("{line}\n"))
}

/// Prints a JSON value on a line.
///
/// # Errors
/// Standard output is closed or full.
pub fn json(value: &Value) -> std::io::Result<()> {
    line(&json_text(value))
}

/// Prints what people should know beside the output. Further lines are indented: none passes for another note.
pub fn note(text: &str) {
    let text = paragraph(text);
    // Where this cannot be written nothing can be said.
    let _nobody_reads = writeln!(std::io::stderr().lock(), "{text}");
}

/// The same as a JSON value on a line.
pub fn json_note(value: &Value) {
    let _nobody_reads = writeln!(std::io::stderr().lock(), "{}", json_text(value));
}

/// The characters behind ASCII in JSON stand in texts, where their escapes mean the same.
fn json_text(value: &Value) -> String {
    visible(&value.to_string()).into_owned()
}

/// A text of several lines, all but the first indented: none of them passes for another text.
pub fn paragraph(text: &str) -> String {
    without_commands(text.trim_end()).replace('\n', "\n  ")
}

fn without_commands(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_invisible(c) && !matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, is_hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        // Writing into a string cannot fail; none of these is behind 16 bits.
        let _infallible = match c {
            c if !is_hidden(c) => out.write_char(c),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c => write!(out, "\\u{:04x}", u32::from(c)),
        };
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests;
