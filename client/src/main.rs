//! The client process.

fn main() {}
