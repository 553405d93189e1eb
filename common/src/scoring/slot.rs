//! A slot: one source partition's share of one KOL, as numbers that add up, and its packed form in
//! the `_slots` field of the KOL's hash.
//!
//! Layout, little endian: one version byte, then records of 58 bytes. One record with its version
//! stays below the 64 bytes up to which Redis keeps a hash in its compact encoding.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | partition: the slot number of the source partition within its job |
//! | 4 | generation of the job |
//! | 5 | window end `T`, a pane number |
//! | 8 | `E` of the window, millionths, as f64 |
//! | 4 | `n` of the window |
//! | 8 | `E'` of the window before |
//! | 4 | `n'` of the window before |
//! | 8 | `B_E`, millionths, as f64 |
//! | 8 | `B_n`, as f64 |
//! | 5 | first pane seen |

/// Version of the packed form.
pub const SLOTS_VERSION: u8 = 1;
/// Bytes of one packed slot, without the version byte.
pub const SLOT_BYTES: usize = 58;

/// One partition's share of a KOL, as of window end `T`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slot {
    /// Number of the source partition within its job.
    pub partition: u32,
    /// Generation of the job.
    pub generation: u32,
    /// Window end, a pane number.
    pub window_end: u64,
    /// `E`: engagement of the window, millionths.
    pub engagement_e6: f64,
    /// `n`: events of the window.
    pub events: u32,
    /// `E'`: the same of the window before.
    pub previous_engagement_e6: f64,
    /// `n'`.
    pub previous_events: u32,
    /// `B_E`: decayed sum over older panes, millionths.
    pub baseline_engagement_e6: f64,
    /// `B_n`.
    pub baseline_events: f64,
    /// First pane with an event.
    pub first_pane: u64,
}

/// Why packed slots cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackError {
    /// Written by another version of this system.
    #[error("slots have format version {0}, this program reads version {SLOTS_VERSION}")]
    Version(u8),
    /// Not a whole number of slots.
    #[error("slots of {0} bytes are not whole")]
    Length(usize),
}

impl Slot {
    /// Appends the packed form.
    pub fn pack_into(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.partition.to_le_bytes());
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.window_end.to_le_bytes()[..5]);
        out.extend_from_slice(&self.engagement_e6.to_le_bytes());
        out.extend_from_slice(&self.events.to_le_bytes());
        out.extend_from_slice(&self.previous_engagement_e6.to_le_bytes());
        out.extend_from_slice(&self.previous_events.to_le_bytes());
        out.extend_from_slice(&self.baseline_engagement_e6.to_le_bytes());
        out.extend_from_slice(&self.baseline_events.to_le_bytes());
        out.extend_from_slice(&self.first_pane.to_le_bytes()[..5]);
    }

    fn unpack(b: &[u8; SLOT_BYTES]) -> Self {
        Self {
            partition: u32::from_le_bytes(at(b, 0)),
            generation: u32::from_le_bytes(at(b, 4)),
            window_end: u40(at(b, 8)),
            engagement_e6: f64::from_le_bytes(at(b, 13)),
            events: u32::from_le_bytes(at(b, 21)),
            previous_engagement_e6: f64::from_le_bytes(at(b, 25)),
            previous_events: u32::from_le_bytes(at(b, 33)),
            baseline_engagement_e6: f64::from_le_bytes(at(b, 37)),
            baseline_events: f64::from_le_bytes(at(b, 45)),
            first_pane: u40(at(b, 53)),
        }
    }
}

fn at<const N: usize>(bytes: &[u8; SLOT_BYTES], from: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[from + i])
}

fn u40(bytes: [u8; 5]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, b| (value << 8) | u64::from(*b))
}

/// The `_slots` field for these slots.
pub fn pack_slots(slots: &[Slot]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + slots.len() * SLOT_BYTES);
    out.push(SLOTS_VERSION);
    for slot in slots {
        slot.pack_into(&mut out);
    }
    out
}

/// Reads a `_slots` field.
///
/// # Errors
/// Another version, or a length that no whole number of slots has.
pub fn unpack_slots(field: &[u8]) -> Result<Vec<Slot>, PackError> {
    let (version, records) = field.split_first().ok_or(PackError::Length(0))?;
    if *version != SLOTS_VERSION {
        return Err(PackError::Version(*version));
    }
    let (slots, rest) = records.as_chunks::<SLOT_BYTES>();
    if !rest.is_empty() {
        return Err(PackError::Length(field.len()));
    }
    Ok(slots.iter().map(Slot::unpack).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_slot_reads_back_and_one_slot_stays_below_64_bytes() {
        let slot = Slot {
            partition: 70_000,
            generation: 3,
            window_end: 0xAB_CDEF_0123,
            engagement_e6: 1.5e9,
            events: 12,
            previous_engagement_e6: 0.25,
            previous_events: 1,
            baseline_engagement_e6: 1e-3,
            baseline_events: 0.5,
            first_pane: 485_000,
        };
        let packed = pack_slots(&[slot, Slot::default()]);
        assert_eq!(packed.len(), 1 + 2 * SLOT_BYTES);
        const { assert!(1 + SLOT_BYTES < 64) };
        assert_eq!(unpack_slots(&packed), Ok(vec![slot, Slot::default()]));
        assert_eq!(unpack_slots(&packed[..60]), Err(PackError::Length(60)));
        assert_eq!(unpack_slots(&[9]), Err(PackError::Version(9)));
    }
}
