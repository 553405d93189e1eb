//! Files of events as people have them: JSON lines, a JSON array, one document that holds an array;
//! plain, gzip or zstd. What it is, the first bytes say, not the name.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use kol_common::KolError;
use kol_common::event::{Explode, elements, part};
use serde::de::IgnoredAny;

/// Largest document that is taken apart: it is held in memory. What is larger is read as lines.
const MAX_DOCUMENT: u64 = 1 << 30;

/// The records of a file, one after the other.
pub struct Records {
    reader: Box<dyn BufRead>,
    /// Records that were taken out of a document, or read ahead.
    ready: VecDeque<Vec<u8>>,
    /// The rest of the file is lines.
    lines: bool,
}

impl Records {
    /// Opens a file. `explode` says which array of a document holds its events. `progress` follows the
    /// bytes of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(
        file: &Path,
        explode: Option<&Explode>,
        progress: &ProgressBar,
    ) -> Result<Self, KolError> {
        let unreadable = |e: std::io::Error| unreadable(file, &e);
        let opened = File::open(file).map_err(unreadable)?;
        let read = unpacked(progress.wrap_read(opened)).map_err(unreadable)?;
        Self::of(read, explode).map_err(unreadable)
    }

    fn of(mut reader: Box<dyn BufRead>, explode: Option<&Explode>) -> std::io::Result<Self> {
        let mut records = Self {
            ready: VecDeque::new(),
            lines: true,
            reader: Box::new(Cursor::new(Vec::new())),
        };
        let Some(first) = next_line(&mut reader)? else {
            return Ok(records);
        };
        let is_whole = serde_json::from_slice::<IgnoredAny>(&first).is_ok();
        let is_array = first.first() == Some(&b'[');
        if is_whole && !is_array || !matches!(first.first(), Some(b'[' | b'{')) {
            // A line of its own, or a line that is no JSON: the others may be.
            records.only_document(first, &mut reader, explode)?;
            records.reader = reader;
            return Ok(records);
        }
        let mut document = first;
        document.push(b'\n');
        reader
            .by_ref()
            .take(MAX_DOCUMENT)
            .read_to_end(&mut document)?;
        match values(&document, is_whole) {
            Some(values) => {
                let parts = values.iter().flat_map(|value| taken_apart(value, explode));
                records.ready.extend(parts);
                records.lines = false;
            }
            None => records.reader = Box::new(BufReader::new(Cursor::new(document).chain(reader))),
        }
        Ok(records)
    }

    /// A file of one line may be one document as well.
    fn only_document(
        &mut self,
        first: Vec<u8>,
        reader: &mut Box<dyn BufRead>,
        explode: Option<&Explode>,
    ) -> std::io::Result<()> {
        match next_line(reader)? {
            Some(second) => self.ready.extend([first, second]),
            None => {
                let text = std::str::from_utf8(&first).unwrap_or_default();
                let parts = taken_apart(text, explode);
                self.ready
                    .extend(if text.is_empty() { vec![first] } else { parts });
            }
        }
        Ok(())
    }

    fn read(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        match self.ready.pop_front() {
            Some(record) => Ok(Some(record)),
            None if self.lines => next_line(&mut self.reader),
            None => Ok(None),
        }
    }
}

impl Iterator for Records {
    type Item = std::io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// What cannot be read is an error of the person who named it.
pub fn unreadable(file: &Path, error: &std::io::Error) -> KolError {
    let what = format!("cannot read {}: {error}", file.display());
    KolError::user("INPUT_FILE", what)
}

fn unpacked(read: impl Read + 'static) -> std::io::Result<Box<dyn BufRead>> {
    let mut reader = BufReader::with_capacity(1 << 16, read);
    let head = reader.fill_buf()?;
    if head.starts_with(&[0x1f, 0x8b]) {
        return Ok(Box::new(BufReader::new(MultiGzDecoder::new(reader))));
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        let decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
        return Ok(Box::new(BufReader::new(decoder)));
    }
    Ok(Box::new(reader))
}

/// The next line that is not blank, without blanks around it and without a byte order mark.
fn next_line(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let text = line.trim_ascii();
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if !text.is_empty() {
            return Ok(Some(text.to_vec()));
        }
    }
}

