//! Files of events as people have them: JSON lines, a JSON array, one document that holds an array;
//! plain, gzip or zstd. What it is, the first bytes say, not the name. Lines and arrays are streamed; only a
//! document is held in memory.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use kol_common::KolError;
use kol_common::event::{Explode, part, readable};

use super::bytes::{Brackets, Bytes, End, MAX_DOCUMENT, MAX_RECORD, Record, Unreadable};

/// The records of a file, one after the other.
pub struct Records {
    /// The file, as messages call it.
    file: String,
    bytes: Bytes,
    layout: Layout,
    explode: Option<Explode>,
    /// What is left of the array of a document.
    document: Option<Bytes>,
}

/// How records lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// One a line.
    Lines,
    /// JSON values, however many lines they take. Arrays hold records.
    Values,
    /// The same, in an array.
    Array,
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
        let name = file.display().to_string();
        let opened = File::open(file).map_err(Unreadable::Io);
        let read = opened.and_then(|opened| Ok(unpacked(progress.wrap_read(opened))?));
        let records = read.and_then(|reader| {
            let mut bytes = Bytes::new(reader, 1);
            let layout = layout(&mut bytes)?;
            Ok(Self {
                file: name.clone(),
                bytes,
                layout,
                explode: explode.cloned(),
                document: None,
            })
        });
        records.map_err(|e: Unreadable| e.of(&name))
    }

    fn read(&mut self) -> Result<Option<Record>, Unreadable> {
        loop {
            let record = match (&mut self.document, self.layout) {
                (Some(document), _) => document.element()?,
                (None, Layout::Lines) => return self.bytes.line(),
                (None, Layout::Array) => self.bytes.element()?,
                (None, Layout::Values) => match self.bytes.peek()? {
                    None => return Ok(None),
                    Some(b'[') => {
                        self.bytes.pass();
                        self.layout = Layout::Array;
                        continue;
                    }
                    Some(b'{') => match self.document()? {
                        None => continue,
                        record => record,
                    },
                    Some(_) => return self.bytes.line(),
                },
            };
            match record {
                Some(record) => return Ok(Some(record)),
                None if self.document.take().is_none() => self.layout = Layout::Values,
                None => {}
            }
        }
    }

    /// The object that comes next; `None` if it holds an array of records, which are then read first.
    fn document(&mut self) -> Result<Option<Record>, Unreadable> {
        let record = self.bytes.value(MAX_DOCUMENT)?;
        let Some(Explode::Items(path)) = &self.explode else {
            return Ok(Some(record));
        };
        let text = std::str::from_utf8(&record.value).unwrap_or_default();
        // Numbers that are no JSON are as long in what can be read as they are in the text.
        let readable = readable(text).unwrap_or(Cow::Borrowed(text));
        let Some(array) = part(&readable, path) else {
            return Ok(Some(record));
        };
        let begin = array.as_ptr() as usize - readable.as_ptr() as usize;
        let end = begin + array.len();
        let lines_before = text[..begin].matches('\n').count() as u64;
        let Record { line, mut value } = record;
        value.truncate(end);
        value.drain(..=begin);
        let reader = Box::new(Cursor::new(value));
        self.document = Some(Bytes::new(reader, line + lines_before));
        Ok(None)
    }
}

impl Iterator for Records {
    type Item = Result<Record, KolError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.read().map_err(|e| e.of(&self.file));
        if record.is_err() {
            // What follows would be read from within a record.
            self.bytes = Bytes::new(Box::new(std::io::empty()), 1);
            self.document = None;
        }
        record.transpose()
    }
}

