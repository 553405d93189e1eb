//! The bytes of a file as lines and JSON values, one after the other. Nothing is held but the one that is
//! read, and that is bounded: a file may be larger than memory, and a packed one has no size at all.

use std::io::{BufRead, Cursor, Read as _};
use std::ops::ControlFlow;

use kol_common::KolError;

/// Longest line, and largest element of an array, bytes. The engine takes records of 1 MiB.
pub const MAX_RECORD: usize = 16 << 20;
/// Largest document that is taken apart in memory, bytes.
pub const MAX_DOCUMENT: usize = 64 << 20;

/// Bytes with the number of their line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Where it begins, from 1.
    pub line: u64,
    /// What it is.
    pub value: Vec<u8>,
}

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The disk or the decompressor.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// What begins in this line is too large.
    #[error("what begins in line {line} is longer than {} MiB", most >> 20)]
    TooLarge {
        /// Number of the line, from 1.
        line: u64,
        /// The bound, bytes.
        most: usize,
    },
}

impl Unreadable {
    /// As an error of the person who named the file.
    pub fn of(self, file: &str) -> KolError {
        match self {
            Self::Io(error) => KolError::user("INPUT_FILE", format!("cannot read {file}: {error}")),
            Self::TooLarge { line, most } => {
                let most = most >> 20;
                let what = format!("{file}:{line}: what begins here is longer than {most} MiB");
                KolError::user("FILE_TOO_LARGE", what)
                    .help("Write one record a line, or the records as one JSON array.")
            }
        }
    }
}

/// Where a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it should.
    Found,
    /// At the end of the input.
    Input,
    /// At the bound.
    Bound,
}

/// What becomes of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    More,
    /// It is the last one.
    Last,
    /// It belongs to what follows.
    Before,
}

/// Bytes that are read once.
pub struct Bytes {
    reader: Box<dyn BufRead>,
    /// Number of the line that is read, from 1.
    line: u64,
}

impl Bytes {
    /// From a reader that begins in this line.
    pub fn new(reader: Box<dyn BufRead>, line: u64) -> Self {
        Self { reader, line }
    }

    /// Puts bytes that were read since `line` back.
    pub fn put_back(&mut self, bytes: Vec<u8>, line: u64) {
        let nothing: Box<dyn BufRead> = Box::new(std::io::empty());
        let rest = std::mem::replace(&mut self.reader, nothing);
        self.reader = Box::new(Cursor::new(bytes).chain(rest));
        self.line = line;
    }

    /// The line that comes next, from 1.
    pub fn line_number(&self) -> u64 {
        self.line
    }

    /// Reads as long as `more` says so, with the byte at which it says no, at most so many bytes.
    ///
    /// # Errors
    /// The reader's.
    pub fn read_while(
        &mut self,
        to: &mut Vec<u8>,
        most: usize,
        mut more: impl FnMut(u8) -> bool,
    ) -> std::io::Result<End> {
        self.read(to, most, |byte| match more(byte) {
            true => Next::More,
            false => Next::Last,
        })
    }

    /// The rest of the line with its end, at most so many bytes.
    ///
    /// # Errors
    /// The reader's.
    pub fn rest_of_line(&mut self, to: &mut Vec<u8>, most: usize) -> std::io::Result<End> {
        self.read_while(to, most, |byte| byte != b'\n')
    }

    /// The next line that is not blank, without blanks around it and without a byte order mark.
    ///
    /// # Errors
    /// It is too long.
    pub fn line(&mut self) -> Result<Option<Record>, Unreadable> {
        let mut buffer = Vec::new();
        loop {
            let line = self.line;
            buffer.clear();
            let end = self.rest_of_line(&mut buffer, MAX_RECORD)?;
            if end == End::Bound {
                let most = MAX_RECORD;
                return Err(Unreadable::TooLarge { line, most });
            }
            let text = buffer.trim_ascii();
            let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
            if !text.is_empty() {
                let value = text.to_vec();
                return Ok(Some(Record { line, value }));
            }
            if end == End::Input {
                return Ok(None);
            }
        }
    }

