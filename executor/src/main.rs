//! The executor process.

fn main() {}