fn unpacked(mut read: impl Read + 'static) -> std::io::Result<Box<dyn BufRead>> {
    let mut head = Vec::new();
    read.by_ref().take(4).read_to_end(&mut head)?;
    let (gzip, zstd) = (
        head.starts_with(&[0x1f, 0x8b]),
        head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]),
    );
    let whole = Cursor::new(head).chain(read);
    let unpacked: Box<dyn Read> = if gzip {
        Box::new(MultiGzDecoder::new(whole))
    } else if zstd {
        Box::new(zstd::stream::read::Decoder::new(whole)?)
    } else {
        Box::new(whole)
    };
    Ok(Box::new(BufReader::with_capacity(1 << 16, unpacked)))
}

/// How the records lie, by the first line; everything is still to be read afterwards.
fn layout(bytes: &mut Bytes) -> Result<Layout, Unreadable> {
    without_mark(bytes)?;
    let first = bytes.peek()?;
    if !matches!(first, Some(b'[' | b'{')) {
        return Ok(Layout::Lines);
    }
    let (line, mut head) = (bytes.line_number(), Vec::new());
    let end = bytes.rest_of_line(&mut head, MAX_RECORD)?;
    let mut brackets = Brackets::default();
    let closed = head.iter().position(|byte| brackets.closes(*byte));
    let begun = head.get(1..).unwrap_or_default().trim_ascii_start();
    let layout = match closed.map(|at| head[at + 1..].trim_ascii().first()) {
        // A line of its own, if there are others.
        Some(None) => match end == End::Found && bytes.peek()?.is_some() {
            true => Layout::Lines,
            false => Layout::Values,
        },
        Some(Some(b'{' | b'[')) => Layout::Values,
        Some(Some(_)) => Layout::Lines,
        None if first == Some(b'{') => return whole_or_lines(bytes, head, line),
        // `[2026-11-26 …` begins a line of a log.
        None => match begun.first() {
            None | Some(b'{' | b'[' | b'"') => Layout::Values,
            Some(_) => Layout::Lines,
        },
    };
    bytes.put_back(head, line);
    Ok(layout)
}

/// An object that does not end in its line is a document, or a line that is broken.
fn whole_or_lines(bytes: &mut Bytes, head: Vec<u8>, line: u64) -> Result<Layout, Unreadable> {
    bytes.put_back(head, line);
    let mut brackets = Brackets::default();
    let mut document = Vec::new();
    let end = bytes.read_while(&mut document, MAX_DOCUMENT, |byte| {
        !(brackets.closes(byte) || byte == b'\n' && brackets.is_in_text())
    })?;
    let text = std::str::from_utf8(&document).ok();
    let is_json = |text: &str| readable(text).is_some();
    let is_whole = match end {
        // Behind a line that is broken come lines that are not.
        End::Bound => {
            let second = document.split(|byte| *byte == b'\n').nth(1);
            let second = second.and_then(|line| std::str::from_utf8(line).ok());
            !second.is_some_and(is_json)
        }
        End::Found | End::Input => text.is_some_and(is_json),
    };
    bytes.put_back(document, line);
    Ok(match is_whole {
        true => Layout::Values,
        false => Layout::Lines,
    })
}

