//! One front-end for each language: what it finds, in the common model.

pub mod command_line;
pub mod java_properties;
pub mod python;
pub mod scala;
pub mod shell;
mod tree;
pub mod yaml;