/// The JSON values that make up a text; `None` where it is something else. Several arrays, one a line,
/// are lines: each is a record.
fn values(document: &[u8], first_line_is_whole: bool) -> Option<Vec<&str>> {
    let text = std::str::from_utf8(document).ok()?;
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let (mut values, mut begin) = (Vec::new(), 0);
    while let Some(value) = stream.next() {
        value.ok()?;
        let end = stream.byte_offset();
        values.push(text[begin..end].trim());
        begin = end;
    }
    (values.len() == 1 || !first_line_is_whole).then_some(values)
}

/// The records of a document: the elements of an array, or the document itself.
fn taken_apart(value: &str, explode: Option<&Explode>) -> Vec<Vec<u8>> {
    let array = match explode {
        _ if value.starts_with('[') => Some(value),
        Some(Explode::Items(path)) => part(value, path),
        _ => None,
    };
    match array {
        Some(array) => {
            let parts = elements(array).flatten();
            parts.map(|part| part.trim().as_bytes().to_vec()).collect()
        }
        None => vec![value.as_bytes().to_vec()],
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn records(content: &[u8], explode: Option<&str>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        std::fs::write(&path, content).unwrap();
        let explode = explode.map(|e| e.parse().unwrap());
        let records = Records::open(&path, explode.as_ref(), &ProgressBar::hidden()).unwrap();
        records
            .map(|r| String::from_utf8(r.unwrap()).unwrap())
            .collect()
    }

    #[test]
    fn each_layout_gives_its_records() {
        let (a, b) = (r#"{"username":"a"}"#, r#"{"username":"b"}"#);
        for (content, explode, expected) in [
            (format!("{a}\n{b}\n"), None, vec![a, b]),
            (format!("\u{feff}{a}\r\n\r\n  {b}"), None, vec![a, b]),
            (format!("not json\n{a}\n"), None, vec!["not json", a]),
            (
                format!("{a}\nnot json\n[\n"),
                None,
                vec![a, "not json", "["],
            ),
            (format!("[{a},{b}]"), None, vec![a, b]),
            (format!("[\n  {a},\n  {b}\n]\n"), None, vec![a, b]),
            (
                format!("[{a}]\n[{b}]\n"),
                None,
                vec!["[{\"username\":\"a\"}]", "[{\"username\":\"b\"}]"],
            ),
            (
                "{\n \"username\": \"a\"\n}\n".into(),
                None,
                vec!["{\n \"username\": \"a\"\n}"],
            ),
            (
                "{\n\"u\":1\n}\n{\n\"u\":2\n}\n".into(),
                None,
                vec!["{\n\"u\":1\n}", "{\n\"u\":2\n}"],
            ),
            (
                format!("{{\"items\":[{a},{b}]}}"),
                Some("items"),
                vec![a, b],
            ),
            (
                format!("{{\n\"items\":[\n{a},\n{b}\n]}}\n"),
                Some("items"),
                vec![a, b],
            ),
            (
                format!("{{\"items\":[{a}]}}"),
                None,
                vec![r#"{"items":[{"username":"a"}]}"#],
            ),
            ("{\"username\":\n".into(), None, vec!["{\"username\":"]),
            (String::new(), None, vec![]),
            ("[]".into(), None, vec![]),
        ] {
            assert_eq!(records(content.as_bytes(), explode), expected, "{content}");
        }
    }

    #[test]
    fn packed_files_are_unpacked_whatever_their_name_is() {
        let lines = b"{\"username\":\"a\"}\n{\"username\":\"b\"}\n";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(lines).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = zstd::encode_all(&lines[..], 1).unwrap();
        for packed in [gzip, zstd] {
            assert_eq!(records(&packed, None), records(lines, None));
        }
    }
}