fn without_mark(bytes: &mut Bytes) -> std::io::Result<()> {
    let mut head = Vec::new();
    let (mut left, line) = (3, bytes.line_number());
    bytes.read_while(&mut head, 3, |_| {
        left -= 1;
        left > 0
    })?;
    if head != b"\xef\xbb\xbf" {
        bytes.put_back(head, line);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use kol_common::event::Decoder;

    use super::*;

    fn records(content: &[u8], explode: Option<&str>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events");
        std::fs::write(&path, content).unwrap();
        let explode = explode.map(|e| e.parse().unwrap());
        let records = Records::open(&path, explode.as_ref(), &ProgressBar::hidden()).unwrap();
        records
            .map(|r| String::from_utf8(r.unwrap().value).unwrap())
            .collect()
    }

    /// Reads what a reader gives, as a file of this name.
    fn read(reader: impl Read + 'static, explode: Option<&str>) -> Records {
        let mut bytes = Bytes::new(unpacked(reader).unwrap(), 1);
        let layout = layout(&mut bytes).unwrap();
        Records {
            file: "events".into(),
            bytes,
            layout,
            explode: explode.map(|e| e.parse().unwrap()),
            document: None,
        }
    }

    /// The same bytes again and again.
    struct Endless(&'static [u8], usize);

    impl Read for Endless {
        fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
            for byte in to.iter_mut() {
                *byte = self.0[self.1 % self.0.len()];
                self.1 += 1;
            }
            Ok(to.len())
        }
    }

    #[test]
    fn what_has_no_end_is_refused_with_its_line_and_the_bound() {
        for (head, endless, line, bound) in [
            ("\n", &b"x"[..], 2, "16 MiB"),
            ("\n", b"\0", 2, "16 MiB"),
            ("\n", b"{\"a\":", 2, "64 MiB"),
            ("", b"[", 1, "16 MiB"),
            ("[\n\n\"", b"x", 3, "16 MiB"),
        ] {
            let mut records = read(head.as_bytes().chain(Endless(endless, 0)), None);
            let error = records.next().unwrap().unwrap_err();
            assert_eq!(error.code, "FILE_TOO_LARGE", "{endless:?}");
            assert!(
                error.message.starts_with(&format!("events:{line}: "))
                    && error.message.contains(bound),
                "{error}"
            );
            assert!(records.next().is_none(), "{endless:?}");
        }
    }

    #[test]
    fn lines_and_arrays_without_an_end_are_streamed() {
        for (head, endless) in [
            (&b""[..], &b"{\"username\":\"a\"}\n"[..]),
            (b"[", b"{\"username\":\"a\"},"),
            (b"[\n", b"{\"username\":\"a\"},\n"),
            (b"", b"{\n\"username\":\"a\"}\n"),
        ] {
            let mut records = read(head.chain(Endless(endless, 0)), None);
            let last = records.nth(100_000).unwrap().unwrap();
            let username = Decoder::new("x");
            assert_eq!(username.decode(Some(&last.value)).unwrap().kol, "a");
        }
    }

    #[test]
    fn one_element_that_is_no_json_does_not_concern_the_others() {
        let (a, b) = (r#"{"username":"a"}"#, r#"{"username":"b"}"#);
        let infinite = r#"{"username":"n","like_count":NaN,"x":[-Infinity]}"#;
        for broken in [infinite, r#"{"username":no}"#, "oops", "{\"u\":\"x\ny\"}"] {
            let expected = vec![a, broken, b];
            for array in [
                format!("[{a},{broken},{b}]"),
                format!("[\n{a},\n{broken},\n{b}\n]\n"),
            ] {
                assert_eq!(records(array.as_bytes(), None), expected, "{array}");
            }
        }
        let document = format!("{{\"next\":NaN,\n\"items\":[\n{a},\n{infinite},\n{b}]}}");
        let found: Vec<_> = read(Cursor::new(document), Some("items"))
            .map(Result::unwrap)
            .map(|r| (r.line, String::from_utf8(r.value).unwrap()))
            .collect();
        let expected = [(3, a.into()), (4, infinite.into()), (5, b.to_owned())];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_begins_like_json_and_is_not_is_read_as_lines() {
        let good = r#"{"username":"a"}"#;
        for first in [
            r#"{"username":"a","cap"#,
            r#"{"username":"#,
            "[2026-11-26 10:00] begun",
            "[2026-11-26",
        ] {
            let lines = format!("{first}\n{good}\n{good}\n");
            assert_eq!(records(lines.as_bytes(), None), [first, good, good]);
        }
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
            (
                format!("[{a}]\n[{b}"),
                None,
                vec!["[{\"username\":\"a\"}]", "[{\"username\":\"b\"}"],
            ),
            (format!("{a}{b}\n{a}"), None, vec![a, b, a]),
            (format!("[{a},\n{b}"), None, vec![a, b]),
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
