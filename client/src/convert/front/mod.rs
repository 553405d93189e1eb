//! One front-end for each language: what it finds, in the common model.

mod changes;
pub mod command_line;
mod documents;
pub mod java_properties;
pub mod notebook;
pub mod python;
pub mod scala;
pub mod shell;
mod strings;
mod tree;
pub mod yaml;
