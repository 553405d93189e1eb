//! Creators' events, from bytes to numbers.
