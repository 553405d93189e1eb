//! The master process.

fn main() {}
