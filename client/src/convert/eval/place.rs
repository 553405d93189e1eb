//! Positions in sources.

/// A position in a source: which assignments happened before it.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Index of the program.
    pub program: usize,
    /// Index of the scope in the program.
    pub scope: usize,
    /// Position in the order of the file.
    pub order: usize,
}