    /// The next byte that is not blank, which stays.
    ///
    /// # Errors
    /// The reader's.
    pub fn peek(&mut self) -> std::io::Result<Option<u8>> {
        self.skip(|byte| byte.is_ascii_whitespace())
    }

    /// Leaves the byte out that comes next.
    pub fn pass(&mut self) {
        self.reader.consume(1);
    }

    /// The next element of an array whose `[` was passed; `None` behind its `]`, which is passed too. The
    /// elements are not checked: what is broken in one does not concern the others.
    ///
    /// # Errors
    /// It is too large.
    pub fn element(&mut self) -> Result<Option<Record>, Unreadable> {
        match self.skip(|byte| byte.is_ascii_whitespace() || byte == b',')? {
            None => Ok(None),
            Some(b']') => {
                self.pass();
                Ok(None)
            }
            Some(_) => self.value(MAX_RECORD).map(Some),
        }
    }

    /// The JSON value that comes next, up to where its brackets close.
    ///
    /// # Errors
    /// It is too large.
    pub fn value(&mut self, most: usize) -> Result<Record, Unreadable> {
        let (line, mut value, mut brackets) = (self.line, Vec::new(), Brackets::default());
        let end = self.read(&mut value, most, |byte| {
            let between = byte.is_ascii_whitespace() || matches!(byte, b',' | b']');
            match brackets.closes(byte) {
                true => Next::Last,
                false if brackets.is_outside() && between => Next::Before,
                false => Next::More,
            }
        })?;
        if end == End::Bound {
            return Err(Unreadable::TooLarge { line, most });
        }
        value.truncate(value.trim_ascii_end().len());
        Ok(Record { line, value })
    }

    fn skip(&mut self, is_between: impl Fn(u8) -> bool) -> std::io::Result<Option<u8>> {
        loop {
            let bytes = self.reader.fill_buf()?;
            let Some(first) = bytes.first().copied() else {
                return Ok(None);
            };
            let passed = bytes.iter().take_while(|byte| is_between(**byte)).count();
            if passed == 0 {
                return Ok(Some(first));
            }
            self.line += count_lines(&bytes[..passed]);
            self.reader.consume(passed);
        }
    }

    fn read(
        &mut self,
        to: &mut Vec<u8>,
        most: usize,
        mut next: impl FnMut(u8) -> Next,
    ) -> std::io::Result<End> {
        loop {
            let bytes = self.reader.fill_buf()?;
            if bytes.is_empty() {
                return Ok(End::Input);
            }
            let room = bytes.len().min(most.saturating_sub(to.len()));
            let found =
                bytes[..room]
                    .iter()
                    .enumerate()
                    .try_for_each(|(at, byte)| match next(*byte) {
                        Next::More => ControlFlow::Continue(()),
                        Next::Last => ControlFlow::Break(at + 1),
                        Next::Before => ControlFlow::Break(at),
                    });
            let taken = found.break_value();
            let count = taken.unwrap_or(room);
            to.extend_from_slice(&bytes[..count]);
            self.line += count_lines(&bytes[..count]);
            self.reader.consume(count);
            match taken {
                Some(_) => return Ok(End::Found),
                None if room == 0 => return Ok(End::Bound),
                None => {}
            }
        }
    }
}

fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Follows brackets and texts to the end of a JSON value. Checks nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brackets {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Brackets {
    /// Whether an object, an array or a text ends with this byte.
    pub fn closes(&mut self, byte: u8) -> bool {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' if self.in_text => self.escaped = true,
            b'"' => {
                self.in_text = !self.in_text;
                return !self.in_text && self.depth == 0;
            }
            b'{' | b'[' if !self.in_text => self.depth += 1,
            b'}' | b']' if !self.in_text && self.depth > 0 => {
                self.depth -= 1;
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }

    /// Whether no bracket and no text is open.
    pub fn is_outside(&self) -> bool {
        self.depth == 0 && !self.in_text
    }

    /// Whether a text is open: no line of JSON ends in one.
    pub fn is_in_text(&self) -> bool {
        self.in_text
    }
}
