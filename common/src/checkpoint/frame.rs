//! The container of a state file, version 2 (version 1 had one kind of record less), or 3 of jobs that carry rates on:
//! they have kinds of records that no program knows which knows no such jobs.
//!
//! ```text
//! file    = header frame* trailer
//! header  = "KOLSTATE" version:u16 reserved:u16
//! frame   = stored:u32 raw:u32 crc:u32 bytes[stored]      an LZ4 block; crc over all but itself
//! trailer = 0xFFFFFFFF frames:u32 crc:u32                 a file without it was cut off
//! ```
//!
//! Integers are little-endian, checksums CRC-32C. Records do not cross frames. Nothing that a file
//! says is believed before its checksum was seen to hold, and no frame makes a reader reserve more
//! than [`MAX_RAW`], nor more than its block can hold.

/// Newest version that is read; written where rates are carried on. No two versions differ in one bit alone (there is no 3): a
/// flipped one is noticed.
pub const VERSION: u16 = 4;
/// Version that is written elsewhere.
pub const PLAIN_VERSION: u16 = 2;
/// Largest frame, before compression. A writer ends a frame at the first record that passes
/// [`FRAME_RAW`]; one record is bounded by the largest Kafka record.
pub const MAX_RAW: usize = 128 << 20;
/// Usual size of a frame, before compression.
pub const FRAME_RAW: usize = 256 << 10;

/// A byte of an LZ4 block stands for so many at most.
const MOST_PER_BYTE: usize = 255;

const MAGIC: &[u8; 8] = b"KOLSTATE";
const HEADER: usize = 12;
const FRAME_HEADER: usize = 12;
const END: u32 = u32::MAX;

/// Why a state file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It is something else.
    #[error("it is not a state file")]
    NotAStateFile,
    /// A newer program wrote it.
    #[error("it has format version {0}, and this program reads up to {VERSION}")]
    Newer(u16),
    /// It ends too early.
    #[error("it is cut off at byte {0}")]
    CutOff(usize),
    /// Bytes differ from what was written.
    #[error("its checksum does not hold at byte {0}")]
    Checksum(usize),
    /// Its checksums hold, but it does not decode: a bug of the program that wrote it.
    #[error("frame {0} does not decode")]
    Undecodable(u32),
}

/// Puts frames around chunks of records.
#[derive(Debug)]
pub struct Encoder {
    version: u16,
    frames: u32,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::of(PLAIN_VERSION)
    }
}

impl Encoder {
    /// Of a file of this version.
    pub fn of(version: u16) -> Self {
        Self { version, frames: 0 }
    }

    /// The first bytes of a file.
    pub fn header(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
    }

    /// Appends a chunk of whole records.
    pub fn frame(&mut self, raw: &[u8], out: &mut Vec<u8>) {
        let at = out.len();
        out.resize(at + FRAME_HEADER, 0);
        out.extend_from_slice(&lz4_flex::block::compress(raw));
        let stored = (out.len() - at - FRAME_HEADER) as u32;
        out[at..at + 4].copy_from_slice(&stored.to_le_bytes());
        out[at + 4..at + 8].copy_from_slice(&(raw.len() as u32).to_le_bytes());
        let crc = frame_crc(&out[at..at + 8], &out[at + FRAME_HEADER..]);
        out[at + 8..at + FRAME_HEADER].copy_from_slice(&crc.to_le_bytes());
        self.frames += 1;
    }

    /// The last bytes of a file.
    pub fn trailer(self, out: &mut Vec<u8>) {
        let at = out.len();
        out.extend_from_slice(&END.to_le_bytes());
        out.extend_from_slice(&self.frames.to_le_bytes());
        let crc = crc32c::crc32c(&out[at..at + 8]);
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

/// How long a chunk can be whose block has this length.
fn most_raw(stored: usize) -> usize {
    MAX_RAW.min((stored + 1) * MOST_PER_BYTE)
}

fn frame_crc(lengths: &[u8], stored: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(lengths), stored)
}

/// The chunks of a file, each verified before it is handed out. After an error, or after the trailer,
/// there is nothing more.
#[derive(Debug)]
pub struct Decoder<'a> {
    file: &'a [u8],
    at: usize,
    frames: u32,
    over: bool,
}

impl<'a> Decoder<'a> {
    /// Looks at the header.
    ///
    /// # Errors
    /// Not a state file, or one of a newer version.
    pub fn new(file: &'a [u8]) -> Result<Self, Damage> {
        let header = file.get(..HEADER).ok_or(Damage::NotAStateFile)?;
        if &header[..8] != MAGIC {
            return Err(Damage::NotAStateFile);
        }
        match u16::from_le_bytes([header[8], header[9]]) {
            1 | PLAIN_VERSION | VERSION => Ok(Self {
                file,
                at: HEADER,
                frames: 0,
                over: false,
            }),
            0 | 3 => Err(Damage::NotAStateFile),
            newer => Err(Damage::Newer(newer)),
        }
    }

    /// How long all chunks together can be at most, by what the headers of the frames say before any of it was
    /// verified.
    pub fn most_raw(&self) -> usize {
        let mut rest = self.file.get(self.at..).unwrap_or_default();
        let mut sum = 0_usize;
        while let Some(&[a, b, c, d, e, f, g, h]) = rest.first_chunk() {
            let (stored, raw) = (
                u32::from_le_bytes([a, b, c, d]),
                u32::from_le_bytes([e, f, g, h]),
            );
            if stored == END {
                break;
            }
            let stored = (stored as usize).min(rest.len());
            sum = sum.saturating_add(most_raw(stored).min(raw as usize));
            rest = rest.get(FRAME_HEADER + stored..).unwrap_or_default();
        }
        sum
    }

    fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, Damage> {
        let at = self.at;
        let header = self.file.get(at..at + FRAME_HEADER);
        let header = header.ok_or(Damage::CutOff(self.file.len()))?;
        let number = |from: usize| {
            let bytes = [
                header[from],
                header[from + 1],
                header[from + 2],
                header[from + 3],
            ];
            u32::from_le_bytes(bytes)
        };
        let (stored, raw, crc) = (number(0), number(4), number(8));
        if stored == END {
            let whole = crc == crc32c::crc32c(&header[..8]) && raw == self.frames;
            let last = self.file.len() == at + FRAME_HEADER;
            return if whole && last {
                Ok(None)
            } else {
                Err(Damage::Checksum(at))
            };
        }
        let (begin, end) = (at + FRAME_HEADER, at + FRAME_HEADER + stored as usize);
        let bytes = self.file.get(begin..end);
        let bytes = bytes.ok_or(Damage::CutOff(self.file.len()))?;
        if crc != frame_crc(&header[..8], bytes) || raw as usize > most_raw(bytes.len()) {
            return Err(Damage::Checksum(at));
        }
        let chunk = lz4_flex::block::decompress(bytes, raw as usize);
        let chunk = chunk.map_err(|_| Damage::Undecodable(self.frames))?;
        self.at = end;
        self.frames += 1;
        Ok(Some(chunk))
    }
}

impl Iterator for Decoder<'_> {
    type Item = Result<Vec<u8>, Damage>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let chunk = self.next_chunk().transpose();
        self.over = !matches!(chunk, Some(Ok(_)));
        chunk
    }
}
